"""What waits."""

from huoyan.signals.metrics.work import LEDGER_DISCREPANCIES, QUEUE_DEPTH, QUEUE_OLDEST_AGE
from huoyan.signals.spec import Combine, Latest, Op, Panel, PanelKind, Signal, Thresholds, Unit

_BY = ("service", "queue")

QUEUE_SIGNALS = (
    Signal(
        id="queue_depth",
        title="Queue depth",
        title_zh="队列积压",
        help="Messages waiting in the queue, as its broker says. Unknown, not zero, while the broker does not answer.",
        help_zh="队列中等待的消息数，以消息代理为准；代理无应答时为未知，而不是零。",
        unit=Unit.COUNT,
        by=_BY,
        expression=Latest(QUEUE_DEPTH),
        panel=Panel("queues"),
        thresholds=Thresholds(Op.ABOVE, warning=100, critical=1000, for_s=60),
    ),
    Signal(
        id="queue_oldest_age",
        title="Oldest waiting message",
        title_zh="最久等待",
        help="How long the oldest message in the queue has been waiting.",
        help_zh="队列中最早的消息已等待的时间。",
        unit=Unit.SECONDS,
        by=_BY,
        expression=Latest(QUEUE_OLDEST_AGE, combine=Combine.MAX),
        panel=Panel("queues"),
        thresholds=Thresholds(Op.ABOVE, warning=300, critical=1800, for_s=60),
    ),
    Signal(
        id="ledger_discrepancy",
        title="Runs that do not add up",
        title_zh="对不上账的任务",
        help="Runs found in the last 15 minutes to have vanished, or to have been executed again after success.",
        help_zh="最近 15 分钟内发现凭空消失，或成功后又被执行的任务数。",
        unit=Unit.COUNT,
        by=_BY,
        expression=Latest(LEDGER_DISCREPANCIES),
        panel=Panel("queues", PanelKind.STAT),
        thresholds=Thresholds(Op.ABOVE, warning=0),
    ),
)
