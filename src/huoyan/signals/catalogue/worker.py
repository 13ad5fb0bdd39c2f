"""Who works."""

from huoyan.signals.metrics.work import WORKER_UP, WORKER_WEDGED
from huoyan.signals.spec import Combine, Compare, Latest, Op, Over, Panel, PanelKind, Signal, Thresholds, Unit

_UP = Latest(WORKER_UP, combine=Combine.MIN)

WORKER_SIGNALS = (
    Signal(
        id="worker_up",
        title="Worker up",
        title_zh="工作进程在线",
        help="1 while the worker reports, 0 when it missed three reports; nothing after an orderly end.",
        help_zh="进程正常上报为 1，连续三次未上报为 0；正常退出后无值。",
        unit=Unit.BOOLEAN,
        by=("worker",),
        expression=_UP,
        panel=Panel("workers", PanelKind.STATUS),
    ),
    Signal(
        id="workers_down",
        title="Workers down",
        title_zh="失联进程数",
        help="Workers that stopped reporting without saying goodbye.",
        help_zh="未正常退出却停止上报的进程数。",
        unit=Unit.COUNT,
        by=(),
        expression=Over(Combine.SUM, Compare(_UP, Op.EQUAL, 0.0), ("worker",)),
        panel=Panel("workers", PanelKind.STAT),
        thresholds=Thresholds(Op.ABOVE, warning=0),
    ),
    Signal(
        id="workers_wedged",
        title="Workers wedged",
        title_zh="卡住的进程数",
        help="Workers that report but start nothing, although something waits in their queues.",
        help_zh="仍在上报、但队列中有任务却不启动任何任务的进程数。",
        unit=Unit.COUNT,
        by=(),
        expression=Over(Combine.SUM, Compare(Latest(WORKER_WEDGED, combine=Combine.MAX), Op.EQUAL, 1.0), ("worker",)),
        panel=Panel("workers", PanelKind.STAT),
        thresholds=Thresholds(Op.ABOVE, warning=0),
    ),
)
