"""What the slow and the failing requests or runs have in common: their hosts, versions, arguments and failing calls."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from huoyan.model.example import FAILED_KEPT, SAMPLED_KEPT, SLOWEST_KEPT, Example
from huoyan.model.lift import LEVEL, Sample, Standout, standouts
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


def of_requests(kept: Iterable[Example], cutoffs_s: Sequence[float]) -> Standouts:
    """Compare kept requests.

    Of each interval of a process only some are kept, so each stands for as many as there must have been: a random one
    for its part of all; of the slowest and the failing, when as many were kept as can be, for its part of those that
    were to be expected.

    Args:
        kept: All kept examples of one endpoint.
        cutoffs_s: From where on one is slow, in seconds, see `_first`; without any nobody is.
    """
    examples = list(kept)
    sampled = [one for one in examples if one.kind == "sampled"]
    well = [one for one in sampled if one.status < 500]
    seen = sum(weight(one, SAMPLED_KEPT) for one in sampled)
    failing = [one for one in examples if one.status >= 500]

    def usual(cutoff_s: float) -> list[Example]:
        return [one for one in well if one.duration_s < cutoff_s]

    def of_slow(cutoff_s: float, level: float) -> list[Standout]:
        slow = [one for one in examples if one.kind != "failed" and one.duration_s >= cutoff_s]
        return standouts(_samples(slow, usual(cutoff_s), SLOWEST_KEPT, _ratio(slow, seen), failing=False), level)

    unmarked = usual(cutoffs_s[0]) if cutoffs_s else well
    return Standouts(
        _first(of_slow, cutoffs_s),
        standouts(_samples(failing, unmarked, FAILED_KEPT, _ratio(failing, seen), failing=True)),
    )


def of_runs(ended_well: Sequence[Seen], failed: Sequence[Seen], cutoffs_s: Sequence[float]) -> Standouts:
    """Compare runs of one task.

    Args:
        ended_well: Runs that succeeded.
        failed: Runs that did not.
        cutoffs_s: From where on, wait included, one is slow, see `_first`; without any nobody is.
    """
    well = [((seen.duration_s or 0.0) + (seen.wait_s or 0.0), _of_run(run, seen)) for run, seen in ended_well]
    failing = [
        _of_run(run, seen) | _failing_calls(seen.attempts[-1].breakdown if seen.attempts else None)
        for run, seen in failed
    ]

    def of_slow(cutoff_s: float, level: float) -> list[Standout]:
        return standouts([Sample(traits, took_s >= cutoff_s) for took_s, traits in well], level)

    usual = [traits for took_s, traits in well if not cutoffs_s or took_s < cutoffs_s[0]]
    return Standouts(
        _first(of_slow, cutoffs_s),
        standouts([*(Sample(t, True) for t in failing), *(Sample(t, False) for t in usual)]),
    )


def _first(of_slow: Callable[[float, float], list[Standout]], cutoffs_s: Sequence[float]) -> list[Standout]:
    """Return what stands out above the first duration where anything does; each further one takes half the level.

    Five slow ones of one region of three say nothing, and twenty do.
    """
    for again, cutoff_s in enumerate(cutoffs_s):
        found = of_slow(cutoff_s, LEVEL / 2**again)
        if found:
            return found
    return []


def _samples(
    marked: Sequence[Example], usual: Sequence[Example], most: int, ratio: float, *, failing: bool
) -> list[Sample]:
    return [
        *(Sample(_of_request(one, failing), True, max(1.0, ratio * one.seen / most)) for one in marked),
        *(Sample(_of_request(one, failing), False, weight(one, SAMPLED_KEPT)) for one in usual),
    ]


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
