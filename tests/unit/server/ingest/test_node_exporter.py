"""What is made of the series of node exporters: odd ones say nothing, never zero."""

from collections.abc import Mapping

import pytest

from huoyan.errors import Unreachable
from huoyan.server.collect.metrics import Labels
from huoyan.server.collect.nodes import Node, Nodes
from huoyan.server.ingest.node_exporter import NodeExporters
from huoyan.server.ingest.prometheus import Sample
from huoyan.testing import FakeClock

AT = 5_000.0
"""The time of Prometheus, whose clock is far off ours."""


class Answers:
    """Says what a test lays down, by a word of the question."""

    def __init__(self, **said: list[Sample]) -> None:
        self.said = said
        self.asked: list[str] = []
        self.broken = ""

    def query(self, expression: str) -> list[Sample]:
        self.asked.append(expression)
        if self.broken and self.broken in expression:
            raise Unreachable("expected http://prometheus to answer a query, got nonsense")
        return next((samples for word, samples in self.said.items() if word in expression), [])

    def close(self) -> None:
        pass


def one(value: float, instance: str = "10.0.0.1:9100", **labels: str) -> Sample:
    return Sample({"job": "node", "instance": instance, **labels}, AT, value)


def uname(nodename: str = "web-1", instance: str = "10.0.0.1:9100", age_s: float = 4.0, **labels: str) -> Sample:
    kernel = {"sysname": "Linux", "release": "6.1", "machine": "x86_64", "domainname": "(none)", "version": "#1"}
    return one(AT - age_s, instance, nodename=nodename, **kernel, **labels)


def gauges(**values: float) -> list[Sample]:
    return [one(value, __name__=f"node_{name}") for name, value in values.items()]


def disk(value: float, mount: str, kind: str = "ext4") -> Sample:
    return one(value, device="/dev/x", mountpoint=mount, fstype=kind)


class Scene:
    """A server that watches processes on web-1 and db-1."""

    def __init__(self, answers: Answers) -> None:
        self.clock = FakeClock()
        self.answers = answers
        self.nodes = Nodes("http://prometheus", self.clock, self.told, lambda: [("shop", "web-1"), ("shop", "db-1")])
        self.exporters = NodeExporters(answers, self.nodes, self.clock)

    def told(self, metric: str) -> Mapping[Labels, float]:
        return {(("service", "shop"), ("host", "web-1"), ("worker", "w")): 0.5}

    def read(self, host: str = "web-1") -> Node | None:
        self.exporters.run_once()
        return self.nodes.of(host)


def read(**said: list[Sample]) -> Node:
    found = Scene(Answers(uname=[uname()], **said)).read()
    assert found is not None
    return found


def test_shares_are_worked_out_as_psutil_does() -> None:
    modes = {"idle": 1.5, "iowait": 0.1, "user": 0.25, "system": 0.1, "steal": 0.05, "processors": 2.0}
    node = read(
        cpu_seconds=[one(value, mode=mode) for mode, value in modes.items()],
        load1=gauges(load1=0.7, memory_MemTotal_bytes=8e9, memory_MemAvailable_bytes=2e9, boot_time_seconds=77),
        filesystem=[disk(0.4, "/")],
        network=[one(1000.0, way="in"), one(10.0, way="out")],
    )
    assert node.cpu == pytest.approx(0.2)
    assert node.memory == pytest.approx(0.75)
    assert (node.disk, node.disk_mount) == (0.4, "/")
    assert (node.load1, node.processors, node.booted_at) == (0.7, 2, 77)
    assert (node.received_bytes_per_s, node.sent_bytes_per_s) == (1000.0, 10.0)


def test_what_is_not_said_is_not_known() -> None:
    assert read() == Node("web-1", "10.0.0.1:9100", FakeClock().now() - 4.0)


@pytest.mark.parametrize(
    "values",
    [
        {"memory_MemTotal_bytes": 8e9},
        {"memory_MemAvailable_bytes": 2e9},
        {"memory_MemTotal_bytes": 0, "memory_MemAvailable_bytes": 0},
        {"memory_MemTotal_bytes": 1e9, "memory_MemAvailable_bytes": 2e9},
        {"memory_MemTotal_bytes": 1e9, "memory_MemAvailable_bytes": -2e9},
    ],
)
def test_memory_that_does_not_add_up_is_not_known(values: dict[str, float]) -> None:
    assert read(load1=gauges(**values)).memory is None


@pytest.mark.parametrize("modes", [{"idle": 0.0}, {"idle": -1.0, "user": 2.0}, {"processors": 4.0}])
def test_processors_that_do_not_tick_say_nothing_of_their_use(modes: dict[str, float]) -> None:
    assert read(cpu_seconds=[one(value, mode=mode) for mode, value in modes.items()]).cpu is None


@pytest.mark.parametrize(
    ("disks", "fullest"),
    [
        ([disk(0.4, "/"), disk(0.8, "/var")], (0.8, "/var")),
        ([disk(0.4, "/"), disk(1.0, "/snap/core", "squashfs"), disk(0.9, "/mnt", "nfs4")], (0.4, "/")),
        ([disk(0.4, "/"), disk(0.95, "/boot/efi", "vfat"), disk(0.9, "/run", "tmpfs")], (0.4, "/")),
        ([disk(0.6, "/", "overlay"), disk(0.1, "/etc/hosts", "overlay")], (0.6, "/")),
        ([disk(7.0, "/var"), disk(0.3, "/")], (0.3, "/")),
        ([disk(0.6, "/mnt", "nfs")], (None, "")),
    ],
)
def test_the_fullest_disk_of_the_hosts_own_counts(disks: list[Sample], fullest: tuple[float | None, str]) -> None:
    node = read(filesystem=disks)
    assert (node.disk, node.disk_mount) == fullest


def test_a_host_is_found_by_its_name_and_else_by_its_address() -> None:
    scene = Scene(Answers(uname=[uname("WEB-1"), uname("ip-10-0-0-2", "db-1:9100"), uname("other", "10.0.0.3:9100")]))
    assert scene.read("web-1") is not None
    assert scene.read("db-1") is not None
    assert scene.read("other") is None
    assert scene.nodes.status.nodes == 3


def test_figures_go_to_the_machine_whose_labels_they_carry() -> None:
    """Two clusters call their node exporters alike."""
    scene = Scene(Answers(uname=[uname(cluster="a"), uname("db-1", cluster="b")]))
    scene.answers.said["load1"] = [
        one(1.0, cluster="a", __name__="node_load1"),
        one(9.0, cluster="b", __name__="node_load1"),
    ]
    scene.exporters.run_once()
    loads = [node.load1 for host in ("web-1", "db-1") if (node := scene.nodes.of(host)) is not None]
    assert loads == [1.0, 9.0]


def test_however_many_hosts_there_are_it_is_five_questions_and_one_where_none_is_ours() -> None:
    scene = Scene(Answers(uname=[uname("web-1", f"10.0.0.{number}:9100") for number in range(200)]))
    scene.exporters.run_once()
    assert len(scene.answers.asked) == 5
    assert r"10\\.0\\.0\\.7:9100" in scene.answers.asked[1]
    scene.answers.said, scene.answers.asked = {"uname": [uname("other")]}, []
    assert scene.exporters.run_once() == 0
    assert len(scene.answers.asked) == 1


def test_a_node_exporter_scraped_more_than_five_minutes_ago_says_nothing() -> None:
    scene = Scene(Answers(uname=[uname(age_s=299.0)]))
    assert scene.read() is not None
    scene.clock.advance(2.0)
    assert scene.nodes.of("web-1") is None


@pytest.mark.parametrize("broken", ["uname", "cpu", "load1", "filesystem", "network"])
def test_an_answer_that_fails_leaves_the_last_one_for_a_minute_and_then_processes_speak(broken: str) -> None:
    scene = Scene(Answers(uname=[uname()], load1=gauges(memory_MemTotal_bytes=4, memory_MemAvailable_bytes=1)))
    memory = scene.nodes.metrics[1]
    scene.exporters.run_once()
    assert list(scene.nodes.read(memory).values()) == [0.75]
    scene.answers.broken = broken
    scene.clock.advance(15.0)
    scene.exporters.run_once()
    assert scene.nodes.status.state == "failing"
    assert "nonsense" in scene.nodes.status.problem
    assert list(scene.nodes.read(memory).values()) == [0.75]
    scene.clock.advance(46.0)
    scene.exporters.run_once()
    assert list(scene.nodes.read(memory).values()) == [0.5]
    scene.answers.broken = ""
    scene.exporters.run_once()
    assert (scene.nodes.status.state, scene.nodes.status.problem) == ("answers", "")
    assert list(scene.nodes.read(memory).values()) == [0.75]
