"""The body of POST /api/v1/events, in JSON: names as in `huoyan.model.event`, what is absent is left out."""

import json
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from huoyan.client.delivery import Batch
from huoyan.model.event import (
    EventGap,
    EventKind,
    Evidence,
    ExceptionInfo,
    ProcessReport,
    Progress,
    QueueReading,
    TaskEvent,
)
from huoyan.model.example import Example
from huoyan.model.grid import LARGEST
from huoyan.model.histogram import Histogram
from huoyan.model.schedule import ScheduleReport
from huoyan.signals.measured import Frame, Measured
from huoyan.signals.metric import Across, MetricKind

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode
_lenient = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), skipkeys=True, default=repr)

_TEXTS = ("task", "service", "framework", "queue", "worker", "execution", "parent_id", "root_id", "group_id", "reason")
_CLIPPED = {"execution": 500, "reason": 10_000}
_NAME_CHARS = 300
_MAX_LABELS = 64
_MAX_LINKS = 100
_NUMBERS = ("attempt", "eta", "expires", "duration_s", "heartbeat_s", "cpu_s", "peak_memory_bytes")
_PAYLOADS = ("args", "kwargs", "result", "breakdown")


def event_fields(event: TaskEvent) -> dict[str, Any]:
    """Return the fields of an event that say anything. Payloads keep empty values: `[]` is known, None is not."""
    out: dict[str, Any] = {"kind": event.kind.value, "run_id": event.run_id, "at": event.at}
    for name in _TEXTS:
        value = getattr(event, name)
        if value:
            if len(value) > _NAME_CHARS:
                value = value[: _CLIPPED.get(name, _NAME_CHARS)]
            out[name] = value
    for name in _NUMBERS:
        value = getattr(event, name)
        if value is not None:
            out[name] = value
    for name in _PAYLOADS:
        value = getattr(event, name)
        if value is not None:
            out[name] = value
    if event.labels:
        labels = list(event.labels.items())[:_MAX_LABELS]
        out["labels"] = {name[:100]: value[:_NAME_CHARS] for name, value in labels if name}
    if event.dependents:
        links = list(event.dependents.items())[:_MAX_LINKS]
        out["dependents"] = {run_id[:_NAME_CHARS]: task[:_NAME_CHARS] for run_id, task in links if run_id}
    if event.depends_on:
        out["depends_on"] = [run_id[:_NAME_CHARS] for run_id in event.depends_on[:_MAX_LINKS] if run_id]
    if event.exception is not None:
        out["exception"] = _filled(event.exception)
    if event.progress is not None:
        out["progress"] = _filled(event.progress)
    if event.evidence is not Evidence.REPORTED:
        out["evidence"] = event.evidence.value
    if event.source != "client":
        out["source"] = event.source
    return out


def encode_event(event: TaskEvent) -> bytes:
    """Encode one event.

    What strict JSON cannot hold (a NaN, a lone surrogate, an object that slipped through) is replaced rather than let
    one event spoil the batch it travels in.
    """
    out = event_fields(event)
    try:
        text = _encode(out)
    except (TypeError, ValueError, RecursionError):
        for name in (*_PAYLOADS, "progress", "labels"):
            if name in out:
                out[name] = _plain(out[name])
        text = _encode(out)
    return text.encode("utf-8", "replace")


def glance(encoded: bytes) -> tuple[str, bytes]:
    """Return the kind of an encoded event and what tells its run, without decoding all of it."""
    # It begins {"kind":"started","run_id":"…", see `event_fields`.
    parts = encoded.split(b'"', 8)
    return (parts[3].decode("ascii", "replace"), parts[7]) if len(parts) > 8 else ("", b"")


def happened_at(encoded: bytes) -> float | None:
    """Return when an encoded event happened, seconds since 1970 UTC; None when it does not tell."""
    parts = encoded.split(b'"', 10)
    try:
        return float(parts[10][1:].partition(b",")[0].rstrip(b"}"))
    except (ValueError, IndexError):
        return None


def encode_gap(gap: EventGap) -> bytes:
    """Encode a gap in the events of a process."""
    return _encode(_gap_fields(gap)).encode("utf-8", "replace")


def decode_gap(encoded: bytes) -> EventGap:
    """Make a gap from what `encode_gap` wrote.

    Raises:
        ValueError: It is something else.
    """
    try:
        return EventGap(**json.loads(encoded))
    except TypeError as error:
        raise ValueError(str(error)) from error


def _gap_fields(gap: EventGap) -> dict[str, Any]:
    out: dict[str, Any] = {
        "worker": gap.worker[:_NAME_CHARS],
        "started_at": gap.started_at,
        "ended_at": gap.ended_at,
        "events": gap.events,
    }
    if gap.executing is not None:
        out["executing"] = gap.executing
    return out


