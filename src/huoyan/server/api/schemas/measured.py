"""What processes measure, as JSON: label budgets, resources over time, funnels."""

from typing import Literal

from huoyan.server.api.schemas.base import Document, Timestamp, documented

CARDINALITY = {
    "metric": "orders_created_total",
    "service": "orders",
    "kind": "counter",
    "labels": ["customer"],
    "series": 1001,
    "folded": 4200,
    "samples": [{"customer": "4711"}],
    "advice": {"customer": "a number"},
    "last_at": "2026-11-20T21:15:10.000000Z",
}
PROCESS = {
    "service": "orders",
    "worker": "orders@host-1:4242",
    "cpu": [0.12, 0.93],
    "memory_bytes": [81264640.0, 81395712.0],
    "open_files": [34.0, 35.0],
    "threads": [9.0, 9.0],
    "event_loop_lag_s": [None, 0.004],
    "gc_pause_s": [None, 0.012],
}
NODE = {
    "instance": "host-1:9100",
    "sampled_at": "2026-11-20T21:15:10.000000Z",
    "disk_mount": "/",
    "load1": 0.8,
    "processors": 2,
    "received_bytes_per_s": 18250.0,
    "sent_bytes_per_s": 7411.5,
}
HOST = {
    "host": "host-1",
    "cpu": [0.4, 0.5],
    "memory": [0.6, 0.6],
    "disk": [0.7, 0.7],
    "sources": {"cpu": "node-exporter", "memory": "node-exporter", "disk": "psutil"},
    "node": NODE,
}
NODE_EXPORTERS = {
    "url": "http://127.0.0.1:9090",
    "state": "answers",
    "problem": "",
    "known": 12,
    "read_at": "2026-11-20T21:15:12.000000Z",
}
FUNNEL = {
    "service": "orders",
    "funnel": "checkout",
    "steps": [
        {"step": "cart", "position": 1, "reached": 120, "conversion": 1.0, "from_previous": None, "dropped": 0},
        {"step": "paid", "position": 2, "reached": 90, "conversion": 0.75, "from_previous": 0.75, "dropped": 30},
    ],
}


class LabelBudget(Document):
    """A metric that a service measures, and how it keeps to its budget of label combinations."""

    model_config = documented(CARDINALITY)

    metric: str
    service: str
    kind: str
    labels: list[str]
    series: int
    """Combinations of label values that are kept apart."""
    folded: int
    """How often a combination counted as `other`: over the budget, or with an id in a label."""
    samples: list[dict[str, str]]
    """Some of the combinations that did."""
    advice: dict[str, str]
    """Labels whose values look like ids, and which kind of id."""
    last_at: Timestamp
    """When something of it came last."""


class LabelBudgetList(Document):
    """Every metric measured, those over their budget first."""

    model_config = documented({"items": [CARDINALITY], "next": None})

    items: list[LabelBudget]
    next: None
    """Always null: the list is whole."""


class ProcessResources(Document):
    """What one process used, one number for each time; null where nothing was heard of it."""

    model_config = documented(PROCESS)

    service: str
    worker: str
    cpu: list[float | None]
    """Processors kept busy."""
    memory_bytes: list[float | None]
    """Memory in RAM."""
    open_files: list[float | None]
    threads: list[float | None]
    event_loop_lag_s: list[float | None]
    """99 % of the looks at the event loop found it at most this late."""
    gc_pause_s: list[float | None]
    """P99 of how long it stood still for a garbage collection."""


HostSource = Literal["node-exporter", "psutil"]


class HostSources(Document):
    """Who tells of a host now: its node exporter, or the processes on it; null while nobody does."""

    cpu: HostSource | None
    memory: HostSource | None
    disk: HostSource | None


class HostNode(Document):
    """What the node exporter of a host says besides; null where it does not."""

    model_config = documented(NODE)

    instance: str
    """Its address, as Prometheus calls it."""
    sampled_at: Timestamp
    """When Prometheus read it last."""
    disk_mount: str
    """Where the disk is mounted that is the fullest; empty when the share is not its."""
    load1: float | None
    """Load average over a minute."""
    processors: int | None
    received_bytes_per_s: float | None
    sent_bytes_per_s: float | None


class HostResources(Document):
    """What one host used, shares from 0 to 1; null where nothing was heard of it."""

    model_config = documented(HOST)

    host: str
    cpu: list[float | None]
    memory: list[float | None]
    disk: list[float | None]
    sources: HostSources
    node: HostNode | None
    """Null while no node exporter tells of it."""


class NodeExporters(Document):
    """The Prometheus that is asked for what node exporters say, and how that went last."""

    model_config = documented(NODE_EXPORTERS)

    url: str
    state: Literal["waiting", "answers", "failing"]
    """`waiting` before the first answer. While it is `failing`, processes speak for their hosts after a minute."""
    problem: str
    """Why it is failing; empty otherwise."""
    known: int
    """Node exporters that it knows, of any host."""
    read_at: Timestamp | None
    """When it answered last; null: never."""


class Resources(Document):
    """Processes and hosts over time, the rows of a heat map."""

    model_config = documented(
        {
            "times": [1795208340.0, 1795208400.0],
            "step_s": 60.0,
            "processes": [PROCESS],
            "hosts": [HOST],
            "node_exporters": NODE_EXPORTERS,
        }
    )

    times: list[float]
    """Ends of the steps, seconds since 1970 UTC."""
    step_s: float
    processes: list[ProcessResources]
    hosts: list[HostResources]
    node_exporters: NodeExporters | None
    """Null where no Prometheus is asked."""


class FunnelStep(Document):
    """One step of a funnel."""

    step: str
    position: int
    reached: int
    """Keys that reached it within the window."""
    conversion: float | None
    """Share of those that entered the funnel; null when none did."""
    from_previous: float | None
    """Share of those that reached the step before; null for the first."""
    dropped: int
    """How many fewer than at the step before."""


class Funnel(Document):
    """A funnel of a service."""

    model_config = documented(FUNNEL)

    service: str
    funnel: str
    steps: list[FunnelStep]


class FunnelList(Document):
    """Every funnel that something entered or passed within the window."""

    model_config = documented({"items": [FUNNEL], "next": None})

    items: list[Funnel]
    next: None
    """Always null: the list is whole."""
