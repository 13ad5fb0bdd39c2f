"""Deploys and their effect, as JSON."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from huoyan.model import deploy as model
from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.collect.deploys import Side

EXAMPLE = {
    "id": 7,
    "service": "orders",
    "version": "2.4.1",
    "before": "2.4.0",
    "at": "2026-11-20T21:15:03.123456Z",
    "origin": "reported",
    "note": "",
    "by": "",
}
_SIDE = {
    "since": "2026-11-20T21:00:03.123456Z",
    "until": "2026-11-20T21:15:03.123456Z",
    "count": 1240,
    "p50_s": 0.011,
    "p95_s": 0.34,
    "p99_s": 3.1,
    "bad_ratio": 0.002,
}


class Deploy(Document):
    """A service began to run a version."""

    model_config = documented(EXAMPLE)

    id: int
    service: str
    """Empty: all services."""
    version: str
    before: str
    """The version that ran until then, empty when none is known."""
    at: Timestamp
    """When the first process of that version started, or the time of the mark."""
    origin: Literal["reported", "marked"]
    """`reported`: a process that started with another version said so; `marked`: by hand or by a pipeline."""
    note: str
    by: str


class DeployList(Document):
    """Deploys, newest first."""

    model_config = documented({"items": [EXAMPLE], "next": None})

    items: list[Deploy]
    next: None
    """Always null: the newest 500 are listed; ask for a time to see older ones."""


class DeployMark(Document):
    """A deploy to be marked."""

    model_config = documented({"service": "orders", "version": "2.4.1", "note": "index on orders.customer_id"})

    service: Annotated[str, StringConstraints(max_length=300)] = ""
    """Empty: all services."""
    version: Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]
    at: Annotated[float | None, Field(ge=0, le=253402300799.0)] = None
    """Seconds since 1970 UTC; now by default."""
    note: Annotated[str, StringConstraints(max_length=2000)] = ""
    by: Annotated[str, StringConstraints(max_length=200)] = ""


class DeploySide(Document):
    """How it went before or after; what was not measured is null."""

    model_config = documented(_SIDE)

    since: Timestamp
    until: Timestamp
    count: int
    """Requests answered, or runs ended."""
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    bad_ratio: float | None
    """Share of requests answered with a status from 500 on, or of runs that failed."""


class DeployEffect(Document):
    """What became of the figures with a deploy."""

    model_config = documented({"deploy": EXAMPLE, "before": _SIDE, "after": {**_SIDE, "p99_s": 0.02}})

    deploy: Deploy
    before: DeploySide
    after: DeploySide


def deploy_document(deploy: model.Deploy) -> Deploy:
    """Render a deploy."""
    return Deploy(
        id=deploy.id,
        service=deploy.service,
        version=deploy.version,
        before=deploy.before,
        at=deploy.at,
        origin=deploy.origin,
        note=deploy.note,
        by=deploy.by,
    )


def effect_document(deploy: model.Deploy, sides: tuple[Side, Side]) -> DeployEffect:
    """Render what became of the figures."""
    before, after = (
        DeploySide(
            since=side.since,
            until=side.until,
            count=side.count,
            p50_s=side.p50_s,
            p95_s=side.p95_s,
            p99_s=side.p99_s,
            bad_ratio=side.bad_ratio,
        )
        for side in sides
    )
    return DeployEffect(deploy=deploy_document(deploy), before=before, after=after)
