"""What the slow and the failing requests or runs have in common: their hosts, versions, arguments and failing calls."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huoyan.model.example import FAILED_KEPT, SAMPLED_KEPT, SLOWEST_KEPT, Example
from huoyan.model.lift import Sample, Standout, standouts
from huoyan.model.run import Run, RunView
from huoyan.server.collect.cause_wording import FAILED_CALL

_MOST_CHARS = 120
_MOST_ARGUMENTS = 30

Seen = tuple[Run, RunView]


@dataclass(frozen=True, slots=True)
class Standouts:
    """Values that stand out.

    Args:
        slow: Among the slow ones.
        failing: Among those that failed.
    """

    slow: Sequence[Standout] = ()
    failing: Sequence[Standout] = ()


def of_requests(kept: Iterable[Example], cutoff_s: float | None) -> Standouts:
    """Compare kept requests.

    Of each interval of a process only some are kept, so each stands for as many as there must have been: a random one
    for its part of all; of the slowest and the failing, when as many were kept as can be, for its part of those that
    were to be expected.

    Args:
        kept: All kept examples of one endpoint.
        cutoff_s: From here on one is slow, in seconds; None: nobody is.
    """
    examples = list(kept)
    sampled = [one for one in examples if one.kind == "sampled"]
    usual = [one for one in sampled if one.status < 500 and (cutoff_s is None or one.duration_s < cutoff_s)]
    seen = sum(weight(one, SAMPLED_KEPT) for one in sampled)
    slow: list[Example] = []
    if cutoff_s is not None:
        slow = [one for one in examples if one.kind != "failed" and one.duration_s >= cutoff_s]
    failing = [one for one in examples if one.status >= 500]
    return Standouts(
        _standouts(slow, usual, SLOWEST_KEPT, _ratio(slow, seen), failing=False),
        _standouts(failing, usual, FAILED_KEPT, _ratio(failing, seen), failing=True),
    )


def of_runs(ended_well: Sequence[Seen], failed: Sequence[Seen], cutoff_s: float | None) -> Standouts:
    """Compare runs of one task.

    Args:
        ended_well: Runs that succeeded.
        failed: Runs that did not.
        cutoff_s: From this duration on, wait included, one is slow; None: nobody is.
    """
    slow: list[dict[str, str]] = []
    usual: list[dict[str, str]] = []
    for run, seen in ended_well:
        took_s = (seen.duration_s or 0.0) + (seen.wait_s or 0.0)
        (slow if cutoff_s is not None and took_s >= cutoff_s else usual).append(_of_run(run, seen))
    failing = [
        _of_run(run, seen) | _failing_calls(seen.attempts[-1].breakdown if seen.attempts else None)
        for run, seen in failed
    ]
    return Standouts(
        standouts([*(Sample(t, True) for t in slow), *(Sample(t, False) for t in usual)]),
        standouts([*(Sample(t, True) for t in failing), *(Sample(t, False) for t in usual)]),
    )


def _standouts(
    marked: Sequence[Example], usual: Sequence[Example], most: int, ratio: float, *, failing: bool
) -> list[Standout]:
    return standouts(
        [
            *(Sample(_of_request(one, failing), True, max(1.0, ratio * one.seen / most)) for one in marked),
            *(Sample(_of_request(one, failing), False, weight(one, SAMPLED_KEPT)) for one in usual),
        ]
    )


def weight(example: Example, kept: int) -> float:
    """Return how many requests an example stands for, of which a process keeps so many of each interval."""
    return max(1.0, example.seen / kept)


def _ratio(marked: Sequence[Example], seen: float) -> float:
    return min(1.0, len(marked) / seen) if seen > 0.0 else 0.0


def _of_request(example: Example, failing: bool) -> dict[str, str]:
    traits = {name: value[:_MOST_CHARS] for name, value in example.labels.items() if value}
    if failing:
        traits |= _failing_calls(example.breakdown)
    return traits


def _failing_calls(breakdown: Any) -> dict[str, str]:
    parts = breakdown.get("parts") if isinstance(breakdown, Mapping) else None
    calls = {}
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, Mapping) and isinstance(part.get("errors"), int) and part["errors"] > 0:
            name = " ".join(str(part[key]) for key in ("component", "operation", "target") if part.get(key))
            calls[f"{FAILED_CALL}{name}"[:_MOST_CHARS]] = "yes"
    return calls


def _of_run(run: Run, seen: RunView) -> dict[str, str]:
    traits = {"worker": seen.worker, "queue": seen.queue, **run.labels}
    for name, value in _arguments(run):
        text = "" if isinstance(value, list | dict) else str(value)
        if text:
            traits[f"argument {name}"] = text
    return {name: value[:_MOST_CHARS] for name, value in traits.items() if value}


def _arguments(run: Run) -> list[tuple[str, Any]]:
    """Return the arguments that came as values; as a text of all of them they cannot be told apart."""
    placed = [(str(place + 1), value) for place, value in enumerate(run.args)] if isinstance(run.args, list) else []
    named = list(run.kwargs.items()) if isinstance(run.kwargs, dict) else []
    return [*placed, *((str(name), value) for name, value in named)][:_MOST_ARGUMENTS]
