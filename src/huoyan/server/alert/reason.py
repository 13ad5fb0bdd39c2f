"""Say why an alert is in the state it is in, English or Chinese.

The English sentence is stored with the alert. Which one it is follows from the alert's other fields, so that it is
found again and said in the other language without being stored twice.
"""

from collections.abc import Iterator
from functools import partial
from typing import Protocol

from huoyan.model.alert import Alert, AlertState
from huoyan.server.alert.rules import Rule
from huoyan.server.alert.subject import subject
from huoyan.server.alert.wording import beside, is_plain, limit_of, plainly, quantity_of, span, value_of


class Sentence(Protocol):
    """A sentence about one alert, waiting for its language."""

    def __call__(self, *, language: str) -> str:
        """Say it."""
        ...


def reason(alert: Alert, language: str = "en", rule: Rule | None = None) -> str:
    """Say why an alert is in its state.

    Args:
        alert: The alert, as it is or was.
        language: `en` gives the sentence that is stored.
        rule: Its rule, for the times that it names; without it they are left out.
    """
    if language == "en":
        return alert.reason
    sentences = list(_sentences(alert, rule))
    # None fits when the rule's times were changed since: then the likeliest one is said.
    fitting = next((say for say in sentences if say(language="en") == alert.reason), sentences[0])
    return fitting(language=language)


def _sentences(alert: Alert, rule: Rule | None) -> Iterator[Sentence]:
    """Give every sentence that an alert in this state may carry, the likeliest first."""
    if alert.state is AlertState.PENDING:
        yield partial(pending, alert, rule.for_s if rule else None)
    elif alert.state is AlertState.FIRING:
        if alert.absent_at is not None:
            yield partial(absent, alert, rule.stale_s if rule else None)
        if alert.good_at is not None:
            yield partial(recovering, alert, rule.keep_firing_s if rule else None)
        yield partial(firing, alert)
        yield partial(blind, alert)
    else:
        ended_at = alert.resolved_at or alert.last_value_at or alert.pending_at
        if alert.good_at is not None:
            yield partial(recovered, alert, ended_at - alert.good_at)
        if alert.absent_at is not None:
            yield partial(vanished, alert, ended_at - alert.absent_at)
        yield partial(withdrawn, alert)


def pending(alert: Alert, for_s: float | None, *, language: str = "en") -> str:
    """Say that the condition holds and for how long it has to."""
    if language == "zh":
        return _holding(alert, language) + ("；尚未触发" if for_s is None else f"；持续 {span(for_s, language)}后触发")
    return _holding(alert) + ("" if for_s is None else f"; it fires when this lasts {span(for_s)}")


def firing(alert: Alert, *, language: str = "en") -> str:
    """Say that the condition holds, and for how long it did before it fired."""
    lasted_s = (alert.fired_at or alert.pending_at) - alert.pending_at
    said = _holding(alert, language)
    if lasted_s < 1:
        return said
    if language == "zh":
        return f"{said}，持续 {span(lasted_s, language)}后触发"
    return f"{said}, for {span(lasted_s)} before it fired"


def recovering(alert: Alert, keep_firing_s: float | None, *, language: str = "en") -> str:
    """Say that the value is good again and how long it has to stay so."""
    said = _good(alert, 0.0, language)
    if keep_firing_s is None:
        return said
    if language == "zh":
        return f"{said}；保持 {span(keep_firing_s, language)}后解除"
    return f"{said}; it resolves when this lasts {span(keep_firing_s)}"


def recovered(alert: Alert, lasted_s: float, *, language: str = "en") -> str:
    """Say that the value has been good for long enough."""
    return _good(alert, lasted_s, language)


def cancelled(alert: Alert) -> str:
    """Say that the condition ended before it had lasted long enough; the alert leaves no trace, nor does this."""
    return f"{_good(alert, 0.0)} before it fired"


def cancelled_without_value(alert: Alert) -> str:
    """Say that the value went missing before the condition had lasted long enough."""
    return f"{quantity_of(alert)} has no value any more; it had not fired"


def absent(alert: Alert, stale_s: float | None, *, language: str = "en") -> str:
    """Say that the value is missing and for how long it may be."""
    if language == "zh":
        tail = "" if stale_s is None else f"；持续 {span(stale_s, language)}后解除"
        return f"{beside(quantity_of(alert, language))}已没有数据{tail}"
    tail = "" if stale_s is None else f"; it resolves when this lasts {span(stale_s)}"
    return f"{quantity_of(alert)} has no value any more{tail}"


def vanished(alert: Alert, lasted_s: float, *, language: str = "en") -> str:
    """Say that the value has been missing for so long that there is nothing left to alert on."""
    if language == "zh":
        return f"{beside(quantity_of(alert, language))}已有 {span(lasted_s, language)}没有数据"
    return f"{quantity_of(alert)} has had no value for {span(lasted_s)}"


def blind(alert: Alert, *, language: str = "en") -> str:
    """Say that nothing is decided while no events can be received."""
    if language == "zh":
        return f"最后所见：{_holding(alert, language)}；有事件来源已中断，其间不解除任何告警"
    return f"{_holding(alert, was=True)} when last seen; a source of events is cut off, so nothing resolves"


def withdrawn(alert: Alert, *, language: str = "en") -> str:
    """Say that the rule is gone."""
    if language == "zh":
        return f"规则 {alert.rule} 已不在配置中"
    return f"rule {alert.rule} is no longer configured"


def _holding(alert: Alert, language: str = "en", *, was: bool = False) -> str:
    """Say that the condition holds, or the value beside the limit that it held to."""
    if is_plain(alert):
        return plainly(alert, language, over=was)
    value, limit = value_of(alert, language), limit_of(alert, language)
    if language == "zh":
        window = f"统计窗口 {span(alert.window_s, language)}，" if alert.window_s else ""
        return f"{beside(quantity_of(alert, language))}为 {value}（{window}阈值 {limit}）"
    window = f" over {span(alert.window_s)}" if alert.window_s else ""
    return f"{quantity_of(alert)} {'was' if was else 'is'} {value}{window} ({limit})"


def _good(alert: Alert, lasted_s: float, language: str = "en") -> str:
    """Say that the condition does not hold any more, and for how long when that is worth saying."""
    plain = is_plain(alert)
    if language == "zh":
        lasted = f"并保持 {span(lasted_s, language)}" if lasted_s >= 1 else ""
        if plain:
            return f"{beside(subject(alert.labels, language))}已恢复{lasted}"
        value, limit = value_of(alert, language), limit_of(alert, language)
        return f"{beside(quantity_of(alert, language))}已恢复正常{lasted}：{value}（阈值 {limit}）"
    is_for = f"has been {{}} for {span(lasted_s)}" if lasted_s >= 1 else "is {}"
    if plain:
        return f"{subject(alert.labels)} {is_for.format('back')}"
    return f"{quantity_of(alert)} {is_for.format('good again')}: {value_of(alert)} (not {limit_of(alert)})"
