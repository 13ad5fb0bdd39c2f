"""Requests kept as examples of where the time goes."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Engine, Row, case, delete, func, insert, select

from huoyan.model.example import Example
from huoyan.server.store.schema.watched import examples

MOST_READ = 4000
"""Examples of one endpoint that are looked at, the newest of each kind."""
KEPT_PER_HOUR = 60
"""Examples of each kind that are kept of an endpoint and hour, once that hour is over for a while."""
KEPT_PER_SLOT = 200
"""The same of every ten minutes until then, so that much traffic does not fill the disk."""
_HASH, _PRIME = 2654435761, 1_000_003
_DETAILS = ("method", "breakdown", "labels", "trace_id", "seen")


class ExampleStore:
    """The table of examples."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, kept: Iterable[Example]) -> int:
        """Keep examples; return how many."""
        rows = [
            {
                "service": one.service,
                "endpoint": f"{one.method} {one.endpoint}".strip(),
                "at": one.at,
                "duration_s": one.duration_s,
                "kind": one.kind,
                "status": one.status,
                "data": {name: getattr(one, name) for name in _DETAILS},
            }
            for one in kept
        ]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(insert(examples), rows)
        return len(rows)

    def of(self, service: str | None, endpoint: str, since: float, until: float) -> Sequence[Example]:
        """Return the examples of an endpoint (`GET /orders/{id}`) that began from `since` to before `until`."""
        query = select(examples).where(examples.c.endpoint == endpoint, examples.c.at >= since, examples.c.at < until)
        if service is not None:
            query = query.where(examples.c.service == service)
        found: list[Example] = []
        with self._engine.connect() as connection:
            for kind in ("sampled", "slow", "failed"):
                newest = query.where(examples.c.kind == kind).order_by(examples.c.at.desc()).limit(MOST_READ)
                found += [_example(row) for row in connection.execute(newest)]
        return found

    def get(self, number: int) -> Example | None:
        """Return one example, None when there is none of this number."""
        with self._engine.connect() as connection:
            row = connection.execute(select(examples).where(examples.c.id == number)).one_or_none()
        return None if row is None else _example(row)

    def endpoints(self, since: float, until: float, service: str | None = None) -> Sequence[tuple[str, str]]:
        """Return (service, endpoint) of everything there are examples of, those with the slowest first."""
        query = (
            select(examples.c.service, examples.c.endpoint, func.max(examples.c.duration_s).label("worst"))
            .where(examples.c.at >= since, examples.c.at < until)
            .group_by(examples.c.service, examples.c.endpoint)
            .order_by(func.max(examples.c.duration_s).desc())
        )
        if service is not None:
            query = query.where(examples.c.service == service)
        with self._engine.connect() as connection:
            return [(row.service, row.endpoint) for row in connection.execute(query)]

    def thin(self, since: float, until: float, most: int = KEPT_PER_HOUR) -> int:
        """Keep, of each endpoint, some of the slowest, as many random and as many failing ones of a time.

        Args:
            since: Begin of the time, in seconds since 1970 UTC.
            until: Its end.
            most: How many of each kind, default 60, which is what stays of an hour.

        Returns:
            How many were deleted.
        """
        place = func.row_number().over(
            partition_by=(examples.c.service, examples.c.endpoint, examples.c.kind),
            # Beside the slowest a choice that has nothing to do with what they are: by a multiplicative hash (Knuth).
            order_by=(
                case((examples.c.kind == "slow", -examples.c.duration_s), else_=0.0),
                examples.c.id * _HASH % _PRIME,
            ),
        )
        ranked = (
            select(examples.c.id, place.label("place")).where(examples.c.at >= since, examples.c.at < until).subquery()
        )
        surplus = select(ranked.c.id).where(ranked.c.place > most)
        with self._engine.begin() as connection:
            return int(connection.execute(delete(examples).where(examples.c.id.in_(surplus))).rowcount)

    def delete_before(self, at: float) -> int:
        """Forget examples from before `at`; return how many."""
        with self._engine.begin() as connection:
            return int(connection.execute(delete(examples).where(examples.c.at < at)).rowcount)


def _example(row: Row[Any]) -> Example:
    details = {name: row.data.get(name) for name in _DETAILS}
    return Example(
        endpoint=row.endpoint,
        at=row.at,
        duration_s=row.duration_s,
        kind=row.kind,
        status=row.status,
        service=row.service,
        id=row.id,
        method=str(details["method"] or ""),
        breakdown=details["breakdown"],
        labels=details["labels"] or {},
        trace_id=str(details["trace_id"] or ""),
        seen=int(details["seen"] or 0),
    )
