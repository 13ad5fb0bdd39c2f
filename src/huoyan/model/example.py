"""A request kept as an example, with where its time went."""

from dataclasses import dataclass, field
from typing import Any

SLOWEST_KEPT = 5
"""Slowest requests that a process keeps of each endpoint in one interval between two reports: as many as it takes to
compare them (`huoyan.model.causes.LEAST_SLOW`), so that the first interval may be enough."""
SAMPLED_KEPT = 4
"""Requests it keeps at random, about as many."""
FAILED_KEPT = 2
"""Requests it keeps that failed."""


@dataclass(slots=True)
class Example:
    """One request.

    Args:
        endpoint: Its route template.
        at: When it began, seconds since 1970 UTC.
        duration_s: How long it took, in seconds.
        kind: Why it was kept: `slow` (among the slowest of its interval), `sampled` (at random), `failed`.
        breakdown: Where its time went: `{"total_s", "own_s", "parts": [{"component", "operation", "target", "calls",
            "total_s", "covered_s", "max_s", "errors"}]}`; None when it called nothing that is watched.
        labels: What may set it apart: host, version, process.
        seen: How many requests of its endpoint there were in its interval.
        service: The service, filled in by the server.
        id: Its number in the store, filled in by the server.
        wait_s: Of a run, its time in the queue, which is part of the duration; filled in by the server.
    """

    endpoint: str
    at: float
    duration_s: float
    method: str = ""
    status: int = 0
    kind: str = "sampled"
    breakdown: dict[str, Any] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    trace_id: str = ""
    seen: int = 0
    service: str = ""
    id: int = 0
    wait_s: float = 0.0
