"""What node exporters say of hosts, in place of what the processes on them say.

A host is found by the name that its processes report: it is `nodename` of `node_uname_info`, else the host in the
`instance` of the node exporter. Where several machines carry the name, nobody is believed.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from huoyan.clock import Clock
from huoyan.server.collect.metrics import Labels
from huoyan.server.store.source import STALE_S
from huoyan.signals.metrics.process import HOST_CPU, HOST_DISK, HOST_MEMORY

OLDEST_S = 300.0
"""A node exporter that was scraped longer ago, in seconds, says nothing of now."""

_SAME_BOOT_S = 5.0
_NAMELESS = frozenset({"", "localhost", "localhost.localdomain", "127.0.0.1", "::1"})

State = Literal["waiting", "answers", "failing"]


@dataclass(frozen=True, slots=True)
class Node:
    """What one node exporter says; None where it does not.

    Args:
        nodename: Name of the machine, as its kernel knows it.
        instance: Address of the node exporter, as Prometheus calls it.
        sampled_at: When it was scraped, by our clock, seconds since 1970 UTC.
        booted_at: When the machine started, by its own clock, seconds since 1970 UTC.
        cpu: Share of its CPU time that is used.
        memory: Share of its memory that is used.
        disk: Share of its fullest disk that is used.
        disk_mount: Where that one is mounted, empty when `disk` is not known.
        load1: Load average over a minute.
        processors: How many it has.
        received_bytes_per_s: What its network cards receive.
        sent_bytes_per_s: What they send.
    """

    nodename: str
    instance: str
    sampled_at: float
    booted_at: float | None = None
    cpu: float | None = None
    memory: float | None = None
    disk: float | None = None
    disk_mount: str = ""
    load1: float | None = None
    processors: int | None = None
    received_bytes_per_s: float | None = None
    sent_bytes_per_s: float | None = None

    def share(self, metric: str) -> float | None:
        """Return what it says of one of the metrics of hosts."""
        return {HOST_CPU.name: self.cpu, HOST_MEMORY.name: self.memory, HOST_DISK.name: self.disk}.get(metric)


@dataclass(frozen=True, slots=True)
class NodesStatus:
    """How the last question to Prometheus went.

    Args:
        url: Whom we ask, for people.
        state: `waiting` before the first answer, `answers`, or `failing`.
        problem: Why it fails, empty otherwise.
        nodes: Node exporters that Prometheus knows, of watched hosts or not.
        read_at: When it answered last, seconds since 1970 UTC; None: never.
    """

    url: str
    state: State = "waiting"
    problem: str = ""
    nodes: int = 0
    read_at: float | None = None


class Nodes:
    """What node exporters said last. Safe to use from any thread.

    Args:
        url: Where it comes from, for people.
        clock: The time.
        told: Metric → what processes say of their hosts, by labels.
        placed: Returns `(service, host)` of watched workers, whether they say anything of their host or not.
    """

    metrics = (HOST_CPU.name, HOST_MEMORY.name, HOST_DISK.name)
    """What it answers for."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        told: Callable[[str], Mapping[Labels, float]],
        placed: Callable[[], Iterable[tuple[str, str]]],
    ) -> None:
        self._clock = clock
        self._told = told
        self._placed = placed
        self._lock = threading.Lock()
        self._status = NodesStatus(url)
        self._by_name: dict[str, list[Node]] = {}
        self._by_instance: dict[str, list[Node]] = {}

    def hosts(self) -> set[str]:
        """Return the hosts that watched processes run on."""
        found = {host for _, host in self._placed()}
        for metric in self.metrics:
            found.update(dict(labels)["host"] for labels in self._told(metric))
        return {host for host in found if host.casefold() not in _NAMELESS}

    def take(self, nodes: Iterable[Node], known: int) -> None:
        """Take an answer in place of the one before.

        Args:
            nodes: What is known of machines that may be ours.
            known: Node exporters that there are in all.
        """
        by_name: dict[str, list[Node]] = {}
        by_instance: dict[str, list[Node]] = {}
        for node in nodes:
            by_name.setdefault(node.nodename.casefold(), []).append(node)
            by_instance.setdefault(host_of(node.instance).casefold(), []).append(node)
        with self._lock:
            self._by_name, self._by_instance = by_name, by_instance
            self._status = NodesStatus(self._status.url, "answers", "", known, self._clock.now())

    def failed(self, problem: str) -> None:
        """Note that there is no answer. The last one holds for as long as any gauge does, 60 s."""
        with self._lock:
            before = self._status
            self._status = NodesStatus(before.url, "failing", problem, before.nodes, before.read_at)

    @property
    def status(self) -> NodesStatus:
        """How the last question went."""
        return self._status

    def of(self, host: str) -> Node | None:
        """Return what a node exporter says of a host now, None when none does."""
        with self._lock:
            read_at = self._status.read_at
            name = host.casefold()
            if read_at is None or name in _NAMELESS:
                return None
            named, addressed = self._by_name.get(name, []), self._by_instance.get(name, [])
        now = self._clock.now()
        if now - read_at > STALE_S:
            return None
        fresh = [node for node in named if now - node.sampled_at <= OLDEST_S]
        return _one_machine(fresh) or _one_machine([node for node in addressed if now - node.sampled_at <= OLDEST_S])

    def read(self, metric: str) -> dict[Labels, float]:
        """Return a metric of hosts by its labels: what node exporters say, else what processes say themselves."""
        found = dict(self._told(metric))
        nodes: dict[str, float | None] = {}
        for labels in found:
            host = dict(labels)["host"]
            if host not in nodes:
                node = self.of(host)
                nodes[host] = None if node is None else node.share(metric)
            said = nodes[host]
            if said is not None:
                found[labels] = said
        for service, host in self._placed():
            if host in nodes:
                continue
            node = self.of(host)
            said = None if node is None else node.share(metric)
            if said is not None:
                found[(("service", service), ("host", host), ("worker", ""))] = said
        return found


def host_of(instance: str) -> str:
    """Return the host of an address such as `db-1:9100` or `[fd00::1]:9100`."""
    if instance.startswith("["):
        return instance[1:].partition("]")[0]
    host, colon, port = instance.rpartition(":")
    return host if colon and port.isdecimal() and ":" not in host else instance


def _one_machine(nodes: list[Node]) -> Node | None:
    """Return the freshest word on a machine, None when these are several machines, or none.

    One machine may be scraped by two jobs, or by two of Prometheus; then all say that it started at the same time.
    """
    if len(nodes) > 1:
        boots = [node.booted_at for node in nodes if node.booted_at is not None]
        if len(boots) < len(nodes) or max(boots) - min(boots) > _SAME_BOOT_S:
            return None
    return max(nodes, key=lambda node: node.sampled_at, default=None)
