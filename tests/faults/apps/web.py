"""Background tasks of a FastAPI application: each request starts one of `seconds`."""

from contextvars import ContextVar
from typing import Annotated, Any

from fastapi import BackgroundTasks, FastAPI, Query

import huoyan
from huoyan.client import context
from tests.faults.diary import note, work

application = huoyan.watch(FastAPI(), service="faults")
ended: ContextVar[list[str]] = ContextVar("ended")


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request, and write down when all is said of its background tasks."""
    ended.set([])
    await application(scope, receive, send)
    for run_id in ended.get():
        note(run_id, "told")


def later(seconds: float) -> None:
    """Take a while."""
    current = context.current()
    assert current is not None
    work(current.run_id, seconds)
    ended.get().append(current.run_id)


@application.post("/later")
def start(background: BackgroundTasks, seconds: Annotated[float, Query()]) -> None:
    """Start a background task."""
    background.add_task(later, seconds)
