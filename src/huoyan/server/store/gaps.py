"""Times in which ingest was cut: what happened then may never have been heard."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, and_, delete, insert, or_, select, update

from huoyan.server.store.schema.watched import gaps, listening
from huoyan.server.store.upsert import replace_into

_WORKER = "worker "


def source_of(worker: str) -> str:
    """Return the source of the gaps of one worker, which was heard, but not all that it said."""
    return f"{_WORKER}{worker}"


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without ears. `source` names what was cut (`celery redis://host/0`, `server`) or who said what nobody
    heard (`worker …`); `ended_at` None: it still is.
    """

    id: int
    source: str
    started_at: float
    ended_at: float | None
    reason: str

    @property
    def of_a_worker(self) -> bool:
        """Whether only something that one worker said is missing."""
        return self.source.startswith(_WORKER)


class GapStore:
    """The table of gaps."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self, source: str, at: float, reason: str) -> int:
        """Note that `source` fell silent at `at` and return the gap's number; one gap per source is open at most."""
        with self._engine.begin() as connection:
            # A write comes first, so that two who open the gap at once wait for each other.
            connection.execute(update(gaps).where(_open_gap(source)).values(source=source))
            present = connection.execute(select(gaps.c.id).where(_open_gap(source))).scalar()
            if present is not None:
                return int(present)
            key = connection.execute(
                insert(gaps).values(source=source, started_at=at, reason=reason)
            ).inserted_primary_key
        assert key is not None
        return int(key[0])

    def close(self, source: str, at: float) -> Gap | None:
        """End the open gap of `source` at `at`, if there is one, and return it."""
        with self._engine.begin() as connection:
            row = connection.execute(
                update(gaps).where(_open_gap(source)).values(ended_at=at).returning(*gaps.c)
            ).one_or_none()
            return None if row is None else _gap(row)

    def note(self, source: str, started_at: float, ended_at: float, reason: str) -> None:
        """Store a gap that is over. It becomes one with those of the same source that it touches: it may be told again,
        or as longer than before."""
        touching = and_(gaps.c.source == source, gaps.c.started_at <= ended_at, gaps.c.ended_at >= started_at)
        with self._engine.begin() as connection:
            # A write comes first, so that two who note it at once wait for each other.
            connection.execute(update(gaps).where(touching).values(source=source))
            present = connection.execute(select(gaps).where(touching)).all()
            if present:
                connection.execute(delete(gaps).where(gaps.c.id.in_([row.id for row in present])))
            row = {
                "source": source,
                "started_at": min([started_at, *(row.started_at for row in present)]),
                "ended_at": max([ended_at, *(row.ended_at for row in present)]),
                "reason": reason,
            }
            connection.execute(insert(gaps).values(row))

    def list(
        self,
        since: float | None = None,
        until: float | None = None,
        *,
        source: str | None = None,
        workers: bool = True,
    ) -> list[Gap]:
        """Return the gaps that touch the time from `since` to `until`, newest first.

        Args:
            since: Seconds since 1970 UTC; None: from the beginning.
            until: Likewise; None: until now.
            source: Only those of this source.
            workers: With the gaps of single workers (default); without them there are those in which nobody was heard.
        """
        query = select(gaps).order_by(gaps.c.started_at.desc(), gaps.c.id.desc()).limit(1000)
        if since is not None:
            query = query.where(or_(gaps.c.ended_at.is_(None), gaps.c.ended_at >= since))
        if until is not None:
            query = query.where(gaps.c.started_at <= until)
        if source is not None:
            query = query.where(gaps.c.source == source)
        if not workers:
            query = query.where(gaps.c.source.not_like(f"{_WORKER}%"))
        with self._engine.connect() as connection:
            return [_gap(row) for row in connection.execute(query)]

    def listening(self, at: float) -> float | None:
        """Note that a server listens at `at`, and return when one last did; None: never."""
        with self._engine.begin() as connection:
            before = connection.execute(select(listening.c.at)).scalar()
            connection.execute(replace_into(connection, listening), [{"id": 1, "at": at}])
        return None if before is None else float(before)

    def delete_before(self, at: float) -> int:
        """Forget gaps that ended before `at`; return how many."""
        with self._engine.begin() as connection:
            return connection.execute(delete(gaps).where(gaps.c.ended_at < at)).rowcount


def _open_gap(source: str) -> Any:
    return and_(gaps.c.source == source, gaps.c.ended_at.is_(None))


def _gap(row: Row[Any]) -> Gap:
    # SQLite hands a whole number back as an int where RETURNING is used.
    ended_at = None if row.ended_at is None else float(row.ended_at)
    return Gap(row.id, row.source, float(row.started_at), ended_at, row.reason)
