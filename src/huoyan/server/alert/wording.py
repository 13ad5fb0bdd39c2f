"""Say values and conditions in words, English or Chinese.

Signals bring their own titles and units, so a new signal needs nothing here.
"""

from huoyan.model.alert import Alert
from huoyan.server.alert.subject import subject
from huoyan.signals import declared
from huoyan.signals.spec import Op, Unit

LANGUAGES = ("en", "zh")
"""Languages in which people are told."""

INGEST_CUT = "ingest_cut"
"""What the built-in rule about blindness judges; not a signal, because nothing can be measured then."""

LEVELS = {"warning": "警告", "critical": "严重"}
"""Levels in Chinese."""

# Where "name value (> limit)" would be stilted: (label that names the thing, English, Chinese), said after the subject.
_PLAIN = {
    "workers_down": ("worker", "down, it stopped reporting", "已停止上报"),
    "workers_wedged": ("worker", "wedged, it reports but starts nothing", "已卡住：仍在上报但不启动任务"),
    INGEST_CUT: ("source", "cut off, no events come from it", "已中断，收不到事件"),
}
_MOST_DECIMALS = 3


def is_plain(alert: Alert) -> bool:
    """Return whether an alert's condition is said in words alone, because its value and limit would add nothing."""
    plain = _PLAIN.get(alert.signal)
    return plain is not None and bool(alert.labels.get(plain[0]))


def amount(value: float | None, unit: str, language: str = "en") -> str:
    """Say a value in its unit: `62 %`, `1.2 s`, `4 min`, `1,200`, `12 per minute`."""
    if value is None:
        return "无数据" if language == "zh" else "no data"
    if unit == Unit.SECONDS:
        return span(value, language)
    if unit == Unit.BYTES:
        return size(value)
    return _in_unit(_short(value * 100 if unit == Unit.RATIO else value), unit, language)


def compared(value: float | None, limit: float, unit: str, language: str = "en") -> str:
    """Say a value beside its limit, with as many digits as tell the two apart: `20.4 %` beside `20 %`."""
    said, said_limit = amount(value, unit, language), amount(limit, unit, language)
    if value is None or value == limit or said != said_limit:
        return said
    scale = 100 if unit == Unit.RATIO else 1
    for decimals in range(1, _MOST_DECIMALS + 1):
        if round(value * scale, decimals) != round(limit * scale, decimals):
            digits = f"{value * scale:,.{decimals}f}"
            if unit == Unit.SECONDS:
                return f"{digits} {'秒' if language == 'zh' else 's'}"
            return _in_unit(digits, unit, language)
    return said


def size(bytes_: float) -> str:
    """Say a number of bytes: `512 B`, `1.5 MB`, `3 GB`, by thousands."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(bytes_) < 999.5:
            return f"{_short(bytes_)} {unit}"
        bytes_ /= 1000
    return f"{_short(bytes_)} TB"


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


def quantity(signal: str, language: str = "en") -> str:
    """Name a signal inside a sentence: `failure ratio`, `P95 wait`, `失败率`."""
    known = declared.find(signal)
    if known is None:
        return signal.replace("_", " ")
    if language == "zh":
        return known.title_zh
    title = known.title
    return title if title[1:2].isupper() or title[1:2].isdigit() else title[:1].lower() + title[1:]


def quantity_of(alert: Alert, language: str = "en") -> str:
    """Name what was measured of what: `failure ratio of orders.take_payment`, `orders.take_payment 的失败率`."""
    name = quantity(alert.signal, language)
    if not any(alert.labels.values()):
        return name
    whose = subject(alert.labels, language)
    return f"{whose} 的{name}" if language == "zh" else f"{name} of {whose}"


def unit_of(signal: str) -> str:
    """Return the unit of a signal; plain counting for one that is not known (any more)."""
    known = declared.find(signal)
    return known.unit if known is not None else Unit.COUNT


def value_of(alert: Alert, language: str = "en") -> str:
    """Say an alert's value."""
    return compared(alert.value, alert.threshold, _unit_beside_name(alert.signal), language)


def worst_of(alert: Alert, language: str = "en") -> str:
    """Say the value farthest past the limit since the alert began."""
    worst = alert.value if alert.worst is None else alert.worst
    return compared(worst, alert.threshold, _unit_beside_name(alert.signal), language)


def limit_of(alert: Alert, language: str = "en") -> str:
    """Say the limit with its direction: `> 20 %`."""
    return f"{alert.op} {amount(alert.threshold, _unit_beside_name(alert.signal), language)}"


def upwards(alert: Alert) -> bool:
    """Return whether larger values are the bad ones."""
    return alert.op in (Op.ABOVE, Op.AT_LEAST)


def condition(alert: Alert, language: str = "en") -> str:
    """Say what is wrong, subject apart: `failure ratio 62 % (> 20 %)`."""
    if is_plain(alert):
        _, english, chinese = _PLAIN[alert.signal]
        return chinese if language == "zh" else english
    name, value, limit = quantity(alert.signal, language), value_of(alert, language), limit_of(alert, language)
    return f"{name} {value}（{limit}）" if language == "zh" else f"{name} {value} ({limit})"


def headline(alert: Alert, language: str = "en") -> str:
    """Say what is wrong with what: `orders.take_payment: failure ratio 62 % (> 20 %)`."""
    said = condition(alert, language)
    if not any(alert.labels.values()):
        return capital(said)
    mark = "：" if language == "zh" else ": "
    return f"{subject(alert.labels, language)}{mark}{said}"


def plainly(alert: Alert, language: str = "en", *, over: bool = False) -> str:
    """Say a plain condition as a sentence: `worker celery@a is down, it stopped reporting`."""
    name, said = subject(alert.labels, language), condition(alert, language)
    if language == "zh":
        return f"{beside(name)}{said.replace('已', '曾', 1) if over else said}"
    return f"{name} {'was' if over else 'is'} {said}"


def beside(text: str) -> str:
    """Return a text as it stands before Chinese: a space keeps Latin letters apart."""
    return f"{text} " if text[-1:].isascii() else text


def capital(text: str) -> str:
    """Return a text with a capital first letter."""
    return text[:1].upper() + text[1:]


def _unit_beside_name(signal: str) -> str:
    """Return the unit to say where the signal is named as well: `runs per minute 12` needs no second `per minute`."""
    unit = unit_of(signal)
    return Unit.COUNT if unit == Unit.PER_MINUTE and "per minute" in quantity(signal) else unit


def _in_unit(digits: str, unit: str, language: str) -> str:
    if unit == Unit.RATIO:
        return f"{digits} %"
    if unit == Unit.PER_MINUTE:
        return f"每分钟 {digits}" if language == "zh" else f"{digits} per minute"
    return digits


def _short(value: float) -> str:
    """Write a number with as many digits as people read: 5.4, 62, 1,200."""
    if value == round(value) or abs(value) >= 9.95:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 0.1 else f"{value:.2g}"
