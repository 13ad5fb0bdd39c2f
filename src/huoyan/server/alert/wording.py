"""Say values, subjects and conditions in words, English or Chinese.

Signals bring their own titles and units, so a new signal needs nothing here. The sentences about an alert's life
(`firing`, `recovered`, …) are English: they are stored, and the page has the fields to make its own from.
"""

from collections.abc import Mapping

from huoyan.model.alert import Alert
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.spec import Unit

LANGUAGES = ("en", "zh")
"""Languages in which people are told."""

INGEST_CUT = "ingest_cut"
"""What the built-in rule about blindness judges; not a signal, because nothing can be measured then."""

# Where "name value (> limit)" would be stilted: (English, Chinese), said after the subject.
_PLAIN = {
    "workers_down": ("down, it stopped reporting", "已停止上报"),
    INGEST_CUT: ("cut off, no events come from it", "已中断，收不到事件"),
}


def is_plain(signal: str) -> bool:
    """Return whether a signal's condition is said in words alone, because its value and limit would add nothing."""
    return signal in _PLAIN


def amount(value: float | None, unit: str, language: str = "en") -> str:
    """Say a value in its unit: `62 %`, `1.2 s`, `4 min`, `1,200`, `12 per minute`."""
    if value is None:
        return "无数据" if language == "zh" else "no data"
    if unit == Unit.RATIO:
        return f"{_short(value * 100)} %"
    if unit == Unit.SECONDS:
        return span(value, language)
    if unit == Unit.PER_MINUTE:
        return f"每分钟 {_short(value)}" if language == "zh" else f"{_short(value)} per minute"
    return _short(value)


def span(seconds: float, language: str = "en") -> str:
    """Say a duration in at most two units: `350 ms`, `45 s`, `4 min 5 s`, `2 h`, `3 d 4 h`."""
    if seconds < 0:
        return f"-{span(-seconds, language)}"
    names = ("天", "小时", "分钟", "秒", "毫秒") if language == "zh" else ("d", "h", "min", "s", "ms")
    if 0 < seconds < 0.9995:
        return f"{seconds * 1000:.0f} {names[4]}"
    if seconds < 9.95:
        return f"{_short(seconds)} {names[3]}"
    whole = round(seconds)
    parts = (whole // 86400, whole % 86400 // 3600, whole % 3600 // 60, whole % 60)
    first = next(index for index, part in enumerate(parts) if part)
    said = [f"{parts[index]} {names[index]}" for index in (first, first + 1) if index < 4 and parts[index]]
    return " ".join(said)


def subject(labels: Mapping[str, str], language: str = "en") -> str:
    """Name what labels point at: `orders.take_payment`, `queue mail (shop)`, `worker celery@a`."""
    service, task, queue, worker = (labels.get(name, "") for name in ("service", "task", "queue", "worker"))
    source = labels.get("source")
    chinese = language == "zh"
    if task:
        if not service or task.startswith(f"{service}."):
            return task
        return f"{service}/{task}" if "." in task else f"{service}.{task}"
    if source:
        return f"来源 {source}" if chinese else f"source {source}"
    if worker:
        return f"工作进程 {worker}" if chinese else f"worker {worker}"
    if "queue" in labels:
        name = queue or ("（未知）" if chinese else "(unknown)")
        said = f"队列 {name}" if chinese else f"queue {name}"
        return f"{said} ({service})" if service else said
    if service:
        return f"服务 {service}" if chinese else f"service {service}"
    rest = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if value)
    return rest or ("全部" if chinese else "everything")


def quantity(signal: str, language: str = "en") -> str:
    """Name a signal inside a sentence: `failure ratio`, `P95 wait`, `失败率`."""
    known = CATALOGUE.get(signal)
    if known is None:
        return signal.replace("_", " ")
    if language == "zh":
        return known.title_zh
    title = known.title
    return title if title[1:2].isupper() or title[1:2].isdigit() else title[:1].lower() + title[1:]


def unit_of(signal: str) -> str:
    """Return the unit of a signal; plain counting for one that is not known (any more)."""
    known = CATALOGUE.get(signal)
    return known.unit if known is not None else Unit.COUNT


