"""A real Celery beat: its entries are schedules with verdicts, and a beat that stands still or is killed is found."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.celery.deployment import ROOT
from tests.servers import HuoyanServer, RedisServer, ServerProcess, wait_until


@pytest.fixture
def server() -> Iterator[HuoyanServer]:
    """Give a server."""
    with HuoyanServer() as started:
        yield started


@pytest.fixture
def beat(redis_server: RedisServer, server: HuoyanServer, tmp_path: Path) -> Iterator[ServerProcess]:
    """Give a running beat that reports every second."""
    process = ServerProcess("beat")
    env = {
        "TEST_BROKER": redis_server.database_url(10),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        "HUOYAN_URL": server.url,
        "HUOYAN_REPORT_INTERVAL_S": "1",
    }
    program = Path(sys.executable).with_name("celery")
    command: list[str | Path] = [program, "-A", "tests.integration.celery.beat_app", "beat", "-s", tmp_path / "beat"]
    try:
        process.run([*command, "-l", "INFO"], lambda: "Sending due task" in process.log_path.read_text(), env=env)
        yield process
    finally:
        process.close()


def _schedules(server: HuoyanServer) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in server.get("/schedules")["items"]}


def _alarms(server: HuoyanServer) -> set[str]:
    """Return the schedules whose scheduler is said to be dead."""
    alerts = server.get("/alerts")["items"]
    return {one["labels"]["schedule"] for one in alerts if one["rule"] == "scheduler-dead" and one["state"] == "firing"}


def test_beat_keeps_its_schedules_until_it_stands_still_or_is_killed(server: HuoyanServer, beat: ServerProcess) -> None:
    wait_until(lambda: (_schedules(server).get("every-second") or {}).get("state") == "ok", 60)
    found = _schedules(server)
    meant = {name: (one["kind"], one["expression"], one["timezone"]) for name, one in found.items()}
    assert meant["every-second"] == ("interval", "1.0", "")
    assert meant["nightly"] == ("cron", "30 2 * * *", "Europe/Berlin")
    assert meant["friday-13th"][1].startswith("<crontab: 0 0 ")
    # Half past two in Berlin, to the second or two that beat rounds by.
    assert found["nightly"]["next_due_at"][11:16] in {"00:29", "00:30", "01:29", "01:30"}
    assert {one["service"] for one in found.values()} == {"clockwork"}
    assert found["every-second"]["missed_count"] == 0
    runs = [run for run in server.runs() if run["labels"].get("schedule") == "every-second"]
    assert len(runs) >= 5
    assert {run["labels"]["trigger"] for run in runs} == {"beat"}

    assert beat.pid is not None
    os.kill(beat.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: _schedules(server)["every-second"]["state"] == "dead", 30)
        wait_until(lambda: "clockwork/every-second" in _alarms(server), 30)
    finally:
        os.kill(beat.pid, signal.SIGCONT)
    wait_until(lambda: _schedules(server)["every-second"]["state"] not in {"dead", None}, 60)
    wait_until(lambda: "clockwork/every-second" not in _alarms(server), 30)

    beat.kill()
    wait_until(lambda: _schedules(server)["every-second"]["state"] == "dead", 60)
    assert {one["state"] for one in _schedules(server).values()} == {"dead"}, "expected one beat, one death"
