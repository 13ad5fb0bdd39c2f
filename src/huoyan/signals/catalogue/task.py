"""What tasks do: how many, how well, how fast."""

from huoyan.model.run import BAD_STATES, FINAL_STATES, RunState
from huoyan.signals.metrics.work import (
    TASK_DUPLICATES,
    TASK_DURATION,
    TASK_FAILURES,
    TASK_RETRIES,
    TASK_RUNS,
    TASK_WAIT,
    TASKS_ACTIVE,
    TASKS_STUCK,
)
from huoyan.signals.spec import (
    Increase,
    Latest,
    Op,
    Panel,
    Quantile,
    Rate,
    Ratio,
    Scale,
    Signal,
    Thresholds,
    Unit,
    where,
)

_BY = ("service", "task")
_BAD = tuple(sorted(state.value for state in BAD_STATES))
# A revoked run is neither a success nor a failure: somebody decided that it should not happen.
_JUDGED = tuple(sorted(state.value for state in FINAL_STATES - {RunState.REVOKED}))
_DURATIONS = "task_duration_p95"


def _duration(q: float, panel: Panel, reading: str, reading_zh: str) -> Signal:
    name = f"p{q * 100:g}"
    return Signal(
        id=f"task_duration_{name}",
        title=f"{name.upper()} duration",
        title_zh=f"{name.upper()} 耗时",
        help=f"{reading} finished attempts took at most this long.",
        help_zh=f"{reading_zh}已结束的执行耗时不超过该值。",
        unit=Unit.SECONDS,
        by=_BY,
        expression=Quantile(q, TASK_DURATION),
        panel=panel,
        window_s=300,
        min_samples=1,
    )


TASK_SIGNALS = (
    Signal(
        id="task_runs_per_minute",
        title="Runs per minute",
        title_zh="每分钟执行数",
        help="Runs that reached a final state, per minute.",
        help_zh="每分钟进入最终状态的任务数。",
        unit=Unit.PER_MINUTE,
        by=_BY,
        expression=Scale(Rate(TASK_RUNS), 60.0),
        panel=Panel("tasks"),
        window_s=300,
    ),
    Signal(
        id="task_failure_ratio",
        title="Failure ratio",
        title_zh="失败率",
        help="Share of finished runs that failed, were rejected, lost or given up. Revoked runs count on neither side.",
        help_zh="已结束任务中失败、被拒绝、丢失或放弃的比例；被撤销的任务不计入。",
        unit=Unit.RATIO,
        by=_BY,
        expression=Ratio(Increase(TASK_RUNS, where(state=_BAD)), Increase(TASK_RUNS, where(state=_JUDGED))),
        panel=Panel("tasks"),
        window_s=300,
        min_samples=10,
        thresholds=Thresholds(Op.ABOVE, warning=0.05, critical=0.2, for_s=60),
    ),
    Signal(
        id="task_failures",
        title="Failed runs",
        title_zh="失败数",
        help="Runs that failed with an exception and have no retry left, during the window.",
        help_zh="窗口内抛出异常且不再重试的任务数。",
        unit=Unit.COUNT,
        by=_BY,
        expression=Increase(TASK_FAILURES),
        panel=Panel("tasks"),
        window_s=300,
    ),
    _duration(0.5, Panel("tasks", joins=_DURATIONS), "Half of the", "一半"),
    _duration(0.95, Panel("tasks", title="Duration", title_zh="耗时"), "95 % of the", "95% 的"),
    _duration(0.99, Panel("tasks", joins=_DURATIONS), "99 % of the", "99% 的"),
    Signal(
        id="task_wait_p95",
        title="P95 wait",
        title_zh="P95 等待时间",
        help="95 % of the runs waited at most this long from being enqueued, or due, to their first start.",
        help_zh="95% 的任务从入队（或到期）到首次开始的等待不超过该值。",
        unit=Unit.SECONDS,
        by=_BY,
        expression=Quantile(0.95, TASK_WAIT),
        panel=Panel("tasks"),
        window_s=300,
        min_samples=1,
        thresholds=Thresholds(Op.ABOVE, warning=60, critical=300, for_s=120),
    ),
    Signal(
        id="task_retries",
        title="Retries",
        title_zh="重试数",
        help="Attempts that ended with the decision to try again, during the window.",
        help_zh="窗口内以重试告终的执行次数。",
        unit=Unit.COUNT,
        by=_BY,
        expression=Increase(TASK_RETRIES),
        panel=Panel("tasks"),
        window_s=300,
    ),
    Signal(
        id="task_duplicates",
        title="Executed twice",
        title_zh="重复执行数",
        help="Attempts that began after their run had succeeded, during the window: a redelivery whose work was done.",
        help_zh="窗口内在任务已成功之后又开始的执行次数：消息被重复投递。",
        unit=Unit.COUNT,
        by=_BY,
        expression=Increase(TASK_DUPLICATES),
        panel=Panel("tasks"),
        window_s=900,
        thresholds=Thresholds(Op.ABOVE, warning=0),
    ),
    Signal(
        id="tasks_active",
        title="Running now",
        title_zh="正在执行",
        help="Runs being executed at this moment.",
        help_zh="此刻正在执行的任务数。",
        unit=Unit.COUNT,
        by=_BY,
        expression=Latest(TASKS_ACTIVE),
        panel=Panel("tasks"),
    ),
    Signal(
        id="task_stuck",
        title="Stuck runs",
        title_zh="卡住的任务数",
        help="Runs being executed that owe more signs of life than they may, by their own promise.",
        help_zh="正在执行、但未按约定报告心跳的任务数。",
        unit=Unit.COUNT,
        by=_BY,
        expression=Latest(TASKS_STUCK),
        panel=Panel("tasks"),
        thresholds=Thresholds(Op.ABOVE, warning=0),
    ),
)
