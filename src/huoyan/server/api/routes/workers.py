"""Workers: who executes tasks, and who is gone."""

from typing import Annotated

from fastapi import APIRouter, Query

from huoyan.server.api.context import Here
from huoyan.server.api.parameters import Services, Texts, one_of
from huoyan.server.api.schemas.worker import WorkerList, worker_document

router = APIRouter(tags=["workers"])

_STATES = ("up", "wedged", "down", "closed")


@router.get("/workers", operation_id="listWorkers", summary="List workers")
def list_workers(
    here: Here,
    state: Annotated[Texts, Query(description="`up`, `wedged`, `down` or `closed`; comma separated or repeated.")] = [],
    service: Services = [],
) -> WorkerList:
    """List every worker known, those that are down first."""
    states = one_of(state, _STATES, "state")
    items = [
        worker_document(worker)
        for worker in here.store.workers.list()
        if (not states or worker.state in states) and (not service or worker.service in service)
    ]
    order = {"down": 0, "wedged": 1, "up": 2, "closed": 3}
    items.sort(key=lambda worker: (order[worker.state], worker.service, worker.worker))
    return WorkerList(items=items, next=None)
