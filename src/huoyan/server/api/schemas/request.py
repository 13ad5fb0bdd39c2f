"""A request that was kept as an example, as JSON."""

from typing import Any, Literal

from huoyan.model.example import Example
from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.api.schemas.cause import EXAMPLE

REQUEST: dict[str, Any] = {
    **{name: value for name, value in EXAMPLE.items() if name != "wait_s"},
    "service": "orders",
    "endpoint": "GET /orders",
    "kept": "slow",
    "among": 310,
}


class KeptRequest(Document):
    """A request, and where its time went."""

    model_config = documented(REQUEST)

    id: str
    service: str
    endpoint: str
    """Method and route template."""
    at: Timestamp
    """When it began."""
    duration_s: float
    status: int
    """The HTTP status."""
    kept: Literal["slow", "sampled", "failed"]
    """Why it was kept: among the slowest of its interval, at random, or because it failed."""
    among: int
    """How many requests its process answered at this endpoint in the interval, of which this is one."""
    breakdown: Any
    """Where its time went; null when it called nothing that is watched."""
    labels: dict[str, str]
    trace_id: str
    """Empty when it belongs to no trace."""


def request_document(kept: Example) -> KeptRequest:
    """Render a request."""
    return KeptRequest(
        id=str(kept.id),
        service=kept.service,
        endpoint=kept.endpoint,
        at=kept.at,
        duration_s=kept.duration_s,
        status=kept.status,
        kept=kept.kind,  # type: ignore[arg-type]
        among=kept.seen,
        breakdown=kept.breakdown,
        labels=kept.labels,
        trace_id=kept.trace_id,
    )
