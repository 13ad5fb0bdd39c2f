"""What is wrong with a part of a batch, in the words of whoever posts it: field, what was expected, what came."""

import re
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from huoyan.errors import InvalidEvent
from huoyan.model.event import EventKind, Evidence
from huoyan.model.schedule import ScheduleKind
from huoyan.server.ingest.wire import MAX_EVENT_BYTES
from huoyan.signals.metric import MetricKind

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


@dataclass(frozen=True, slots=True)
class Rejected:
    """A part of a batch that cannot be accepted, and why."""

    index: int | None
    run_id: str | None
    field: str
    expected: str
    got: str


def rejected(error: Exception, index: int | None, run_id: str | None, prefix: str, text: bytes) -> Rejected:
    """Say in our words what msgspec or a check of ours found.

    Args:
        error: What was raised.
        index: Place of the event in the batch, None for what is no event.
        run_id: Of the event, as far as it is known.
        prefix: Path of what was read: `events[3]`.
        text: What was read.
    """
    if isinstance(error, InvalidEvent):
        return Rejected(index, run_id, f"{prefix}.{error.field}", error.expected, str(error.got))
    if not isinstance(error, msgspec.ValidationError):
        return Rejected(index, run_id, prefix, "JSON", complaint(error))
    match = _MESSAGE.fullmatch(str(error))
    what, path = (match["what"], (match["path"] or "")[1:]) if match is not None else (str(error), "")
    missing = _MISSING.fullmatch(what)
    if missing is not None:
        return Rejected(index, run_id, f"{prefix}{path}.{missing['name']}", "a value", "nothing")
    got = _found(text, path)
    if what.startswith("Invalid enum value"):
        known: type[Evidence] | type[ScheduleKind] | type[EventKind] | type[MetricKind] = EventKind
        if path.endswith("evidence"):
            known = Evidence
        elif prefix.startswith("schedules"):
            known = ScheduleKind
        elif prefix.startswith("measurements"):
            known = MetricKind
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
    return shown(msgspec.json.encode(value))


def complaint(error: Exception) -> str:
    """Say why something is no JSON."""
    if isinstance(error, RecursionError):
        return "text nested too deeply"
    return shown(str(error).removeprefix("JSON is malformed: "))


def run_id_of(text: bytes) -> str | None:
    """Return the run's id of an event that cannot be read whole, as far as it can be told."""
    if len(text) > MAX_EVENT_BYTES:
        return None
    try:
        value = msgspec.json.decode(text, type=dict[str, Raw]).get("run_id")
        name = None if value is None else msgspec.json.decode(value, type=str)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return None if name is None else name[:200]


def shown(value: str | bytes, limit: int = 120) -> str:
    """Return a value for people, at most `limit` characters of it."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return text if len(text) <= limit else f"{text[:limit]}…"
