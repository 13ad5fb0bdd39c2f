"""Since when everything there is to hear was heard: silence before that says nothing."""

import math
from collections.abc import Iterable

from huoyan.server.store import Gap

LOOK_BACK_S = 3600.0


def heard_from(gaps: Iterable[Gap]) -> float:
    """Return the end of the last gap, seconds since 1970 UTC; infinity while one is open, 0 without any.

    Args:
        gaps: Those of the last hour at least.
    """
    return max((math.inf if gap.ended_at is None else gap.ended_at for gap in gaps), default=0.0)
