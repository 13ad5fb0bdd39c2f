"""What processes and their hosts use."""

from huoyan.signals.metric import Metric
from huoyan.signals.metrics.process import (
    EVENT_LOOP_LAG,
    GC_COLLECTIONS,
    GC_PAUSE,
    HOST_CPU,
    HOST_DISK,
    HOST_MEMORY,
    PROCESS_CPU,
    PROCESS_OPEN_FILES,
    PROCESS_RSS,
    PROCESS_THREADS,
    PROCESS_VMS,
)
from huoyan.signals.spec import (
    Combine,
    Latest,
    Op,
    Panel,
    PanelKind,
    Quantile,
    Rate,
    Scale,
    Signal,
    Thresholds,
    Unit,
)

_SECTION = "processes"
_BY = ("service", "worker")


def _now(
    name: str,
    metric: Metric,
    unit: Unit,
    titles: tuple[str, str],
    helps: tuple[str, str],
    kind: PanelKind = PanelKind.LINES,
) -> Signal:
    return Signal(
        id=name,
        title=titles[0],
        title_zh=titles[1],
        help=helps[0],
        help_zh=helps[1],
        unit=unit,
        by=_BY,
        expression=Latest(metric),
        panel=Panel(_SECTION, kind),
    )


def _host(name: str, metric: Metric, titles: tuple[str, str], helps: tuple[str, str], limit: Thresholds) -> Signal:
    return Signal(
        id=name,
        title=titles[0],
        title_zh=titles[1],
        help=helps[0],
        help_zh=helps[1],
        unit=Unit.RATIO,
        by=("host",),
        # Every process of a host says the same of it.
        expression=Latest(metric, combine=Combine.MAX),
        panel=Panel(_SECTION),
        thresholds=limit,
    )


PROCESS_SIGNALS = (
    Signal(
        id="process_cpu",
        title="CPU of processes",
        title_zh="进程 CPU",
        help="Processors that the process keeps busy: 1 is one whole processor.",
        help_zh="进程占用的处理器数：1 为一个完整处理器。",
        unit=Unit.COUNT,
        by=_BY,
        expression=Rate(PROCESS_CPU),
        panel=Panel(_SECTION, PanelKind.HEAT),
        window_s=60,
    ),
    _now(
        "process_memory",
        PROCESS_RSS,
        Unit.BYTES,
        ("Memory of processes", "进程内存"),
        ("Memory of the process that is in RAM.", "进程占用的物理内存。"),
        PanelKind.HEAT,
    ),
    _now(
        "process_virtual_memory",
        PROCESS_VMS,
        Unit.BYTES,
        ("Address space of processes", "进程虚拟内存"),
        ("Address space of the process.", "进程的虚拟地址空间。"),
    ),
    _now(
        "process_open_files",
        PROCESS_OPEN_FILES,
        Unit.COUNT,
        ("Open files", "打开的文件"),
        ("Files, sockets and pipes that the process has open.", "进程打开的文件、套接字和管道数。"),
    ),
    _now(
        "process_threads",
        PROCESS_THREADS,
        Unit.COUNT,
        ("Threads", "线程"),
        ("Threads of the process.", "进程的线程数。"),
    ),
    Signal(
        id="event_loop_lag_p99",
        title="P99 event loop lag",
        title_zh="P99 事件循环延迟",
        help="99 % of the looks at the event loop found it at most this late: longer means that something blocks it.",
        help_zh="99% 的检查中事件循环的延迟不超过该值；更长说明有代码阻塞了它。",
        unit=Unit.SECONDS,
        by=_BY,
        expression=Quantile(0.99, EVENT_LOOP_LAG),
        panel=Panel(_SECTION),
        window_s=60,
        min_samples=10,
        thresholds=Thresholds(Op.ABOVE, warning=0.5, for_s=60),
    ),
    Signal(
        id="gc_collections_per_minute",
        title="Garbage collections",
        title_zh="垃圾回收",
        help="Garbage collections of the process, per minute.",
        help_zh="进程每分钟的垃圾回收次数。",
        unit=Unit.PER_MINUTE,
        by=(*_BY, "generation"),
        expression=Scale(Rate(GC_COLLECTIONS), 60.0),
        panel=Panel(_SECTION),
        window_s=60,
    ),
    Signal(
        id="gc_pause_p99",
        title="P99 garbage collection pause",
        title_zh="P99 垃圾回收停顿",
        help="99 % of the garbage collections stopped the process for at most this long.",
        help_zh="99% 的垃圾回收使进程停顿不超过该值。",
        unit=Unit.SECONDS,
        by=_BY,
        expression=Quantile(0.99, GC_PAUSE),
        panel=Panel(_SECTION),
        window_s=60,
        min_samples=1,
    ),
    _host(
        "host_cpu",
        HOST_CPU,
        ("CPU of hosts", "主机 CPU"),
        ("Share of the host's CPU time that is used.", "主机 CPU 使用率。"),
        Thresholds(Op.ABOVE, warning=0.95, for_s=300),
    ),
    _host(
        "host_memory",
        HOST_MEMORY,
        ("Memory of hosts", "主机内存"),
        ("Share of the host's memory that is used.", "主机内存使用率。"),
        Thresholds(Op.ABOVE, warning=0.95, for_s=120),
    ),
    _host(
        "host_disk",
        HOST_DISK,
        ("Disk of hosts", "主机磁盘"),
        (
            "Share of the disk that holds the working directory that is used.",
            "工作目录所在磁盘的使用率。",
        ),
        Thresholds(Op.ABOVE, warning=0.9, critical=0.97, for_s=60),
    ),
)
