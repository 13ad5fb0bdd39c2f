"""What slow requests or runs do differently from typical ones. Pure.

For every part of the breakdown (a component, operation and target) the time that it covers in the slow ones is compared
with the time that it covers in the typical ones. The excess of a part is the difference of the means; its share is its
excess in the sum of all excesses. A part is accused only when three things hold: there are enough of both kinds, the
excess is worth speaking of (a part that merely varies is greater in the slow ones too, see OUTSTANDING), and chance
does not explain it. The last is a rank test (Mann and Whitney 1947, "On a test of whether one of two random variables
is stochastically larger than the other"; exact for few cases, with the normal approximation and the correction for ties
for many), its level divided by the number of parts (Bonferroni), so that noise accuses nobody.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

LEAST_SLOW = 5
LEAST_TYPICAL = 10
LEAST_SHARE = 0.1
"""A part with less of the excess than this is not named."""
LEAST_EXCESS = 0.25
"""The slow ones have to take at least this much longer than the typical ones, as a share of the typical time, and"""
LEAST_EXCESS_S = 0.005
"""at least this many seconds longer."""
OUTSTANDING = 6.0
"""In a slow one a part has to cover this many times what it covers in a typical one. The slow ones are chosen by their
duration, so every part that varies is greater in them, and that is no cause: a lognormal one with a sigma of 0.6 about
four times in the slowest 1 %, an exponential one six times. What varies more has to stand out by more, up to"""
MOST_OUTSTANDING = 9.0
"""this, and what explains half of the excess by itself by less, down to"""
LEAST_OUTSTANDING = 3.0
"""this, when it is steady otherwise and grew by far more than all the rest: a busy machine slows everything."""
_HALF = 0.5
_ALONE = 2.5
"""It has to have grown so many times as much as the rest."""
_WIDE, _STEADY = 1.5, 2.0
"""Factors above what mere variation makes of a part, to ask for more and to be content with less."""
LEVEL = 0.001
_LOOKS = 3
"""How often a half of the slow ones is compared at most, the first look at all of them included."""
_OWN = ("own code", "", "")
_EVIDENCE = 5
_MOST_CAUSES = 8
_MOST_PARTS = 10

_EXACT_UP_TO = 1000
"""Up to this product of both numbers the rank test is exact; the normal distribution hides what few cases show."""

Key = tuple[str, str, str]
"""Component, operation and target."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request or run.

    Args:
        id: By which it is found again.
        duration_s: How long it took, in seconds.
        parts: Seconds that each part covers; they add up to the duration.
        longest_s: The longest single call of each part, in seconds.
        slow: Whether it is one of the slow ones.
    """

    id: str
    duration_s: float
    parts: Mapping[Key, float]
    longest_s: Mapping[Key, float] = field(default_factory=dict)
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that slow ones spend more time on.

    Args:
        share: Its part of what the slow ones take more, 0 to 1.
        slow_s: Seconds it covers in a slow one, on average.
        typical_s: Seconds it covers in a typical one, on average.
        p99_s: 99 % of its calls took at most this long; None when calls are not known apart.
        others_p99_s: The same of all other targets of the component.
        evidence: The slow ones that show it best, the clearest first.
        longest_s: The longest single call in a slow one, on average, in seconds.
    """

    component: str
    operation: str
    target: str
    share: float
    slow_s: float
    typical_s: float
    p99_s: float | None = None
    others_p99_s: float | None = None
    evidence: tuple[str, ...] = ()
    longest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of the breakdown takes in a slow one and in a typical one, on average, in seconds."""

    component: str
    operation: str
    target: str
    slow_s: float
    typical_s: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found, and out of how much.

    Args:
        verdict: `found`, or why nothing is: `few` (not enough seen), `even` (the slow ones are not much slower),
            `unclear` (they are, and nothing measured explains it).
        slow: How many slow ones were compared with how many `typical` ones.
        parts: What both are made of, what takes longest first; what is too little to be seen is in `other`.
    """

    causes: tuple[Cause, ...]
    verdict: str
    slow: int
    typical: int
    slow_mean_s: float | None = None
    typical_mean_s: float | None = None
    parts: tuple[Part, ...] = ()


