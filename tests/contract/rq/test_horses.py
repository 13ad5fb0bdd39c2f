"""What becomes of work horses is told, however they end."""

import os
import signal
import threading
import time
from typing import Any

import pytest
import redis
from rq.command import send_stop_job_command

from huoyan.client import relay
from huoyan.client.frameworks.rq import executing
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.run import RunState
from tests.contract.adapters.contract import by_task, only, runs, states
from tests.contract.adapters.rq import Forking, path_of
from tests.servers import wait_until


def test_a_work_horse_reports_everything_before_it_ends(forking: Forking, transport: MemoryTransport) -> None:
    def login(user: str, password: str) -> dict[str, str]:
        if user == "bob":
            raise ValueError(f"wrong password={password}")
        return {"api_key": "k3y-0f-ann-12345", "user": user}

    forking.submit(login, "ann", "hunter2")
    forking.submit(login, "bob", "hunter2")
    forking.work()
    (first, run), (second, _) = runs(transport)
    assert (first.state, second.state) == (RunState.SUCCEEDED, RunState.FAILED)
    assert run.args == ["ann", "[scrubbed]"]
    assert first.result == {"api_key": "[scrubbed]", "user": "ann"}
    assert first.worker == second.worker
    assert first.wait_s is not None
    assert first.duration_s is not None
    assert second.exception is not None
    assert "in login" in second.exception.traceback
    for shown in (first, second):
        # The process was made for the job, so all it took is the job's.
        assert shown.attempts[0].cpu_s is not None
        assert (shown.attempts[0].peak_memory_bytes or 0) > 1 << 20
    assert b"hunter2" not in b"".join(encoded for batch in transport.batches for encoded in batch.events)


def test_a_hundred_jobs_in_work_horses_lose_no_word(
    forking: Forking, transport: MemoryTransport, client: Client
) -> None:
    def work(number: int) -> int:
        return number

    for number in range(100):
        forking.submit(work, number)
    forking.work()
    found = [shown for shown, _ in runs(transport)]
    assert [shown.result for shown in found] == list(range(100))
    assert {tuple(states(shown)) for shown in found} == {("succeeded",)}
    assert client.active == 0


def test_a_killed_work_horse_takes_its_run_alone_with_it(forking: Forking, transport: MemoryTransport) -> None:
    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def after() -> str:
        return "alive"

    forking.submit(killed)
    forking.submit(after)
    forking.work()
    found = by_task(transport)
    shown, _ = found["killed"]
    assert (shown.state, states(shown)) == (RunState.FAILED, ["failed"])
    assert shown.exception is not None
    assert (shown.exception.type, shown.exception.message) == (
        "WorkHorseTerminated",
        "Work-horse terminated unexpectedly; waitpid returned 9 (signal 9)",
    )
    assert "SIGKILL" in shown.reason
    assert "MiB" in shown.reason
    # The kernel said so to the worker.
    assert shown.attempts[0].cpu_s is not None
    assert (shown.attempts[0].peak_memory_bytes or 0) > 1 << 20
    assert shown.started_at is not None
    assert found["after"][0].result == "alive"


def test_a_killed_work_horse_is_tried_again_when_a_retry_is_left(forking: Forking, transport: MemoryTransport) -> None:
    key = f"{forking.queue.name}-tries"

    def flaky() -> str:
        if forking.connection.incr(key) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return "at last"

    forking.retrying(flaky, 1)
    forking.work()
    shown, _ = only(transport)
    assert (shown.state, shown.result, states(shown)) == (RunState.SUCCEEDED, "at last", ["retrying", "succeeded"])


def test_a_job_that_ends_its_process_is_lost(forking: Forking, transport: MemoryTransport) -> None:
    def leaves() -> None:
        os._exit(0)

    def stays() -> None: ...

    forking.submit(leaves)
    forking.submit(stays)
    forking.work()
    found = by_task(transport)
    shown, _ = found["leaves"]
    assert (shown.state, shown.evidence) == (RunState.LOST, "inferred")
    assert "without saying" in shown.reason
    assert found["stays"][0].state is RunState.SUCCEEDED


def test_a_time_limit_is_a_failure(forking: Forking, transport: MemoryTransport) -> None:
    def slow() -> None:
        time.sleep(30)

    forking.queue.enqueue(path_of(slow), job_timeout=1)
    forking.work()
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert shown.exception.type == "rq.timeouts.JobTimeoutException"
    assert "in slow" in shown.exception.traceback
    assert shown.duration_s == pytest.approx(1, abs=0.5)


def test_a_time_limit_is_not_swallowed_while_huoyan_is_at_work(
    forking: Forking, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = executing.Attempt.begin

    def dawdling(self: Any, job: Any) -> None:
        begin(self, job)
        until = time.monotonic() + 1.3
        while time.monotonic() < until:
            pass

    def slow() -> None:
        time.sleep(30)

    monkeypatch.setattr(executing.Attempt, "begin", dawdling)
    forking.queue.enqueue(path_of(slow), job_timeout=1)
    began = time.monotonic()
    forking.work()
    assert time.monotonic() - began < 25
    shown, _ = only(transport)
    assert shown.exception is not None
    assert shown.exception.type == "rq.timeouts.JobTimeoutException"


def test_a_stopped_job_is_revoked(forking: Forking, transport: MemoryTransport) -> None:
    def slow() -> None:
        forking.connection.set(f"{forking.queue.name}-running", 1)
        time.sleep(30)

    job = forking.submit(slow)
    other = redis.Redis(port=forking.connection.connection_pool.connection_kwargs["port"])

    def stop() -> None:
        wait_until(lambda: other.exists(f"{forking.queue.name}-running"))
        send_stop_job_command(other, job.id)

    stopping = threading.Thread(target=stop)
    stopping.start()
    forking.work()
    stopping.join()
    shown, _ = only(transport)
    assert (shown.state, states(shown)) == (RunState.REVOKED, ["revoked"])
    assert "stopped" in shown.reason


def test_without_room_in_the_channel_a_work_horse_sends_itself(
    forking: Forking, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = f"{forking.queue.name}-sent"

    def work() -> None: ...

    monkeypatch.setattr(relay.Relay, "send", lambda self, event: False)

    def send(self: MemoryTransport, batch: Any, timeout_s: float) -> Any:
        forking.connection.incr(sent, len(batch.events))
        return original(self, batch, timeout_s)

    original = MemoryTransport.send
    monkeypatch.setattr(MemoryTransport, "send", send)
    forking.submit(work)
    forking.work()
    runs(transport)
    # Enqueued by this process; started and succeeded by the work horse, which is gone.
    assert int(forking.connection.get(sent) or 0) == 3
