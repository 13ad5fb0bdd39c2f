"""Work in the middle of which processes are killed and stopped; afterwards all is compared."""

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.account import Account, Killed, compare
from tests.faults.deployment import Deployment
from tests.servers import wait_until
from tests.servers.process import Server

FROZEN_S = 1.5
PARTED_S = 0.7
QUIET_S = 20.0
LOOK_AFTER_S = 2.0
OPEN = ("scheduled", "queued", "started", "retrying")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the comparison, and how long Huoyan took to say the truth after the last task, in seconds."""

    account: Account
    converged_s: float
    faults: int


def work_through(
    deployment: Deployment,
    count: int,
    seconds: float,
    *,
    rounds: int = 1,
    network: bool = True,
    further: Sequence[Callable[[], None]] = (),
    limit_s: float = 90.0,
) -> int:
    """Run work through faults, and return their number when it is over.

    Args:
        deployment: What does the work; its server is running.
        count: How many runs.
        seconds: How long each takes.
        rounds: How often the whole row of faults is done, spread over the work.
        network: Break the way through which the work is watched: to the server, or to the broker.
        further: Faults that are done as well, at the end of each row.
        limit_s: How long it may take from one fault to the next, in seconds.
    """
    deployment.submit(count, seconds)
    deployment.start()
    row: list[Callable[[], None]] = [deployment.kill_child] if deployment.prefork else []
    row += [deployment.kill, lambda: _stand_still(deployment)]
    if network:
        row += [lambda: _partition(deployment)]
    faults = [*row, *further] * rounds
    diary = deployment.diary
    for number, fault in enumerate(faults, start=1):
        wanted = count * number // (len(faults) + 1)
        _await(deployment, lambda: len(diary.read().last) >= wanted, limit_s, f"{wanted} runs to begin")  # noqa: B023
        fault()
    _await(deployment, lambda: _over(deployment, count), limit_s, "all to be over")
    return len(faults)


def settle(
    deployment: Deployment, limit_s: float = 90.0, undisturbed: contextlib.AbstractContextManager[Any] | None = None
) -> Account:
    """Wait until Huoyan takes no run for open, and compare.

    Args:
        deployment: Whose work is over.
        limit_s: How long everything may take to settle, in seconds.
        undisturbed: Entered while the server is asked, as often as that is; whoever kills it stays away then.
    """
    undisturbed = undisturbed or contextlib.nullcontext()
    unsure = _cut_off(deployment)

    most = min(500, 20 + len(unsure))

    def still() -> list[dict[str, Any]]:
        with undisturbed:
            page = deployment.server.get("/runs", framework=deployment.framework, state=OPEN, limit=most)
        known = [{name: item[name] for name in ("id", "state", "worker", "evidence")} for item in page["items"]]
        return [one for one in known if one["id"] not in unsure]

    wait_until(lambda: not still(), limit_s, lambda: f"no run to be open, still {still()[:5]}", interval_s=0.3)
    with undisturbed:
        account = _account(deployment)
    until = time.monotonic() + max(15.0, limit_s / 6)
    # Once more where something is missing that may still be on its way.
    while account.faults and time.monotonic() < until:
        time.sleep(1.0)
        with undisturbed:
            account = _account(deployment)
    return account


def run(deployment: Deployment, count: int, seconds: float, *, limit_s: float = 90.0, **how: Any) -> Outcome:
    """Run work through faults and compare; arguments are those of `work_through`."""
    faults = work_through(deployment, count, seconds, limit_s=limit_s, **how)
    ended = time.monotonic()
    account = settle(deployment, limit_s)
    return Outcome(account, time.monotonic() - ended, faults)


def evidence(deployment: Deployment, account: Account) -> str:
    """Tell of some runs of which an untruth was said what they wrote, which of their processes were killed, and what
    Huoyan knows of them."""
    text: list[str] = []
    for name, ids in account.faults.items():
        for run_id in ids[:3]:
            lines = [line for line in deployment.diary.lines if line["run"] == run_id]
            pids = {line["pid"] for line in lines}
            text += [
                f"{name}: {run_id}",
                *map(str, lines),
                *(str(kill) for kill in deployment.kills if kill.pid in pids),
            ]
            with contextlib.suppress(AssertionError):  # It does not know it.
                text.append(json.dumps(deployment.server.get(f"/runs/{run_id}"), indent=1))
    return "\n".join(text)


def restart(server: Server) -> None:
    """Kill a server and start it again; a broker has to keep what it acknowledged."""
    server.kill()
    server.start()


def _await(deployment: Deployment, what: Callable[[], bool], limit_s: float, meaning: str) -> None:
    """Wait for something, and look after the worker meanwhile."""
    looked_at = time.monotonic()

    def reached() -> bool:
        nonlocal looked_at
        if what():
            return True
        if time.monotonic() - looked_at > LOOK_AFTER_S:
            deployment.look_after()
            looked_at = time.monotonic()
        return False

    wait_until(reached, limit_s, lambda: f"{meaning}; {len(deployment.diary.begun)} began", 0.05)


def _account(deployment: Deployment) -> Account:
    return compare(
        deployment.diary.read().lines,
        deployment.server.runs(framework=deployment.framework),
        deployment.kills,
        deployment.submitted,
        unheard_s=deployment.unheard_s,
        tells=deployment.tells,
    )


def _over(deployment: Deployment, count: int) -> bool:
    """Whether every run began, and each that did not end was killed.

    A worker killed between taking a run and starting it takes it along, if its framework acknowledges early.
    """
    diary = deployment.diary.read()
    killed = Killed(deployment.kills)
    began = diary.begun
    quiet = bool(diary.lines) and time.time() - max(line["at"] for line in diary.lines[-50:]) > QUIET_S
    all_began = (
        len(began) >= count or deployment.asked_all or (quiet and len(began) >= count - 10 * len(deployment.kills))
    )
    if not all_began:
        return False
    return all(run_id in diary.ended or killed.after(start) is not None for run_id, start in began.items())


def _cut_off(deployment: Deployment) -> set[str]:
    """Return the runs whose last word was on its way inside the machine when its process was killed, and those that
    never began."""
    killed = Killed(deployment.kills)
    last = deployment.diary.read().last
    cut = {
        run_id
        for run_id, line in last.items()
        if (after_s := killed.after(line)) is not None and after_s < deployment.unheard_s
    }
    return cut | {run_id for run_id in deployment.submitted if run_id not in last}


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