def case_of(case_id: str, duration_s: float, breakdown: Any, waited_s: float = 0.0) -> Case:
    """Read a breakdown as it was told; what cannot be read of it counts as own code.

    Args:
        case_id: By which it is found again.
        duration_s: How long it took, in seconds.
        breakdown: See `huoyan.model.example.Example`.
        waited_s: Time in the queue before it, in seconds.
    """
    parts: dict[Key, float] = {}
    longest: dict[Key, float] = {}
    told = breakdown.get("parts") if isinstance(breakdown, Mapping) else None
    for part in told if isinstance(told, list) else ():
        if not isinstance(part, Mapping):
            continue
        key = (_text(part, "component"), _text(part, "operation"), _text(part, "target"))
        covered_s = _seconds(part, "covered_s")
        if key[0] and covered_s is not None:
            parts[key] = parts.get(key, 0.0) + covered_s
            longest[key] = max(longest.get(key, 0.0), _seconds(part, "max_s") or 0.0)
    if waited_s > 0.0:
        parts["queue", "wait", ""] = waited_s
    covered_s = sum(parts.values()) - waited_s
    parts[_OWN] = max(0.0, duration_s - covered_s)
    return Case(case_id, duration_s + max(0.0, waited_s), parts, longest)


def causes_of(cases: Sequence[Case]) -> Findings:
    """Compare the slow cases with the others; when no call explains them, the slower half of them, and so once more.

    What became slow a moment ago is among the slow ones with all that has always been a little slow, and far slower
    than those. Looking again takes more evidence: half the level, and twice of what a part has to stand out by.

    Args:
        cases: Slow and typical ones; the typical ones are a fair sample.
    """
    found = _compare(cases, LEVEL, 1.0)
    typical = [case for case in cases if not case.slow]
    slow = sorted((case for case in cases if case.slow), key=lambda case: -case.duration_s)
    for again in range(1, _LOOKS):
        slow = slow[: len(slow) // 2]
        if len(slow) < LEAST_SLOW or found.verdict not in ("found", "unclear") or _names_a_call(found):
            break
        closer = _compare([*slow, *typical], LEVEL / 2**again, 2.0**again)
        if _names_a_call(closer):
            return closer
    return found


def _names_a_call(findings: Findings) -> bool:
    return any(cause.component != _OWN[0] for cause in findings.causes)


def _compare(cases: Sequence[Case], level: float, outstanding: float) -> Findings:
    # `outstanding`: how many times what is asked of a part else.
    slow = [case for case in cases if case.slow]
    typical = [case for case in cases if not case.slow]
    if len(slow) < LEAST_SLOW or len(typical) < LEAST_TYPICAL:
        return Findings((), "few", len(slow), len(typical))
    slow_mean_s, typical_mean_s = _mean(slow), _mean(typical)
    excess_s = slow_mean_s - typical_mean_s
    parts = _parts(slow, typical)
    found = Findings((), "even", len(slow), len(typical), slow_mean_s, typical_mean_s, parts)
    if excess_s < max(LEAST_EXCESS_S, LEAST_EXCESS * typical_mean_s):
        return found
    keys = sorted({key for case in cases for key in case.parts})
    excesses = {key: _covered(slow, key) - _covered(typical, key) for key in keys}
    whole_s = sum(excess for excess in excesses.values() if excess > 0.0)
    causes = [
        _cause(key, excesses[key] / whole_s, slow, typical)
        for key in keys
        if excesses[key] > 0.0
        and _covered(slow, key)
        >= outstanding * _standing_out(key, excesses[key] / whole_s, slow, typical) * _covered(typical, key)
        and excesses[key] / whole_s >= LEAST_SHARE
        and rank_test([c.parts.get(key, 0.0) for c in slow], [c.parts.get(key, 0.0) for c in typical])
        < level / len(keys)
    ]
    causes.sort(key=lambda cause: (-cause.share, cause.component, cause.operation, cause.target))
    verdict = "found" if causes else "unclear"
    named = tuple(causes[:_MOST_CAUSES])
    return Findings(named, verdict, len(slow), len(typical), slow_mean_s, typical_mean_s, parts)


def rank_test(greater: Sequence[float], smaller: Sequence[float]) -> float:
    """Return the probability that chance alone puts the values of `greater` so far above those of `smaller`."""
    n, m = len(greater), len(smaller)
    if not n or not m:
        return 1.0
    values = sorted([*((value, True) for value in greater), *((value, False) for value in smaller)])
    rank_sum, ties, place = 0.0, 0.0, 0
    while place < len(values):
        end = place
        while end < len(values) and values[end][0] == values[place][0]:
            end += 1
        same = end - place
        rank_sum += sum(mark for _, mark in values[place:end]) * (place + 1 + end) / 2
        ties += same**3 - same
        place = end
    u = rank_sum - n * (n + 1) / 2
    if n * m <= _EXACT_UP_TO:
        return _chances(n, m)[math.floor(u)]
    total = n + m
    variance = n * m / 12 * ((total + 1) - ties / (total * (total - 1)))
    if variance <= 0.0:
        return 1.0
    return 0.5 * math.erfc((u - n * m / 2 - 0.5) / math.sqrt(2 * variance))


@lru_cache(maxsize=256)
def _chances(n: int, m: int) -> tuple[float, ...]:
    """Return for each value of U the probability that chance alone makes it so great or greater; ties make it less.

    How many of all orders have which U says the Gaussian binomial coefficient (Mann and Whitney 1947): the product of
    (1 - q^(m+i)) / (1 - q^i) for i from 1 to n.
    """
    counts = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for power in range(n * m, m + i - 1, -1):
            counts[power] -= counts[power - m - i]
        for power in range(i, n * m + 1):
            counts[power] += counts[power - i]
    whole, tail, chances = math.comb(n + m, n), 0, [0.0] * (n * m + 1)
    for u in range(n * m, -1, -1):
        tail += counts[u]
        chances[u] = tail / whole
    return tuple(chances)


def _standing_out(key: Key, share: float, slow: Sequence[Case], typical: Sequence[Case]) -> float:
    """Return how many times of what a part covers in a typical one it has to cover in a slow one; see OUTSTANDING."""
    values = sorted(case.parts.get(key, 0.0) for case in typical)
    low, middle, high, top = (values[int(place * len(values))] for place in (0.25, 0.5, 0.75, 0.9))
    if low <= 0.0:
        return OUTSTANDING
    # Of a lognormal distribution, from its quartiles; 1.349 and 1.282 are the distances of the normal one.
    sigma = math.log(high / low) / 1.349
    least = min(max(OUTSTANDING, _WIDE * _tail(sigma)), MOST_OUTSTANDING)
    typical_s, slow_s = _covered(typical, key), _covered(slow, key)
    rest = (_mean(slow) - slow_s) / max(1e-9, _mean(typical) - typical_s)
    if share < _HALF or slow_s < _ALONE * rest * typical_s:
        return least
    steady = _STEADY * _tail(max(sigma, math.log(top / middle) / 1.282))
    return min(least, max(LEAST_OUTSTANDING, steady))


def _tail(sigma: float) -> float:
    """Return how many times the mean of a lognormal distribution the mean of its greatest 1 % is."""
    return 0.5 * math.erfc((2.326 - sigma) / math.sqrt(2)) / 0.01


def _cause(key: Key, share: float, slow: Sequence[Case], typical: Sequence[Case]) -> Cause:
    component, operation, target = key
    clearest = sorted(slow, key=lambda case: -case.parts.get(key, 0.0))[:_EVIDENCE]
    return Cause(
        component=component,
        operation=operation,
        target=target,
        share=share,
        slow_s=_covered(slow, key),
        typical_s=_covered(typical, key),
        evidence=tuple(case.id for case in clearest),
        longest_s=sum(case.longest_s.get(key, 0.0) for case in slow) / len(slow),
    )


def _parts(slow: Sequence[Case], typical: Sequence[Case]) -> tuple[Part, ...]:
    keys = {key for case in (*slow, *typical) for key in case.parts}
    every = [Part(*key, _covered(slow, key), _covered(typical, key)) for key in keys]
    # What the client already summed up as `other` goes with the rest.
    every.sort(
        key=lambda part: (
            part.component == "other",
            -max(part.slow_s, part.typical_s),
            part.component,
            part.operation,
            part.target,
        )
    )
    told = every if len(every) <= _MOST_PARTS else every[: _MOST_PARTS - 1]
    rest = every[len(told) :]
    if rest:
        told.append(Part("other", "", "", sum(part.slow_s for part in rest), sum(part.typical_s for part in rest)))
    return tuple(told)


def _covered(cases: Sequence[Case], key: Key) -> float:
    return sum(case.parts.get(key, 0.0) for case in cases) / len(cases)


def _mean(cases: Iterable[Case]) -> float:
    durations = [case.duration_s for case in cases]
    return sum(durations) / len(durations)


def _text(part: Mapping[str, Any], name: str) -> str:
    value = part.get(name)
    return value[:200] if isinstance(value, str) else ""


def _seconds(part: Mapping[str, Any], name: str) -> float | None:
    value = part.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None
