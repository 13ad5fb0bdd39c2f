"""Counts and distributions per series and minute, per series and hour, and gauges per minute."""

from sqlalchemy import Engine

from huoyan.model.rollup import Rollup, Series


class RollupStore:
    """The rollups. Reading goes through `huoyan.server.store.source.StoreSource`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def series(self, since: float = 0.0) -> dict[int, Series]:
        """Return every series that something was counted in at or after `since`, seconds since 1970 UTC."""
        ...

    def read(self, since: float, until: float, series_ids: "list[int] | None" = None) -> "list[tuple[int, int, Rollup]]":
        """Return `(series id, start of the minute, rollup)` of the whole minutes from `since` to before `until`."""
        ...
