"""Background tasks of a FastAPI application: each request starts one of `seconds`."""

from typing import Annotated

from fastapi import BackgroundTasks, FastAPI, Query

import huoyan
from huoyan.client import context
from tests.faults.diary import work

app = huoyan.watch(FastAPI(), service="faults")


def later(seconds: float) -> None:
    """Take a while."""
    current = context.current()
    assert current is not None
    work(current.run_id, seconds)


@app.post("/later")
def start(background: BackgroundTasks, seconds: Annotated[float, Query()]) -> None:
    """Start a background task."""
    background.add_task(later, seconds)
