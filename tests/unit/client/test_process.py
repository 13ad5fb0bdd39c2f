"""A process has one client; it survives forks as a process of its own and says goodbye when it ends."""

import multiprocessing
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

import huoyan
from huoyan.client import process
from huoyan.client.identity import Process
from huoyan.client.process import Client
from huoyan.client.reporter import Reporter
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.clock import SYSTEM_CLOCK
from huoyan.errors import ConfigurationError
from huoyan.model.event import EventKind
from tests.servers.http import HttpSink
from tests.unit.client.conftest import batches, events, installed


def test_a_process_is_named_by_service_host_and_pid() -> None:
    named = Process("orders", SYSTEM_CLOCK)
    assert named.worker == f"orders@{named.host}:{os.getpid()}"


def test_without_a_service_the_first_thing_watched_names_it() -> None:
    named = Process("", SYSTEM_CLOCK)
    named.belongs_to("", "huey")
    named.belongs_to("later", "celery")
    assert named.worker.startswith("later@") or named.worker.startswith("huey@")
    assert Process("", SYSTEM_CLOCK).worker.startswith("python@")


def test_a_name_that_is_not_settled_gives_way_to_the_first_thing_watched() -> None:
    heir = Process("", SYSTEM_CLOCK)
    heir.settled = False
    assert heir.worker.startswith("python@")
    heir.belongs_to("orders", "fastapi")
    heir.settled = True
    assert heir.worker == f"orders@{heir.host}:{os.getpid()}"
    heir.belongs_to("later", "celery")
    assert heir.worker.startswith("orders@")


def test_a_framework_may_name_the_process_and_its_queues(client: Client, transport: MemoryTransport) -> None:
    reporter = Reporter(client, "celery", "shop")
    reporter.identify("celery@host-1", queues=["high", "low"])
    client.watched(reporter)
    reporter.emit(EventKind.STARTED, "r1", worker=reporter.worker)
    assert huoyan.flush(5)
    report = transport.reports[-1]
    assert (report.worker, report.queues, report.framework) == ("celery@host-1", ["high", "low"], "celery")
    assert (report.host, report.pid) == (client.process.host, os.getpid())
    assert transport.events[0].worker == "celery@host-1"


def test_a_process_that_another_speaks_for_sends_events_but_no_reports(
    client: Client, transport: MemoryTransport
) -> None:
    reporter = Reporter(client, "celery", "shop")
    reporter.identify("celery@host-1", reports=False)
    reporter.emit(EventKind.STARTED, "r1")
    assert huoyan.flush(5)
    assert len(transport.events) == 1
    assert transport.reports == []


def test_reports_count_what_executes_now(client: Client, transport: MemoryTransport) -> None:
    reporter = Reporter(client, "python", "shop")
    for run in ("a", "b"):
        reporter.emit(EventKind.STARTED, run, execution=f"1@{run}")
    assert client.active == 2
    reporter.emit(EventKind.SUCCEEDED, "a", execution="1@a")
    reporter.emit(EventKind.SUCCEEDED, "a", execution="1@a")
    assert client.active == 1
    assert huoyan.flush(5)
    assert transport.reports[-1].active == 1


def test_a_forked_child_has_a_name_of_its_own_and_its_parents_events_are_not_sent_twice(
    http_sink: HttpSink,
) -> None:
    with installed(Client(Settings(service="shop", url=http_sink.url, flush_interval_s=30))) as client:
        reporter = Reporter(client, "python", "shop")
        reporter.emit(EventKind.QUEUED, "from-parent")
        parent_worker = client.process.worker
        child = multiprocessing.get_context("fork").Process(target=_report_from_child, args=(reporter,))
        child.start()
        child.join(20)
        assert child.exitcode == 0
        reporter.emit(EventKind.QUEUED, "from-parent-again")
        assert huoyan.flush(5)
    received = batches(http_sink)
    runs = [(event["run_id"], batch["process"]["worker"]) for batch in received for event in batch["events"]]
    workers = dict(runs)
    assert sorted(run for run, _ in runs) == ["from-child", "from-parent", "from-parent-again"]
    assert workers["from-parent"] == workers["from-parent-again"] == parent_worker
    assert workers["from-child"] == f"shop@{client.process.host}:{child.pid}"
    goodbye = [batch["process"] for batch in received if batch["process"].get("closing")]
    assert child.pid in [report["pid"] for report in goodbye]


def _report_from_child(reporter: Reporter) -> None:
    reporter.emit(EventKind.QUEUED, "from-child")


def test_children_of_a_named_worker_keep_its_name_and_leave_the_reports_to_it(http_sink: HttpSink) -> None:
    with installed(Client(Settings(service="shop", url=http_sink.url, flush_interval_s=30))) as client:
        reporter = Reporter(client, "celery", "shop")
        reporter.identify("celery@host-1", children=True)
        child = multiprocessing.get_context("fork").Process(target=_report_worker_from_child, args=(reporter,))
        child.start()
        child.join(20)
        assert child.exitcode == 0
    received = [(event["worker"], "process" in batch) for batch in batches(http_sink) for event in batch["events"]]
    assert received == [("celery@host-1", False)]


def _report_worker_from_child(reporter: Reporter) -> None:
    reporter.emit(EventKind.STARTED, "from-child", worker=reporter.worker)


