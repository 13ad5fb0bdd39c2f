"""Puts the routes, the gate, the errors and the page together into one application."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI

from huoyan import __version__
from huoyan.server.api import page, problems
from huoyan.server.api.context import Context
from huoyan.server.api.gate import Gate
from huoyan.server.api.openapi import describe
from huoyan.server.api.routes import (
    alerts,
    events,
    failures,
    incidents,
    overview,
    probes,
    queues,
    rules,
    runs,
    session,
    signals,
    stream,
    tasks,
    workers,
)

PREFIX = "/api/v1"

_ROUTERS: tuple[APIRouter, ...] = (
    overview.router,
    runs.router,
    tasks.router,
    queues.router,
    workers.router,
    failures.router,
    signals.router,
    rules.router,
    alerts.router,
    incidents.router,
    events.router,
    stream.router,
    session.router,
)


def assemble(context: Context | None, lifespan: Callable[[FastAPI], Any] | None = None) -> FastAPI:
    """Build the application.

    Args:
        context: The parts of the server that requests reach; None for a description without a server behind it.
        lifespan: Starts those parts and stops them.
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
    app.state.context = context
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
    if context is not None:
        page.mount(app, context.page_folder)
    return app
