"""Which values stand out among the marked (slow, failing) requests or runs: a host, a version, an argument. Pure.

The share of a value among the marked ones is compared with its share among the others. Its lift is the ratio of the
two. A value is named only when it has a good part of the marked ones, when its lift is worth speaking of, and when
chance does not explain it: the probability of at least as many of the marked ones having it, were they like the others,
by the binomial distribution. The share among the others is itself known from a sample, so its upper bound is taken
(Wilson 1927, "Probable inference, the law of succession, and statistical inference"), and the level is divided by the
number of values looked at (Bonferroni). A value that is different for each, as an id is, can never get that far.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

LEAST_MARKED = 5
LEAST_OTHERS = 20
LEAST_SHARE = 0.3
"""A value that fewer of the marked ones have is not named."""
LEAST_LIFT = 1.5
LEVEL = 0.01
_BOUND_Z = 2.58
"""Of the upper bound: 99.5 % one-sided."""
_MOST_NAMED = 5
_LEAST_SEEN = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """One request or run.

    Args:
        traits: What may set it apart: `host` → `host-1`, `argument region` → `eu`.
        marked: Whether it is one of those in question.
        weight: How many it stands for, where only some were kept.
    """

    traits: Mapping[str, str]
    marked: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Standout:
    """A value that more of the marked ones have than of the others.

    Args:
        share: Its share among the marked ones, 0 to 1.
        usual_share: Its share among the others.
        count: How many of the marked ones that were looked at have it.
    """

    name: str
    value: str
    share: float
    usual_share: float
    count: int

    @property
    def lift(self) -> float | None:
        """How many times its usual share it has; None when none of the others has it."""
        return self.share / self.usual_share if self.usual_share > 0.0 else None


@dataclass(slots=True)
class _Tally:
    marked: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)


def standouts(samples: Iterable[Sample], level: float = LEVEL) -> list[Standout]:
    """Return the values that stand out among the marked samples, the clearest first.

    Args:
        samples: Marked ones and others; both are fair samples of their kind once weighted.
        level: How probable it may be that chance alone makes any value stand out, default 0.01.
    """
    whole = _Tally()
    by_value: dict[tuple[str, str], _Tally] = defaultdict(_Tally)
    for sample in samples:
        for tally in (whole, *(by_value[trait] for trait in sample.traits.items())):
            (tally.marked if sample.marked else tally.others).append(sample.weight)
    if len(whole.marked) < LEAST_MARKED or len(whole.others) < LEAST_OTHERS:
        return []
    # What is rare among all says nothing either way; leaving it out does not depend on where it was seen.
    looked_at = {
        trait: tally for trait, tally in by_value.items() if len(tally.marked) + len(tally.others) >= _LEAST_SEEN
    }
    found = []
    for (name, value), tally in looked_at.items():
        share = sum(tally.marked) / sum(whole.marked)
        usual_share = sum(tally.others) / sum(whole.others)
        if share < LEAST_SHARE or share < LEAST_LIFT * usual_share:
            continue
        size = _effective(whole.marked)
        bound = _upper(usual_share, _effective(whole.others))
        if _at_least(math.floor(share * size), math.floor(size), bound) < level / len(looked_at):
            found.append(Standout(name, value, share, usual_share, len(tally.marked)))
    found.sort(key=lambda one: (one.usual_share - one.share, one.name, one.value))
    return found[:_MOST_NAMED]


def _effective(weights: Sequence[float]) -> float:
    """Return how many equal ones say as much (Kish 1965, "Survey Sampling")."""
    squares = sum(weight * weight for weight in weights)
    return sum(weights) ** 2 / squares if squares > 0.0 else 0.0


def _upper(share: float, size: float) -> float:
    square = _BOUND_Z * _BOUND_Z
    middle = share + square / (2 * size)
    spread = _BOUND_Z * math.sqrt(share * (1 - share) / size + square / (4 * size * size))
    return min(1.0, (middle + spread) / (1 + square / size))


def _at_least(count: int, size: int, probability: float) -> float:
    """Return the probability of `count` or more of `size`, each with the same probability."""
    if count <= 0 or probability >= 1.0:
        return 1.0
    logs = (math.log(probability), math.log1p(-probability))
    total = 0.0
    for k in range(count, size + 1):
        ways = math.lgamma(size + 1) - math.lgamma(k + 1) - math.lgamma(size - k + 1)
        total += math.exp(ways + k * logs[0] + (size - k) * logs[1])
    return min(1.0, total)
