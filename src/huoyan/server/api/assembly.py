"""Puts the routes, the gate, the errors and the page together into one application."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI

from huoyan import __version__
from huoyan.server.api import page, problems
from huoyan.server.api.gate import Gate
from huoyan.server.api.openapi import describe
from huoyan.server.api.routes import (
    alerts,
    buckets,
    causes,
    dependencies,
    deploys,
    events,
    failures,
    gaps,
    incidents,
    ledger,
    measured,
    overview,
    probes,
    queues,
    requests,
    rules,
    runs,
    schedules,
    services,
    session,
    signals,
    stream,
    tasks,
    workers,
    workflows,
)

PREFIX = "/api/v1"

_ROUTERS: tuple[APIRouter, ...] = (
    overview.router,
    runs.router,
    workflows.router,
    tasks.router,
    queues.router,
    ledger.router,
    workers.router,
    schedules.router,
    deploys.router,
    services.router,
    gaps.router,
    failures.router,
    causes.router,
    requests.router,
    dependencies.router,
    buckets.router,
    signals.router,
    measured.router,
    rules.router,
    alerts.router,
    incidents.router,
    events.router,
    stream.router,
    session.router,
)


def assemble(lifespan: Callable[[FastAPI], Any] | None = None, page_folder: Path = page.FOLDER) -> FastAPI:
    """Build the application.

    Args:
        lifespan: Starts the parts of the server, sets `app.state.context` and stops them again. Without one there is
            only the description of the API.
        page_folder: Where the built page is.
    """
    app = FastAPI(
        title="Huoyan",
        version=__version__,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    for router in _ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.include_router(probes.router)
    problems.install(app)
    app.add_middleware(Gate)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    page.mount(app, page_folder)
    return app
