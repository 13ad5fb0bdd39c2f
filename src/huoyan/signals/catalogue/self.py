"""How well Huoyan itself sees."""

from huoyan.signals.metrics import EVENTS_LOST, INGEST_LAG
from huoyan.signals.spec import Combine, Increase, Latest, Op, Panel, PanelKind, Signal, Thresholds, Unit

SELF_SIGNALS = (
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
