"""Celery by its signals, in one process with a broker in memory; real brokers are in tests/integration/celery."""

import datetime
import gc
import threading
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import celery
import pytest
from celery import signals
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Ignore, Reject
from kombu import Exchange, Queue

import huoyan
from huoyan.client import context
from huoyan.client.process import Client
from huoyan.client.reporter import Reporter
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.run import Run, RunState, RunView, apply, view
from tests.servers.waiting import wait_until
from tests.unit.client.conftest import installed

NODE = "test@here"
FAR = datetime.datetime(2040, 1, 1, tzinfo=datetime.UTC)


class Told:
    """What was told about runs."""

    def __init__(self, client: Client, transport: MemoryTransport) -> None:
        self.client = client
        self.transport = transport

    def events(self, run_id: str) -> list[TaskEvent]:
        """Return the events of a run that have been sent."""
        self.client.flush(2.0)
        return [event for event in self.transport.events if event.run_id == run_id]

    def kinds(self, run_id: str) -> list[str]:
        """Return what happened to a run."""
        return [event.kind.value for event in self.events(run_id)]

    def view(self, run_id: str) -> RunView | None:
        """Return a run as people see it."""
        run: Run | None = None
        for event in self.events(run_id):
            run = apply(run, event)
        return None if run is None else view(run)

    def final(self, run_id: str) -> RunView:
        """Wait until a run has ended and return it."""

        def ended() -> RunView | None:
            shown = self.view(run_id)
            return shown if shown is not None and shown.final else None

        shown = wait_until(ended, 10.0, lambda: f"run {run_id} to end, told: {self.kinds(run_id)[:20]}")
        assert shown is not None
        return shown


def application(name: str) -> celery.Celery:
    made = celery.Celery(name, broker="memory://", backend="cache+memory://", set_as_current=False)
    made.conf.update(
        task_default_queue=f"{name}-{id(made)}",
        worker_hijack_root_logger=False,
        broker_transport_options={"polling_interval": 0.01},
    )
    return made


def declare(app: celery.Celery, inner: dict[str, list[str]]) -> SimpleNamespace:
    """Declare the tasks that the worker of this module executes."""
    tries = iter(range(10))
    barrier = threading.Barrier(3)

    @app.task(name="orders.add")
    def add(x: int, password: str = "") -> int:
        return x + 1

    @app.task(name="orders.fail")
    def fail() -> None:
        raise ValueError("no such order")

    @app.task(bind=True, name="orders.retry", max_retries=5)
    def retry(self: Any) -> str:
        if self.request.retries < 2:
            raise self.retry(exc=KeyError("again"), countdown=0)
        return "done"

    @app.task(bind=True, name="orders.exhaust", max_retries=1)
    def exhaust(self: Any) -> None:
        raise self.retry(exc=KeyError("never"), countdown=0)

    @app.task(name="orders.child")
    def child() -> None: ...

    @app.task(bind=True, name="orders.parent")
    def parent(self: Any) -> None:
        inner[self.request.id] = [r.id for r in celery.group(child.s(), child.s())().children]

    @app.task(name="orders.ignore")
    def ignore() -> None:
        raise Ignore

    @app.task(bind=True, name="orders.replaced")
    def replaced(self: Any) -> Any:
        return self.replace(add.s(1))

    @app.task(name="orders.requeue", acks_late=True)
    def requeue() -> str:
        if next(tries) == 0:
            raise Reject("not now", requeue=True)
        return "done"

    @app.task(name="orders.reject", acks_late=True)
    def reject() -> None:
        raise Reject("never", requeue=False)

    @app.task(name="orders.unstorable")
    def unstorable() -> object:
        return object()

    @app.task(name="orders.together")
    def together(n: int) -> int:
        barrier.wait(10)
        return n

    return SimpleNamespace(**{name: each for name, each in locals().items() if isinstance(each, celery.Task)})


class Shop:
    """A watched application with a worker."""

    def __init__(self, app: celery.Celery, tasks: SimpleNamespace, told: Told, inner: dict[str, list[str]]) -> None:
        self.app = app
        self.tasks = tasks
        self.told = told
        self.inner = inner


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """Give an application whose worker, with three threads, works while this module is tested."""
    transport = MemoryTransport()
    with installed(Client(Settings(service="shop", flush_interval_s=0.01), transport=transport)) as client:
        app = huoyan.watch(application("shop"), service="orders")
        inner: dict[str, list[str]] = {}
        tasks = declare(app, inner)
        try:
            with start_worker(
                app, pool="threads", concurrency=3, perform_ping_check=False, hostname=NODE, shutdown_timeout=20
            ):
                yield Shop(app, tasks, Told(client, transport), inner)
        finally:
            huoyan.unwatch(app)


@pytest.fixture
def told(client: Client, transport: MemoryTransport) -> Told:
    return Told(client, transport)


@pytest.fixture
def app(client: Client) -> Iterator[celery.Celery]:
    """Give a watched application of this test alone, without a worker."""
    made = huoyan.watch(application("alone"), service="orders")
    yield made
    huoyan.unwatch(made)


