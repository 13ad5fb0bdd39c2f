"""What clients post, as JSON: its types with their bounds, its schema, and how it becomes events.

Every event of a batch is decoded by itself, so that one that is wrong does not keep the others out; the answer names
the field, what was expected and what came. Members that are not known are ignored: a newer client may say more.
"""

import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from huoyan.model.event import EventKind, Evidence, ExceptionInfo, ProcessReport, Progress, QueueReading, TaskEvent

MAX_EVENT_BYTES = 1 << 20
"""Longest event: clients bound payloads far below it."""
MAX_EVENTS = 50_000
"""Most events in one batch."""
MAX_DEPTH = 64
"""Deepest nesting of a payload."""

Time = (
    Annotated[float, Meta(ge=0.0, le=253402300799.0, description="Seconds since 1970 UTC.")]
    | Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset.")]
)
Seconds = Annotated[float, Meta(ge=0.0, le=1e10)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Id = Annotated[str, Meta(min_length=1, max_length=200)]
Name = Annotated[str, Meta(max_length=300)]
Text = Annotated[str, Meta(max_length=10_000)]
LongText = Annotated[str, Meta(max_length=200_000)]
Labels = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=100)], Annotated[str, Meta(max_length=300)]], Meta(max_length=64)
]
SourceName = Annotated[str, Meta(pattern="^[A-Za-z0-9_.-]{1,64}$")]

BATCH_EXAMPLE: dict[str, Any] = {
    "sent_at": "2026-11-20T21:15:08.500Z",
    "process": {
        "worker": "orders@host-1:4242",
        "service": "orders",
        "framework": "background",
        "host": "host-1",
        "pid": 4242,
        "interval_s": 10,
    },
    "events": [
        {
            "kind": "started",
            "run_id": "0b9ee1a1-4a0a-4a3c-a6d6-8f4a2f1d7c55",
            "at": "2026-11-20T21:15:03.480Z",
            "task": "orders.take_payment",
            "service": "orders",
            "attempt": 1,
            "worker": "orders@host-1:4242",
            "args": ["order-1042"],
        },
        {
            "kind": "failed",
            "run_id": "0b9ee1a1-4a0a-4a3c-a6d6-8f4a2f1d7c55",
            "at": 1795209308.492,
            "attempt": 1,
            "worker": "orders@host-1:4242",
            "duration_s": 5.012,
            "exception": {"type": "PaymentDeclined", "message": "card issuer did not answer within 5 s"},
        },
    ],
}


def _about(name: str, description: str, example: dict[str, Any] | None = None) -> Any:
    extra = {"examples": [example]} if example is not None else {}
    return Meta(title=name, description=description, extra_json_schema=extra)


class WireException(Struct, kw_only=True):
    """An exception as text. `fingerprint` is the identity of its failure group; absent: made by the server."""

    type: Annotated[str, Meta(min_length=1, max_length=300)]
    message: LongText = ""
    traceback: LongText = ""
    fingerprint: Annotated[str, Meta(max_length=128)] = ""


class WireProgress(Struct, kw_only=True):
    """How far a run is: `done` of `total` in any unit."""

    at: Time
    done: float | None = None
    total: float | None = None
    note: Text = ""


