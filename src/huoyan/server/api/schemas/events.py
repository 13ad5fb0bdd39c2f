"""The answer to a posted batch as JSON."""

from pydantic import ConfigDict, JsonValue

from huoyan.server.api.schemas.base import Document, documented
from huoyan.server.api.schemas.problem import Problem

REJECTION_EXAMPLE: dict[str, JsonValue] = {
    "index": 3,
    "run_id": "0b9ee1a1-4a0a-4a3c-a6d6-8f4a2f1d7c55",
    "field": "events[3].at",
    "expected": "seconds since 1970 or an RFC 3339 time",
    "got": "null",
}


class Rejection(Document):
    """Why a part of a batch was not accepted."""

    index: int | None
    """Position in `events`; null when another part of the batch is meant."""
    run_id: str | None
    """Of the event, as far as it could be read."""
    field: str
    """Path of the offending field, e.g. `events[3].at`, `process.pid`."""
    expected: str
    got: str


class Receipt(Document):
    """What became of a batch. It is sent after the accepted events are stored."""

    model_config = documented({"accepted": 3, "rejected": [REJECTION_EXAMPLE]})

    accepted: int
    """Events stored."""
    rejected: list[Rejection]


class BatchProblem(Problem):
    """A batch of which nothing could be accepted."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:huoyan:problem:invalid-events",
                    "title": "Invalid events",
                    "status": 422,
                    "detail": "events[3].at: expected seconds since 1970 or an RFC 3339 time, got null",
                    "instance": "/api/v1/events",
                    "rejected": [REJECTION_EXAMPLE],
                }
            ]
        },
    )

    rejected: list[Rejection]