def test_a_task_is_queued_received_started_and_succeeds(shop: Shop):
    sent = shop.tasks.add.delay(4, password="hunter2")
    run = shop.told.final(sent.id)
    assert (run.state, run.result, run.task) == (RunState.SUCCEEDED, 5, "orders.add")
    assert (run.service, run.framework, run.queue) == ("orders", "celery", shop.app.conf.task_default_queue)
    assert run.worker == NODE
    told = {event.kind: event for event in shop.told.events(sent.id)}
    assert set(told) == {EventKind.QUEUED, EventKind.RECEIVED, EventKind.STARTED, EventKind.SUCCEEDED}
    for event in (told[EventKind.QUEUED], told[EventKind.STARTED]):
        assert (event.args, event.kwargs) == ([4], {"password": "[scrubbed]"})
    queued = told[EventKind.QUEUED]
    assert (queued.worker, queued.execution, queued.attempt) == ("", None, 1)
    assert run.duration_s is not None
    assert 0.0 <= run.duration_s < 5.0
    assert run.wait_s is not None


def test_all_events_of_a_delivery_name_the_same_execution(shop: Shop):
    sent = shop.tasks.add.delay(1)
    shop.told.final(sent.id)
    keys = {event.execution for event in shop.told.events(sent.id) if event.kind is not EventKind.QUEUED}
    assert keys == {f"0.1@{NODE}#{shop.told.client.process.pid}"}


def test_a_failure_tells_type_message_and_traceback(shop: Shop):
    run = shop.told.final(shop.tasks.fail.delay().id)
    assert run.state is RunState.FAILED
    assert run.exception is not None
    assert (run.exception.type, run.exception.message) == ("ValueError", "no such order")
    assert 'raise ValueError("no such order")' in run.exception.traceback
    assert len(run.exception.fingerprint) == 16


def test_retries_are_attempts_of_one_run(shop: Shop):
    run = shop.told.final(shop.tasks.retry.delay().id)
    assert (run.state, run.result) == (RunState.SUCCEEDED, "done")
    assert [a.state for a in run.attempts] == ["retrying", "retrying", "succeeded"]
    assert [a.key.partition("@")[0] for a in run.attempts] == ["0.1", "1.1", "2.1"]
    assert run.attempts[0].exception is not None
    assert run.attempts[0].exception.type == "KeyError"


def test_retries_exhausted_have_failed(shop: Shop):
    run = shop.told.final(shop.tasks.exhaust.delay().id)
    assert (run.state, [a.state for a in run.attempts]) == (RunState.FAILED, ["retrying", "failed"])


def test_parents_roots_and_groups_are_known(shop: Shop):
    root = shop.tasks.parent.delay().id
    shop.told.final(root)
    children = shop.inner[root]
    assert len(children) == 2
    groups = set()
    for run_id in children:
        shop.told.final(run_id)
        first = shop.told.events(run_id)[0]
        assert (first.parent_id, first.root_id) == (root, root)
        groups.add(first.group_id)
    assert len(groups) == 1
    assert groups != {None}


def test_ignore_is_a_revocation_by_the_task_itself(shop: Shop):
    run = shop.told.final(shop.tasks.ignore.delay().id)
    assert (run.state, run.reason) == (RunState.REVOKED, "the task raised Ignore")


def test_a_replaced_task_goes_on_as_the_one_that_replaces_it(shop: Shop):
    run = shop.told.final(shop.tasks.replaced.delay().id)
    assert (run.state, run.result) == (RunState.SUCCEEDED, 2)
    assert [a.state for a in run.attempts] == ["retrying", "succeeded"]


def test_a_rejected_message_that_goes_back_is_delivered_again(shop: Shop):
    run = shop.told.final(shop.tasks.requeue.delay().id)
    assert [(a.state, a.key.partition("@")[0]) for a in run.attempts] == [("retrying", "0.1"), ("succeeded", "0.2")]


def test_a_rejected_message_that_does_not_go_back_is_final(shop: Shop):
    assert shop.told.final(shop.tasks.reject.delay().id).state is RunState.REJECTED


def test_a_task_the_worker_does_not_know_is_rejected(shop: Shop):
    run = shop.told.final(shop.app.send_task("orders.unknown").id)
    assert (run.state, run.reason, run.worker) == (RunState.REJECTED, "the worker does not know this task", NODE)


def test_expired_is_dead_without_attempts(shop: Shop):
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    run = shop.told.final(shop.tasks.fail.apply_async(expires=past).id)
    assert (run.state, run.reason, run.attempts) == (RunState.DEAD, "expired before it was started", [])


def test_revoked_before_delivery_has_no_attempts(shop: Shop):
    from celery.worker.state import revoked

    revoked.add("revoked-1")
    run = shop.told.final(shop.tasks.fail.apply_async(task_id="revoked-1").id)
    assert (run.state, run.reason, run.attempts) == (RunState.REVOKED, "revoked before it was started", [])


def test_a_result_that_cannot_be_stored_is_a_failure(shop: Shop):
    run = shop.told.final(shop.tasks.unstorable.delay().id)
    assert run.state is RunState.FAILED
    assert run.exception is not None
    assert "EncodeError" in run.exception.type


