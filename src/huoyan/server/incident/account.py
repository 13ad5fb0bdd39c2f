"""Say what an incident is about, English or Chinese: its title and its summary."""

from collections.abc import Sequence
from datetime import UTC, datetime

from huoyan.model.alert import Alert, AlertState
from huoyan.model.incident import Incident
from huoyan.server.alert import wording
from huoyan.server.incident.facts import TopFailure


def leading(alerts: Sequence[Alert]) -> Alert:
    """Return the alert that tells most: firing before resolved, critical before warning, then the first."""
    return min(alerts, key=lambda alert: (alert.state is AlertState.RESOLVED, -alert.level.rank, alert.id or 0))


def others(alerts: Sequence[Alert]) -> int:
    """Return how many things fire beside that of the leading alert."""
    lead = leading(alerts)
    return len({alert.labels_key for alert in alerts if alert.state is AlertState.FIRING} - {lead.labels_key})


def title(alerts: Sequence[Alert], language: str = "en") -> str:
    """Return the title: the leading alert, and how many other things are affected."""
    return title_of(leading(alerts), others(alerts), language)


def title_of(lead: Alert, other_things: int, language: str = "en") -> str:
    """Return the title from the leading alert and the number of other things affected."""
    said = wording.headline(lead, language)
    if not other_things:
        return said
    return f"{said}，另有 {other_things} 处" if language == "zh" else f"{said}, and {other_things} more"


def summary(
    incident: Incident, alerts: Sequence[Alert], language: str = "en", *, at_the_end: Alert | None = None
) -> str:
    """Return one sentence: what and how bad at worst, since when, and the failure behind most of it.

    Args:
        incident: The incident.
        alerts: Its alerts, at least one.
        language: `en` or `zh`.
        at_the_end: The leading alert as it was when the incident was resolved, which is what a summary tells even if
            the alert goes on firing; None takes the leading one as it is.
    """
    lead = at_the_end or leading(alerts)
    over = incident.resolved_at is not None
    # Of an incident that came back, what is over does not tell since when it is wrong.
    told = alerts if over else [alert for alert in alerts if alert.active] or alerts
    began_at = min(alert.pending_at for alert in told)
    failure = TopFailure.of_data(incident.failure)
    if language == "zh":
        parts = [_what_zh(lead, over), _when_zh(incident, began_at), _why_zh(failure)]
        return f"{''.join(parts)}。"
    parts = [_what(lead, over), _when(incident, began_at), _why(failure, over)]
    return f"{wording.capital(''.join(parts))}."


def _what(lead: Alert, over: bool) -> str:
    if wording.is_plain(lead):
        return f"{wording.plainly(lead, over=over)},"
    name, worst, value = wording.quantity_of(lead), wording.worst_of(lead), wording.value_of(lead)
    window = f" over {wording.span(lead.window_s)}" if lead.window_s else ""
    limit = wording.limit_of(lead)
    if worst == value and not over:
        return f"{name} is {value}{window} ({limit})"
    reached = "reached" if wording.upwards(lead) else "fell to"
    now = "" if over else f", now {value},"
    return f"{name} {reached} {worst}{window} ({limit}){now}"


def _when(incident: Incident, began_at: float) -> str:
    now = incident.updated_at
    if incident.resolved_at is None:
        return f" since {_time(began_at, now)} UTC"
    lasted = wording.span(max(0.0, incident.resolved_at - began_at))
    return f" from {_time(began_at, now)} to {_time(incident.resolved_at, now)} UTC ({lasted})"


def _why(failure: TopFailure | None, over: bool) -> str:
    if failure is None:
        return ""
    are = "were" if over else "are"
    if failure.total == 1:
        return f"; the failure {'was' if over else 'is'} {failure.title}"
    if failure.count == failure.total:
        return f"; all {failure.total:,} failures {are} {failure.title}"
    return f"; {failure.count:,} of {failure.total:,} failures {are} {failure.title}"


def _what_zh(lead: Alert, over: bool) -> str:
    if wording.is_plain(lead):
        return f"{wording.plainly(lead, 'zh', over=over)}，"
    name = wording.beside(wording.quantity_of(lead, "zh"))
    worst, value = wording.worst_of(lead, "zh"), wording.value_of(lead, "zh")
    window = f"统计窗口 {wording.span(lead.window_s, 'zh')}，" if lead.window_s else ""
    limit = f"（{window}阈值 {wording.limit_of(lead, 'zh')}）"
    if worst == value and not over:
        return f"{name}为 {value}{limit}，"
    reached = "最高达" if wording.upwards(lead) else "最低至"
    now = "" if over else f"，现为 {value}"
    return f"{name}{reached} {worst}{limit}{now}，"


def _when_zh(incident: Incident, began_at: float) -> str:
    now = incident.updated_at
    if incident.resolved_at is None:
        return f"始于 {_time(began_at, now)} UTC"
    lasted = wording.span(max(0.0, incident.resolved_at - began_at), "zh")
    return f"{_time(began_at, now)} 至 {_time(incident.resolved_at, now)} UTC，历时 {lasted}"


def _why_zh(failure: TopFailure | None) -> str:
    if failure is None:
        return ""
    if failure.count == failure.total:
        return f"；{failure.total:,} 次失败均为 {failure.titled('zh')}"
    return f"；{failure.total:,} 次失败中有 {failure.count:,} 次为 {failure.titled('zh')}"


def _time(at: float, now: float) -> str:
    """Say a time of day, with the date when that is not today's."""
    moment = datetime.fromtimestamp(at, UTC)
    today = moment.date() == datetime.fromtimestamp(now, UTC).date()
    return moment.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
