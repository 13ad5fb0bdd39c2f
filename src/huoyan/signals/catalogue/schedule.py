"""Whether what was due was done."""

from huoyan.signals.metrics import SCHEDULE_MISSED
from huoyan.signals.spec import Increase, Op, Panel, PanelKind, Signal, Thresholds, Unit

SCHEDULE_SIGNALS = (
    Signal(
        id="schedule_missed",
        title="Scheduled runs missed",
        title_zh="错过的定时任务",
        help="Due times found missed during the window: nothing started within the grace of the schedule.",
        help_zh="窗口内判定为错过的执行时刻：宽限期内没有任何执行开始。",
        unit=Unit.COUNT,
        by=("schedule",),
        expression=Increase(SCHEDULE_MISSED),
        panel=Panel("schedules", PanelKind.STAT),
        window_s=300,
        thresholds=Thresholds(Op.ABOVE, warning=0),
    ),
)
