"""Queues now."""

from fastapi import APIRouter

from huoyan.server.api.context import Here
from huoyan.server.api.figures import queue_figures
from huoyan.server.api.schemas.queue import QueueList

router = APIRouter(tags=["queues"])


@router.get("/queues", operation_id="listQueues", summary="List queues with depth and oldest age")
def list_queues(here: Here) -> QueueList:
    """List every queue known. A depth that nobody reported is null."""
    return QueueList(items=queue_figures(here.store, here.source, here.clock.now(), here.ledger), next=None)
