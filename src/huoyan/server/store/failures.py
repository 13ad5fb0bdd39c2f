"""Failure groups: runs that failed in the same way, by the fingerprint of their exception."""

from dataclasses import dataclass, field

from sqlalchemy import Engine

from huoyan.clock import Clock
from huoyan.server.store.page import Page


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """One way of failing. `count`, `tasks`, `services` and `per_minute` are of the window asked for.

    Attributes:
        type: The exception's type, or the state for runs that ended without one: `lost`, `dead`, `rejected`.
        title: Its message, the changing parts left out.
        first_seen_at: First failure ever, seconds since 1970 UTC; likewise `last_seen_at`.
        last_run_id: A run that failed so, the latest.
        per_minute: `(start of the minute, failures)`, oldest first, minutes without a failure left out.
    """

    fingerprint: str
    type: str
    title: str
    count: int
    first_seen_at: float
    last_seen_at: float
    tasks: list[str]
    services: list[str]
    last_run_id: str
    per_minute: list[tuple[float, int]] = field(default_factory=list)


class FailureStore:
    """The failure groups and their counts per minute."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def page(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        task: str | None = None,
        service: str | None = None,
        q: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[FailureGroup]:
        """Return groups with failures in the window, most failures first.

        Args:
            since: Start of the window, seconds since 1970 UTC; default a day ago.
            until: End of the window; default now. Windows are of whole minutes: the first and last one count whole.
            task: Failures of this task only.
            service: Failures of this service only.
            q: Part of type or title.
            limit: Groups per page.
            cursor: `next` of the page before.

        Raises:
            InvalidQuery: The cursor is malformed.
        """
        ...

    def get(self, fingerprint: str, *, since: float | None = None, until: float | None = None) -> FailureGroup | None:
        """Return one group, None when it is not known; the window is as in `page`."""
        ...
