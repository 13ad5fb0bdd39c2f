"""Reads what node exporters say of the hosts of watched processes, through a Prometheus.

At most five questions each 15 seconds, however many hosts there are, and one where no node exporter is of ours. The
metrics are those of https://github.com/prometheus/node_exporter; what has no such name (other systems than Linux call
some differently) is not known, and processes speak for their hosts there.
"""

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from huoyan.clock import Clock
from huoyan.errors import Unreachable
from huoyan.server.collect.nodes import Node, Nodes, host_of
from huoyan.server.ingest.prometheus import Sample

_LOG = logging.getLogger(__name__)

READ_EVERY_S = 15.0
MOST_HOSTS = 1000
"""Node exporters asked about; more than that many hosts are beyond one server."""

NAMES = "timestamp(node_uname_info)"
"""Every node exporter that there is, with the time at which it was scraped."""
# irate looks at the last two scrapes, so any interval up to half of the range will do.
_CPU = (
    "sum without (cpu) (irate(node_cpu_seconds_total{%s}[5m])) or label_replace("
    'count without (cpu) (node_cpu_seconds_total{mode="idle", %s}), "mode", "processors", "", "")'
)
_GAUGES = (
    '{__name__=~"node_load1|node_memory_MemTotal_bytes|node_memory_MemAvailable_bytes|node_boot_time_seconds", %s}'
)
# As df works it out: what is kept for root counts neither as used nor as free.
_DISKS = (
    "1 - node_filesystem_avail_bytes{%s}"
    " / (node_filesystem_size_bytes{%s} - node_filesystem_free_bytes{%s} + node_filesystem_avail_bytes{%s} > 0)"
    " unless node_filesystem_readonly == 1"
)
_CARDS = 'device!~"lo|veth.*|docker.*|br-.*|virbr.*|cni.*|cali.*|flannel.*|tun.*|tap.*|vnet.*|kube.*|dummy.*"'
_NETWORK = (
    'label_replace(sum without (device) (irate(node_network_receive_bytes_total{%s}[5m])), "way", "in", "", "")'
    ' or label_replace(sum without (device) (irate(node_network_transmit_bytes_total{%s}[5m])), "way", "out", "", "")'
)

_OF_UNAME = frozenset({"__name__", "nodename", "sysname", "release", "version", "machine", "domainname"})
_OF_SERIES = frozenset({"mode", "device", "device_error", "fstype", "mountpoint", "way"})
_NOT_OF_TARGET = _OF_UNAME | _OF_SERIES
_IDLE = frozenset({"idle", "iowait"})
_NO_DISK = re.compile(
    r"(tmpfs|ramfs|devtmpfs|rootfs|overlay|aufs|squashfs|iso9660|udf|erofs|nfs.*|cifs|smb.*|fuse.*|9p|virtiofs|ceph)"
)
_BOOT = re.compile(r"/boot(/.*)?|/efi(/.*)?")


