"""What really happened against what Huoyan says of it. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FINAL = frozenset({"succeeded", "failed", "revoked", "rejected", "lost", "dead"})
ENDED_BADLY = frozenset({"lost", "failed", "dead"})
LONGEST_S = 3600.0


@dataclass(frozen=True, slots=True)
class Kill:
    """A process that was killed.

    Attributes:
        pid: Its number.
        at: When, in seconds since 1970 UTC.
        silent_at: Since when what it reports through stood still (default: `at`).
    """

    pid: int
    at: float
    silent_at: float | None = None


class Killed:
    """When the process behind a line of the diary was killed. The system gives a number again to other processes.

    Args:
        kills: In any order.
    """

    def __init__(self, kills: Iterable[Kill]) -> None:
        self._of: dict[int, list[Kill]] = {}
        for kill in sorted(kills, key=lambda kill: kill.at):
            self._of.setdefault(kill.pid, []).append(kill)

    def after(self, line: Mapping[str, Any]) -> float | None:
        """Return how long it could still report after a line, in seconds; None when it was not killed."""
        later = (kill for kill in self._of.get(line["pid"], ()) if kill.at >= line["at"])
        kill = next(later, None)
        if kill is None:
            return None
        return max(0.0, (kill.at if kill.silent_at is None else kill.silent_at) - line["at"])


@dataclass(slots=True)
class Account:
    """The comparison. Every list names runs; those after `untold` have to be empty.

    Attributes:
        died: Runs whose process was killed under them, and that nothing ran again.
        found: Those of them that Huoyan says ended badly.
        unheard: Those that began so shortly before their process was killed that nobody could hear of it.
        untold: Runs that ended, and whose process was killed before it could say so.
        missed: Those of `died` that Huoyan takes for something else.
        false_losses: Runs that ended well and are said to be lost or failed.
        hanging: Runs shown as started though nothing runs them.
        absent: Runs that happened and that Huoyan does not know.
        invented: Runs said to have succeeded that never ended.
        absurd: Runs with a negative or impossible time.
        unsure: Runs that ended well, and of which Huoyan says that nobody could hear how they ended.
    """

    runs: int = 0
    died: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    unheard: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    false_losses: list[str] = field(default_factory=list)
    hanging: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    absurd: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[str]]:
        """What Huoyan said that is not true."""
        names = ("missed", "false_losses", "hanging", "absent", "invented", "absurd")
        return {name: found for name in names if (found := getattr(self, name))}

    @property
    def recall(self) -> float:
        """Share of the lost runs that could be heard of and that were found; 1 when there were none."""
        audible = len(self.died) - len(self.unheard)
        return len(self.found) / audible if audible else 1.0


def compare(
    diary: Sequence[Mapping[str, Any]],
    said: Iterable[Mapping[str, Any]],
    kills: Iterable[Kill],
    submitted: Iterable[str] = (),
    *,
    unheard_s: float = 0.0,
    tells: bool = True,
) -> Account:
    """Compare.

    Args:
        diary: Lines of the diary: run, what (`start`, `end` or `told`), pid, at.
        said: Runs as the API lists them.
        kills: Processes that were killed.
        submitted: Ids of runs that were asked for, whether or not they began.
        unheard_s: What a process said in this time before it was killed may have been lost with it, in seconds.
        tells: Whether the diary says when what watches the tasks has had its turn. Otherwise an end within `unheard_s`
            of the kill is excused.
    """
    killed = Killed(kills)
    known = {run["id"]: run for run in said}
    account = Account()
    lines: dict[str, list[Mapping[str, Any]]] = {run_id: [] for run_id in submitted}
    for line in diary:
        lines.setdefault(line["run"], []).append(line)
    account.runs = len(lines)
    for run_id, own in lines.items():
        _judge(account, run_id, own, known.get(run_id), killed, unheard_s, tells)
    for run in known.values():
        if _is_absurd(run):
            account.absurd.append(run["id"])
        if run["id"] not in lines and run["state"] == "succeeded":
            account.invented.append(run["id"])
    return account


def _judge(
    account: Account,
    run_id: str,
    own: Sequence[Mapping[str, Any]],
    run: Mapping[str, Any] | None,
    killed: Killed,
    unheard_s: float,
    tells: bool,
) -> None:
    state = None if run is None else str(run["state"])
    ends = [line for line in own if line["what"] == "end"]
    starts = sorted((line for line in own if line["what"] == "start"), key=lambda line: line["at"])
    if ends:
        told = {line["pid"] for line in own if line["what"] == "told"}
        if all(_cut_short(line, killed, told, unheard_s, tells) for line in ends) and state != "succeeded":
            account.untold.append(run_id)
            if tells and state not in ENDED_BADLY:
                # Its start was told, so that its process is gone is known of it.
                account.hanging.append(run_id)
        elif state is None:
            account.absent.append(run_id)
        elif state not in FINAL:
            account.hanging.append(run_id)
        elif state in ENDED_BADLY and run is not None and run.get("evidence") == "unknown":
            account.unsure.append(run_id)
        elif state in ENDED_BADLY:
            account.false_losses.append(run_id)
        return
    if state == "succeeded":
        account.invented.append(run_id)
        return
    if not starts:
        if state is None:
            account.absent.append(run_id)
        return
    last = starts[-1]
    survived_s = killed.after(last)
    if survived_s is None:
        return  # It goes on, or its worker ended it in an orderly way.
    account.died.append(run_id)
    if survived_s < unheard_s and (state is None or state not in FINAL | {"started"}):
        account.unheard.append(run_id)
    elif state in ENDED_BADLY:
        account.found.append(run_id)
    elif state is None:
        account.absent.append(run_id)
    else:
        account.missed.append(run_id)
        if state == "started":
            account.hanging.append(run_id)


def _cut_short(end: Mapping[str, Any], killed: Killed, told: Collection[int], unheard_s: float, tells: bool) -> bool:
    """Tell whether a process was killed before it could say how a run ended."""
    survived_s = killed.after(end)
    if survived_s is None:
        return False
    return end["pid"] not in told if tells else survived_s < unheard_s


def _is_absurd(run: Mapping[str, Any]) -> bool:
    spans = [run.get("wait_s"), run.get("duration_s"), *(attempt.get("duration_s") for attempt in run["attempts"])]
    return any(span is not None and not 0.0 <= span <= LONGEST_S for span in spans)
