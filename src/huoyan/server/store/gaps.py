"""Times in which ingest was cut: what happened then may never have been heard."""

from dataclasses import dataclass

from sqlalchemy import Engine


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without ears. `source` names what was cut (`celery redis://host/0`, `server`); `ended_at` None: it still is."""

    id: int
    source: str
    started_at: float
    ended_at: float | None
    reason: str


class GapStore:
    """The table of gaps."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self, source: str, at: float, reason: str) -> int:
        """Note that `source` fell silent at `at` and return the gap's number; one gap per source is open at most."""
        ...

    def close(self, source: str, at: float) -> Gap | None:
        """End the open gap of `source` at `at`, if there is one, and return it."""
        ...

    def list(self, since: float | None = None, until: float | None = None) -> list[Gap]:
        """Return the gaps that touch the time from `since` to `until`, newest first."""
        ...