class WireEvent(Struct, kw_only=True):
    """One fact about one run."""

    kind: EventKind
    run_id: Annotated[Id, Meta(description="Identity of the run, unique across services.")]
    at: Annotated[Time, Meta(description="When it happened by the sender's clock.")]
    task: Name = ""
    service: Name = ""
    framework: Name = ""
    queue: Name = ""
    attempt: Annotated[int, Meta(ge=1, le=1_000_000, description="Number of the try, 1 for the first.")] | None = None
    execution: (
        Annotated[
            str,
            Meta(
                max_length=500,
                description="Identity of this execution; sources that watch the same one send the same value.",
            ),
        ]
        | None
    ) = None
    worker: Annotated[Name, Meta(description="The process or worker that executes the run.")] = ""
    args: Any = None
    kwargs: Any = None
    result: Any = None
    exception: WireException | None = None
    parent_id: Id | None = None
    root_id: Id | None = None
    group_id: Id | None = None
    eta: Annotated[Time, Meta(description="Not before this time.")] | None = None
    expires: Annotated[Time, Meta(description="Not after this time.")] | None = None
    duration_s: (
        Annotated[Seconds, Meta(description="By the worker's monotonic clock, on events that end an attempt.")] | None
    ) = None
    progress: WireProgress | None = None
    labels: Labels | None = None
    breakdown: Any = None
    evidence: Evidence = Evidence.REPORTED
    reason: Annotated[Text, Meta(description="Why, for revoked, rejected, lost and dead.")] = ""
    source: Annotated[SourceName, Meta(description="Who says so.")] = "client"


class WireProcess(Struct, kw_only=True):
    """A process that sends events speaks of itself."""

    worker: Annotated[str, Meta(min_length=1, max_length=300, description="The name its events carry in `worker`.")]
    service: Name = ""
    framework: Name = ""
    host: Name = ""
    pid: Count = 0
    started_at: Time = 0.0
    interval_s: Annotated[
        float, Meta(gt=0.0, le=86400.0, description="How often it reports; three missed reports mean it is down.")
    ] = 10.0
    dropped: Annotated[Count, Meta(description="Events it had to drop so far.")] = 0
    active: Count = 0
    queues: Annotated[list[Name], Meta(max_length=1000)] = []
    closing: Annotated[bool, Meta(description="True in the last report of an orderly shutdown.")] = False
    version: Name = ""


class WireQueue(Struct, kw_only=True):
    """What a broker says of a queue at one moment."""

    queue: Annotated[str, Meta(min_length=1, max_length=300)]
    depth: Annotated[Count, Meta(description="Messages that wait.")]
    at: Time
    service: Name = ""
    oldest_age_s: Seconds | None = None


class WireBatch(Struct, kw_only=True):
    """What a client posts at once. `sent_at` is its clock at sending, from which the server learns the skew."""

    events: Annotated[list[WireEvent], Meta(max_length=MAX_EVENTS)] = []
    sent_at: Time | None = None
    process: WireProcess | None = None
    queues: Annotated[list[WireQueue], Meta(max_length=10_000)] = []


_NAMES = {
    "WireBatch": "EventBatch",
    "WireEvent": "TaskEvent",
    "WireException": "ExceptionInfo",
    "WireProcess": "ProcessReport",
    "WireQueue": "QueueReading",
    "WireProgress": "Progress",
}
"""Names of the types in schemas: those of the model."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A part of a batch that cannot be accepted, and why."""

    index: int | None
    run_id: str | None
    field: str
    expected: str
    got: str


@dataclass(slots=True)
class Decoded:
    """A batch as far as it could be read."""

    events: list[TaskEvent] = field(default_factory=list)
    process: ProcessReport | None = None
    queues: list[QueueReading] = field(default_factory=list)
    sent_at: float | None = None
    rejected: list[Rejected] = field(default_factory=list)


def schema_components(ref_template: str) -> dict[str, Any]:
    """Return the JSON Schemas of all types by name, e.g. with `#/components/schemas/{name}` for OpenAPI."""
    _, components = msgspec.json.schema_components([WireBatch], ref_template="\0{name}\0")
    return {_NAMES.get(name, name): _renamed(schema, ref_template) for name, schema in components.items()}


def batch_schema() -> dict[str, Any]:
    """Return the JSON Schema of what is accepted: a batch, a list of events, or one event."""
    definitions = schema_components("#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Huoyan events",
        "description": "The body of POST /api/v1/events. Unknown members are ignored; absent ones have their default.",
        "anyOf": [
            {"$ref": "#/$defs/EventBatch"},
            {"type": "array", "items": {"$ref": "#/$defs/TaskEvent"}},
            {"$ref": "#/$defs/TaskEvent"},
        ],
        "$defs": definitions,
        "examples": [BATCH_EXAMPLE],
    }


