"""Where the time of a request or run went: shares of overlapping calls, bounds, contexts, and runs that carry it."""

import asyncio
import contextvars
import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from time import perf_counter
from unittest.mock import patch

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import huoyan
from huoyan.client import breakdown
from huoyan.client.breakdown import Collector
from huoyan.client.process import Client
from huoyan.client.shares import shares
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.event import EventKind
from tests.unit.client.test_function import sent

moments = st.floats(0, 1000, allow_nan=False)
spans = st.lists(st.tuples(moments, moments).map(lambda pair: (min(pair), max(pair))), max_size=30)


def covered(given: list[tuple[float, float]]) -> float:
    """Return how much time at least one span covers, worked out the plain way."""
    total, until = 0.0, -math.inf
    for start, end in sorted(given):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


@given(spans)
@settings(deadline=None)
def test_shares_are_not_negative_and_sum_to_the_time_covered(given: list[tuple[float, float]]) -> None:
    result = shares(given)
    assert all(0 <= share <= end - start + 1e-9 for share, (start, end) in zip(result, given, strict=True))
    assert sum(result) == pytest.approx(covered(given), abs=1e-6)


@given(spans, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_shares_do_not_depend_on_the_order_of_the_calls(given: list[tuple[float, float]], random: Random) -> None:
    order = list(range(len(given)))
    random.shuffle(order)
    shuffled = shares([given[i] for i in order])
    straight = shares(given)
    assert shuffled == pytest.approx([straight[i] for i in order], abs=1e-9)


def test_calls_at_the_same_time_share_it() -> None:
    assert shares([(0, 4), (0, 4)]) == [2, 2]
    assert shares([(0, 4), (1, 3)]) == [3, 1]
    assert shares([(0, 1), (1, 3)]) == [1, 2]
    assert shares([(2, 2), (1, 3)]) == [0, 2]
    assert shares([]) == []


calls = st.lists(
    st.tuples(st.floats(-1, 1), st.floats(0, 0.5), st.sampled_from("abcdef"), st.booleans()), min_size=1, max_size=700
)


@given(calls)
@settings(deadline=None, max_examples=50)
def test_a_breakdown_adds_up_whatever_the_calls_were(given: list[tuple[float, float, str, bool]]) -> None:
    """Also with more calls than are held, ones that began earlier, and ones that end in the future."""
    collector = Collector("run")
    begin = collector.started
    for offset, length, target, failed in given:
        collector.add(begin + offset, begin + offset + length, ("database", "SELECT", target), failed)
    told = collector.close()
    assert told is not None
    parts = told["parts"]
    assert told["own_s"] >= 0
    assert all(0 <= part["covered_s"] <= part["total_s"] + 1e-9 for part in parts)
    assert told["own_s"] + sum(part["covered_s"] for part in parts) == pytest.approx(told["total_s"], abs=1e-6)
    assert sum(part["calls"] for part in parts) == len(given)
    assert sum(part["errors"] for part in parts) == sum(failed for *_, failed in given)
    assert all(part["max_s"] <= part["total_s"] + 1e-9 for part in parts)


steps = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5), st.booleans()), max_size=80)


@given(steps)
@settings(deadline=None)
def test_calls_that_are_begun_and_finished_get_their_exact_shares(given: list[tuple[float, int, bool]]) -> None:
    """Summing up whenever there are many and nothing is open gives the same as looking at all calls at the end."""
    collector = Collector("run")
    now = collector.started
    open_calls: list[tuple[float, str]] = []
    done: list[tuple[float, float, str]] = []

    def finish(at: int) -> None:
        started, target = open_calls.pop(at % len(open_calls))
        collector.open -= 1
        collector.add(started, now, ("http", "GET", target), False)
        done.append((started, now, target))

    with patch.object(breakdown, "MANY_CALLS", 5):
        for passed_s, number, begins in given:
            now += passed_s
            if begins or not open_calls:
                open_calls.append((now, f"host-{number}"))
                collector.open += 1
            else:
                finish(number)
        while open_calls:
            finish(0)
    collector._stopped = now
    told = collector.close()
    exact: dict[str, float] = {}
    for (_, _, target), share in zip(done, shares([call[:2] for call in done]), strict=True):
        exact[target] = exact.get(target, 0.0) + share
    parts = {} if told is None else {part["target"]: part["covered_s"] for part in told["parts"]}
    assert parts == pytest.approx(exact, abs=1e-6)


def test_the_largest_parts_are_named_and_the_rest_folded() -> None:
    collector = Collector("run")
    begin = collector.started
    for i in range(1000):
        collector.add(begin + i, begin + i + (2 if i == 40 else 1), ("http", "GET", f"host-{i}"), False)
    collector._stopped = begin + 2000
    told = collector.close()
    assert told is not None
    assert len(told["parts"]) == breakdown.MAX_PARTS
    assert sum(part["calls"] for part in told["parts"]) == 1000
    assert told["parts"][-1]["component"] == "other"
    assert told["total_s"] == pytest.approx(2000)
    assert "host-40" in [part["target"] for part in told["parts"]]
    assert len(collector._parts) <= 129
    assert not collector.calls


