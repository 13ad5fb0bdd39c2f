"""How merge states and rollups are written: MessagePack arrays, a version first. Nothing is ever unpickled."""

from operator import attrgetter
from typing import Any

import msgspec

from huoyan.model.event import ExceptionInfo, Progress
from huoyan.model.execution import Execution, Outcome
from huoyan.model.histogram import Histogram
from huoyan.model.rollup import Rollup
from huoyan.model.run import Run

_VERSION = 1
_ROLLUP_VERSION = 2
_ROLLUP_PARTS = 9

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list).decode

# The order of these names is the format: a new field goes to the end, and decoding gives it its default.
_run_head = attrgetter(
    "id",
    "task",
    "service",
    "framework",
    "queue",
    "args",
    "kwargs",
    "parent_id",
    "root_id",
    "group_id",
    "enqueued_at",
    "eta",
    "expires",
    "first_at",
    "last_at",
)
_RUN_HEAD = 15
_execution_head = attrgetter(
    "key",
    "number",
    "worker",
    "delivered_at",
    "started_at",
    "finished_at",
    "duration_s",
    "seen_at",
    "lost_at",
    "lost_reason",
)
_EXECUTION_HEAD = 10
_exception_fields = attrgetter("type", "message", "traceback", "fingerprint")
_progress_fields = attrgetter("at", "done", "total", "note")
_outcome_fields = attrgetter("state", "evidence", "reason")

_INTEGERS = range(-(2**63), 2**64)


def encode_run(run: Run) -> bytes:
    """Return the merge state of a run as bytes. What MessagePack cannot hold (huge numbers) is kept as text."""
    try:
        return _encode(_run_array(run))
    except (OverflowError, TypeError, ValueError):
        return _encode(_plain(_run_array(run)))


def decode_run(data: bytes) -> Run:
    """Return the merge state that `encode_run` wrote.

    Raises:
        ValueError: The bytes are damaged or of a later version.
    """
    row = _array(data, "run", _VERSION)
    labels, progress, fate, fate_at, executions, *links = row[_RUN_HEAD + 1 :]
    dependents, depends_on, heartbeat_s = (*links, None, None, None)[:3]
    tail: tuple[Any, ...] = (
        labels or {},
        None if progress is None else Progress(*progress),
        Outcome() if fate is None else Outcome(*fate),
        fate_at,
        {execution[0]: _execution(execution) for execution in executions},
        dependents or {},
        set(depends_on or ()),
        heartbeat_s,
    )
    return Run(*row[1 : _RUN_HEAD + 1], *tail)


def _run_array(run: Run) -> tuple[Any, ...]:
    fate = run.fate
    progress = run.progress
    return (
        _VERSION,
        *_run_head(run),
        run.labels or None,
        None if progress is None else _progress_fields(progress),
        _outcome_fields(fate) if fate.state else None,
        run.fate_at,
        [_execution_array(execution) for execution in run.executions.values()],
        *(
            (run.dependents or None, sorted(run.depends_on) or None, run.heartbeat_s)
            if run.dependents or run.depends_on or run.heartbeat_s is not None
            else ()
        ),
    )


def _execution_array(execution: Execution) -> tuple[Any, ...]:
    outcome = execution.outcome
    exception = execution.exception
    return (
        *_execution_head(execution),
        _outcome_fields(outcome) if outcome.state else None,
        None if exception is None else _exception_fields(exception),
        execution.result,
        execution.breakdown,
        execution.sources,
        *_rarely_told(execution),
    )


def _rarely_told(execution: Execution) -> tuple[Any, ...]:
    """Return what stands behind the rest only where one of it says anything."""
    cpu_s, peak_memory_bytes = execution.cpu_s, execution.peak_memory_bytes
    if cpu_s is not None or peak_memory_bytes is not None:
        return (execution.lost_evidence, cpu_s, peak_memory_bytes)
    return (execution.lost_evidence,) if execution.lost_evidence != "inferred" else ()


def _execution(row: list[Any]) -> Execution:
    outcome, exception, result, breakdown, sources, *later = row[_EXECUTION_HEAD:]
    tail: tuple[Any, ...] = (
        Outcome() if outcome is None else Outcome(*outcome),
        None if exception is None else ExceptionInfo(*exception),
        result,
        breakdown,
        sources,
        *later,
    )
    return Execution(*row[:_EXECUTION_HEAD], *tail)


def encode_rollup(rollup: Rollup) -> bytes:
    """Return a rollup as bytes."""
    return _encode(
        (
            _ROLLUP_VERSION,
            rollup.enqueued,
            rollup.started,
            rollup.retries,
            rollup.finished,
            rollup.exceptions,
            {state: histogram.to_parts() for state, histogram in rollup.durations.items()},
            None if rollup.waits is None else rollup.waits.to_parts(),
            *((rollup.duplicates,) if rollup.duplicates else ()),
        )
    )


def decode_rollup(data: bytes) -> Rollup:
    """Return the rollup that `encode_rollup` wrote.

    Raises:
        ValueError: The bytes are damaged or of a later version.
    """
    _, enqueued, started, retries, finished, exceptions, durations, waits, duplicates = rollup_parts(data)
    return Rollup(
        enqueued,
        started,
        retries,
        finished,
        exceptions,
        {state: Histogram.from_parts(parts) for state, parts in durations.items()},
        None if waits is None else Histogram.from_parts(waits),
        duplicates,
    )


def rollup_parts(data: bytes) -> list[Any]:
    """Return `[version, enqueued, started, retries, finished, exceptions, durations, waits, duplicates]`, distributions
    apart."""
    parts = _array(data, "rollup", _ROLLUP_VERSION)
    if len(parts) < _ROLLUP_PARTS:
        # Written only where there are any, and not at all before they were counted.
        parts.append(0)
    return parts


def _array(data: bytes, what: str, version: int) -> list[Any]:
    try:
        row = _decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"{what}: expected what was stored, got damaged bytes ({error})") from error
    if not row or row[0] != version:
        raise ValueError(f"{what}: expected version {version}, got {row[:1]}")
    return row


def _plain(value: Any) -> Any:
    """Return `value` with everything MessagePack has no form for turned into text."""
    if value is None or isinstance(value, bool | float | bytes):
        return value
    if isinstance(value, int):
        return value if value in _INTEGERS else str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    return str(value)
