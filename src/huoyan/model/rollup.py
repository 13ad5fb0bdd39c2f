"""What is counted of runs: facts of a view, their differences, and the rollups they add up to."""

from dataclasses import dataclass, field
from typing import NamedTuple

from huoyan.model.histogram import Histogram


class Series(NamedTuple):
    """What is counted together."""

    service: str
    task: str
    queue: str


@dataclass(slots=True)
class Rollup:
    """Counts and distributions of one series over some time.

    Attributes:
        finished: Final state → runs that entered it.
        exceptions: Exception type → runs that failed with it.
        durations: Outcome of the attempt → durations in seconds.
        waits: Time from enqueued (or due) to the first start, in seconds.
    """

    enqueued: int = 0
    started: int = 0
    retries: int = 0
    finished: dict[str, int] = field(default_factory=dict)
    exceptions: dict[str, int] = field(default_factory=dict)
    durations: dict[str, Histogram] = field(default_factory=dict)
    waits: Histogram | None = None