class Asks(Protocol):
    """Who answers instant queries: `PrometheusClient`."""

    def query(self, expression: str) -> list[Sample]:
        """Return the series of an answer, or raise `Unreachable`."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


Target = frozenset[tuple[str, str]]
"""The labels that Prometheus gives to everything of one node exporter."""


@dataclass(slots=True)
class _Found:
    """What the answers say of one node exporter."""

    modes: dict[str, float] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    disks: list[tuple[float, str, str]] = field(default_factory=list)
    network: dict[str, float] = field(default_factory=dict)


class NodeExporters:
    """Asks Prometheus every 15 seconds.

    Args:
        client: Asks.
        nodes: Where to.
        clock: The time.
    """

    name = "node exporters"
    interval_s = READ_EVERY_S

    def __init__(self, client: Asks, nodes: Nodes, clock: Clock) -> None:
        self._client = client
        self._nodes = nodes
        self._clock = clock

    def run_once(self) -> int:
        """Ask once, and return how many node exporters may be of ours."""
        before = self._nodes.status
        try:
            names = self._client.query(NAMES)
            nodes = self._read(names)
        except Unreachable as error:
            if before.state != "failing":
                _LOG.warning("%s; processes speak for their hosts meanwhile", error.message)
            self._nodes.failed(error.message)
            return 0
        if before.state == "failing":
            _LOG.info("%s answers again", before.url)
        self._nodes.take(nodes, len({_target(sample.labels) for sample in names}))
        return len(nodes)

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def _read(self, names: Iterable[Sample]) -> list[Node]:
        hosts = {host.casefold() for host in self._nodes.hosts()}
        ours: dict[Target, tuple[str, str, float]] = {}
        now = self._clock.now()
        for sample in names:
            nodename, instance = sample.labels.get("nodename", ""), sample.labels.get("instance", "")
            if nodename.casefold() not in hosts and host_of(instance).casefold() not in hosts:
                continue
            target = _target(sample.labels)
            # Its age is told by the clock of Prometheus alone, which need not agree with ours.
            sampled_at = now - max(0.0, sample.at - sample.value)
            if target in ours and ours[target][2] >= sampled_at:
                continue
            if target in ours or len(ours) < MOST_HOSTS:
                ours[target] = (nodename, instance, sampled_at)
        if not ours:
            return []
        found = self._ask({instance for _, instance, _ in ours.values()})
        return [_node(*about, found.get(target) or _Found()) for target, about in ours.items()]

    def _ask(self, instances: set[str]) -> dict[Target, _Found]:
        """Ask what there is to know of some node exporters."""
        only = f"instance=~{_quoted('|'.join(re.escape(instance) for instance in sorted(instances)))}"
        found: dict[Target, _Found] = {}

        def of(sample: Sample) -> _Found:
            return found.setdefault(_target(sample.labels), _Found())

        for sample in self._client.query(_CPU % (only, only)):
            of(sample).modes[sample.labels.get("mode", "")] = sample.value
        for sample in self._client.query(_GAUGES % only):
            of(sample).values[sample.labels.get("__name__", "")] = sample.value
        for sample in self._client.query(_DISKS % (only, only, only, only)):
            of(sample).disks.append(
                (sample.value, sample.labels.get("mountpoint", ""), sample.labels.get("fstype", ""))
            )
        cards = f"{_CARDS}, {only}"
        for sample in self._client.query(_NETWORK % (cards, cards)):
            of(sample).network[sample.labels.get("way", "")] = sample.value
        return found


def _node(nodename: str, instance: str, sampled_at: float, found: _Found) -> Node:
    total = found.values.get("node_memory_MemTotal_bytes", 0.0)
    available = found.values.get("node_memory_MemAvailable_bytes")
    disk, mount = _fullest(found.disks)
    processors = found.modes.pop("processors", None)
    return Node(
        nodename=nodename,
        instance=instance,
        sampled_at=sampled_at,
        booted_at=found.values.get("node_boot_time_seconds"),
        cpu=_busy(found.modes),
        memory=_share(1.0 - available / total) if available is not None and total > 0 else None,
        disk=disk,
        disk_mount=mount,
        load1=_amount(found.values.get("node_load1")),
        processors=round(processors) if processors is not None and processors >= 1 else None,
        received_bytes_per_s=_amount(found.network.get("in")),
        sent_bytes_per_s=_amount(found.network.get("out")),
    )


def _busy(modes: Mapping[str, float]) -> float | None:
    """Return the share of the time in which processors worked; waiting for a disk is not work, as with psutil."""
    whole = sum(modes.values())
    if whole <= 0 or min(modes.values()) < 0:
        return None
    return sum(value for mode, value in modes.items() if mode not in _IDLE) / whole


def _fullest(disks: Iterable[tuple[float, str, str]]) -> tuple[float | None, str]:
    """Return how full the fullest disk is and where it is mounted; in a container, whose disks are none, its root."""
    good = [(share, mount, kind) for value, mount, kind in disks if (share := _share(value)) is not None]
    own = [each for each in good if not _NO_DISK.fullmatch(each[2]) and not _BOOT.fullmatch(each[1])]
    chosen = max(own or [each for each in good if each[1] == "/"], default=None)
    return (None, "") if chosen is None else chosen[:2]


def _share(value: float) -> float | None:
    """Return a share; what is none (more is free than there is) says nothing."""
    return min(max(value, 0.0), 1.0) if -0.001 <= value <= 1.001 else None


def _amount(value: float | None) -> float | None:
    return None if value is None or value < 0 else value


def _target(labels: Mapping[str, str]) -> Target:
    return frozenset((name, value) for name, value in labels.items() if name not in _NOT_OF_TARGET)


def _quoted(text: str) -> str:
    """Return a text as PromQL writes it; its escapes are those of JSON but for what is beyond ASCII, kept as it is."""
    return json.dumps(text, ensure_ascii=False)