def test_nothing_is_collected_outside_of_requests_and_runs() -> None:
    assert breakdown.current() is None
    span = breakdown.begin()
    assert span is None
    breakdown.finish(span, "redis", "GET", "", None)


def test_what_called_no_dependency_has_no_breakdown() -> None:
    entry = breakdown.enter("request")
    assert breakdown.current() is entry.collector
    assert breakdown.leave(entry) is None
    assert breakdown.current() is None


def test_what_a_part_calls_is_the_time_of_the_whole_too() -> None:
    request = breakdown.enter("request")
    run = breakdown.enter("run")
    breakdown.finish(breakdown.begin(), "redis", "GET", "", ValueError("no"))
    inner = breakdown.leave(run)
    breakdown.finish(breakdown.begin(), "redis", "SET", "", None)
    outer = breakdown.leave(request)
    assert inner is not None
    assert outer is not None
    assert [part["operation"] for part in inner["parts"]] == ["GET"]
    assert inner["parts"][0]["errors"] == 1
    assert {part["operation"] for part in outer["parts"]} == {"GET", "SET"}


def test_what_goes_on_after_the_end_counts_nowhere() -> None:
    entry = breakdown.enter("request")
    breakdown.finish(breakdown.begin(), "redis", "GET", "", None)
    span = breakdown.begin()
    told = breakdown.leave(entry)
    breakdown.finish(span, "redis", "BLPOP", "", None)
    assert told is not None
    assert [part["operation"] for part in told["parts"]] == ["GET"]
    for _ in range(10_000):
        entry.collector.add(0.0, 1.0, ("redis", "BLPOP", ""), False)
    assert len(entry.collector.calls or ()) < 128
    assert [part["operation"] for part in told["parts"]] == ["GET"]


def test_coroutines_and_threads_find_the_collector_of_their_starter() -> None:
    def call(operation: str) -> None:
        breakdown.finish(breakdown.begin(), "database", operation, "", None)

    async def answer() -> breakdown.Breakdown | None:
        entry = breakdown.enter("request")

        async def step(operation: str) -> None:
            await asyncio.sleep(0)
            call(operation)

        await asyncio.gather(step("one"), step("two"), asyncio.to_thread(call, "thread"))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(call, "context lost").result()
            pool.submit(contextvars.copy_context().run, call, "context copied").result()
        return breakdown.leave(entry)

    told = asyncio.run(answer())
    assert told is not None
    assert {part["operation"] for part in told["parts"]} == {"one", "two", "thread", "context copied"}


def test_greenlets_that_take_turns_keep_theirs_apart() -> None:
    def answer(target: str) -> breakdown.Breakdown | None:
        entry = breakdown.enter("request")
        for _ in range(3):
            breakdown.finish(breakdown.begin(), "http", "GET", target, None)
            gevent.sleep(0)
        return breakdown.leave(entry)

    greenlets = [gevent.spawn(answer, target) for target in ("a", "b")]
    gevent.joinall(greenlets, raise_error=True)
    told = [greenlet.value["parts"] for greenlet in greenlets]
    assert [[(part["target"], part["calls"]) for part in parts] for parts in told] == [[("a", 3)], [("b", 3)]]


def test_no_call_of_many_threads_is_lost() -> None:
    collector = Collector("run")
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        for _ in range(2_000):
            now = perf_counter()
            collector.add(now, now, ("redis", "GET", ""), False)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = collector.close()
    assert told is not None
    assert told["parts"][0]["calls"] == 8_000


def test_a_run_carries_its_breakdown_on_the_event_that_ends_it(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def charge(fails: bool) -> None:
        breakdown.finish(breakdown.begin(), "http", "POST", "bank", None)
        if fails:
            raise ValueError("declined")

    @huoyan.task
    async def charge_later() -> None:
        await asyncio.to_thread(breakdown.finish, breakdown.begin(), "redis", "GET", "", False)

    @huoyan.task
    def idle() -> None:
        return

    charge(False)
    with pytest.raises(ValueError, match="declined"):
        charge(True)
    asyncio.run(charge_later())
    idle()
    ends = [event for event in sent(transport) if event.kind is not EventKind.STARTED]
    assert [event.kind for event in ends] == [
        EventKind.SUCCEEDED,
        EventKind.FAILED,
        EventKind.SUCCEEDED,
        EventKind.SUCCEEDED,
    ]
    told = [event.breakdown for event in ends]
    # On a busy machine something else may have held the event loop.
    components = [{part["component"] for part in each["parts"]} - {"event_loop"} if each else None for each in told]
    assert components == [{"http"}, {"http"}, {"redis"}, None]
    assert all(event.breakdown is None for event in sent(transport, EventKind.STARTED))
    assert told[0]["parts"][0]["target"] == "bank"
    assert breakdown.current() is None


def test_a_generator_collects_only_while_it_runs(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def pages() -> Iterator[int]:
        for page in range(2):
            breakdown.finish(breakdown.begin(), "http", "GET", f"page-{page}", None)
            yield page

    for page in pages():
        assert breakdown.begin() is None
        breakdown.finish(breakdown.begin(), "http", "GET", f"outside-{page}", None)
    (end,) = sent(transport, EventKind.SUCCEEDED)
    assert {part["target"] for part in end.breakdown["parts"]} == {"page-0", "page-1"}
