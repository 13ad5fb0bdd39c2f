"""What slow requests or runs do differently from typical ones. Pure.

For every part of the breakdown (a component, operation and target) the time that it covers in the slow ones is compared
with the time that it covers in the typical ones. The excess of a part is the difference of the means; its share is its
excess in the sum of all excesses. A part is accused only when four things hold:

- there are enough of both kinds, and the excess is worth speaking of;
- chance does not explain that it is greater: a rank test (Mann and Whitney 1947, "On a test of whether one of two
  random variables is stochastically larger than the other"; exact for few cases, with the normal approximation and the
  correction for ties for many), its level divided by the number of parts (Bonferroni); or, where only some of the slow
  ones have it, how many of them exceed a high value (after Rosenbaum 1954, "Tables for a nonparametric test of
  location");
- chance does not explain how much greater it is. The slow ones are chosen by their duration, so whatever varies is
  greater in them, see `huoyan.model.tail`;
- it grew by more than all the rest: a busy machine slows everything.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from huoyan.model.chance import exceedance_test, rank_test
from huoyan.model.tail import Tail

LEAST_SLOW = 5
LEAST_TYPICAL = 10
LEAST_SHARE = 0.1
"""A part with less of the excess than this is not named."""
LEAST_EXCESS = 0.25
"""The slow ones have to take at least this much longer than the typical ones, as a share of the typical time, and"""
LEAST_EXCESS_S = 0.005
"""at least this many seconds longer."""
LEAST_GROWTH = 2.5
"""In a slow one a part has to cover this many times what it covers in a typical one, and to have grown so many times as
much as the rest."""
LEVEL = 0.001
_CLEAR, _FEWEST_CLEAR = 5, 2
"""One of so many slow ones, and two at least, have to be beyond what chance explains: there may be several causes."""
_STEPS = 8
"""Among slow and typical ones together an eighth more is looked at each time: a cause may have any number of them."""
_REST = 0.25
"""Of the rest what grew least counts, this share of it: another cause is none of what everything else did."""
_LEAST_REST = 0.1
"""A rest with less of the typical time than this says nothing."""
_RARE, _EXPLAINED = 0.5, 0.5
"""A call that at most so many of the typical ones make, and so much of what it takes in slow ones explained by that."""
_LOOKS = 5
"""How often a half of the slow ones is compared at most, the first look at all of them included: from 80 to 5."""
_OWN = ("own code", "", "")
_EVIDENCE = 5
_MOST_CAUSES = 8
_MOST_PARTS = 10

_TENTH = 10
"""As many times its probability the second test of chance counts, see `_by_chance`."""

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
        p99_s: 99 % of its calls took at most this long; where they are not `measured`, 99 % of the slow ones spend at
            most so many seconds on it.
        measured: Whether its calls are measured, and not the slow ones looked at.
        others_p99_s: The same of all other targets of the component, where they are measured.
        evidence: The slow ones that show it best, the clearest first.
        longest_s: The longest single call in a slow one, on average, in seconds.
    """

    component: str
    operation: str
    target: str
    share: float
    slow_s: float
    typical_s: float
    p99_s: float
    measured: bool = False
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
            `alike` (they are, and everything they are made of grew alike), `unclear` (they are, and nothing measured
            explains it).
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


