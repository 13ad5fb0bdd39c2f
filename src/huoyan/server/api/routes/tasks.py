"""Task types and how they do."""

from fastapi import APIRouter

from huoyan.server.api.context import Here
from huoyan.server.api.figures import task_figures
from huoyan.server.api.parameters import Services, Tasks, WindowS
from huoyan.server.api.schemas.task import TaskList

router = APIRouter(tags=["tasks"])


@router.get("/tasks", operation_id="listTasks", summary="List task types with their figures")
def list_tasks(here: Here, window_s: WindowS = 3600.0, task: Tasks = [], service: Services = []) -> TaskList:
    """List every task type that ran in the window, or runs now, with duration, throughput and failure ratio."""
    window = window_s if window_s is not None else 3600.0
    items = task_figures(here.store, here.source, here.clock.now(), window, tuple(service), tuple(task))
    return TaskList(items=items, next=None, window_s=window)
