"""What is done to each event before it is merged: clock, service, fingerprint, and a look whether it makes sense."""

import math
from collections.abc import Iterable
from dataclasses import replace

from huoyan.model.event import EventGap, EventKind, ProcessReport, QueueReading, TaskEvent
from huoyan.server.collect.fold import add_fingerprint, reason_to_reject
from huoyan.server.collect.registry import Registry
from huoyan.server.collect.skew import NO_SKEW_S, SkewEstimator
from huoyan.server.collect.submission import Rejection, Submission

_STREAMS = frozenset({"celery-events", "stream"})
"""Sources whose events are sent as they happen."""

_OWN = "liveness"

Told = list[tuple[TaskEvent, Submission, int]]
"""Events of one run, each with its submission and its place in it."""

Rejected = dict[int, dict[int, Rejection]]
"""`id(submission)` → place in it → why it was rejected."""

_LARGEST = 2**53


class Preparation:
    """Makes submissions ready to be merged."""

    def __init__(self, registry: Registry, skew: SkewEstimator) -> None:
        self._registry = registry
        self._skew = skew

    def prepare(self, submission: Submission, told: dict[str, Told], rejected: Rejected, gaps: list[EventGap]) -> int:
        """Sort the events of a submission by run, corrected.

        Args:
            submission: Its events are changed in place.
            told: Run id → what is told of it, to which is added.
            rejected: `id(submission)` → events that make no sense, to which is added.
            gaps: Times of which events were dropped, to which is added.

        Returns:
            How many events the reporting process dropped since it last said so.
        """
        dropped = 0
        skew_s = 0.0
        process = submission.process
        if submission.sent_at is not None and abs(submission.sent_at) < 1e11:
            name = process.worker if process is not None else ""
            if name:
                skew_s = self._skew.sent(name, submission.sent_at, submission.received_at)
            else:
                skew_s = _skew_of_batch(submission.sent_at, submission.received_at)
        if process is not None and _sane_report(process):
            heard_at = self._registry.heard_at(process.worker)
            dropped = self._registry.report(process, submission.received_at, submission.source)
            if dropped and not any(gap.worker == process.worker for gap in submission.gaps):
                # It does not say when that was: some time since it was heard last.
                began = process.started_at - skew_s if heard_at is None else heard_at
                gaps.append(
                    EventGap(process.worker, min(began, submission.received_at), submission.received_at, dropped)
                )
        gaps += [
            replace(
                gap, started_at=gap.started_at - skew_s, ended_at=min(gap.ended_at - skew_s, submission.received_at)
            )
            for gap in submission.gaps
            if _storable(gap.worker)
        ]
        streamed = submission.source in _STREAMS
        service_of = self._registry.service_of
        for index, event in enumerate(submission.events):
            reason = reason_to_reject(event)
            if reason:
                rejected.setdefault(id(submission), {})[index] = Rejection(index, event.run_id, reason)
                continue
            received_at = event.received_at
            if received_at is None:
                received_at = event.received_at = submission.received_at
            worker = event.worker
            if streamed:
                skew_s = self._skew.streamed(worker, event.at, received_at) if worker else 0.0
            if skew_s:
                event.at -= skew_s
                if event.progress is not None:
                    event.progress.at -= skew_s
            if event.at > received_at and submission.source != _OWN:
                # What is told has happened; a clock that is a little ahead must not put it into the future.
                event.at = min(event.at, received_at + NO_SKEW_S) if _is_due(event) else received_at
            if worker:
                event.service = service_of(worker, event.service)
            if event.exception is not None:
                add_fingerprint(event)
            known = told.get(event.run_id)
            if known is None:
                told[event.run_id] = [(event, submission, index)]
            else:
                known.append((event, submission, index))
        return dropped


def sane_readings(readings: Iterable[QueueReading]) -> list[QueueReading]:
    """Return the readings that can be stored."""
    return [
        reading
        for reading in readings
        if 0 <= reading.depth <= _LARGEST
        and math.isfinite(reading.at)
        and (reading.oldest_age_s is None or math.isfinite(reading.oldest_age_s))
        and _storable(reading.queue)
        and _storable(reading.service)
    ]


def _sane_report(report: ProcessReport) -> bool:
    """Return whether a report can be stored; one that cannot must not keep the events beside it from being stored."""
    texts = (report.worker, report.service, report.framework, report.host, report.version, *report.queues)
    return (
        bool(report.worker)
        and all(_storable(text) for text in texts)
        and math.isfinite(report.interval_s)
        and math.isfinite(report.started_at)
    )


def _is_due(event: TaskEvent) -> bool:
    """Return whether a scheduler asks for a run. That is held against its due time by the same clock: cut off at ours,
    what came in time would seem to come before its time, and its due time would be missed."""
    return event.kind is EventKind.QUEUED and event.labels is not None and "schedule" in event.labels


def _storable(text: str) -> bool:
    """Return whether every database takes a text: no NUL, no half of a surrogate pair."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _skew_of_batch(sent_at: float, received_at: float) -> float:
    """Return the skew that one batch shows; it was on its way for no more than a moment."""
    skew_s = sent_at - received_at
    return skew_s if abs(skew_s) >= 2.0 else 0.0
