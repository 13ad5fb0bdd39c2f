"""Background tasks of FastAPI and Starlette are runs of their own, with the outcome that they really had."""

import asyncio
import functools
import threading
import time
from typing import Any

import anyio.to_thread
import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.background import BackgroundTasks as StarletteTasks
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

import huoyan
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.run import Run, RunState, RunView, apply, view
from tests.servers.waiting import wait_until, wait_until_async

K = EventKind


def watched(app: Any, **options: Any) -> Any:
    return huoyan.watch(app, registry=CollectorRegistry(), **options)


def post(app: Any, path: str = "/", status: int = 200) -> None:
    async def run() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
            assert (await http.post(path)).status_code == status

    asyncio.run(run())


def sent(transport: MemoryTransport) -> list[TaskEvent]:
    assert huoyan.flush(5)
    return transport.events


def views(transport: MemoryTransport) -> dict[str, RunView]:
    """Return what a server would show, by the last part of the task's name."""
    runs: dict[str, Run] = {}
    for event in sent(transport):
        runs[event.run_id] = apply(runs.get(event.run_id), event)
    return {run.task.rpartition(".")[2]: view(run) for run in runs.values()}


def app_with(*tasks: tuple[Any, ...]) -> FastAPI:
    app = FastAPI()

    @app.post("/")
    def index(background: BackgroundTasks) -> None:
        for function, *args in tasks:
            background.add_task(function, *args)

    return app


def sync_ok(a: int = 0) -> str:
    return f"sync {a}"


async def async_ok(a: int = 0) -> str:
    await asyncio.sleep(0)
    return f"async {a}"


def sync_fails() -> None:
    raise ValueError("sync broke")


async def async_fails() -> None:
    raise KeyError("async broke")


def test_each_task_is_a_run_with_its_own_times_arguments_and_result(client: Client, transport: MemoryTransport) -> None:
    post(watched(app_with((sync_ok, 1), (async_ok, 2))))
    runs = views(transport)
    assert {name: run.state for name, run in runs.items()} == {
        "sync_ok": RunState.SUCCEEDED,
        "async_ok": RunState.SUCCEEDED,
    }
    assert (runs["sync_ok"].result, runs["async_ok"].result) == ("sync 1", "async 2")
    for run in runs.values():
        assert run.task.startswith(f"{__name__}.")
        assert (run.service, run.framework, run.worker) == ("shop", "fastapi", client.process.worker)
        assert run.wait_s is not None
        assert run.duration_s is not None
        assert len(run.attempts) == 1
    assert {tuple(event.args) for event in transport.events if event.kind is K.STARTED} == {(1,), (2,)}


def test_runs_say_which_request_they_belong_to(client: Client, transport: MemoryTransport) -> None:
    app = FastAPI()

    @app.post("/orders/{order_id}")
    def order(order_id: int, background: BackgroundTasks) -> None:
        background.add_task(sync_ok)

    post(watched(app, labels={"team": "red"}), "/orders/5")
    assert {tuple(sorted((event.labels or {}).items())) for event in sent(transport) if event.kind is K.QUEUED} == {
        (("request", "POST /orders/{order_id}"), ("team", "red"))
    }


@pytest.mark.parametrize(("function", "kind"), [(sync_fails, "ValueError"), (async_fails, "KeyError")])
def test_a_task_that_fails_after_the_200_is_a_failed_run_and_a_successful_request(
    client: Client, transport: MemoryTransport, function: Any, kind: str
) -> None:
    post(watched(app_with((function,))), status=200)
    run = views(transport)[function.__name__]
    assert run.state is RunState.FAILED
    assert run.exception is not None
    assert run.exception.type == kind
    assert f"in {function.__name__}" in run.exception.traceback
    assert "huoyan/client" not in run.exception.traceback
    series = client.metrics.requests.series["POST", "/"]
    assert {status: counter.value for status, counter in series.statuses.items()} == {200: 1}


def test_the_exception_reaches_the_server_as_it_would_unwatched(client: Client) -> None:
    with pytest.raises(ValueError, match="sync broke"):
        TestClient(watched(app_with((sync_fails,)))).post("/")


def test_tasks_after_a_failed_one_never_start_and_are_dead(client: Client, transport: MemoryTransport) -> None:
    executed: list[int] = []
    post(watched(app_with((sync_ok,), (sync_fails,), (executed.append, 1), (async_ok,))))
    runs = views(transport)
    assert executed == []
    assert {name: run.state for name, run in runs.items()} == {
        "sync_ok": RunState.SUCCEEDED,
        "sync_fails": RunState.FAILED,
        "append": RunState.DEAD,
        "async_ok": RunState.DEAD,
    }
    dead = runs["async_ok"]
    assert dead.started_at is None
    assert "sync_fails of the same response failed with ValueError" in dead.reason


def test_waiting_for_earlier_tasks_counts_as_waiting(client: Client, transport: MemoryTransport) -> None:
    def first() -> None:
        time.sleep(0.2)

    post(watched(app_with((first,), (sync_ok,))))
    runs = views(transport)
    assert runs["sync_ok"].wait_s is not None
    assert runs["sync_ok"].wait_s >= 0.19
    assert runs["first"].duration_s is not None
    assert runs["first"].duration_s >= 0.19


def test_a_single_task_of_a_response_is_a_run(client: Client, transport: MemoryTransport) -> None:
    async def index(request: Request) -> Response:
        return JSONResponse({}, background=BackgroundTask(async_ok, a=3))

    post(watched(Starlette(routes=[Route("/", index, methods=["POST"])])))
    assert [event.kind for event in sent(transport)] == [K.QUEUED, K.STARTED, K.SUCCEEDED]
    assert transport.events[0].kwargs == {"a": 3}


