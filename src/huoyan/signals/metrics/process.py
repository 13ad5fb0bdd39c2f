"""Metrics of processes and their hosts."""

from huoyan.signals.metric import Across, Endpoint, Metric, MetricKind

PROCESS_CPU = Metric(
    "huoyan_process_cpu_seconds_total",
    MetricKind.COUNTER,
    "CPU time that the process used, user and system.",
    ("worker",),
    endpoint=Endpoint.APPLICATION,
)
PROCESS_RSS = Metric(
    "huoyan_process_resident_memory_bytes",
    MetricKind.GAUGE,
    "Memory of the process that is in RAM.",
    ("worker",),
    "bytes",
    Endpoint.APPLICATION,
)
PROCESS_VMS = Metric(
    "huoyan_process_virtual_memory_bytes",
    MetricKind.GAUGE,
    "Address space of the process.",
    ("worker",),
    "bytes",
    Endpoint.APPLICATION,
)
PROCESS_OPEN_FILES = Metric(
    "huoyan_process_open_files",
    MetricKind.GAUGE,
    "Files, sockets and pipes that the process has open.",
    ("worker",),
    endpoint=Endpoint.APPLICATION,
)
PROCESS_THREADS = Metric(
    "huoyan_process_threads",
    MetricKind.GAUGE,
    "Threads of the process.",
    ("worker",),
    endpoint=Endpoint.APPLICATION,
)
EVENT_LOOP_LAG = Metric(
    "huoyan_event_loop_lag_seconds",
    MetricKind.DISTRIBUTION,
    "How much later than asked for the event loop called back.",
    ("worker",),
    "seconds",
    Endpoint.APPLICATION,
)
GC_COLLECTIONS = Metric(
    "huoyan_gc_collections_total",
    MetricKind.COUNTER,
    "Garbage collections of the process, by generation.",
    ("worker", "generation"),
    endpoint=Endpoint.APPLICATION,
)
GC_PAUSE = Metric(
    "huoyan_gc_pause_seconds",
    MetricKind.DISTRIBUTION,
    "How long the process stood still for each garbage collection.",
    ("worker",),
    "seconds",
    Endpoint.APPLICATION,
)
HOST_CPU = Metric(
    "huoyan_host_cpu_ratio",
    MetricKind.GAUGE,
    "Share of the host's CPU time that is used, 0 to 1.",
    ("host",),
    endpoint=Endpoint.APPLICATION,
    across=Across.MAX,
)
HOST_MEMORY = Metric(
    "huoyan_host_memory_ratio",
    MetricKind.GAUGE,
    "Share of the host's memory that is used, 0 to 1.",
    ("host",),
    endpoint=Endpoint.APPLICATION,
    across=Across.MAX,
)
HOST_DISK = Metric(
    "huoyan_host_disk_ratio",
    MetricKind.GAUGE,
    "Share of the disk that holds the working directory that is used, 0 to 1.",
    ("host",),
    endpoint=Endpoint.APPLICATION,
    across=Across.MAX,
)
