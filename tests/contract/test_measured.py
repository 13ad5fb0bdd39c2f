"""What processes measured, as the running server and the store alone answer it, beside a source that keeps all."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice, product

import pytest

from huoyan.model.histogram import Histogram
from huoyan.server.collect import Collector
from huoyan.server.store import Store
from huoyan.server.store.funnels import FunnelStore
from huoyan.signals import Source
from huoyan.signals.measured import Frame, Measured, Step, Values
from huoyan.signals.metric import Across, Endpoint, Metric, MetricKind
from huoyan.signals.metrics.application import (
    DB_POOL_IN_USE,
    DB_QUERY_DURATION,
    FUNNEL_ENTERED,
    FUNNEL_REACHED,
    HTTP_REQUESTS,
)
from huoyan.signals.metrics.process import HOST_DISK, HOST_MEMORY
from huoyan.testing.memory_source import MemorySource
from tests.servers import migrated_sqlite

NOW = 1_763_673_300.0
"""A whole minute."""
_databases = count()
ENTER = Step("checkout", "cart", 1, 3600.0)
PAY = Step("checkout", "paid", 2, 3600.0)
PARCELS = Metric("parcels_total", MetricKind.COUNTER, "Parcels.", ("carrier",), endpoint=Endpoint.APPLICATION)


class _Clock:
    def __init__(self, at: float = NOW) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def _frame(sequence: int, at: float, *measured: Measured, source: str = "p1", service: str = "shop") -> Frame:
    return Frame(source, sequence, at, service, f"{service}@host:{source}", {one.metric.name: one for one in measured})


def _observed(*values: float) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    return histogram


def _labels(metric: Metric, values: tuple[str, ...], service: str) -> dict[str, str]:
    return {"service": service, **dict(zip(metric.labels, values, strict=True))}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path) -> str:
    if request.param == "sqlite":
        return migrated_sqlite(tmp_path / "huoyan.db")
    return request.getfixturevalue("postgres_server").make_migrated(f"measured_{next(_databases)}")


@dataclass
class _Case:
    source: Source
    reference: MemorySource
    grid_s: int


@pytest.fixture(
    scope="module", params=["live on sqlite", "live on postgresql", "store on sqlite", "store on postgresql"]
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Case]:
    if "sqlite" in request.param:
        url = migrated_sqlite(tmp_path_factory.mktemp("measured") / "huoyan.db")
    else:
        url = request.getfixturevalue("postgres_server").make_migrated(f"measured_{next(_databases)}")
    clock = _Clock(NOW - 4000)
    store = Store.open(url, clock)
    collector = Collector(store, clock)
    clock.at = NOW
    numbers = random.Random(3)
    reference = MemorySource()
    for sequence in range(1, 200):
        service = numbers.choice(["shop", "mail"])
        at = NOW - numbers.uniform(1, 3500)
        counted = Measured(HTTP_REQUESTS)
        observed = Measured(DB_QUERY_DURATION)
        for _ in range(3):
            values: tuple[str, ...] = ("GET", numbers.choice(["/a", "/b"]), numbers.choice(["200", "500"]))
            counted.series[values] = float(numbers.randint(1, 5))
            values = (numbers.choice(["SELECT", "UPDATE"]), "orders", "shop")
            observed.series[values] = _observed(*(numbers.lognormvariate(-3, 1) for _ in range(4)))
        for values, amount in counted.series.items():
            assert not isinstance(amount, Histogram)
            reference.add(HTTP_REQUESTS, _labels(HTTP_REQUESTS, values, service), at, amount)
        for values, histogram in observed.series.items():
            assert isinstance(histogram, Histogram)
            for index, number in histogram.buckets.items():
                for _ in range(number):
                    middle = 2.0 ** ((index - 0.5) / 32)
                    reference.observe(DB_QUERY_DURATION, _labels(DB_QUERY_DURATION, values, service), at, middle)
        frame = _frame(sequence, at, counted, observed, source=f"{service}-{sequence}", service=service)
        assert collector.measured.take([frame], NOW) == 1
    live = request.param.startswith("live")
    yield _Case(collector.source() if live else store.source(), reference, 5 if live else 60)
    store.close()


@pytest.mark.parametrize(
    ("where", "by"),
    [
        ({}, ()),
        ({}, ("service", "endpoint")),
        ({"http_status": ("500",)}, ("service",)),
        ({"service": ("mail",), "endpoint": ("/a", "/c")}, ("http_status",)),
    ],
)
def test_counters_grow_as_they_were_told(case, where, by):
    since, until = NOW - 40 * 60, NOW - 60
    assert case.source.increase(HTTP_REQUESTS.name, where, by, since, until) == case.reference.increase(
        HTTP_REQUESTS.name, where, by, since, until
    )
    steps = case.source.increase_range(HTTP_REQUESTS.name, where, by, since, until, 180.0)
    assert {key: list(row) for key, row in steps.items()} == case.reference.increase_range(
        HTTP_REQUESTS.name, where, by, since, until, 180.0
    )


def test_distributions_hold_every_observation_in_its_bucket(case):
    since, until = NOW - 40 * 60, NOW - 60
    found = case.source.distribution(DB_QUERY_DURATION.name, {}, ("service", "operation"), since, until)
    expected = case.reference.distribution(DB_QUERY_DURATION.name, {}, ("service", "operation"), since, until)
    assert {key: one.buckets for key, one in found.items()} == {key: one.buckets for key, one in expected.items()}
    assert found


def test_a_frame_that_comes_again_counts_once_even_after_the_server_was_started_anew(url):
    clock = _Clock()
    store = Store.open(url, clock)
    first = _frame(1, NOW - 5, Measured(HTTP_REQUESTS, {("GET", "/a", "200"): 3.0}))
    second = _frame(2, NOW - 2, Measured(HTTP_REQUESTS, {("GET", "/a", "200"): 4.0}))
    collector = Collector(store, clock)
    assert collector.measured.take([first], NOW) == 1
    assert collector.measured.take([first, second], NOW) == 1
    again = Collector(store, clock)
    assert again.measured.take([first], NOW) == 0
    assert again.measured.take([second], NOW) == 0
    for source in (collector.source(), again.source()):
        assert source.increase(HTTP_REQUESTS.name, {}, (), NOW - 600, NOW + 60) == {(): 7.0}
    store.close()


def test_a_clock_that_is_hours_off_does_not_move_what_was_measured(url):
    clock = _Clock()
    store = Store.open(url, clock)
    collector = Collector(store, clock)
    collector.measured.take([_frame(1, NOW - 7210, Measured(PARCELS, {("dhl",): 2.0}))], NOW, sent_at=NOW - 7200)
    assert collector.source().increase("parcels_total", {}, ("carrier",), NOW - 60, NOW) == {("dhl",): 2.0}
    store.close()


def test_gauges_of_two_processes_add_up_and_one_that_ends_takes_its_own_with_it(url):
    clock = _Clock()
    store = Store.open(url, clock)
    collector = Collector(store, clock)
    for name, value in (("p1", 3.0), ("p2", 4.0)):
        collector.measured.take([_frame(1, NOW, Measured(DB_POOL_IN_USE, {("orders",): value}), source=name)], NOW)
    source = collector.source()
    assert source.gauge(DB_POOL_IN_USE.name, {}, ("service", "pool"), NOW, "sum") == {("shop", "orders"): 7.0}
    assert source.gauge(DB_POOL_IN_USE.name, {}, ("service",), NOW, "max") == {("shop",): 7.0}
    collector.measured.closed("shop@host:p1")
    assert source.gauge(DB_POOL_IN_USE.name, {}, ("pool",), NOW, "sum") == {("orders",): 4.0}
    clock.at = NOW + 61
    assert source.gauge(DB_POOL_IN_USE.name, {}, ("pool",), clock.at, "sum") == {}
    store.close()


def test_a_gauge_of_several_processes_is_what_its_declaration_says(url):
    clock = _Clock()
    store = Store.open(url, clock)
    collector = Collector(store, clock)
    declared = {
        across: Metric(f"g_{across}", MetricKind.GAUGE, "G.", (), "", Endpoint.APPLICATION, across=across)
        for across in Across
    }
    # The second to report was set first, by a clock that is an hour ahead.
    for source, value, set_at, ahead_s in (("p1", 3.0, NOW - 5, 0.0), ("p2", 8.0, NOW - 9, 3600.0)):
        told = [Measured(metric, {(): value}, set_at={(): set_at + ahead_s}) for metric in declared.values()]
        frame = _frame(1, NOW + ahead_s, *told, source=source)
        collector.measured.take([frame], NOW, sent_at=NOW + ahead_s)
    assert {across: collector.source().gauge(f"g_{across}", {}, (), NOW, "sum")[()] for across in Across} == {
        Across.SUM: 11.0,
        Across.MAX: 8.0,
        Across.MIN: 3.0,
        Across.LAST: 3.0,
    }
    assert {known.name: known.across for known in store.measured.metrics()} == {f"g_{one}": one for one in Across}
    store.close()


def _passing(sequence: int, at: float, source: str, *keys: str, step: Step = ENTER) -> Frame:
    place = str(step.position)
    counted = [Measured(FUNNEL_REACHED, {("checkout", step.step, place): float(len(keys))})]
    if step.position == 1:
        series: dict[Values, float | Histogram] = {
            ("checkout", name, str(number)): float(len(keys)) for number, name in ((1, "cart"), (2, "paid"))
        }
        counted.append(Measured(FUNNEL_ENTERED, series))
    frame = _frame(sequence, at, *counted, source=source)
    frame.reached = {step: list(keys)}
    return frame


def test_a_key_counts_once_at_a_step_whichever_processes_report_it(url):
    clock = _Clock()
    store = Store.open(url, clock)
    collector = Collector(store, clock)

    def counts() -> tuple[dict[tuple[str, ...], float], dict[tuple[str, ...], float]]:
        source = collector.source()
        reached, entered = (
            source.increase(metric.name, {}, ("step",), NOW - 600, NOW + 90_000)
            for metric in (FUNNEL_REACHED, FUNNEL_ENTERED)
        )
        return reached, entered

    collector.measured.take([_passing(1, NOW, "p1", "a", "b", "c")], NOW)
    collector.measured.take([_passing(1, NOW, "p2", "c", "d"), _passing(2, NOW, "p2", "a", step=PAY)], NOW)
    # A server that was started anew still knows them, and another step of the same key is another matter.
    collector = Collector(store, clock)
    collector.measured.take([_passing(1, NOW, "p3", "a", "e", step=PAY), _passing(2, NOW, "p3", "b")], NOW)
    assert counts() == ({("cart",): 4.0, ("paid",): 2.0}, {("cart",): 4.0, ("paid",): 4.0})
    # When its time is over, it enters anew.
    clock.at = NOW + ENTER.window_s + 10
    collector.measured.take([_passing(2, clock.at, "p1", "a")], clock.at)
    assert counts()[0] == {("cart",): 5.0, ("paid",): 2.0}
    assert store.funnels.forget(clock.at) == 5
    store.close()


def test_no_more_keys_are_remembered_than_fit(url):
    clock = _Clock()
    store = Store.open(url, clock)
    store.funnels = FunnelStore(store.engine, most=10)
    collector = Collector(store, clock)
    for second in range(5):
        collector.measured.take(
            [_passing(second + 1, NOW + second, "p1", *(f"{second}{n}" for n in range(5)))], NOW + second
        )
    assert store.funnels.forget(NOW + 5) == 15
    repeated = _passing(6, NOW + 5, "p1", "40", "00")
    with store.engine.begin() as connection:
        assert store.funnels.repeated(connection, "shop", repeated.reached, NOW + 5) == {ENTER: 1}
    store.close()


def test_the_host_of_the_server_is_known_like_any_other(url):
    clock = _Clock()
    store = Store.open(url, clock)
    collector = Collector(store, clock)
    next(service for service in collector.services() if service.name == "host").run_once()
    for metric in (HOST_MEMORY, HOST_DISK):
        ((_, share),) = collector.source().gauge(metric.name, {}, ("host",), NOW, "max").items()
        assert 0.0 < share <= 1.0
    store.close()


def test_series_over_the_budget_are_folded_and_nothing_is_lost(url):
    clock = _Clock()
    store = Store.open(url, clock)
    collector = Collector(store, clock)
    for number in range(5):
        series: dict[Values, float | Histogram] = {(f"carrier-{number * 1000 + one}",): 1.0 for one in range(1000)}
        collector.measured.take([_frame(1, NOW - 1, Measured(PARCELS, series), source=str(number))], NOW)
    found = collector.source().increase("parcels_total", {}, ("carrier",), NOW - 60, NOW)
    assert sum(found.values()) == 5000.0
    assert len(found) == 2001
    assert found[("other",)] == 3000.0
    (metric,) = store.measured.metrics()
    assert metric.folded == 3000
    assert metric.samples[0][0].startswith("carrier-")
    store.close()


def test_series_that_are_not_heard_of_any_more_give_their_places_back(url):
    clock = _Clock()
    store = Store.open(url, clock)
    collector = Collector(store, clock)
    first: dict[Values, float | Histogram] = {(f"first-{letter}",): 1.0 for letter in _names(2000)}
    collector.measured.take([_frame(1, NOW, Measured(PARCELS, first))], NOW)
    clock.at = NOW + 3700
    collector.measured.take([_frame(2, clock.at, Measured(PARCELS, {("dhl",): 1.0}))], clock.at)
    collector.measured.take([_frame(3, clock.at, Measured(PARCELS, {("ups",): 1.0}))], clock.at)
    found = collector.source().increase("parcels_total", {}, ("carrier",), NOW + 3600, clock.at)
    assert found == {("other",): 1.0, ("ups",): 1.0}
    store.close()


def _names(number: int) -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return ["".join(three) for three in islice(product(letters, repeat=3), number)]


def test_minutes_become_coarser_hours_with_age_and_answer_the_same(url):
    clock = _Clock(NOW - 5 * 86_400)
    store = Store.open(url, clock)
    collector = Collector(store, clock)
    numbers = random.Random(5)
    begin = clock.at // 3600 * 3600
    values = [numbers.lognormvariate(-2, 1) for _ in range(600)]
    for sequence, value in enumerate(values, 1):
        clock.at = begin + sequence * 30
        frame = _frame(
            sequence, clock.at, Measured(DB_QUERY_DURATION, {("SELECT", "orders", "shop"): _observed(value)})
        )
        collector.measured.take([frame], clock.at)
    since, until = begin, begin + 5 * 3600
    before = store.source().distribution(DB_QUERY_DURATION.name, {}, ("table",), since, until)[("orders",)]
    aging = next(service for service in collector.services() if service.name == "measurement aging")
    clock.at = NOW
    assert aging.run_once() == 5
    assert aging.run_once() == 0
    assert store.measured.read(since, until, ()) == []
    after = store.source().distribution(DB_QUERY_DURATION.name, {}, ("table",), since, until)[("orders",)]
    assert after.count == before.count == 600
    before.downscale(after.schema)
    assert after.buckets == before.buckets
    assert after.schema == 4
    store.close()