def test_lists_inside_lists_and_other_callables_are_runs(client: Client, transport: MemoryTransport) -> None:
    class Mailer:
        def __call__(self, to: str) -> None: ...

        async def send(self, to: str) -> None: ...

    async def index(request: Request) -> Response:
        inner = StarletteTasks([BackgroundTask(functools.partial(sync_ok, 7))])
        inner.add_task(Mailer().send, "b")
        return PlainTextResponse("", background=StarletteTasks([BackgroundTask(Mailer(), "a"), inner]))

    post(watched(Starlette(routes=[Route("/", index, methods=["POST"])])))
    runs = views(transport)
    assert set(runs) == {"Mailer", "sync_ok", "send"}
    assert {run.state for run in runs.values()} == {RunState.SUCCEEDED}
    assert len([event for event in transport.events if event.kind is K.QUEUED]) == 3


def test_tasks_of_dependencies_are_runs_too(client: Client, transport: MemoryTransport) -> None:
    app = FastAPI()

    def audit(background: BackgroundTasks) -> None:
        background.add_task(sync_ok, 1)

    @app.post("/")
    def index(background: BackgroundTasks, _: None = Depends(audit)) -> None:
        background.add_task(async_ok, 2)

    post(watched(app))
    assert set(views(transport)) == {"sync_ok", "async_ok"}


def test_what_a_task_starts_knows_its_parent(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def step() -> None:
        huoyan.progress(1, 2)

    def order() -> None:
        step()

    post(watched(app_with((order,))))
    by_task = {event.task.rpartition(".")[2]: event for event in sent(transport) if event.kind is K.STARTED}
    assert by_task["step"].parent_id == by_task["order"].run_id == by_task["step"].root_id


def test_tasks_are_seen_behind_middleware_that_streams_responses(client: Client, transport: MemoryTransport) -> None:
    app = app_with((sync_ok,))

    async def dispatch(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    post(watched(app))
    assert views(transport)["sync_ok"].state is RunState.SUCCEEDED


def test_applications_that_are_not_watched_are_left_alone(client: Client, transport: MemoryTransport) -> None:
    watched(FastAPI())
    post(app_with((sync_ok,)))
    assert sent(transport) == []


def test_after_unwatching_tasks_are_no_runs_any_more(client: Client, transport: MemoryTransport) -> None:
    app = watched(app_with((sync_ok,)))
    post(app)
    huoyan.unwatch(app)
    post(app)
    assert len([event for event in sent(transport) if event.kind is K.STARTED]) == 1


def test_secrets_in_arguments_do_not_leave(client: Client, transport: MemoryTransport) -> None:
    def login(user: str, password: str) -> None:
        raise ValueError(f"password={password}")

    post(watched(app_with((login, "ann", "hunter2"))))
    assert views(transport)["login"].state is RunState.FAILED
    everything = b"".join(encoded for batch in transport.batches for encoded in batch.events)
    assert b"hunter2" not in everything
    assert b"ann" in everything


def test_a_coroutine_cut_off_is_revoked_and_the_rest_never_starts(client: Client, transport: MemoryTransport) -> None:
    begun = threading.Event()

    async def long() -> None:
        begun.set()
        await asyncio.sleep(60)

    asyncio.run(_cut_off(watched(app_with((long,), (sync_ok,))), begun))
    runs = views(transport)
    assert runs["long"].state is RunState.REVOKED
    assert "cancelled while it ran" in runs["long"].reason
    assert runs["long"].started_at is not None
    assert runs["sync_ok"].state is RunState.REVOKED
    assert "cancelled before it could start" in runs["sync_ok"].reason
    assert runs["sync_ok"].started_at is None


def test_a_thread_cannot_be_cut_off_and_its_real_outcome_is_told(client: Client, transport: MemoryTransport) -> None:
    begun = threading.Event()

    def long() -> str:
        begun.set()
        time.sleep(0.3)
        return "finished all the same"

    asyncio.run(_cut_off(watched(app_with((long,))), begun))
    wait_until(lambda: views(transport)["long"].final)
    run = views(transport)["long"]
    assert (run.state, run.result) == (RunState.SUCCEEDED, "finished all the same")
    assert len(run.attempts) == 1


def test_a_task_cut_off_while_it_waits_for_a_thread_never_started(client: Client, transport: MemoryTransport) -> None:
    app = watched(app_with((sync_ok,)))

    async def run() -> None:
        limiter = anyio.to_thread.current_default_thread_limiter()
        taken = [object() for _ in range(int(limiter.total_tokens))]
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}
        answered = asyncio.Event()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                for borrower in taken:
                    limiter.acquire_on_behalf_of_nowait(borrower)
                answered.set()

        request = asyncio.create_task(app(scope, _empty, send))
        await answered.wait()
        await wait_until_async(lambda: limiter.statistics().tasks_waiting == 1)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(run())
    cut_off = views(transport)["sync_ok"]
    assert (cut_off.state, cut_off.started_at) == (RunState.REVOKED, None)


async def _empty() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _cut_off(app: Any, begun: threading.Event) -> None:
    """Cancel a request as a server does that shuts down while its background runs."""
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "query_string": b""}

    async def ignore(message: Any) -> None: ...

    request = asyncio.create_task(app(scope, _empty, ignore))
    await wait_until_async(begun.is_set)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request


def test_a_mistake_in_the_client_does_not_reach_the_tasks(
    client: Client, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed: list[int] = []

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake")

    app = watched(app_with((executed.append, 1), (executed.append, 2)))
    for owner, name in ((client.capture, "call"), (client, "record"), (client.capture, "value")):
        monkeypatch.setattr(owner, name, broken)
        post(app)
    assert executed == [1, 2] * 3