def encode_batch(batch: Batch, sent_at: float) -> bytes:
    """Encode a batch; `sent_at` is this machine's wall clock at this try, seconds since 1970 UTC."""
    head: dict[str, Any] = {"sent_at": sent_at}
    if batch.process is not None:
        head["process"] = _filled(batch.process)
    if batch.queues:
        head["queues"] = [_filled(reading) for reading in batch.queues]
    if batch.schedules:
        head["schedules"] = [_schedule_fields(report) for report in batch.schedules]
    if batch.gaps:
        head["gaps"] = [_gap_fields(gap) for gap in batch.gaps]
    if batch.gone:
        head["gone"] = [name[:_NAME_CHARS] for name in batch.gone]
    if batch.examples:
        head["examples"] = [_example_fields(example) for example in batch.examples]
    start = _encode(head).encode("utf-8", "replace")
    parts = [start[:-1]]
    if batch.measurements:
        parts += [b',"measurements":[', b",".join(encoded for _, encoded in batch.measurements), b"]"]
    return b"".join((*parts, b',"events":[', b",".join(batch.events), b"]}"))


def _example_fields(example: Example) -> dict[str, Any]:
    out: dict[str, Any] = {
        "endpoint": example.endpoint[:_NAME_CHARS],
        "at": example.at,
        "duration_s": example.duration_s,
        "method": example.method,
        "status": example.status,
        "kind": example.kind,
        "labels": {name: value[:_NAME_CHARS] for name, value in example.labels.items()},
        "seen": example.seen,
    }
    if example.breakdown is not None:
        out["breakdown"] = example.breakdown
    if example.trace_id:
        out["trace_id"] = example.trace_id
    return out


def encode_frame(frame: Frame) -> bytes:
    """Encode what was measured up to one moment."""
    out: dict[str, Any] = {
        "source": frame.source,
        "sequence": frame.sequence,
        "at": frame.at,
        "service": frame.service[:_NAME_CHARS],
        "worker": frame.worker[:_NAME_CHARS],
        "metrics": [_measured_fields(measured) for measured in frame.metrics.values()],
    }
    if frame.reached:
        out["reached"] = [{**step._asdict(), "keys": keys} for step, keys in frame.reached.items()]
    return _encode(out).encode("utf-8", "replace")


def _measured_fields(measured: Measured) -> dict[str, Any]:
    metric = measured.metric
    out: dict[str, Any] = {"name": metric.name, "kind": metric.kind.value, "labels": list(metric.labels)}
    if metric.unit:
        out["unit"] = metric.unit
    if metric.help:
        out["help"] = metric.help
    if metric.across is not Across.SUM:
        out["across"] = metric.across.value
    if measured.folded:
        out["folded"] = measured.folded
        out["samples"] = [list(values) for values in measured.samples]
    out["series"] = [_series_fields(metric.kind, values, value) for values, value in measured.series.items()]
    if measured.set_at:
        for fields_, values in zip(out["series"], measured.series, strict=True):
            fields_["set_at"] = measured.set_at[values]
    return out


def _series_fields(kind: MetricKind, values: tuple[str, ...], value: float | Histogram) -> dict[str, Any]:
    if isinstance(value, Histogram):
        # Sums may grow beyond what strict JSON can say.
        out: dict[str, Any] = {"values": values, "sum": min(value.sum, LARGEST), "buckets": list(value.buckets.items())}
        if value.zero_count:
            out["zeros"] = value.zero_count
        return out
    return (
        {"values": values, "value": value}
        if kind is MetricKind.GAUGE
        else {"values": values, "add": min(value, LARGEST)}
    )


def decode_event(data: dict[str, Any]) -> TaskEvent:
    """Make an event from what `encode_event` wrote."""
    values = dict(data)
    values["kind"] = EventKind(values["kind"])
    if "evidence" in values:
        values["evidence"] = Evidence(values["evidence"])
    if "exception" in values:
        values["exception"] = ExceptionInfo(**values["exception"])
    if "progress" in values:
        values["progress"] = Progress(**values["progress"])
    return TaskEvent(**values)


def decode_events(encoded: Iterable[bytes]) -> list[TaskEvent]:
    """Make events from what `encode_event` wrote."""
    return [decode_event(json.loads(one)) for one in encoded]


_FIELDS = {kind: tuple(f.name for f in fields(kind)) for kind in (ExceptionInfo, Progress, ProcessReport, QueueReading)}


_SCHEDULE_FIELDS = tuple(f.name for f in fields(ScheduleReport))


def _filled(record: ExceptionInfo | Progress | ProcessReport | QueueReading) -> dict[str, Any]:
    out = {}
    for name in _FIELDS[type(record)]:
        value = getattr(record, name)
        if value is not None and value != "" and value != [] and value is not False:
            out[name] = value
    return out


def _schedule_fields(report: ScheduleReport) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name in _SCHEDULE_FIELDS:
        value = getattr(report, name)
        if value is not None and value != "":
            out[name] = value[:_NAME_CHARS] if isinstance(value, str) else value
    return out


def _plain(value: Any) -> Any:
    try:
        text = _lenient.encode(value)
    except (TypeError, ValueError, RecursionError):
        return "(could not be encoded)"
    return json.loads(text, parse_constant=str)
