"""Say what an incident is about: its title and its summary."""

from collections.abc import Sequence
from datetime import UTC, datetime

from huoyan.model.alert import Alert, AlertState
from huoyan.model.incident import Incident
from huoyan.server.alert import wording
from huoyan.server.incident.facts import TopFailure


def leading(alerts: Sequence[Alert]) -> Alert:
    """Return the alert that tells most: firing before resolved, critical before warning, then the first."""
    return min(alerts, key=lambda alert: (alert.state is AlertState.RESOLVED, -alert.level.rank, alert.id or 0))


def title(alerts: Sequence[Alert], language: str = "en") -> str:
    """Return the title: the leading alert, and how many other things are affected."""
    lead = leading(alerts)
    said = wording.headline(lead, language)
    others = len({alert.labels_key for alert in alerts if alert.state is AlertState.FIRING} - {lead.labels_key})
    if not others:
        return said
    return f"{said}，另有 {others} 处" if language == "zh" else f"{said}, and {others} more"


def summary(incident: Incident, alerts: Sequence[Alert], failure: TopFailure | None = None) -> str:
    """Return one English sentence: what, since when, how much, and the failure behind most of it."""
    lead = leading(alerts)
    now = incident.updated_at
    since = _time(min(alert.pending_at for alert in alerts), now)
    parts = [_what(lead, over=incident.resolved_at is not None)]
    if incident.resolved_at is None:
        parts.append(f" since {since} UTC")
    else:
        lasted = wording.span(max(0.0, incident.resolved_at - incident.opened_at))
        parts.append(f" from {since} to {_time(incident.resolved_at, now)} UTC ({lasted})")
    if lead.worst is not None and lead.worst != lead.value and not wording.is_plain(lead.signal):
        parts.append(f", at worst {wording.amount(lead.worst, wording.unit_of(lead.signal))}")
    if failure is not None:
        parts.append(f"; {failure.count} of {failure.total} failures are {failure.title}")
    said = "".join(parts)
    return f"{said[:1].upper()}{said[1:]}."


def _what(lead: Alert, *, over: bool) -> str:
    """Say the leading alert's condition, in the present or the past."""
    if wording.is_plain(lead.signal):
        return f"{wording.subject(lead.labels)} {'was' if over else 'is'} {wording.condition(lead)},"
    unit = wording.unit_of(lead.signal)
    limit = f"{lead.op} {wording.amount(lead.threshold, unit)}"
    name = wording.quantity_of(lead)
    window = f" over {wording.span(lead.window_s)}" if lead.window_s else ""
    return f"{name} was {limit}{window}" if over else f"{name} is {wording.amount(lead.value, unit)}{window} ({limit})"


def _time(at: float, now: float) -> str:
    """Say a time of day, with the date when that is not today's."""
    moment = datetime.fromtimestamp(at, UTC)
    today = moment.date() == datetime.fromtimestamp(now, UTC).date()
    return moment.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")
