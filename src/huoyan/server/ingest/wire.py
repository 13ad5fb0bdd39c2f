"""What clients post, as JSON: its types with their bounds, and its schema.

`python -m huoyan.server.ingest.wire > docs/reference/event.schema.json` writes the schema.
"""

import json
import sys
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from huoyan.model.event import EventKind, Evidence
from huoyan.model.schedule import ScheduleKind
from huoyan.signals.metric import Across, MetricKind

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
Id = Annotated[str, Meta(min_length=1, max_length=500)]
Name = Annotated[str, Meta(max_length=500)]
Text = Annotated[str, Meta(max_length=10_000)]
LongText = Annotated[str, Meta(max_length=200_000)]
Labels = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=100)], Annotated[str, Meta(max_length=500)]], Meta(max_length=64)
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

    type: Annotated[str, Meta(min_length=1, max_length=500)]
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
    cpu_s: Annotated[Seconds, Meta(description="CPU time of the attempt, on events that end one.")] | None = None
    peak_memory_bytes: (
        Annotated[
            Count,
            Meta(description="Highest resident size of its process, when the attempt is known to have caused it."),
        ]
        | None
    ) = None
    heartbeat_s: (
        Annotated[
            float,
            Meta(
                gt=0.0,
                le=1e7,
                description="The run promises a sign of life (`progress`) at least this often, in seconds.",
            ),
        ]
        | None
    ) = None
    progress: WireProgress | None = None
    labels: Labels | None = None
    breakdown: Any = None
    dependents: (
        Annotated[
            dict[Id, Name],
            Meta(max_length=100, description="Runs that start once this one (or its group) has finished: id to task."),
        ]
        | None
    ) = None
    depends_on: (
        Annotated[list[Id], Meta(max_length=100, description="Runs that have to finish before this one starts.")] | None
    ) = None
    evidence: Evidence = Evidence.REPORTED
    reason: Annotated[Text, Meta(description="Why, for revoked, rejected, lost and dead.")] = ""
    source: Annotated[SourceName, Meta(description="Who says so.")] = "client"


class WireProcess(Struct, kw_only=True):
    """A process that sends events speaks of itself."""

    worker: Annotated[str, Meta(min_length=1, max_length=500, description="The name its events carry in `worker`.")]
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
    version: Annotated[Name, Meta(description="Of what reports, as `huoyan` does.")] = ""
    service_version: Annotated[Name, Meta(description="Of the application: a tag, a commit.")] = ""


class WireQueue(Struct, kw_only=True):
    """What a broker says of a queue at one moment."""

    queue: Annotated[str, Meta(min_length=1, max_length=500)]
    depth: Annotated[Count, Meta(description="Messages that wait.")]
    at: Time
    service: Name = ""
    oldest_age_s: Seconds | None = None


class WireSchedule(Struct, kw_only=True):
    """What a process says of one schedule that it keeps; told again whenever it changes."""

    id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=300,
            description="Its name within service and framework. Runs carry it in the label `schedule`, "
            "and the time they were due in `eta`.",
        ),
    ]
    name: Name = ""
    service: Name = ""
    framework: Name = ""
    task: Annotated[Name, Meta(description="What it runs.")] = ""
    kind: ScheduleKind = ScheduleKind.CRON
    expression: Annotated[
        Name,
        Meta(
            description="`cron`: 5 fields, or 6 with seconds first; `interval`: seconds. Anything else is shown and "
            "not computed with."
        ),
    ] = ""
    timezone: Annotated[str, Meta(max_length=100, description="IANA name; empty: UTC.")] = ""
    next_due_at: Annotated[Time, Meta(description="When it is due next.")] | None = None
    last_run_at: Time | None = None
    grace_s: Annotated[Seconds, Meta(description="How late it may start before it is given up.")] | None = None
    ends_at: Annotated[Time, Meta(description="It is never due after this time.")] | None = None
    source: Annotated[Name, Meta(description="The process that keeps it, as `worker` of its events.")] = ""
    enabled: Annotated[bool, Meta(description="False when it is paused or was taken out.")] = True
    at: Annotated[Time, Meta(description="When this was so by the sender's clock.")]


MetricName = Annotated[str, Meta(pattern="^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$")]
LabelName = Annotated[str, Meta(pattern="^[a-zA-Z_][a-zA-Z0-9_]{0,99}$")]
LabelValues = Annotated[list[Annotated[str, Meta(max_length=500)]], Meta(max_length=20)]


class WireSeries(Struct, kw_only=True):
    """One series of a metric: `add` for a counter, `value` for a gauge, the rest for a distribution."""

    values: Annotated[LabelValues, Meta(description="One for each label of the metric, in its order.")] = []
    add: Annotated[float, Meta(ge=0.0, description="By how much the counter grew since the frame before.")] | None = (
        None
    )
    value: Annotated[float, Meta(description="What the gauge is now.")] | None = None
    set_at: (
        Annotated[float, Meta(ge=0.0, le=253402300799.0, description="When a gauge was set whose `across` is last.")]
        | None
    ) = None
    schema: Annotated[
        int, Meta(ge=-4, le=8, description="Resolution, as in Prometheus' native histograms and OpenTelemetry.")
    ] = 5
    zeros: Annotated[Count, Meta(description="Observations of zero since the frame before.")] = 0
    sum: Annotated[float, Meta(ge=0.0, description="Sum of the observations since the frame before.")] = 0.0
    buckets: Annotated[
        list[tuple[Annotated[int, Meta(ge=-300_000, le=300_000)], Annotated[int, Meta(ge=1, le=2**53)]],],
        Meta(max_length=5000, description="Index and count; the bucket ends at 2**(index * 2**-schema)."),
    ] = []


