"""Workflows: the newest ones, one a row."""

from fastapi import APIRouter

from huoyan.server.api.context import Here
from huoyan.server.api.parameters import Limit, Services, Since, period
from huoyan.server.api.schemas.workflow import WorkflowPage, summary_document

router = APIRouter(tags=["workflows"])


@router.get("/workflows", operation_id="listWorkflows", summary="List workflows, the newest first")
def list_workflows(here: Here, service: Services = [], since: Since = None, limit: Limit = 50) -> WorkflowPage:
    """List runs that belong together (chains, groups, chords, runs that started others) as one row each."""
    start, _ = period(since, None, here.clock.now())
    rows, exact = here.store.workflows.page(start, limit, service)
    return WorkflowPage(items=[summary_document(row) for row in rows], next=None, exact=exact)
