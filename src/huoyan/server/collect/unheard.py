"""What nobody could hear: whether an execution may have ended in a time of which something is missing."""

from collections.abc import Iterable, Iterator

from huoyan.model.event import EventKind, Evidence, TaskEvent
from huoyan.model.execution import Execution
from huoyan.model.run import Run
from huoyan.server.store.gaps import Gap, source_of

_STREAM = "celery-events"
_STREAMS = ("server", "celery ")
"""What cuts off a stream that keeps nothing for anybody: clients send again what they said meanwhile."""


def cut_since(at: float, cuts: Iterable[Gap]) -> Gap | None:
    """Return a gap that ended at `at` or later, None without any."""
    return next((gap for gap in cuts if gap.ended_at is not None and gap.ended_at >= at), None)


def missed_in(execution: Execution, cuts: Iterable[Gap]) -> Gap | None:
    """Return a gap in which the end of an execution may have been said, None when it would have been heard.

    Args:
        execution: It was not heard to end.
        cuts: Gaps of its worker, and those of whole sources.
    """
    last_at = _last_word_at(execution)
    own = source_of(execution.worker)
    sources = execution.sources.split(",")
    streamed = _STREAM in sources and "client" not in sources
    for gap in cuts:
        if gap.ended_at is None or gap.ended_at < last_at:
            continue
        if gap.source == own or (streamed and gap.source.startswith(_STREAMS)):
            return gap
    return None


def open_since(run: Run, worker: str, until: float) -> Iterator[Execution]:
    """Yield what a worker executes of a run as far as anybody heard, and has said nothing of since `until`."""
    for execution in run.executions.values():
        if execution.worker == worker and execution.state() == "started" and _last_word_at(execution) <= until:
            yield execution


def ending(run: Run, execution: Execution, now: float, cut: Gap | None) -> TaskEvent:
    """Say that an execution has ended, because its worker, which is alive, does not have it. Pure."""
    when = f" while nothing could be heard ({cut.source}: {cut.reason})" if cut is not None else ""
    return TaskEvent(
        EventKind.LOST,
        run.id,
        max(now, execution.seen_at or 0.0),
        attempt=execution.number,
        execution=named(execution),
        worker=execution.worker,
        evidence=Evidence.UNKNOWN,
        reason=f"worker {execution.worker} executes it no longer; how it ended was not heard{when}",
    )


def sign_of_life(run: Run, execution: Execution, at: float) -> TaskEvent:
    """Say that an execution goes on, as far as its worker can tell. Pure."""
    return TaskEvent(
        kind=EventKind.PROGRESS,
        run_id=run.id,
        at=at,
        attempt=execution.number,
        execution=named(execution),
        worker=execution.worker,
        evidence=Evidence.INFERRED,
    )


def named(execution: Execution) -> str | None:
    """Return the execution's identity, None for one that was never named."""
    return None if execution.key.startswith("?") else execution.key


def _last_word_at(execution: Execution) -> float:
    return execution.seen_at or execution.started_at or 0.0
