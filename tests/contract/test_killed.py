"""What every way of watching promises of processes: what dies with them, what is done again, what waits, what is due.

An adapter of each framework works in a process of its own, all at a time, and one server is told of all, or reads it
from the broker. Each is killed while it executes; then an heir takes over its queue. As in `test_adapters.py`, a case
does the same with all, looks whether it was told, and holds the flag of the table of capabilities to that.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huoyan.client.capabilities import WATCHINGS, Capability, Level
from tests.contract.adapters.contract import PROVED
from tests.contract.adapters.doomed import WAITING
from tests.servers import HuoyanServer, RabbitmqServer, RedisServer, wait_until
from tests.servers.process import die_with_parent

ALONE = ("background", "function", "apscheduler", "taskiq-memory")
"""What they were asked for dies with them, and nobody inherits it."""
QUEUED = (
    *("huey", "rq", "rq-polling", "arq", "dramatiq-rabbitmq"),
    *("taskiq-list", "taskiq-stream", "celery-rabbitmq", "celery-events"),
)
NAMES = (*ALONE, *QUEUED)
"""Each way of watching, by brokers that differ in what the table says; others make no difference to a process that is
gone."""
KEEPERS = tuple(name for name in NAMES if name not in {"function", "background", "taskiq-memory", "taskiq-list"})
"""Where something could keep a schedule."""
ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(400)

Document = dict[str, Any]


class Processes:
    """Processes that are forked from one which has imported every framework."""

    def __init__(self, url: str, redis: str, rabbitmq: str) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="huoyan-doomed-")
        self.log = Path(self.folder.name) / "log"
        self.pids: dict[tuple[str, str], int] = {}
        self.tells: dict[str, set[str]] = {}
        env = {
            "HUOYAN_URL": url,
            "HUOYAN_REPORT_INTERVAL_S": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        }
        with self.log.open("wb") as log:
            self.parent = subprocess.Popen(
                [sys.executable, "-m", "tests.contract.adapters.doomed", redis, rabbitmq],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **env},
                cwd=self.folder.name,
                preexec_fn=die_with_parent,
            )

    def fork(self, *wanted: tuple[str, str]) -> None:
        """Start processes, each an adapter in a role, and wait until all are there."""
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write("".join(f"{name} {role}\n" for name, role in wanted).encode())
        self.parent.stdin.flush()
        for _ in wanted:
            line = self.parent.stdout.readline()
            assert line, self.log.read_text()
            born = json.loads(line)
            self.pids[born["name"], born["role"]] = born["pid"]
            self.tells[born["name"]] = set(born["tells"])

    def kill(self, name: str, role: str) -> None:
        """End one without a word."""
        try:
            os.kill(self.pids.pop((name, role)), signal.SIGKILL)
        except ProcessLookupError:
            pass

    def close(self) -> None:
        """End all."""
        for name, role in list(self.pids):
            self.kill(name, role)
        self.parent.kill()
        self.parent.communicate()
        self.folder.cleanup()


class Aftermath:
    """What the server said, at each moment that matters, by the name of the adapter."""

    def __init__(self, server: HuoyanServer, processes: Processes) -> None:
        self.server = server
        self.tells = processes.tells
        self.depths: dict[str, list[int]] = {}
        self.killed: dict[str, Document] = {}
        self.schedules: dict[str, list[str]] = {}
        self.afterwards: dict[str, dict[str, list[Document]]] = {}

    def proves(self, name: str, capability: Capability, told: bool) -> None:
        """Hold a flag of the table to what was told."""
        PROVED.add(capability)
        assert told == (capability in self.tells[name]), (
            f"{name}: {capability.value} {'was' if told else 'was not'} told"
        )


def task_of(run: Document) -> str:
    """Return the function that a run executes: frameworks put their own around its name."""
    return next((name for name in ("endless", "brief", "again") if name in run["task"]), "")


def read_depths(server: HuoyanServer) -> dict[str, list[int]]:
    found = defaultdict(list)
    for queue in server.get("/queues")["items"]:
        if queue["depth"] is not None and not queue["queue"].endswith("-schedule"):
            found[queue["service"]].append(queue["depth"])
    return found


@pytest.fixture(scope="module")
def aftermath(redis_server: RedisServer, rabbitmq_server: RabbitmqServer) -> Iterator[Aftermath]:
    """Give what is known of all after each was killed while it executed, and after its heir has done the work."""
    events, polled = redis_server.database_url(51), redis_server.database_url(52)
    config = (
        f'[[celery]]\nurl = "{events}"\nservice = "celery-events"\n'
        f'[[rq]]\nurl = "{polled}"\nservice = "rq-polling"\npoll_s = 0.2\n'
    )
    with HuoyanServer(config=config) as server:
        processes = Processes(server.url, redis_server.database_url(50), rabbitmq_server.url)
        try:
            seen = Aftermath(server, processes)
            processes.fork(*((name, "endless") for name in NAMES), *((name, "schedule") for name in KEEPERS))
            _kill_each(seen, processes)
            processes.fork(*((name, "heir") for name in QUEUED))
            _inherit(seen, processes)
            yield seen
        finally:
            processes.close()


def _kill_each(seen: Aftermath, processes: Processes) -> None:
    """Kill each when it executes its call and everything there is to read was read."""
    server = seen.server
    left = set(NAMES)

    def all_is_read() -> bool:
        started = {run["service"] for run in server.runs(state="started") if task_of(run) == "endless"}
        # Who executes may not read meanwhile, and a figure that is old is given up.
        seen.depths = {**seen.depths, **read_depths(server)}
        schedules = defaultdict(list)
        for one in server.get("/schedules")["items"]:
            schedules[one["service"]].append(one["id"])
        seen.schedules = schedules
        waits = {name for name in NAMES if Capability.DEPTH in seen.tells[name]} - seen.depths.keys()
        due = {name for name in KEEPERS if Capability.SCHEDULES in seen.tells[name]} - schedules.keys()
        left.clear()
        left.update(
            {f"{n}: started" for n in set(NAMES) - started},
            {f"{n}: depth" for n in waits},
            {f"{n}: schedule" for n in due},
        )
        return not left

    wait_until(all_is_read, 60, lambda: f"each to be at work: {sorted(left)} {processes.log.read_text()[-2000:]}", 0.2)
    for name in NAMES:
        processes.kill(name, "endless")
    wait_until(lambda: not server.runs(state="started"), 60, "no run to be open any more", interval_s=0.2)
    found = {run["service"]: run["id"] for run in server.runs() if task_of(run) == "endless"}
    seen.killed = {name: server.get(f"/runs/{run_id}") for name, run_id in found.items()}


def _inherit(seen: Aftermath, processes: Processes) -> None:
    """Wait until the heirs have done what was left to them."""
    server = seen.server
    missing: list[str] = []

    def done() -> bool:
        missing.clear()
        runs: dict[str, dict[str, list[Document]]] = {name: defaultdict(list) for name in NAMES}
        for run in server.runs():
            if run["service"] in runs and not run["queue"].endswith("-schedule"):
                runs[run["service"]][task_of(run)].append(run)
        for name in QUEUED:
            mine = runs[name]
            if len(mine["brief"]) < WAITING or any(run["state"] != "succeeded" for run in mine["brief"]):
                missing.append(f"{name}: brief {[run['state'] for run in mine['brief']]}")
            if [run["state"] for run in mine["again"]] != ["succeeded"]:
                missing.append(f"{name}: again {[run['state'] for run in mine['again']]}")
            if Capability.REDELIVERY in seen.tells[name]:
                if any(run["state"] != "succeeded" for run in mine["endless"]):
                    missing.append(f"{name}: endless {[(r['state'], r['attempt_count']) for r in mine['endless']]}")
                if any(run["attempt_count"] < 2 for run in mine["again"]):
                    missing.append(f"{name}: again {[(r['state'], r['attempt_count']) for r in mine['again']]}")
        seen.afterwards = runs
        return not missing

    wait_until(done, 60, lambda: f"the heirs to be done: {missing} {processes.log.read_text()[-2000:]}", 0.2)


def whole(seen: Aftermath, run: Document) -> Document:
    """Return a run with its attempts."""
    document: Document = seen.server.get(f"/runs/{run['id']}")
    return document


@pytest.mark.proves(Capability.WORKER_KILLED)
@pytest.mark.parametrize("name", NAMES)
def test_what_a_killed_process_was_executing_is_lost(name: str, aftermath: Aftermath) -> None:
    run = aftermath.killed[name]
    aftermath.proves(name, Capability.WORKER_KILLED, run["state"] == "lost")
    assert run["evidence"] == "inferred"
    assert [attempt["state"] for attempt in run["attempts"]] == ["lost"]
    assert run["worker"] in run["reason"]
    assert run["exception"] is None
    assert [(one["before"], one["after"]) for one in run["history"]] == [("started", "lost")]


@pytest.mark.proves(Capability.REDELIVERY)
@pytest.mark.parametrize("name", NAMES)
def test_what_a_killed_worker_had_not_acknowledged_is_executed_again_as_an_attempt(
    name: str, aftermath: Aftermath
) -> None:
    (run,) = (whole(aftermath, each) for each in aftermath.afterwards[name]["endless"])
    told = [attempt["state"] for attempt in run["attempts"]]
    aftermath.proves(name, Capability.REDELIVERY, told == ["lost", "succeeded"])
    # A delivery after a loss does what was not done: it is no duplicate.
    assert not any(attempt["duplicate"] for attempt in run["attempts"])
    if len(told) == 1:
        # The others behind it were executed, where there is an heir, and it was not.
        assert (run["state"], told) == ("lost", ["lost"])
        return
    assert run["state"] == "succeeded"
    first, second = (attempt["worker"] for attempt in run["attempts"])
    assert first != second
    assert run["history"][0]["after"] == "lost"


@pytest.mark.parametrize("name", QUEUED)
def test_what_is_delivered_again_after_success_is_a_duplicate_and_raises_its_signal(
    name: str, aftermath: Aftermath
) -> None:
    (run,) = (whole(aftermath, each) for each in aftermath.afterwards[name]["again"])
    answer = aftermath.server.get("/signals/task_duplicates", service=name, window_s=900, min_samples=1)
    doubled = run["attempt_count"] > 1
    assert run["state"] == "succeeded"
    assert {attempt["state"] for attempt in run["attempts"]} == {"succeeded"}
    assert [attempt["duplicate"] for attempt in run["attempts"]] == [False, *[True] * (run["attempt_count"] - 1)]
    assert any(one["value"] for one in answer["now"]) == doubled, answer
    assert doubled >= (Capability.REDELIVERY in aftermath.tells[name])


@pytest.mark.proves(Capability.DEPTH)
@pytest.mark.parametrize("name", NAMES)
def test_what_waits_is_counted(name: str, aftermath: Aftermath) -> None:
    depths = aftermath.depths.get(name, [])
    aftermath.proves(name, Capability.DEPTH, bool(depths))
    # The call that is executed may have been counted before it was taken up.
    assert all(0 < depth <= WAITING + 1 for depth in depths)


@pytest.mark.proves(Capability.SCHEDULES)
@pytest.mark.parametrize("name", [*KEEPERS, "function", "background"])
def test_what_is_due_is_told(name: str, aftermath: Aftermath) -> None:
    aftermath.proves(name, Capability.SCHEDULES, bool(aftermath.schedules.get(name)))


def test_every_way_of_watching_takes_part(aftermath: Aftermath) -> None:
    declared = {each.framework for each in WATCHINGS if each.level(Capability.WORKER_KILLED) is Level.YES}
    assert {run["framework"] for run in aftermath.killed.values()} == declared