def _renamed(schema: Any, ref_template: str) -> Any:
    if isinstance(schema, dict):
        renamed = {key: _renamed(value, ref_template) for key, value in schema.items()}
        title = renamed.get("title")
        if title in _NAMES:
            renamed["title"] = _NAMES[title]
        return renamed
    if isinstance(schema, list):
        return [_renamed(item, ref_template) for item in schema]
    if isinstance(schema, str) and schema.startswith("\0"):
        name = schema.strip("\0")
        return ref_template.format(name=_NAMES.get(name, name))
    return schema


_event = msgspec.json.Decoder(WireEvent)
_process = msgspec.json.Decoder(WireProcess)
_queue = msgspec.json.Decoder(WireQueue)
_time = msgspec.json.Decoder(Time | None)
_raw_list = msgspec.json.Decoder(list[Raw])
_raw_object = msgspec.json.Decoder(dict[str, Raw])
_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_STEP = re.compile(r"\.([A-Za-z_]+)|\[(\d+)\]")
_WORDS = (
    ("float | datetime", "seconds since 1970 or an RFC 3339 time"),
    ("datetime with a timezone component", "an RFC 3339 time with an offset or Z"),
    ("Invalid RFC3339 encoded datetime", "an RFC 3339 time"),
    ("Number out of range", "a number within the range of a double"),
    ("Integer value out of range", "a whole number within range"),
    ("str of length", "text of length"),
    ("str matching regex", "text that matches"),
    ("str", "text"),
    ("int", "a whole number"),
    ("float", "a number"),
)
"""What msgspec calls things, and what their senders do."""
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
        decoded.rejected.append(Rejected(None, None, "body", "JSON", _complaint(error)))
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
    sent_at = _part(parts, "sent_at", _time, decoded)
    decoded.sent_at = None if sent_at is None else _at(sent_at)
    process = _part(parts, "process", _process, decoded)
    if process is not None:
        decoded.process = _process_report(process)
    decoded.queues = [_queue_reading(q) for q in _read_queues(parts.get("queues"), decoded)]
    return decoded


def _envelope(body: bytes, decoded: Decoded) -> tuple[dict[str, Raw], list[Raw]] | None:
    start = body.lstrip()[:1]
    if start == b"[":
        return {}, _raw_list.decode(body)
    if start != b"{":
        msgspec.json.decode(body)
        decoded.rejected.append(
            Rejected(None, None, "body", "a batch, a list of events or an event", _shown(bytes(body[:80])))
        )
        return None
    parts = _raw_object.decode(body)
    if "events" in parts:
        events = parts.pop("events")
        if bytes(events).lstrip()[:1] != b"[":
            decoded.rejected.append(Rejected(None, None, "events", "a list of events", _shown(bytes(events))))
            return None
        return parts, _raw_list.decode(events)
    if "kind" in parts or "run_id" in parts:
        return {}, [Raw(body)]
    if "process" in parts or "queues" in parts:
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
            Rejected(index, _run_id(text), prefix, f"at most {MAX_EVENT_BYTES} bytes", f"{len(text)} bytes")
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
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, _PayloadError) as error:
        decoded.rejected.append(_rejected(error, index, _run_id(text), prefix, text))
        return None
    return _task_event(wire, received_at)


def _read_queues(raw: Raw | None, decoded: Decoded) -> Iterator[WireQueue]:
    if raw is None or bytes(raw) == b"null":
        return
    try:
        items = _raw_list.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        decoded.rejected.append(_rejected(error, None, None, "queues", bytes(raw)))
        return
    for index, item in enumerate(items):
        try:
            yield _queue.decode(_without_nul(bytes(item)))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            decoded.rejected.append(_rejected(error, None, None, f"queues[{index}]", bytes(item)))


