"""What an application waits for as JSON: databases, Redis, other services and mail servers, and how they are."""

from typing import Literal

from huoyan.server.api.schemas.base import Document, Timestamp, documented

Kind = Literal["database", "redis", "http", "smtp"]
Health = Literal["failing", "degraded", "good", "idle"]
Reason = Literal["errors", "slower", "pool_wait"]

PART = {
    "labels": {"operation": "SELECT", "table": "orders"},
    "calls": 840,
    "calls_per_s": 2.8,
    "errors": 0,
    "error_ratio": 0.0,
    "p50_s": 0.004,
    "p95_s": 1.9,
    "p99_s": 2.8,
    "share": 0.93,
}
DEPENDENCY = {
    "service": "orders",
    "kind": "database",
    "target": "db:5432/orders",
    "health": "degraded",
    "reason": {"kind": "slower", "value": 1.7, "limit": 0.036},
    "calls": 2100,
    "calls_per_s": 7.0,
    "errors": 3,
    "error_ratio": 0.0014,
    "p50_s": 0.004,
    "p95_s": 1.7,
    "p99_s": 2.8,
    "p95_before_s": 0.012,
    "last_success_at": "2026-11-20T21:15:10.000000Z",
    "pool": {"in_use": 4, "most": 15, "wait_p95_s": 0.0002},
    "parts": [PART],
}


class DependencyReason(Document):
    """Why a dependency is not good."""

    kind: Reason
    """`errors`: too many calls failed; `slower`: P95 far above that of the hour before; `pool_wait`: connections are
    waited for."""
    value: float
    """The share of errors, or the P95 in seconds."""
    limit: float
    """From where on that is too much."""


class DependencyPool(Document):
    """The connections to a database."""

    in_use: int | None
    """Connections lent out now, over all processes; null when not heard."""
    most: int | None
    """Connections that the processes may open at most; null when not limited."""
    wait_p95_s: float | None
    """95 % waited at most this long for a connection; null when nobody asked for one."""


class DependencyPart(Document):
    """Calls of one kind: an operation on a table, a Redis command, a method with its status."""

    model_config = documented(PART)

    labels: dict[str, str]
    calls: int
    calls_per_s: float
    errors: int
    error_ratio: float | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    share: float
    """Share of all the time that the dependency took."""


class Dependency(Document):
    """What a service calls, and how that went within the window."""

    model_config = documented(DEPENDENCY)

    service: str
    kind: Kind
    target: str
    """Which one: of a database host:port/name or the name of its file, of Redis host:port/number, else the host."""
    health: Health
    """`idle`: not called within the window."""
    reason: DependencyReason | None
    """Null when good or idle."""
    calls: int
    calls_per_s: float
    errors: int
    error_ratio: float | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    p95_before_s: float | None
    """P95 of the hour before the window; null without calls."""
    last_success_at: Timestamp | None
    """When it last answered without an error; null when it is not known to have."""
    pool: DependencyPool | None
    """Null where there is none."""
    parts: list[DependencyPart]
    """Those that took most time first."""


class DependencyList(Document):
    """Every dependency heard of within the window or the hour before it, those that need somebody first."""

    model_config = documented({"items": [DEPENDENCY], "next": None})

    items: list[Dependency]
    next: None
    """Always null: the list is whole."""
