"""What each of several spans of time that overlap has of the time that they cover together."""

from collections.abc import Iterable, Sequence
from itertools import pairwise


def shares(spans: Sequence[tuple[float, float]]) -> list[float]:
    """Return the wall time of each span that belongs to it: where k spans overlap, each gets the k-th part.

    Args:
        spans: (start, end), in any order and one unit.

    Returns:
        The shares in the same order. They are not negative, and their sum is the time that the spans cover together.
    """
    if all(end <= start for (_, end), (start, _) in pairwise(spans)):
        return [max(0.0, end - start) for start, end in spans]
    # earned[t] is what a span that is open all the time has got until t; a span gets what was earned while it was open.
    changes = sorted(_changes(spans))
    earned: dict[float, float] = {}
    active, sum_s, last = 0, 0.0, changes[0][0] if changes else 0.0
    for at, change in changes:
        if active and at > last:
            sum_s += (at - last) / active
        last = at
        active += change
        earned[at] = sum_s
    return [max(0.0, earned[end] - earned[start]) if end > start else 0.0 for start, end in spans]


def _changes(spans: Iterable[tuple[float, float]]) -> Iterable[tuple[float, int]]:
    for start, end in spans:
        if end > start:
            yield start, 1
            yield end, -1
