"""Whether what was due was done."""

from huoyan.signals.metrics.work import SCHEDULE_MISSED, SCHEDULE_TOO_FAST, SCHEDULE_TOO_OFTEN, SCHEDULER_DEAD
from huoyan.signals.spec import Increase, Latest, Op, Panel, PanelKind, Signal, Thresholds, Unit

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
    Signal(
        id="schedule_too_often",
        title="Scheduled runs too often",
        title_zh="执行过于频繁的定时任务",
        help="Due times at which the scheduler started more than one run, found during the window.",
        help_zh="窗口内发现的、调度器启动了不止一次执行的执行时刻。",
        unit=Unit.COUNT,
        by=("schedule",),
        expression=Increase(SCHEDULE_TOO_OFTEN),
        panel=Panel("schedules", PanelKind.STAT),
        window_s=300,
        thresholds=Thresholds(Op.ABOVE, warning=0),
    ),
    Signal(
        id="schedule_too_fast",
        title="Scheduled runs too fast",
        title_zh="完成过快的定时任务",
        help="Runs that succeeded in less than a tenth of what they take at least: they may have found nothing to do.",
        help_zh="成功但耗时不到惯常最短耗时十分之一的执行：可能什么都没做。",
        unit=Unit.COUNT,
        by=("schedule",),
        expression=Increase(SCHEDULE_TOO_FAST),
        panel=Panel("schedules", PanelKind.STAT),
        window_s=300,
        thresholds=Thresholds(Op.ABOVE, warning=0),
    ),
    Signal(
        id="scheduler_dead",
        title="Schedules whose scheduler is dead",
        title_zh="调度器已停止的定时任务",
        help="Schedules kept by a process that is down, or that stands still and lets due times pass.",
        help_zh="由已停止或已卡住（任由执行时刻过去）的进程负责的定时任务。",
        unit=Unit.COUNT,
        by=("schedule",),
        expression=Latest(SCHEDULER_DEAD),
        panel=Panel("schedules", PanelKind.STAT),
        thresholds=Thresholds(Op.ABOVE, warning=0, critical=0),
    ),
)
