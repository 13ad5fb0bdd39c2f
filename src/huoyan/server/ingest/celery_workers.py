"""The worker processes of one Celery deployment that were heard of, and when not all they said was heard."""

from collections.abc import Callable, Iterable

from huoyan.model.event import ProcessReport
from huoyan.server.ingest.celery_translate import Translator
from huoyan.server.ingest.celery_wire import CeleryEvent
from huoyan.server.ingest.feed import Feed

MAX_WORKERS = 10_000
SAME_BREATH_S = 0.5
"""A worker that greets anew first says what it could not say meanwhile; that is no earlier word of it."""


class CeleryWorkers:
    """Used by the one thread that translates.

    Args:
        translator: Makes reports of events.
        feed: Takes the reports, and what was missed.
        held_back: Whether the broker may hold events back; then their delay tells nothing of a worker's clock.
        on_new: Called when a process is heard of that was not known.
        on_doubt: Called with the workers of which something may not have been heard, and when that was found.
    """

    def __init__(
        self,
        translator: Translator,
        feed: Feed,
        *,
        held_back: bool,
        on_new: Callable[[], None],
        on_doubt: Callable[[Iterable[str], float], None],
    ) -> None:
        self._translator = translator
        self._feed = feed
        self._held_back = held_back
        self._on_new = on_new
        self._on_doubt = on_doubt
        self._known: set[tuple[str, int]] = set()
        # When each process spoke of itself, last and before that.
        self._heard: dict[tuple[str, int], tuple[float, float]] = {}

    def names(self) -> set[str]:
        """Return the workers that were heard of. From any thread."""
        return {worker for worker, _ in list(self._heard)}

    def hear(self, event: CeleryEvent, at: float) -> None:
        """Take what a process says of itself.

        Args:
            event: Any event; those of tasks are left aside.
            at: When it was read, in seconds since 1970 UTC.
        """
        report = self._translator.process_report(event)
        if report is None:
            return
        key = (report.worker, report.pid)
        self._note_unheard(event, report, at)
        if key not in self._known and not report.closing:
            if len(self._known) >= MAX_WORKERS:
                self._known.clear()
            self._known.add(key)
            self._on_new()
        elif report.closing:
            self._known.discard(key)
        # Where nothing is held back, the delay of a heartbeat is the skew of a clock.
        sent_at = None if self._held_back else event.timestamp
        self._feed.hand_over([], process=report, received_at=at, sent_at=sent_at)

    def _note_unheard(self, event: CeleryEvent, report: ProcessReport, at: float) -> None:
        """Note when not everything that a worker said was heard: it greets anew, or counts more than it told."""
        key = (report.worker, report.pid)
        before, heard_at = self._heard.get(key, (None, None))
        if heard_at is None and len(self._heard) >= MAX_WORKERS:
            self._heard.clear()
        if heard_at is None or at - heard_at > SAME_BREATH_S:
            before = heard_at
        self._heard[key] = (at if before is None else before, at)
        begun, done = self._translator.unheard(event, at)
        if event.type == "worker-online" and before is not None:
            self._feed.missed(
                report.worker, before, at, "it had lost its broker, and what it said at that time is gone"
            )
        elif begun is not None:
            self._feed.missed(report.worker, begun[1], at, f"{begun[0]} of the runs that it started were not heard of")
        elif done is None:
            return
        self._on_doubt([report.worker], at)
