"""Rules in force and the state they are in."""

from fastapi import APIRouter

from huoyan.server.api.context import Here
from huoyan.server.api.schemas.alert import RuleList, rule_document

router = APIRouter(tags=["alerting"])


@router.get("/rules", operation_id="listRules", summary="List rules")
def list_rules(here: Here) -> RuleList:
    """List every rule with the most severe state of its alerts."""
    return RuleList(
        items=[rule_document(rule, here.alerts.state_of(rule.name)) for rule in here.alerts.rules], next=None
    )
