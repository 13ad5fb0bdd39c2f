"""Gaps: when nothing could be heard, so that silence proves nothing."""

from fastapi import APIRouter

from huoyan.server.api.context import Here
from huoyan.server.api.parameters import Since, Until, period
from huoyan.server.api.schemas.gap import Gap, GapList

router = APIRouter(tags=["gaps"])


@router.get("/gaps", operation_id="listGaps", summary="List times in which nothing could be heard")
def list_gaps(here: Here, since: Since = None, until: Until = None) -> GapList:
    """List the gaps that touch the period, newest first."""
    start, end = period(since, until, here.clock.now())
    items = [
        Gap(source=gap.source, started_at=gap.started_at, ended_at=gap.ended_at, reason=gap.reason)
        for gap in here.store.gaps.list(since=start, until=end)
    ]
    return GapList(items=items, next=None)