def condition(alert: Alert, language: str = "en") -> str:
    """Say what is wrong, subject apart: `failure ratio 62 % (> 20 %)`."""
    plain = _PLAIN.get(alert.signal)
    if plain is not None:
        return plain[1] if language == "zh" else plain[0]
    unit = unit_of(alert.signal)
    value, limit = amount(alert.value, unit, language), amount(alert.threshold, unit, language)
    name = quantity(alert.signal, language)
    return f"{name} {value}（{alert.op} {limit}）" if language == "zh" else f"{name} {value} ({alert.op} {limit})"


def headline(alert: Alert, language: str = "en") -> str:
    """Say what is wrong with what: `orders.take_payment: failure ratio 62 % (> 20 %)`."""
    said = condition(alert, language)
    if not any(alert.labels.values()):
        return f"{said[:1].upper()}{said[1:]}"
    mark = "：" if language == "zh" else ": "
    return f"{subject(alert.labels, language)}{mark}{said}"


def quantity_of(alert: Alert) -> str:
    """Name what was measured of what: `failure ratio of orders.take_payment`."""
    name = quantity(alert.signal)
    return f"{name} of {subject(alert.labels)}" if any(alert.labels.values()) else name


def pending(alert: Alert, for_s: float) -> str:
    """Say that the condition holds and for how long it has to."""
    return f"{_holding(alert)}; it fires when this lasts {span(for_s)}"


def firing(alert: Alert) -> str:
    """Say that the condition holds, and for how long it did before it fired."""
    lasted = (alert.fired_at or alert.pending_at) - alert.pending_at
    return f"{_holding(alert)}, for {span(lasted)} before it fired" if lasted >= 1 else _holding(alert)


def recovering(alert: Alert, keep_firing_s: float) -> str:
    """Say that the value is good again and how long it has to stay so."""
    return f"{_now(alert)}; it resolves when this lasts {span(keep_firing_s)}"


def recovered(alert: Alert, lasted_s: float) -> str:
    """Say that the value has been good for long enough."""
    return _now(alert, f" for {span(lasted_s)}" if lasted_s >= 1 else "")


def cancelled(alert: Alert) -> str:
    """Say that the condition ended before it had lasted long enough."""
    return f"{_now(alert)} before it fired"


def cancelled_without_value(alert: Alert) -> str:
    """Say that the value went missing before the condition had lasted long enough."""
    return f"{quantity_of(alert)} has no value any more; it had not fired"


def absent(alert: Alert, stale_s: float) -> str:
    """Say that the value is missing and for how long it may be."""
    return f"{quantity_of(alert)} has no value any more; it resolves when this lasts {span(stale_s)}"


def vanished(alert: Alert, lasted_s: float) -> str:
    """Say that the value has been missing for so long that there is nothing left to alert on."""
    return f"{quantity_of(alert)} has had no value for {span(lasted_s)}"


def blind(alert: Alert) -> str:
    """Say that nothing is decided while no events can be received."""
    return f"{_holding(alert)} when last seen; a source of events is cut off, so nothing resolves"


def withdrawn(alert: Alert) -> str:
    """Say that the rule is gone."""
    return f"rule {alert.rule} is no longer configured"


def _holding(alert: Alert) -> str:
    if is_plain(alert.signal):
        return f"{subject(alert.labels)} is {condition(alert)}"
    unit = unit_of(alert.signal)
    window = f" over {span(alert.window_s)}" if alert.window_s else ""
    return f"{quantity_of(alert)} is {amount(alert.value, unit)}{window} ({alert.op} {amount(alert.threshold, unit)})"


def _now(alert: Alert, lasted: str = "") -> str:
    if is_plain(alert.signal):
        return f"{subject(alert.labels)} is back{lasted}"
    unit = unit_of(alert.signal)
    return (
        f"{quantity_of(alert)} is good again{lasted}: {amount(alert.value, unit)} "
        f"(not {alert.op} {amount(alert.threshold, unit)})"
    )


def _short(value: float) -> str:
    """Write a number with as many digits as people read: 5.4, 62, 1,200."""
    if value == round(value) or abs(value) >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 0.1 else f"{value:.2g}"