def test_a_client_made_in_a_child_of_multiprocessing_says_goodbye_when_the_child_ends(http_sink: HttpSink) -> None:
    """Such children run no atexit functions, and workers of several frameworks import their tasks only there."""
    child = multiprocessing.get_context("fork").Process(target=_watch_in_child, args=(http_sink.url,))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    received = batches(http_sink)
    assert [event["run_id"] for batch in received for event in batch["events"]] == ["from-child"]
    goodbyes = [batch["process"] for batch in received if batch["process"].get("closing")]
    assert [(report["pid"], report["worker"].partition("@")[0]) for report in goodbyes] == [(child.pid, "shop")]


def _watch_in_child(url: str) -> None:
    client = Client(Settings(service="shop", url=url, flush_interval_s=30))
    process.install(client)
    reporter = Reporter(client, "python", "shop")
    client.watched(reporter)
    client.watched(reporter)
    reporter.emit(EventKind.QUEUED, "from-child")


def test_what_children_drop_is_reported_by_the_worker_that_speaks_for_them(transport: MemoryTransport) -> None:
    settings = Settings(service="shop", buffer_events=10, exit_timeout_s=0)
    with installed(Client(settings, transport=transport)) as client:
        reporter = Reporter(client, "celery", "shop")
        reporter.identify("celery@host-1", children=True)
        for _ in range(2):
            child = multiprocessing.get_context("fork").Process(target=_overflow_in_child, args=(reporter,))
            child.start()
            child.join(20)
            assert child.exitcode == 0
        reporter.emit(EventKind.QUEUED, "from-parent")
        assert huoyan.flush(5)
    assert transport.reports[-1].dropped == 2 * 30


def _overflow_in_child(reporter: Reporter) -> None:
    reporter._client.emitter._sending.acquire()  # type: ignore[union-attr]
    for number in range(30):
        reporter.emit(EventKind.QUEUED, f"r{number}")


def test_an_ordinary_end_of_the_program_sends_everything_and_says_goodbye(http_sink: HttpSink) -> None:
    run_program(
        """
        import huoyan
        huoyan.configure(flush_interval_s=30)

        @huoyan.task
        def work(n): ...

        for n in range(100):
            work(n)
        """,
        http_sink.url,
    )
    assert len(events(http_sink)) == 200
    assert batches(http_sink)[-1]["process"]["closing"] is True


def test_a_program_that_reports_nothing_contacts_nobody(http_sink: HttpSink) -> None:
    run_program("import huoyan\nhuoyan.configure(service='quiet')", http_sink.url)
    assert http_sink.requests == []


def test_the_end_of_the_program_is_not_held_up_by_a_server_that_hangs() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        seconds = run_program(
            """
            import atexit, time
            import huoyan
            huoyan.configure(exit_timeout_s=0.5)
            huoyan.task(lambda: None)()
            started = time.monotonic()
            # Functions registered first run last.
            import huoyan.client.process as p
            atexit.unregister(p._close_at_exit)
            atexit.register(lambda: print(time.monotonic() - started))
            atexit.register(p._close_at_exit)
            """,
            f"http://127.0.0.1:{listener.getsockname()[1]}",
        )
    assert 0.3 < float(seconds) < 3


def test_a_wrong_environment_is_told_at_wiring_and_not_inside_a_request() -> None:
    program = "import huoyan\ntry:\n    huoyan.task(len)\nexcept huoyan.ConfigurationError as e:\n    print(e.setting)"
    assert run_program(program, "not a url").strip() == "HUOYAN_URL"


def test_gevent_monkey_patching_before_or_after_the_import_works(http_sink: HttpSink) -> None:
    for order in ("import huoyan, gevent.monkey", "import gevent.monkey"):
        run_program(
            f"""
            {order}
            gevent.monkey.patch_all()
            import gevent, huoyan
            huoyan.configure(flush_interval_s=0.01)

            @huoyan.task
            def inner(n):
                gevent.sleep(0.01)

            @huoyan.task
            def outer(n):
                gevent.sleep(0.01)
                inner(n)

            gevent.joinall([gevent.spawn(outer, n) for n in range(20)], raise_error=True)
            assert huoyan.flush(5)
            """,
            http_sink.url,
        )
    started = {event["run_id"]: event for event in events(http_sink) if event["kind"] == "started"}
    assert len(started) == 80
    children = [event for event in started.values() if event.get("parent_id")]
    assert len(children) == 40
    assert all(started[event["parent_id"]]["args"] == event["args"] for event in children)


def test_a_reporter_survives_a_broken_clock_and_bad_fields(client: Client, transport: MemoryTransport) -> None:
    reporter = Reporter(client, "python", "shop")
    reporter.emit(EventKind.STARTED, "r1", no_such_field=1)
    reporter.queue_reading("q", "many")  # type: ignore[arg-type]
    reporter.emit(EventKind.STARTED, "r2")
    assert huoyan.flush(5)
    assert [event.run_id for event in transport.events] == ["r2"]


@pytest.fixture
def _no_client() -> Iterator[None]:
    before = process.install(None)
    yield
    process.install(before)


@pytest.mark.usefixtures("_no_client")
def test_the_client_is_made_from_the_environment_at_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUOYAN_SERVICE", "from-environment")
    monkeypatch.delenv("HUOYAN_URL", raising=False)
    assert process.existing() is None
    assert process.client().settings.service == "from-environment"
    assert process.client() is process.client() is process.existing()


@pytest.mark.usefixtures("_no_client")
def test_a_wrong_environment_raises_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUOYAN_ENABLED", "perhaps")
    with pytest.raises(ConfigurationError, match="HUOYAN_ENABLED"):
        process.client()


def run_program(text: str, url: str, **environ: Any) -> str:
    """Run a Python program with HUOYAN_URL set, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(text)],
        env={**os.environ, "HUOYAN_URL": url, "HUOYAN_SERVICE": "program", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout
