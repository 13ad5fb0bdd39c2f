"""Work in the middle of which processes are killed and stopped; afterwards all is compared."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults import diary
from tests.faults.account import FINAL, Account, compare
from tests.faults.deployments import Deployment
from tests.servers import HuoyanServer, wait_until
from tests.servers.process import Server

FROZEN_S = 1.5
PARTED_S = 0.7
QUIET_S = 20.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the comparison, and how long Huoyan took to say the truth after the last task, in seconds."""

    account: Account
    converged_s: float
    faults: int


def run(
    deployment: Deployment,
    count: int,
    seconds: float,
    *,
    rounds: int = 1,
    server_too: bool = True,
    network: bool = True,
    broker: Server | None = None,
    limit_s: float = 90.0,
) -> Outcome:
    """Run work through faults and compare.

    Args:
        deployment: What does the work; its server is running.
        count: How many runs.
        seconds: How long each takes.
        rounds: How often the whole row of faults is done, spread over the work.
        server_too: Kill the Huoyan server as well.
        network: Break the way through which the work is watched: to the server, or to the broker.
        broker: The broker, when it is to be killed and started again as well; it has to keep what it acknowledged.
        limit_s: How long everything may take to settle, in seconds.
    """
    server = deployment.server
    deployment.submit(count, seconds)
    deployment.start()
    faults: list[Callable[[], None]] = []
    for _ in range(rounds):
        if deployment.prefork:
            faults += [deployment.kill_child]
        faults += [lambda: _stand_still(deployment), deployment.kill]
        if network:
            faults += [lambda: _partition(deployment)]
        if broker is not None:
            faults += [lambda: _restart(broker)]
        if server_too:
            faults += [lambda: _restart(server)]
    for number, fault in enumerate(faults, start=1):
        wanted = count * number // (len(faults) + 1)
        wait_until(lambda: _begun(deployment) >= wanted, limit_s, lambda: f"{wanted} runs to begin")  # noqa: B023
        fault()
    wait_until(lambda: _over(deployment, count), limit_s, lambda: f"all to be over; {_begun(deployment)} began")
    ended = time.time()
    unsure = _cut_off(deployment)

    def still() -> list[dict[str, Any]]:
        return [one for one in _open(server) if one["id"] not in unsure]

    wait_until(lambda: not still(), limit_s, lambda: f"no run to be open, still {still()[:5]}", interval_s=0.3)
    account = _settled(deployment, server, max(15.0, limit_s / 6))
    return Outcome(account, time.time() - ended, len(faults))


def _settled(deployment: Deployment, server: HuoyanServer, limit_s: float) -> Account:
    """Compare, and once more where something is missing that may still be on its way."""
    account = _account(deployment, server)

    def settled() -> bool:
        nonlocal account
        account = _account(deployment, server)
        return not account.faults

    try:
        wait_until(settled, limit_s, interval_s=1.0)
    except AssertionError:
        pass
    return account


def _account(deployment: Deployment, server: HuoyanServer) -> Account:
    lines = diary.read(deployment.diary)
    return compare(
        lines,
        server.runs(),
        deployment.kills,
        deployment.submitted,
        unheard_s=deployment.unheard_s,
        tells=deployment.tells,
    )


def _begun(deployment: Deployment) -> int:
    return len({line["run"] for line in diary.read(deployment.diary)})


def _over(deployment: Deployment, count: int) -> bool:
    """Whether every run began, and each that did not end was killed.

    A worker killed between taking a run and starting it takes it along, if its framework acknowledges early.
    """
    lines = diary.read(deployment.diary)
    killed = {kill.pid for kill in deployment.kills}
    ended = {line["run"] for line in lines if line["what"] == "end"}
    last = {line["run"]: line["pid"] for line in lines if line["what"] == "start"}
    quiet = bool(lines) and time.time() - max(line["at"] for line in lines) > QUIET_S
    begun = len(last) >= count or deployment.asked_all or (quiet and len(last) >= count - len(deployment.kills))
    return begun and all(run_id in ended or pid in killed for run_id, pid in last.items())


def _cut_off(deployment: Deployment) -> set[str]:
    """Return the runs whose last word was on its way inside the machine when its process was killed, and those that
    never began."""
    killed = {kill.pid: kill.at for kill in deployment.kills}
    last = {line["run"]: line for line in diary.read(deployment.diary)}
    cut = {
        run_id
        for run_id, line in last.items()
        if 0 <= killed.get(line["pid"], float("inf")) - line["at"] < deployment.unheard_s
    }
    return cut | {run_id for run_id in deployment.submitted if run_id not in last}


def _open(server: HuoyanServer) -> list[dict[str, Any]]:
    unfinished = sorted({"scheduled", "queued", "started", "retrying"} - FINAL)
    page = server.get("/runs", state=unfinished, limit=20)
    return [{name: item[name] for name in ("id", "state", "worker", "evidence")} for item in page["items"]]


def _stand_still(deployment: Deployment) -> None:
    deployment.freeze()
    until = time.monotonic() + FROZEN_S
    wait_until(lambda: time.monotonic() >= until, FROZEN_S + 5)
    deployment.thaw()


def _partition(deployment: Deployment) -> None:
    """Let nothing through, then refuse, then heal."""
    for breaks in (deployment.network.stall, deployment.network.cut):
        breaks()
        until = time.monotonic() + PARTED_S
        wait_until(lambda: time.monotonic() >= until, PARTED_S + 5)  # noqa: B023
    deployment.network.heal()


def _restart(server: Server) -> None:
    server.kill()
    server.start()
