"""What the routes work with: the parts of the running server, handed in by the application."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from huoyan.clock import SYSTEM_CLOCK, Clock

PAGE_FOLDER = Path(__file__).resolve().parents[1] / "web" / "dist"
"""Where the built page is packaged."""


@dataclass(slots=True)
class Context:
    """The parts of the server that requests reach.

    Args:
        started_at: When the server started, seconds since 1970 UTC.
        render_metrics: Takes the Accept header and returns the metrics with their media type.
        readiness: Returns why the server is not ready to serve, empty when it is.
        token: What clients have to present; None asks for nothing.
        public_url: How people reach the page; its host is trusted beside loopback.
        stream_limit: How many live streams may be open at once, default 200.
        page_folder: Where the built page is.
        streams: How many live streams are open.
    """

    store: Any
    ingest: Any
    bus: Any
    source: Any
    alerts: Any
    incidents: Any
    render_metrics: Callable[[str], tuple[bytes, str]]
    readiness: Callable[[], list[str]]
    started_at: float
    clock: Clock = SYSTEM_CLOCK
    token: str | None = field(default=None, repr=False)
    public_url: str | None = None
    stream_limit: int = 200
    page_folder: Path = PAGE_FOLDER
    streams: int = 0


async def _context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


Here = Annotated[Context, Depends(_context)]