def test_threads_of_a_pool_are_told_apart(shop: Shop):
    sent = [shop.tasks.together.delay(n) for n in range(3)]
    assert [shop.told.final(each.id).result for each in sent] == [0, 1, 2]


def test_the_worker_reports_under_its_own_name_with_its_queues(shop: Shop):
    client = shop.told.client
    report = client.process.report(client.settings, 0, closing=False)
    assert report is not None
    assert (report.worker, report.framework) == (NODE, "celery")
    assert report.queues == [shop.app.conf.task_default_queue]


def test_a_broken_hook_never_reaches_the_application(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")

    for name in ("call", "value", "emit"):
        monkeypatch.setattr(Reporter, name, broken)
    assert shop.tasks.add.delay(8).get(timeout=10) == 9
    assert shop.tasks.add.apply((8,)).get() == 9


def test_the_names_of_parameters_tell_secrets_among_positional_arguments(app: celery.Celery, told: Told):
    @app.task(bind=True, name="orders.login")
    def login(self: Any, user: str, password: str) -> None: ...

    sent = login.delay("ann", "hunter2")
    assert told.events(sent.id)[0].args == ["ann", "[scrubbed]"]


def test_an_eta_makes_it_scheduled(app: celery.Celery, told: Told):
    @app.task(name="orders.later")
    def later() -> None: ...

    sent = later.apply_async(eta=FAR, expires=FAR + datetime.timedelta(hours=1))
    (event,) = told.events(sent.id)
    assert (event.kind, event.eta, event.expires) == (EventKind.SCHEDULED, FAR.timestamp(), FAR.timestamp() + 3600)
    shown = told.view(sent.id)
    assert shown is not None
    assert shown.state is RunState.SCHEDULED


def test_an_eager_task_is_a_run(app: celery.Celery, told: Told):
    @app.task(name="orders.eager")
    def eager() -> int:
        return 3

    run = told.view(eager.apply().id)
    assert run is not None
    assert (run.state, run.result, len(run.attempts)) == (RunState.SUCCEEDED, 3, 1)


def test_what_a_task_starts_inside_knows_its_parent(app: celery.Celery, told: Told):
    @huoyan.task
    def step() -> None: ...

    @app.task(name="orders.outer")
    def outer() -> None:
        huoyan.progress(1, 2, "half")
        step()

    sent = outer.apply()
    assert "progress" in told.kinds(sent.id)
    inner = next(e for e in told.transport.events if e.task.endswith("step"))
    assert (inner.parent_id, inner.root_id) == (sent.id, sent.id)
    assert context.current() is None


def test_watching_twice_reports_once_and_unwatching_reports_nothing(app: celery.Celery, told: Told):
    @app.task(name="orders.once")
    def once() -> None: ...

    huoyan.watch(app)
    huoyan.watch(app)
    assert told.kinds(once.delay().id) == ["queued"]
    huoyan.unwatch(app)
    assert told.kinds(once.delay().id) == []
    huoyan.watch(app)
    assert told.kinds(once.delay().id) == ["queued"]


def test_the_last_application_takes_every_receiver_with_it(client: Client):
    def ours() -> int:
        return sum("huoyan" in str(key) for name in signals.__all__ for key, _ in getattr(signals, name).receivers)

    before = ours()
    app = huoyan.watch(application("last"))
    assert ours() >= max(before, 10)
    huoyan.unwatch(app)
    assert ours() == before


def test_an_application_that_is_not_watched_is_not_reported(app: celery.Celery, told: Told):
    other = application("other")

    @app.task(name="orders.mine")
    def mine() -> None: ...

    @other.task(name="other.theirs")
    def theirs() -> None: ...

    assert told.kinds(theirs.apply().id) == []
    assert told.kinds(mine.apply().id) == ["started", "succeeded"]


def test_configuration_and_tasks_may_come_after_watching(client: Client, told: Told):
    late = huoyan.watch(celery.Celery("late", set_as_current=False))
    late.conf["broker_url"] = "memory://"
    late.conf.task_routes = {"late.*": {"queue": "routed"}}

    @late.task(name="late.task")
    def task() -> None: ...

    try:
        assert told.events(task.delay().id)[0].queue == "routed"
    finally:
        huoyan.unwatch(late)


def test_a_message_through_an_exchange_tells_its_queue(app: celery.Celery, told: Told):
    app.conf.task_queues = [Queue("pay", Exchange("money", type="topic"), routing_key="money.pay")]

    @app.task(name="orders.pay")
    def pay() -> None: ...

    sent = pay.apply_async(exchange="money", routing_key="money.pay")
    assert told.events(sent.id)[0].queue == "pay"


def test_a_failed_publication_is_not_reported(app: celery.Celery, told: Told):
    @app.task(name="orders.unsent")
    def unsent(what: object) -> None: ...

    with pytest.raises(Exception, match="JSON"):
        unsent.apply_async((object(),), task_id="unsent-1")
    assert told.kinds("unsent-1") == []


def test_a_watched_application_can_be_collected(client: Client):
    app = huoyan.watch(application("gone"))
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None
