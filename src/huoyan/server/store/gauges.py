"""Gauges, and the server's own counters, per minute."""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Engine, case, select

from huoyan.model.rollup import slot_of
from huoyan.server.store.schema.figures import counter_minutes, gauge_minutes
from huoyan.server.store.upsert import insert_into

MINUTE_S = 60


class GaugeSample(NamedTuple):
    """A value of a gauge, at a time in seconds since 1970 UTC."""

    metric: str
    labels: tuple[tuple[str, str], ...]
    at: float
    value: float


class GaugeMinute(NamedTuple):
    """What a gauge was within a minute that starts at `minute`, seconds since 1970 UTC: the last, lowest, highest
    value.
    """

    labels: dict[str, str]
    minute: int
    last: float
    low: float
    high: float


class GaugeStore:
    """The tables of gauges and counters."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, samples: Iterable[GaugeSample]) -> None:
        """Add samples to their minutes, in the order of their times."""
        rows: dict[tuple[str, str, int], list[float]] = {}
        for metric, labels, at, value in sorted(samples, key=lambda sample: sample.at):
            key = (metric, _text(labels), slot_of(at, MINUTE_S))
            known = rows.get(key)
            rows[key] = [value, value, value] if known is None else [value, min(known[1], value), max(known[2], value)]
        if not rows:
            return
        with self._engine.begin() as connection:
            statement = insert_into(connection, gauge_minutes)
            new, old = statement.excluded, gauge_minutes.c
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["metric", "labels", "minute"],
                    set_={
                        "last": new.last,
                        "low": case((new.low < old.low, new.low), else_=old.low),
                        "high": case((new.high > old.high, new.high), else_=old.high),
                    },
                ),
                [
                    {"metric": metric, "labels": labels, "minute": minute, "last": last, "low": low, "high": high}
                    for (metric, labels, minute), (last, low, high) in sorted(rows.items())
                ],
            )

    def read(self, metric: str, since: float, until: float) -> list[GaugeMinute]:
        """Return the minutes of a gauge that start from `since` to before `until`, oldest first."""
        table = gauge_minutes.c
        query = (
            select(table.labels, table.minute, table.last, table.low, table.high)
            .where(table.metric == metric, table.minute >= since, table.minute < until)
            .order_by(table.minute)
        )
        decoded: dict[str, dict[str, str]] = {}
        minutes = []
        with self._engine.connect() as connection:
            for labels, minute, last, low, high in connection.execute(query):
                if labels not in decoded:
                    decoded[labels] = dict(json.loads(labels))
                minutes.append(GaugeMinute(decoded[labels], minute, last, low, high))
        return minutes

    def count(self, increases: Mapping[str, float], at: float) -> None:
        """Add to the server's own counters in the minute of `at`."""
        rows = [
            {"metric": metric, "minute": slot_of(at, MINUTE_S), "increase": increase}
            for metric, increase in sorted(increases.items())
            if increase
        ]
        if not rows:
            return
        with self._engine.begin() as connection:
            statement = insert_into(connection, counter_minutes)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["metric", "minute"],
                    set_={"increase": counter_minutes.c.increase + statement.excluded.increase},
                ),
                rows,
            )

    def counted(self, metric: str, since: float, until: float) -> list[tuple[int, float]]:
        """Return `(start of the minute, increase)` of a counter for minutes from `since` to before `until`."""
        table = counter_minutes.c
        query = (
            select(table.minute, table.increase)
            .where(table.metric == metric, table.minute >= since, table.minute < until)
            .order_by(table.minute)
        )
        with self._engine.connect() as connection:
            return [(row.minute, row.increase) for row in connection.execute(query)]

    def delete_before(self, at: float) -> int:
        """Delete the minutes that started before `at`; return how many."""
        with self._engine.begin() as connection:
            gauges = connection.execute(gauge_minutes.delete().where(gauge_minutes.c.minute < at)).rowcount
            counters = connection.execute(counter_minutes.delete().where(counter_minutes.c.minute < at)).rowcount
        return gauges + counters


def _text(labels: tuple[tuple[str, str], ...]) -> str:
    return json.dumps(dict(sorted(labels)), ensure_ascii=False, separators=(",", ":"))
