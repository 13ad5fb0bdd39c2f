"""What the routes work with: the parts of the running server, handed in by the application."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.server.alert.service import AlertService
from huoyan.server.collect import Bus
from huoyan.server.collect.ledger import Ledger
from huoyan.server.collect.nodes import Nodes
from huoyan.server.incident.service import IncidentService
from huoyan.server.ingest.http import HttpIngest
from huoyan.server.store import Store
from huoyan.signals.source import Source


@dataclass(slots=True)
class Context:
    """The parts of the server that requests reach.

    Args:
        ledger: What queues hold, by our books and by their brokers.
        nodes: What node exporters say of hosts; None where no Prometheus is asked.
        source: What the signals read.
        render_metrics: Takes the Accept header and returns the metrics with their media type.
        readiness: Returns why the server is not ready to serve, empty when it is.
        silent: Returns the sources that nothing is heard from now.
        started_at: When the server started, seconds since 1970 UTC.
        token: What clients have to present; None asks for nothing.
        public_url: How people reach the page; its host is trusted beside loopback.
        stream_limit: How many live streams may be open at once, default 200.
        streams: How many are.
        written: The latest messages of the live streams as they are sent.
    """

    store: Store
    ledger: Ledger
    nodes: Nodes | None
    bus: Bus
    ingest: HttpIngest
    source: Source
    alerts: AlertService
    incidents: IncidentService
    render_metrics: Callable[[str], tuple[bytes, str]]
    readiness: Callable[[], list[str]]
    silent: Callable[[], list[str]]
    started_at: float
    clock: Clock = SYSTEM_CLOCK
    token: str | None = field(default=None, repr=False)
    public_url: str | None = None
    stream_limit: int = 200
    streams: int = 0
    written: dict[tuple[int, str], bytes] = field(default_factory=dict, repr=False)


async def _context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


Here = Annotated[Context, Depends(_context)]
