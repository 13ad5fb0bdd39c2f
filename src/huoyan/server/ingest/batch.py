"""How what clients post becomes events.

Every event of a batch is decoded by itself, so that one that is wrong does not keep the others out; the answer names
the field, what was expected and what came. Members that are not known are ignored: a newer client may say more.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from huoyan.errors import InvalidEvent
from huoyan.model.event import EventGap, ExceptionInfo, ProcessReport, Progress, QueueReading, TaskEvent
from huoyan.model.example import Example
from huoyan.model.schedule import ScheduleReport
from huoyan.server.ingest.measurements import FrameProblem, frame_of
from huoyan.server.ingest.refusals import Rejected, complaint, rejected, run_id_of, shown
from huoyan.server.ingest.wire import (
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_EVENTS,
    Name,
    Time,
    WireEvent,
    WireExample,
    WireFrame,
    WireGap,
    WireProcess,
    WireQueue,
    WireSchedule,
)
from huoyan.signals.measured import Frame


@dataclass(slots=True)
class Decoded:
    """A batch as far as it could be read. `positions` says where in the batch each of `events` stood."""

    events: list[TaskEvent] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    process: ProcessReport | None = None
    queues: list[QueueReading] = field(default_factory=list)
    schedules: list[ScheduleReport] = field(default_factory=list)
    measurements: list[Frame] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    gaps: list[EventGap] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    sent_at: float | None = None
    rejected: list[Rejected] = field(default_factory=list)


_event = msgspec.json.Decoder(WireEvent)
_process = msgspec.json.Decoder(WireProcess)
_queue = msgspec.json.Decoder(WireQueue)
_schedule = msgspec.json.Decoder(WireSchedule)
_frame = msgspec.json.Decoder(WireFrame)
_example = msgspec.json.Decoder(WireExample)
_gap = msgspec.json.Decoder(WireGap)
_name = msgspec.json.Decoder(Name)
_time = msgspec.json.Decoder(Time | None)
_raw_list = msgspec.json.Decoder(list[Raw])
_raw_object = msgspec.json.Decoder(dict[str, Raw])
_SURROGATES = re.compile(
    rb"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def decode(body: bytes, received_at: float) -> Decoded:
    """Read a batch, a list of events or one event.

    Args:
        body: JSON, unpacked.
        received_at: When it was received, seconds since 1970 UTC; every event carries it on.

    Returns:
        Everything that could be read, and for the rest what is wrong with it. Never raises for what is in the body.
    """
    decoded = Decoded()
    try:
        try:
            envelope = _envelope(body, decoded)
        except msgspec.DecodeError:
            # Half a surrogate pair is no text, yet encoders write it; one such string must not cost the whole batch.
            repaired = _SURROGATES.sub(_whole_pair, body)
            if repaired == body:
                raise
            envelope = _envelope(repaired, decoded)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        decoded.rejected.append(Rejected(None, None, "body", "JSON", complaint(error)))
        return decoded
    if envelope is None:
        return decoded
    parts, events = envelope
    if len(events) > MAX_EVENTS:
        decoded.rejected.append(Rejected(None, None, "events", f"at most {MAX_EVENTS} events", f"{len(events)}"))
        return decoded
    for index, raw in enumerate(events):
        event = _read_event(raw, index, received_at, decoded)
        if event is not None:
            decoded.events.append(event)
            decoded.positions.append(index)
    sent_at = _part(parts, "sent_at", _time, decoded)
    decoded.sent_at = None if sent_at is None else _at(sent_at)
    process = _part(parts, "process", _process, decoded)
    if process is not None:
        decoded.process = _process_report(process)
    decoded.queues = [_queue_reading(q) for q in _items(parts, "queues", _queue, decoded)]
    decoded.schedules = [_schedule_report(s) for s in _items(parts, "schedules", _schedule, decoded)]
    decoded.examples = [_kept_example(e) for e in _items(parts, "examples", _example, decoded)]
    decoded.gaps = [_event_gap(g) for g in _items(parts, "gaps", _gap, decoded)]
    decoded.gone = [name for name in _items(parts, "gone", _name, decoded) if name]
    for place, frame in enumerate(_items(parts, "measurements", _frame, decoded)):
        problems: list[FrameProblem] = []
        decoded.measurements.append(frame_of(frame, _at(frame.at), problems))
        decoded.rejected += [
            Rejected(None, None, f"measurements[{place}].{field}", expected, got) for field, expected, got in problems
        ]
    return decoded


def _envelope(body: bytes, decoded: Decoded) -> tuple[dict[str, Raw], list[Raw]] | None:
    start = body.lstrip()[:1]
    if start == b"[":
        return {}, _raw_list.decode(body)
    if start != b"{":
        msgspec.json.decode(body)
        decoded.rejected.append(
            Rejected(None, None, "body", "a batch, a list of events or an event", shown(bytes(body[:80])))
        )
        return None
    parts = _raw_object.decode(body)
    if "events" in parts:
        events = parts.pop("events")
        if bytes(events).lstrip()[:1] != b"[":
            decoded.rejected.append(Rejected(None, None, "events", "a list of events", shown(bytes(events))))
            return None
        return parts, _raw_list.decode(events)
    if "kind" in parts or "run_id" in parts:
        return {}, [Raw(body)]
    if not parts.keys().isdisjoint(("process", "queues", "schedules", "measurements", "examples", "gaps", "gone")):
        return parts, []
    decoded.rejected.append(
        Rejected(None, None, "body", "an object with `events`, or an event with `kind` and `run_id`", _names(parts))
    )
    return None


def _read_event(raw: Raw, index: int, received_at: float, decoded: Decoded) -> TaskEvent | None:
    prefix = f"events[{index}]"
    text = bytes(raw)
    if len(text) > MAX_EVENT_BYTES:
        decoded.rejected.append(
            Rejected(index, run_id_of(text), prefix, f"at most {MAX_EVENT_BYTES} bytes", f"{len(text)} bytes")
        )
        return None
    try:
        wire = _event.decode(_without_nul(text))
        for name, payload in (
            ("args", wire.args),
            ("kwargs", wire.kwargs),
            ("result", wire.result),
            ("breakdown", wire.breakdown),
        ):
            if payload is not None and not isinstance(payload, (str, int, bool)):
                _check_payload(payload, name)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, InvalidEvent) as error:
        decoded.rejected.append(rejected(error, index, run_id_of(text), prefix, text))
        return None
    return _task_event(wire, received_at)


def _items(parts: dict[str, Raw], name: str, decoder: "msgspec.json.Decoder[Any]", decoded: Decoded) -> Iterator[Any]:
    """Yield the items of a list that can be read; what is wrong with the others goes into `decoded`."""
    raw = parts.get(name)
    if raw is None or bytes(raw) == b"null":
        return
    try:
        items = _raw_list.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        decoded.rejected.append(rejected(error, None, None, name, bytes(raw)))
        return
    for index, item in enumerate(items):
        try:
            yield decoder.decode(_without_nul(bytes(item)))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            decoded.rejected.append(rejected(error, None, None, f"{name}[{index}]", bytes(item)))


def _part(parts: dict[str, Raw], name: str, decoder: "msgspec.json.Decoder[Any]", decoded: Decoded) -> Any:
    raw = parts.get(name)
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        return decoder.decode(_without_nul(bytes(raw)))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        decoded.rejected.append(rejected(error, None, None, name, bytes(raw)))
        return None


def _without_nul(text: bytes) -> bytes:
    """Replace NUL, which PostgreSQL can keep in no text, by the replacement character."""
    if b"\\u0000" not in text:
        return text
    # An even number of backslashes before means that they escape each other and no NUL is meant.
    return re.sub(rb"(?<!\\)((?:\\\\)*)\\u0000", rb"\1\\ufffd", text)


def _whole_pair(match: re.Match[bytes]) -> bytes:
    pair = match[2] if len(match[2]) > 6 else b"\\ufffd"
    return match[1] + pair


def _check_payload(payload: Any, name: str) -> None:
    """Refuse what JSON can spell and nothing behind it can keep: infinite numbers, and nesting without end."""
    pending: list[tuple[Any, int]] = [(payload, 1)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidEvent(name, "finite numbers", "a number beyond 1.8e308")
        if not isinstance(value, (dict, list)):
            continue
        if depth > MAX_DEPTH:
            raise InvalidEvent(name, f"at most {MAX_DEPTH} levels of nesting", "more")
        items = value.values() if isinstance(value, dict) else value
        pending.extend((item, depth + 1) for item in items)


def _task_event(wire: WireEvent, received_at: float) -> TaskEvent:
    exception = wire.exception
    progress = wire.progress
    return TaskEvent(
        kind=wire.kind,
        run_id=wire.run_id,
        at=_at(wire.at),
        task=wire.task,
        service=wire.service,
        framework=wire.framework,
        queue=wire.queue,
        attempt=wire.attempt,
        execution=wire.execution or None,
        worker=wire.worker,
        args=wire.args,
        kwargs=wire.kwargs,
        result=wire.result,
        exception=None
        if exception is None
        else ExceptionInfo(exception.type, exception.message, exception.traceback, exception.fingerprint),
        parent_id=wire.parent_id,
        root_id=wire.root_id,
        group_id=wire.group_id,
        eta=None if wire.eta is None else _at(wire.eta),
        expires=None if wire.expires is None else _at(wire.expires),
        duration_s=wire.duration_s,
        progress=None
        if progress is None
        else Progress(_at(progress.at), _finite(progress.done), _finite(progress.total), progress.note),
        labels=wire.labels,
        breakdown=wire.breakdown,
        heartbeat_s=wire.heartbeat_s,
        evidence=wire.evidence,
        reason=wire.reason,
        source=wire.source,
        received_at=received_at,
        dependents=wire.dependents,
        depends_on=wire.depends_on,
        cpu_s=wire.cpu_s,
        peak_memory_bytes=wire.peak_memory_bytes,
    )


def _process_report(wire: WireProcess) -> ProcessReport:
    return ProcessReport(
        worker=wire.worker,
        service=wire.service,
        framework=wire.framework,
        host=wire.host,
        pid=wire.pid,
        started_at=_at(wire.started_at),
        interval_s=wire.interval_s,
        dropped=wire.dropped,
        active=wire.active,
        queues=wire.queues,
        closing=wire.closing,
        version=wire.version,
        service_version=wire.service_version,
    )


def _queue_reading(wire: WireQueue) -> QueueReading:
    return QueueReading(wire.queue, wire.depth, _at(wire.at), wire.service, wire.oldest_age_s)


def _schedule_report(wire: WireSchedule) -> ScheduleReport:
    return ScheduleReport(
        id=wire.id,
        name=wire.name,
        service=wire.service,
        framework=wire.framework,
        task=wire.task,
        kind=wire.kind,
        expression=wire.expression,
        timezone=wire.timezone,
        next_due_at=None if wire.next_due_at is None else _at(wire.next_due_at),
        last_run_at=None if wire.last_run_at is None else _at(wire.last_run_at),
        grace_s=wire.grace_s,
        ends_at=None if wire.ends_at is None else _at(wire.ends_at),
        source=wire.source,
        enabled=wire.enabled,
        at=_at(wire.at),
    )


def _kept_example(wire: WireExample) -> Example:
    return Example(
        endpoint=wire.endpoint,
        at=_at(wire.at),
        duration_s=wire.duration_s,
        method=wire.method,
        status=wire.status,
        kind=wire.kind,
        breakdown=wire.breakdown if isinstance(wire.breakdown, dict) else None,
        labels=wire.labels,
        trace_id=wire.trace_id,
        seen=wire.seen,
        service=wire.service,
    )


def _event_gap(wire: WireGap) -> EventGap:
    began, ended = _at(wire.started_at), _at(wire.ended_at)
    return EventGap(wire.worker, min(began, ended), max(began, ended), wire.events, wire.executing)


def _at(time: float | datetime) -> float:
    return time.timestamp() if isinstance(time, datetime) else time


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


def _names(parts: dict[str, Raw]) -> str:
    return shown(f"an object with {', '.join(sorted(parts)) or 'nothing in it'}")