class WireMeasured(Struct, kw_only=True):
    """What was measured of one metric."""

    name: MetricName
    kind: MetricKind
    labels: Annotated[list[LabelName], Meta(max_length=20)] = []
    unit: Annotated[str, Meta(max_length=50)] = ""
    help: Annotated[str, Meta(max_length=500)] = ""
    across: Annotated[Across, Meta(description="What a gauge is of several processes of a service.")] = Across.SUM
    series: Annotated[list[WireSeries], Meta(max_length=10_000)] = []
    folded: Annotated[Count, Meta(description="How often label values were over the budget, since the frame.")] = 0
    samples: Annotated[list[LabelValues], Meta(max_length=20, description="Some that were.")] = []


class WireReached(Struct, kw_only=True):
    """Which keys reached a step of a funnel since the frame before. The counters of funnels hold them, too."""

    funnel: Name
    step: Name
    position: Annotated[int, Meta(ge=1, le=50, description="1 for the first step, where keys enter.")]
    keys: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=64)]],
        Meta(max_length=10_000, description="A hash of each: what was counted before, by any process, counts no more."),
    ]
    window_s: Annotated[Seconds, Meta(description="How long a key counts once.")] = 86_400.0


class WireFrame(Struct, kw_only=True):
    """What a process measured up to one moment. Sent until it is answered 200; a number taken before is left aside."""

    source: Annotated[str, Meta(min_length=1, max_length=100, description="Names one life of one process.")]
    sequence: Annotated[int, Meta(ge=1, le=2**53, description="1 for its first frame, one more with each.")]
    at: Annotated[Time, Meta(description="When it was taken, by the sender's clock.")]
    service: Name = ""
    worker: Name = ""
    metrics: Annotated[list[WireMeasured], Meta(max_length=1000)] = []
    reached: Annotated[list[WireReached], Meta(max_length=1000)] = []


class WireExample(Struct, kw_only=True):
    """A request kept as an example of where the time goes."""

    endpoint: Annotated[str, Meta(min_length=1, max_length=500, description="Its route template.")]
    at: Annotated[Time, Meta(description="When it began.")]
    duration_s: Annotated[Seconds, Meta(description="How long it took.")]
    method: Annotated[str, Meta(max_length=20)] = ""
    status: Annotated[int, Meta(ge=0, le=999)] = 0
    kind: Annotated[
        Literal["slow", "sampled", "failed"],
        Meta(description="Why it was kept: among the slowest of its interval, at random, or because it failed."),
    ] = "sampled"
    breakdown: Annotated[Any, Meta(description="Where its time went, as of runs.")] = None
    labels: Annotated[Labels, Meta(description="What may set it apart: host, version, …")] = {}
    trace_id: Annotated[str, Meta(max_length=64)] = ""
    seen: Annotated[Count, Meta(description="How many requests of its endpoint there were in its interval.")] = 0
    service: Name = ""


class WireGap(Struct, kw_only=True):
    """A time of which some events of a process were dropped: the end of a run may be among them."""

    worker: Annotated[str, Meta(min_length=1, max_length=500, description="The name its events carry in `worker`.")]
    started_at: Annotated[Time, Meta(description="When the first of them happened, by the sender's clock.")]
    ended_at: Annotated[Time, Meta(description="When the last did.")]
    events: Annotated[Count, Meta(description="How many; 0: nobody knows.")] = 0
    executing: (
        Annotated[
            list[Id],
            Meta(
                max_length=10_000,
                description="All runs that it executes now, said when everything else was: whatever is not named, and "
                "was not heard to end, ended in the gap.",
            ),
        ]
        | None
    ) = None


class WireBatch(Struct, kw_only=True):
    """What a client posts at once. `sent_at` is its clock at sending, from which the server learns the skew."""

    events: Annotated[list[WireEvent], Meta(max_length=MAX_EVENTS)] = []
    sent_at: Time | None = None
    process: WireProcess | None = None
    queues: Annotated[list[WireQueue], Meta(max_length=10_000)] = []
    schedules: Annotated[list[WireSchedule], Meta(max_length=10_000)] = []
    measurements: Annotated[list[WireFrame], Meta(max_length=1000)] = []
    examples: Annotated[list[WireExample], Meta(max_length=10_000)] = []
    gaps: Annotated[list[WireGap], Meta(max_length=1000)] = []
    gone: Annotated[
        list[Name],
        Meta(max_length=1000, description="Processes that were killed, by `worker`: these were their last words."),
    ] = []


_NAMES = {
    "WireBatch": "EventBatch",
    "WireEvent": "TaskEvent",
    "WireException": "ExceptionInfo",
    "WireProcess": "ProcessReport",
    "WireQueue": "QueueReading",
    "WireProgress": "Progress",
    "WireSchedule": "ScheduleReport",
    "WireExample": "Example",
    "WireGap": "EventGap",
    "WireFrame": "MeasurementFrame",
    "WireMeasured": "MeasuredMetric",
    "WireSeries": "MeasuredSeries",
}
"""Names of the types in schemas: those of the model."""


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


if __name__ == "__main__":
    sys.stdout.write(json.dumps(batch_schema(), indent=2, ensure_ascii=False) + "\n")
