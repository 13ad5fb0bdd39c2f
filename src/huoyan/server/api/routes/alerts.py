"""Alerts: which rule holds for what."""

from typing import Annotated

from fastapi import APIRouter, Query

from huoyan.server.api.context import Here
from huoyan.server.api.parameters import Cursor, Limit, Since, Texts, moment, one_of
from huoyan.server.api.schemas.alert import AlertPage, alert_document

router = APIRouter(tags=["alerting"])

_STATES = ("pending", "firing", "resolved")


@router.get("/alerts", operation_id="listAlerts", summary="List alerts, newest first")
def list_alerts(
    here: Here,
    state: Annotated[Texts, Query(description="`pending`, `firing` or `resolved`; comma separated or repeated.")] = [],
    since: Since = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> AlertPage:
    """List alerts, one per rule and combination of labels."""
    page = here.store.alerts.page(
        state=one_of(state, _STATES, "state"),
        since=moment(since, here.clock.now(), "since"),
        limit=limit,
        cursor=cursor,
    )
    rules = {rule.name: rule for rule in here.alerts.rules}
    return AlertPage(items=[alert_document(alert, rules.get(alert.rule)) for alert in page.items], next=page.next)
