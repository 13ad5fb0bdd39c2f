"""Failure groups: what fails, how often, since when."""

from fastapi import APIRouter

from huoyan.errors import NotFound
from huoyan.server.api.context import Here
from huoyan.server.api.parameters import Cursor, Limit, OneService, OneTask, Search, Since, Until, period
from huoyan.server.api.schemas.failure import FailureGroup, FailurePage, failure_document

router = APIRouter(tags=["failures"])


@router.get("/failures", operation_id="listFailures", summary="List failure groups, most frequent first")
def list_failures(
    here: Here,
    since: Since = None,
    until: Until = None,
    task: OneTask = None,
    service: OneService = None,
    q: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> FailurePage:
    """List groups of failures with the same cause; counts are of the period asked for."""
    start, end = period(since, until, here.clock.now())
    page = here.store.failures.page(
        since=start,
        until=end,
        task=task or None,
        service=service or None,
        q=(q or "").strip() or None,
        limit=limit,
        cursor=cursor,
    )
    return FailurePage(items=[failure_document(group) for group in page.items], next=page.next)


@router.get("/failures/{fingerprint}", operation_id="getFailure", summary="Get one failure group")
def get_failure(here: Here, fingerprint: str) -> FailureGroup:
    """Return one failure group; its runs are `/runs?failure={fingerprint}`."""
    group = here.store.failures.get(fingerprint)
    if group is None:
        raise NotFound(f"expected the fingerprint of a failure group, got {fingerprint[:200]!r}")
    return failure_document(group)
