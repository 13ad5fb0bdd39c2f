import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from huoyan.client.process import Client
from huoyan.client.relay import Relay, RelayedReporter
from huoyan.client.reporter import Reporter
from huoyan.client.spool import SharedSpool, Spool
from huoyan.client.transport.memory import MemoryTransport
from huoyan.client.wire import decode_events
from huoyan.model.event import EventKind, TaskEvent
from tests.servers.waiting import wait_until


def in_child(relay: Relay, work: object) -> int:
    """Run a function in a forked child that is killed as soon as it returns; return how it ended."""
    pid = os.fork()
    if pid == 0:
        try:
            relay.in_child()
            work()  # type: ignore[operator]
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


@pytest.fixture
def reporter(client: Client) -> RelayedReporter:
    return RelayedReporter(Reporter(client, "celery", "orders", {"tier": "gold"}), Relay())


def test_what_a_child_said_just_before_it_was_killed_arrives(
    client: Client, transport: MemoryTransport, reporter: RelayedReporter
):
    reporter._relay.open(reporter.take)

    def work() -> None:
        for number in range(50):
            reporter.emit(EventKind.STARTED, f"r{number}", task="orders.pay", args=["x" * 500])

    assert os.WTERMSIG(in_child(reporter._relay, work)) == signal.SIGKILL
    wait_until(lambda: client.flush(1.0) and len(transport.events) == 50, 5)
    assert {event.run_id for event in transport.events} == {f"r{number}" for number in range(50)}
    event = transport.events[0]
    assert (event.service, event.framework, event.labels) == ("orders", "celery", {"tier": "gold"})


def test_the_main_process_counts_what_its_children_execute(client: Client, reporter: RelayedReporter):
    reporter._relay.open(reporter.take)
    in_child(reporter._relay, lambda: reporter.emit(EventKind.STARTED, "r", execution="0.1@w#1"))
    wait_until(lambda: client.active == 1, 5)
    in_child(reporter._relay, lambda: reporter.emit(EventKind.SUCCEEDED, "r", execution="0.1@w#1"))
    wait_until(lambda: client.active == 0, 5)


def test_the_main_process_itself_does_not_go_through_the_channel(
    client: Client, transport: MemoryTransport, reporter: RelayedReporter
):
    reporter._relay.open(reporter.take)
    reporter.emit(EventKind.RECEIVED, "r")
    client.flush(2.0)
    assert [event.run_id for event in transport.events] == ["r"]


def test_a_full_channel_refuses_instead_of_waiting_and_drain_takes_what_is_in_it():
    taken: list[TaskEvent] = []
    relay = Relay()
    relay.open(taken.append)
    assert relay._thread is not None
    assert relay._far is not None
    sent = 0
    # As the child's end does, faster than the thread reads; more than fits either way.
    big = b'{"kind":"queued","run_id":"r","at":1.0,"args":["' + b"x" * 100_000 + b'"]}'
    for _ in range(1_000):
        sent += relay.send(big)
    relay.drain()
    wait_until(lambda: len(taken) == sent, 5)
    assert 0 < sent < 1_000
    assert not relay.send(b"x" * 50_000_000)


def test_without_a_channel_a_process_reports_by_itself(
    client: Client, transport: MemoryTransport, reporter: RelayedReporter
):
    reporter._relay.in_child()
    assert not reporter._relay.active
    reporter.emit(EventKind.STARTED, "r")
    client.flush(2.0)
    assert len(transport.events) == 1


def test_what_is_on_its_way_when_all_are_killed_is_taken_over(tmp_path: Path):
    killed = subprocess.run([sys.executable, "-c", ALL_KILLED, str(tmp_path)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (orphan,) = Spool(tmp_path, "http://one", 1 << 20).orphans()
    assert [event.run_id for event in decode_events(piece for piece in orphan.pieces if isinstance(piece, bytes))] == [
        "from the child"
    ]


def test_what_was_taken_is_not_kept_any_longer(tmp_path: Path):
    taken: list[TaskEvent] = []
    relay = Relay()
    relay.open(taken.append, SharedSpool(tmp_path, "http://one", 1 << 24))
    (path,) = tmp_path.iterdir()
    event = b'{"kind":"queued","run_id":"r","at":1.0,"args":["' + b"x" * 10_000 + b'"]}'

    def work() -> None:
        for _ in range(20):
            assert relay.send(event)

    in_child(relay, work)
    wait_until(lambda: len(taken) == 20, 5)
    wait_until(lambda: path.stat().st_size < 20 * len(event), 5)
    relay.drain()
    assert list(tmp_path.iterdir()) == []


ALL_KILLED = """
import os, signal, sys, threading
from pathlib import Path
from huoyan.client.relay import Relay
from huoyan.client.spool import SharedSpool

relay = Relay()
# The main process takes nothing any more, as if it were killed while the child speaks.
relay.open(lambda event: threading.Event().wait(), SharedSpool(Path(sys.argv[1]), "http://one", 1 << 20))
pid = os.fork()
if pid == 0:
    relay.in_child()
    assert relay.send(b'{"kind":"queued","run_id":"from the child","at":1.0}')
    os._exit(0)
os.waitpid(pid, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""
