"""Whose word on a host counts: its node exporter's, its processes', nobody's."""

from collections.abc import Mapping

import pytest

from huoyan.server.collect.metrics import Labels
from huoyan.server.collect.nodes import Node, Nodes, host_of
from huoyan.signals.metrics.process import HOST_CPU, HOST_DISK, HOST_MEMORY
from huoyan.testing import FakeClock


def labels(host: str, worker: str, service: str = "shop") -> Labels:
    return (("service", service), ("host", host), ("worker", worker))


TOLD: dict[str, dict[Labels, float]] = {
    HOST_CPU.name: {labels("web-1", "a"): 0.1, labels("web-1", "b"): 0.2, labels("web-2", "c"): 0.3},
    HOST_MEMORY.name: {labels("web-1", "a"): 0.4},
}


@pytest.fixture
def clock() -> FakeClock:
    """The time."""
    return FakeClock()


@pytest.fixture
def nodes(clock: FakeClock) -> Nodes:
    """What is known where processes run on web-1 and web-2, and a worker that tells nothing of itself on db-1."""

    def told(metric: str) -> Mapping[Labels, float]:
        return TOLD.get(metric, {})

    return Nodes("http://prometheus", clock, told, lambda: [("shop", "web-1"), ("mail", "db-1"), ("x", "localhost")])


def node(clock: FakeClock, name: str, instance: str = "10.0.0.1:9100", age_s: float = 1.0, **said: float) -> Node:
    return Node(name, instance, clock.now() - age_s, said.pop("booted_at", None), **said)  # type: ignore[arg-type]


def test_before_the_first_answer_processes_speak(nodes: Nodes) -> None:
    assert nodes.read(HOST_CPU.name) == TOLD[HOST_CPU.name]
    assert nodes.status.state == "waiting"
    assert nodes.status.read_at is None


def test_the_node_exporter_speaks_in_place_of_every_process_of_its_host_and_of_no_other(
    nodes: Nodes, clock: FakeClock
) -> None:
    nodes.take([node(clock, "web-1", cpu=0.9)], 1)
    assert nodes.read(HOST_CPU.name) == {
        labels("web-1", "a"): 0.9,
        labels("web-1", "b"): 0.9,
        labels("web-2", "c"): 0.3,
    }
    # It does not say how full the memory is, so the process does.
    assert nodes.read(HOST_MEMORY.name) == TOLD[HOST_MEMORY.name]


def test_a_host_whose_workers_say_nothing_of_it_has_figures_all_the_same(nodes: Nodes, clock: FakeClock) -> None:
    nodes.take([node(clock, "db-1", disk=0.8)], 1)
    assert nodes.read(HOST_DISK.name) == {labels("db-1", "", "mail"): 0.8}


def test_nothing_used_is_a_figure_and_not_a_missing_one(nodes: Nodes, clock: FakeClock) -> None:
    nodes.take([node(clock, "web-1", cpu=0.0)], 1)
    assert nodes.read(HOST_CPU.name)[labels("web-1", "a")] == 0.0


def test_a_name_that_every_machine_may_have_names_none(nodes: Nodes, clock: FakeClock) -> None:
    nodes.take([node(clock, "localhost", "localhost:9100", cpu=0.9)], 1)
    assert nodes.of("localhost") is None
    assert nodes.hosts() == {"web-1", "web-2", "db-1"}


def test_of_several_machines_with_one_name_none_is_believed(nodes: Nodes, clock: FakeClock) -> None:
    twins = [
        node(clock, "web-1", "10.0.0.1:9100", booted_at=1_000.0, cpu=0.1),
        node(clock, "web-1", "10.0.0.2:9100", booted_at=9_000.0, cpu=0.9),
    ]
    nodes.take(twins, 2)
    assert nodes.of("web-1") is None
    nodes.take([*twins, node(clock, "clone", "web-1:9100", cpu=0.5)], 3)
    assert nodes.of("web-1") == node(clock, "clone", "web-1:9100", cpu=0.5)
    nodes.take([node(clock, "web-1", cpu=0.1), node(clock, "web-1", cpu=0.9)], 2)
    assert nodes.of("web-1") is None


def test_of_one_machine_that_is_scraped_twice_the_freshest_word_counts(nodes: Nodes, clock: FakeClock) -> None:
    old = node(clock, "web-1", age_s=50.0, booted_at=1_000.0, cpu=0.1)
    new = node(clock, "web-1", "web:9100", age_s=2.0, booted_at=1_000.5, cpu=0.2)
    nodes.take([old, new], 2)
    assert nodes.of("web-1") == new


@pytest.mark.parametrize(
    ("instance", "host"),
    [
        ("db-1:9100", "db-1"),
        ("db-1", "db-1"),
        ("[fd00::1]:9100", "fd00::1"),
        ("fd00::1", "fd00::1"),
        ("https://db-1/metrics", "https://db-1/metrics"),
        ("", ""),
        ("[", ""),
    ],
)
def test_an_instance_is_a_host_and_usually_a_port(instance: str, host: str) -> None:
    assert host_of(instance) == host
