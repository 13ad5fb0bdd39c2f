"""Which schedule of which scheduler asked for a job.

RQ writes down for each name of a cron job which jobs it enqueued, but not who did: several schedulers may keep jobs of
one name, and one scheduler several. What a scheduler enqueues it enqueues just after the time that it writes down as
its last: by that they are told apart.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from huoyan.server.ingest.rq_cron_records import CronRecord

PATIENCE = 3
"""So many looks somebody may take to write down that a job is theirs."""
MOST_WAITING = 20_000


@dataclass(frozen=True, slots=True)
class Keeper:
    """A scheduler and one of its cron jobs."""

    scheduler: str
    job: CronRecord


@dataclass(slots=True)
class Enqueued:
    """A job that a cron job of this name enqueued.

    Args:
        at: When, seconds since 1970 UTC.
        looks: How often its keeper was looked for.
    """

    name: str
    job_id: str
    at: float
    looks: int = 0


@dataclass(slots=True)
class _Claim:
    at: float
    order: int
    keeper: Keeper
    looks: int = 0


class CronRuns:
    """Finds the keepers of jobs. Used by one thread."""

    def __init__(self) -> None:
        self._waiting: deque[Enqueued] = deque(maxlen=MOST_WAITING)
        self._claims: dict[str, list[_Claim]] = {}
        self._last: dict[tuple[str, str], float] = {}

    def written(self, scheduler: str, jobs: Sequence[CronRecord]) -> None:
        """Take what a scheduler wrote down of its jobs."""
        for order, job in enumerate(jobs):
            at = job.last_run_at
            if at is not None and self._last.get((scheduler, job.id)) != at:
                self._last[scheduler, job.id] = at
                self._claims.setdefault(job.name, []).append(_Claim(at, order, Keeper(scheduler, job)))

    def forget(self, scheduler: str) -> None:
        """Forget a scheduler that is gone; what it claims stays claimed."""
        self._last = {key: at for key, at in self._last.items() if key[0] != scheduler}

    def enqueued(self, jobs: Iterable[Enqueued]) -> None:
        """Take jobs that were enqueued."""
        self._waiting.extend(jobs)

    def settle(self, keepers: Mapping[str, Sequence[Keeper]]) -> list[tuple[Enqueued, Keeper | None]]:
        """Return the jobs whose keeper is found, and with None those that nobody claims.

        Args:
            keepers: Name → who keeps cron jobs of that name now.
        """
        by_name: dict[str, list[Enqueued]] = {}
        for one in self._waiting:
            by_name.setdefault(one.name, []).append(one)
        self._waiting.clear()
        found: list[tuple[Enqueued, Keeper | None]] = []
        for name, jobs in by_name.items():
            known = keepers.get(name, ())
            if len(known) == 1:
                found += [(one, known[0]) for one in jobs]
                self._claims.pop(name, None)
                continue
            claimed = self._claimed(name, jobs)
            for one in jobs:
                one.looks += 1
                keeper = claimed.get(one.job_id)
                if keeper is not None or one.looks >= PATIENCE:
                    found.append((one, keeper))
                else:
                    self._waiting.append(one)
        self._expire()
        return found

    def _claimed(self, name: str, jobs: list[Enqueued]) -> dict[str, Keeper]:
        """Give each claim the first job at or after its time that is nobody's yet."""
        left = sorted(jobs, key=lambda one: one.at)
        found: dict[str, Keeper] = {}
        unmet = []
        for claim in sorted(self._claims.pop(name, ()), key=lambda one: (one.at, one.order)):
            place = next((n for n, one in enumerate(left) if one.at >= claim.at), None)
            if place is None:
                unmet.append(claim)
            else:
                found[left.pop(place).job_id] = claim.keeper
        if unmet:
            self._claims[name] = unmet
        return found

    def _expire(self) -> None:
        """Give up claims whose job was never seen: the record is kept for a thousand jobs only."""
        for name, claims in list(self._claims.items()):
            for claim in claims:
                claim.looks += 1
            self._claims[name] = [claim for claim in claims if claim.looks < PATIENCE]
            if not self._claims[name]:
                del self._claims[name]