def _part(parts: dict[str, Raw], name: str, decoder: "msgspec.json.Decoder[Any]", decoded: Decoded) -> Any:
    raw = parts.get(name)
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        return decoder.decode(_without_nul(bytes(raw)))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        decoded.rejected.append(_rejected(error, None, None, name, bytes(raw)))
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


class _PayloadError(Exception):
    def __init__(self, path: str, expected: str, got: str) -> None:
        super().__init__(path)
        self.path = path
        self.expected = expected
        self.got = got


def _check_payload(payload: Any, name: str) -> None:
    """Refuse what JSON can spell and nothing behind it can keep: infinite numbers, and nesting without end."""
    pending: list[tuple[Any, int]] = [(payload, 1)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise _PayloadError(name, "finite numbers", "a number beyond 1.8e308")
        if not isinstance(value, (dict, list)):
            continue
        if depth > MAX_DEPTH:
            raise _PayloadError(name, f"at most {MAX_DEPTH} levels of nesting", "more")
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
        evidence=wire.evidence,
        reason=wire.reason,
        source=wire.source,
        received_at=received_at,
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
    )


def _queue_reading(wire: WireQueue) -> QueueReading:
    return QueueReading(wire.queue, wire.depth, _at(wire.at), wire.service, wire.oldest_age_s)


def _at(time: float | datetime) -> float:
    return time.timestamp() if isinstance(time, datetime) else time


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


def _rejected(error: Exception, index: int | None, run_id: str | None, prefix: str, text: bytes) -> Rejected:
    """Say in our words what msgspec found."""
    if isinstance(error, _PayloadError):
        return Rejected(index, run_id, f"{prefix}.{error.path}", error.expected, error.got)
    if not isinstance(error, msgspec.ValidationError):
        return Rejected(index, run_id, prefix, "JSON", _complaint(error))
    match = _MESSAGE.fullmatch(str(error))
    what, path = (match["what"], (match["path"] or "")[1:]) if match is not None else (str(error), "")
    missing = _MISSING.fullmatch(what)
    if missing is not None:
        return Rejected(index, run_id, f"{prefix}{path}.{missing['name']}", "a value", "nothing")
    got = _found(text, path)
    if what.startswith("Invalid enum value"):
        known = Evidence if path.endswith("evidence") else EventKind
        return Rejected(index, run_id, f"{prefix}{path}", f"one of {', '.join(known)}", got)
    expected = what.removeprefix("Expected ").partition(", got ")[0].replace("`", "")
    for theirs, ours in _WORDS:
        expected = expected.replace(theirs, ours)
    return Rejected(index, run_id, f"{prefix}{path}", expected, got)


def _found(text: bytes, path: str) -> str:
    """Return what stands at a path like `.progress.at`, as far as it can be told."""
    try:
        value = msgspec.json.decode(text)
        for name, position in _STEP.findall(path):
            value = value[name] if name else value[int(position)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, LookupError, TypeError, ValueError):
        return "another value"
    return _shown(msgspec.json.encode(value))


def _complaint(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "text nested too deeply"
    return _shown(str(error).removeprefix("JSON is malformed: "))


def _run_id(text: bytes) -> str | None:
    """Return the run's id of an event that cannot be read whole, as far as it can be told."""
    if len(text) > MAX_EVENT_BYTES:
        return None
    try:
        value = msgspec.json.decode(text, type=dict[str, Raw]).get("run_id")
        name = None if value is None else msgspec.json.decode(value, type=str)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return None if name is None else name[:200]


def _names(parts: dict[str, Raw]) -> str:
    return _shown(f"an object with {', '.join(sorted(parts)) or 'nothing in it'}")


def _shown(value: str | bytes, limit: int = 120) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return text if len(text) <= limit else f"{text[:limit]}…"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(batch_schema(), indent=2, ensure_ascii=False) + "\n")
