"""Who held the event loop: the time is own code for whoever held it, and a wait for those who could not go on."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import httpx
import pytest
import uvloop
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.base import BaseHTTPMiddleware

import huoyan
from huoyan.client import breakdown
from huoyan.client.breakdown import Collector, RunCollector
from huoyan.client.examples import Examples
from huoyan.client.holds import Hold, Holds, identity
from huoyan.client.loop_watch import LoopWatch, _in_worker, _Loop, whose
from huoyan.client.process import Client
from huoyan.model.example import Example
from tests.servers import wait_until, wait_until_async

SEEN_S = 0.3
"""A hold that was seen for so long is long enough."""
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _no_holds_of_other_tests() -> None:
    breakdown.holds.clear()


def hold(since: float, until: float, *awake: Collector, holder: str = "GET /report", thread: int | None = None) -> Hold:
    return Hold(
        threading.get_ident() if thread is None else thread, since, until, holder, frozenset(map(identity, awake))
    )


def parts(told: dict[str, Any] | None) -> dict[tuple[str, str, str], float]:
    """Return what a breakdown says of each part, own code included."""
    assert told is not None
    found = {(part["component"], part["operation"], part["target"]): part["covered_s"] for part in told["parts"]}
    return {**found, ("own code", "", ""): told["own_s"]}


def rounded(told: dict[str, Any] | None) -> dict[str, float]:
    return {" ".join(filter(None, key)): round(value, 6) for key, value in parts(told).items()}


class TestBreakdown:
    """What becomes of holds in a breakdown, in made-up times: 0 is when the waiter began."""

    def told(self, *holds: Callable[[Collector], Hold], calls: int = 0) -> dict[str, float]:
        waiter = Collector("request")
        began = waiter.started
        for make in holds:
            made = make(waiter)
            breakdown.holds.ended(made._replace(since=began + made.since, until=began + made.until))
        for number in range(calls):
            waiter.add(began + 0.2 + number, began + 0.4 + number, ("database", "SELECT", "orders"), False)
        waiter.closed = True
        return rounded(waiter.told(began + 1.0))

    def test_time_in_which_another_one_held_the_loop_is_no_own_code(self) -> None:
        assert self.told(lambda _: hold(0.1, 0.4)) == {"event_loop GET /report": 0.3, "own code": 0.7}

    def test_what_began_before_or_ended_after_the_request_counts_as_far_as_it_lasted(self) -> None:
        early, late = hold(-5.0, 0.25), hold(0.75, 9.0, holder="mail.send")
        assert self.told(lambda _: early, lambda _: late) == {
            "event_loop GET /report": 0.25,
            "event_loop mail.send": 0.25,
            "own code": 0.5,
        }

    def test_whoever_held_it_or_ran_in_a_thread_did_not_wait(self) -> None:
        waiter = Collector("request")
        breakdown.holds.ended(hold(waiter.started, waiter.started + 0.5, waiter))
        assert waiter.told(waiter.started + 1.0) is None

    def test_another_loop_is_nobody_s_business(self) -> None:
        waiter = Collector("request")
        breakdown.holds.ended(hold(waiter.started, waiter.started + 0.5, thread=-1))
        assert waiter.told(waiter.started + 1.0) is None

    def test_a_call_that_was_waited_for_shares_the_time_for_nobody_knows_whether_it_was_done(self) -> None:
        assert self.told(lambda _: hold(0.1, 0.4), calls=1) == {
            "event_loop GET /report": 0.2,
            "database SELECT orders": 0.1,
            "own code": 0.7,
        }

    def test_a_hold_that_goes_on_counts_up_to_where_it_was_seen_and_once(self) -> None:
        waiter = Collector("request")
        began = waiter.started
        for until in (0.1, 0.2, 0.3):
            breakdown.holds.goes_on(hold(began, began + until))
        assert rounded(waiter.told(began + 1.0))["event_loop GET /report"] == 0.3
        breakdown.holds.ended(hold(began, began + 0.4))
        late = Collector("request")
        late.started = late._settled_until = began
        assert rounded(late.told(began + 1.0))["event_loop GET /report"] == 0.4

    def test_it_counts_once_when_calls_are_summed_up_in_between(self) -> None:
        waiter = Collector("request")
        began = waiter.started
        breakdown.holds.ended(hold(began, began + 0.4))
        for number in range(128):
            waiter.add(began + number / 1000, began + number / 1000, ("redis", "GET", ""), False)
        assert rounded(waiter.told(began + 1.0)) == {"event_loop GET /report": 0.4, "redis GET": 0.0, "own code": 0.6}

    def test_the_holds_kept_are_bounded(self) -> None:
        waiter = Collector("request")
        for number in range(5000):
            breakdown.holds.ended(hold(waiter.started + number, waiter.started + number + 0.5))
        assert len(list(breakdown.holds.over(waiter, waiter.started, waiter.started + 1e9))) <= 512


def seen_s(holder: str) -> float:
    """Return how long somebody was seen to hold a loop."""
    holds = {each.since: each for each in (*breakdown.holds._kept, *list(breakdown.holds._now.values()))}
    return sum(each.until - each.since for each in holds.values() if each.holder.endswith(holder))


def block(holder: str) -> None:
    """Hold the loop until that was seen for long enough; so a slow machine has the time that it needs."""
    limit = time.monotonic() + PATIENCE_S
    while seen_s(holder) < SEEN_S and time.monotonic() < limit:
        time.sleep(0.01)


class Service:
    """A service of which one endpoint blocks, and the examples that it keeps of each."""

    def __init__(self, client: Client) -> None:
        self.client = client
        # Of its own, so that the client does not send them away while a slow machine plays.
        self.examples = client.metrics.requests.examples = Examples()
        self.waiting = 0
        self.reported = threading.Event()
        self.app = FastAPI()
        self.app.get("/orders/{order_id}")(self.order)
        self.app.get("/report")(self.report)
        self.app.get("/file")(self.file)

    async def order(self, order_id: int) -> int:
        self.waiting += 1
        # On a timer that is due long before the loop is free again.
        await asyncio.sleep(0.02)
        return order_id

    async def report(self) -> str:
        block("GET /report")
        self.reported.set()
        return "done"

    def file(self) -> str:
        """Work in a thread for as long as the loop is held."""
        self.waiting += 1
        self.reported.wait(PATIENCE_S)
        return "done"

    async def play(self, *others: str) -> dict[str, list[Example]]:
        """Ask for some, and for the report once they are under way; return the examples by endpoint."""
        huoyan.watch(self.app, registry=CollectorRegistry())
        self.client.loop_lag.watch()
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
            # The first requests of an application take far longer than all others, and are no part of this.
            await http.get("/orders/0")
            self.examples.take()
            self.waiting = 0
            breakdown.holds.clear()
            asked = [asyncio.create_task(http.get(path)) for path in others]
            while self.waiting < len(others):
                await asyncio.sleep(0)
            await http.get("/report")
            await asyncio.gather(*asked)
        kept: dict[str, list[Example]] = {}
        for example in self.examples.take():
            kept.setdefault(example.endpoint, []).append(example)
        return kept


HELD = ("event_loop", "", "GET /report")


def waited_s(example: Example) -> float:
    """Return how long it waited while the report held the loop."""
    return 0.0 if example.breakdown is None else parts(example.breakdown).get(HELD, 0.0)


def loops() -> list[Callable[[], asyncio.AbstractEventLoop]]:
    """Return what makes the loops that a server may run on."""
    return [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("new_loop", loops())
def test_the_neighbour_s_time_is_own_code_and_that_of_those_who_waited_is_not(
    client: Client, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        kept = runner.run(Service(client).play("/orders/1", "/orders/2", "/orders/3"))
    assert len(kept["/orders/{order_id}"]) == 3
    for example in kept["/orders/{order_id}"]:
        found = parts(example.breakdown)
        assert SEEN_S <= found[HELD] <= example.duration_s
        assert sum(found.values()) == pytest.approx(example.duration_s, abs=1e-3)
    (report,) = kept["/report"]
    assert report.duration_s >= SEEN_S
    assert waited_s(report) == 0.0


async def test_what_runs_in_a_thread_meanwhile_does_not_wait(client: Client) -> None:
    kept = await Service(client).play("/file")
    (example,) = kept["/file"]
    assert example.duration_s >= SEEN_S
    assert waited_s(example) < SEEN_S / 2


async def test_whose_code_a_task_of_a_request_runs_is_known_by_its_context(client: Client) -> None:
    service = Service(client)

    async def through(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    # It answers in a task of its own.
    service.app.add_middleware(BaseHTTPMiddleware, dispatch=through)
    kept = await service.play("/orders/1")
    (waited,), (report,) = kept["/orders/{order_id}"], kept["/report"]
    assert waited_s(waited) >= SEEN_S
    assert waited_s(report) == 0.0


async def test_a_run_holds_the_loop_by_the_name_of_its_task_and_anything_else_by_its_code(client: Client) -> None:
    client.loop_lag.watch()

    async def run() -> None:
        breakdown.make_current(RunCollector("mail.send"))
        block("mail.send")

    async def refresh_prices() -> None:
        block("refresh_prices")

    for code, name in ((run, "mail.send"), (refresh_prices, "refresh_prices")):
        await asyncio.create_task(code())
        assert seen_s(name) >= SEEN_S


async def test_work_in_a_thread_is_seen_as_whose_it_is(client: Client) -> None:
    ready, done = threading.Event(), threading.Event()

    def work() -> None:
        ready.set()
        done.wait(PATIENCE_S)

    def in_threads() -> list[Collector | None]:
        return [_in_worker(frame) for frame in sys._current_frames().values()]

    def over(collector: Collector) -> bool:
        return collector not in in_threads()

    for in_thread in (asyncio.to_thread, anyio.to_thread.run_sync):
        ready.clear()
        done.clear()
        entry = breakdown.enter("request")
        working = asyncio.ensure_future(in_thread(work))
        while not ready.is_set():
            await asyncio.sleep(0.001)
        assert entry.collector in in_threads()
        done.set()
        await working
        breakdown.leave(entry)
        await wait_until_async(partial(over, entry.collector), 60)


@pytest.mark.parametrize("new_loop", loops())
def test_a_loop_at_leisure_is_held_by_nobody(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    loop = new_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    wait_until(loop.is_running, 60)
    assert thread.ident is not None
    wait_until(lambda: whose(loop, sys._current_frames().get(thread.ident or 0)) is None, 60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE_S)
    loop.close()


def test_a_look_that_comes_late_on_a_busy_machine_accuses_nobody() -> None:
    """The loop is overdue, and so was the look: whoever had the processor, it was not the code that is seen."""

    async def late() -> list[Hold]:
        holds = Holds()
        watch = LoopWatch(lambda: True, holds)
        loop = asyncio.get_running_loop()
        watched = _Loop(loop)
        watched.here()
        watched.cpu_s = watched.computed_s() or 0.0
        watched.due = time.perf_counter() - 5.0
        # Looked at by another thread, as always.
        looking = threading.Thread(target=watch.look, args=(watched, loop))
        looking.start()
        looking.join()
        return list(holds._now.values())

    (hold,) = asyncio.run(late())
    assert hold.until - hold.since < 1.0


def test_the_thread_ends_with_the_loops_that_it_watches(client: Client) -> None:
    async def begin() -> None:
        client.loop_lag.watch()

    def watching() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "huoyan-loop-watch"}

    before = watching()
    for _ in range(3):
        asyncio.run(begin())
    for thread in watching() - before:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    asyncio.run(begin())
    assert client._loop_watch is not None


def test_without_a_server_nobody_looks(local_client: Client) -> None:
    async def begin() -> None:
        local_client.loop_lag.watch()

    asyncio.run(begin())
    assert local_client._loop_watch is None
