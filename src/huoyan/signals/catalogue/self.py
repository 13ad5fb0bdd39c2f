"""How well Huoyan itself sees."""

from huoyan.signals.metrics.server import BLIND, EVENTS_LOST, INGEST_LAG
from huoyan.signals.spec import Combine, Increase, Latest, Op, Panel, PanelKind, Signal, Thresholds, Unit

SELF_SIGNALS = (
    Signal(
        id="blind",
        title="Blind",
        title_zh="失明",
        help="1 while nothing can be heard from a source of events, a broker that is watched; 0 otherwise.",
        help_zh="收不到某个事件来源（被监视的消息代理）的数据时为 1，否则为 0。",
        unit=Unit.BOOLEAN,
        by=("source",),
        expression=Latest(BLIND, combine=Combine.MAX),
        panel=Panel("self", PanelKind.STATUS),
        thresholds=Thresholds(Op.ABOVE, critical=0, for_s=10),
    ),
    Signal(
        id="events_lost",
        title="Events lost",
        title_zh="丢失的事件",
        help="Events known to be lost during the window. Above zero, other figures may be too low.",
        help_zh="窗口内已知丢失的事件数；大于零时，其他数字可能偏低。",
        unit=Unit.COUNT,
        by=(),
        expression=Increase(EVENTS_LOST),
        panel=Panel("self", PanelKind.STAT),
        window_s=300,
        thresholds=Thresholds(Op.ABOVE, warning=0),
    ),
    Signal(
        id="ingest_lag",
        title="Ingest lag",
        title_zh="采集延迟",
        help="Time from receiving the newest stored event to its being stored.",
        help_zh="最近存储的事件从收到到入库的时间。",
        unit=Unit.SECONDS,
        by=(),
        expression=Latest(INGEST_LAG, combine=Combine.MAX),
        panel=Panel("self"),
        thresholds=Thresholds(Op.ABOVE, warning=10, critical=60, for_s=30),
    ),
)