def causes_of(cases: Sequence[Case], population: int = 0) -> Findings:
    """Compare the slow cases with the others; when no call explains them, the slower half of them, and so on.

    What became slow a moment ago is among the slow ones with all that has always been a little slow, and far slower
    than those. Looking again takes more evidence: half the level.

    Args:
        cases: Slow and typical ones; the typical ones are a fair sample.
        population: Of how many the slow ones are the slowest; by default of those that are given.
    """
    population = max(population, len(cases))
    typical = [case for case in cases if not case.slow]
    slow = sorted((case for case in cases if case.slow), key=lambda case: -case.duration_s)
    among = _Among(population, len(slow) / max(1, population - len(slow)))
    found = _compare(cases, among, LEVEL)
    for again in range(1, _LOOKS):
        half = max(LEAST_SLOW, len(slow) // 2)
        if len(slow) <= half or found.verdict in ("few", "even") or _names_a_call(found):
            break
        slow = slow[:half]
        closer = _compare([*slow, *typical], among, LEVEL / 2**again)
        if _names_a_call(closer):
            return closer
    return found


def _names_a_call(findings: Findings) -> bool:
    return any(cause.component != _OWN[0] for cause in findings.causes)


class _Among(NamedTuple):
    """Of how many the slow ones are the slowest, and how many are slow for each that is not."""

    population: int
    slow: float


def _compare(cases: Sequence[Case], among: _Among, level: float) -> Findings:
    slow = [case for case in cases if case.slow]
    typical = [case for case in cases if not case.slow]
    if len(slow) < LEAST_SLOW or len(typical) < LEAST_TYPICAL:
        return _uncompared(cases, len(slow), len(typical))
    slow_mean_s, typical_mean_s = _mean(slow), _mean(typical)
    parts = _parts(slow, typical)

    def findings(verdict: str, causes: tuple[Cause, ...] = ()) -> Findings:
        return Findings(causes, verdict, len(slow), len(typical), slow_mean_s, typical_mean_s, parts)

    if not _worth_speaking_of(slow_mean_s, typical_mean_s):
        return findings("even")
    every = [_seen(key, slow, typical) for key in sorted({key for case in cases for key in case.parts})]
    whole_s = sum(max(0.0, one.slow_s - one.typical_s) for one in every)
    causes, alike = [], False
    for one in every:
        share = (one.slow_s - one.typical_s) / whole_s
        if share < LEAST_SHARE or not _stands_out(one, among):
            continue
        if _by_chance(one) >= level / len(every):
            continue
        if one.slow_s < LEAST_GROWTH * _growth_of_the_rest(one, every) * one.typical_s:
            alike = True
            continue
        causes.append(_cause(one, share, slow))
    causes.sort(key=lambda cause: (-cause.share, cause.component, cause.operation, cause.target))
    if causes:
        return findings("found", tuple(causes[:_MOST_CAUSES]))
    return findings("alike" if alike else "unclear")


def _worth_speaking_of(slow_s: float, typical_s: float) -> bool:
    return slow_s - typical_s >= max(LEAST_EXCESS_S, LEAST_EXCESS * typical_s)


def _uncompared(cases: Sequence[Case], slow: int, typical: int) -> Findings:
    """Tell whether nobody is set apart because too few were seen, or because all take about the same time."""
    if len(cases) >= LEAST_SLOW + LEAST_TYPICAL:
        ordered = sorted(cases, key=lambda case: -case.duration_s)
        longest = max(LEAST_SLOW, len(ordered) // 10)
        longest_s, rest_s = _mean(ordered[:longest]), _mean(ordered[longest:])
        if not _worth_speaking_of(longest_s, rest_s):
            return Findings((), "even", slow, typical, longest_s, rest_s)
    return Findings((), "few", slow, typical)


class _Seen(NamedTuple):
    """What is seen of one part: seconds in each slow and each typical one, the means, and the slow ones in order."""

    key: Key
    slow: Sequence[float]
    typical: Sequence[float]
    slow_s: float
    typical_s: float
    slowest: Sequence[float]


def _seen(key: Key, slow: Sequence[Case], typical: Sequence[Case]) -> _Seen:
    in_slow = [case.parts.get(key, 0.0) for case in slow]
    in_typical = [case.parts.get(key, 0.0) for case in typical]
    means = sum(in_slow) / len(in_slow), sum(in_typical) / len(in_typical)
    return _Seen(key, in_slow, in_typical, *means, sorted(in_slow, reverse=True))


def _by_chance(part: _Seen) -> float:
    """Return the probability that chance alone makes the part so much greater in all, or in some, of the slow ones.

    Where several causes share the slow ones, or half of them are slow for no reason, ranks alone say little; how many
    are above a high value then says more. That adds a tenth to the level.
    """
    counts = list(_rising(_FEWEST_CLEAR, len(part.slow)))
    some = min(exceedance_test(part.slow, part.typical, part.slowest[count - 1]) for count in counts)
    return min(rank_test(part.slow, part.typical), _TENTH * len(counts) * some)


def _places(part: _Seen) -> list[int]:
    """Return how many of the slow ones have to be beyond what chance explains, each of which is enough."""
    return [max(_FEWEST_CLEAR, -(-len(part.slow) * times // _CLEAR)) for times in range(1, _CLEAR + 1)]


def _rising(count: int, most: int, part: int = 2) -> Iterator[int]:
    """Count upward by a part of what was reached, default half."""
    while count <= most:
        yield count
        count += max(1, count // part)


def _stands_out(part: _Seen, among: _Among) -> bool:
    """Tell whether chance does not explain how much greater a part is in the slow ones."""
    tail = Tail(part.typical, among.slow)
    places = _places(part)
    group = tail.group()
    if group is not None and part.slowest[places[0] - 1] >= group:
        # What has the same cause is among the typical ones, too, however many they are.
        usual = [each for each in part.typical if each < group]
        return part.slow_s >= LEAST_GROWTH * sum(usual) / len(usual)
    if part.slow_s < LEAST_GROWTH * part.typical_s:
        return False
    beyond = any(tail.beyond(part.slowest[:place], among.population) for place in places)
    beyond = beyond or _with_typical(tail, part, among.population)
    return beyond or not tail.known or _is_made_by_slow_ones(part)


def _with_typical(tail: Tail, part: _Seen, population: int) -> bool:
    """Tell the same of more than the slow ones: what has the same cause stands among the typical ones, too, and is
    among the greatest of all wherever it stands."""
    every = sorted((*part.slow, *part.typical), reverse=True)
    least = part.slowest[_places(part)[0] - 1]
    return any(
        every[count - 1] <= least and every[count - 1] > tail.reach_of(count, population)
        for count in _rising(len(part.slow), len(every) // 10, _STEPS)
    )


def _is_made_by_slow_ones(part: _Seen) -> bool:
    """Tell whether slow ones make a call, as long as ever, that typical ones mostly do not make."""
    usual = [value for value in part.typical if value > 0.0]
    share = len(usual) / len(part.typical)
    if not usual or share > _RARE:
        return False
    more = sum(value > 0.0 for value in part.slow) / len(part.slow) - share
    return more * sum(usual) / len(usual) >= _EXPLAINED * (part.slow_s - part.typical_s)


def _growth_of_the_rest(part: _Seen, every: Sequence[_Seen]) -> float:
    """Return how many times as long as in a typical one the rest takes in a slow one, what grew least of it; 1 when
    there is no rest to speak of."""
    rest = [one for one in every if one is not part and one.typical_s > 0.0]
    whole_s = sum(one.typical_s for one in rest)
    if whole_s < _LEAST_REST * (whole_s + part.typical_s):
        return 1.0
    rest.sort(key=lambda one: one.slow_s / one.typical_s)
    slow_s = typical_s = 0.0
    for one in rest:
        # No more than that share: what goes beyond it may be another cause.
        counted_s = min(one.typical_s, _REST * whole_s - typical_s)
        if counted_s <= 0.0:
            break
        slow_s += one.slow_s * counted_s / one.typical_s
        typical_s += counted_s
    return slow_s / typical_s if typical_s > 0.0 else 1.0


def _cause(part: _Seen, share: float, slow: Sequence[Case]) -> Cause:
    component, operation, target = part.key
    clearest = sorted(slow, key=lambda case: -case.parts.get(part.key, 0.0))[:_EVIDENCE]
    return Cause(
        component=component,
        operation=operation,
        target=target,
        share=share,
        slow_s=part.slow_s,
        typical_s=part.typical_s,
        p99_s=part.slowest[len(part.slowest) // 100],
        evidence=tuple(case.id for case in clearest),
        longest_s=sum(case.longest_s.get(part.key, 0.0) for case in slow) / len(slow),
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
