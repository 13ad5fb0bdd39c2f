"""Errors as RFC 9457 problem documents."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue

EXAMPLE: dict[str, JsonValue] = {
    "type": "urn:huoyan:problem:not-found",
    "title": "Not found",
    "status": 404,
    "detail": "expected the id of a stored run, got '1f0c'",
    "instance": "/api/v1/runs/1f0c",
}


class ProblemField(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    field: str
    """Path of the offending parameter or field, e.g. `query.limit`, `events[3].at`."""
    expected: str
    """What would have been accepted."""
    got: str
    """What came, shortened."""


class Problem(BaseModel):
    """What went wrong, in the form of RFC 9457."""

    model_config = ConfigDict(use_attribute_docstrings=True, json_schema_extra={"examples": [EXAMPLE]})

    type: str
    """Kind of problem, a URN: `urn:huoyan:problem:not-found`, …"""
    title: str
    """The kind in words."""
    status: int
    """The HTTP status again."""
    detail: str
    """What was expected, what came, what to do."""
    instance: str | None = None
    """Path of the request."""
    errors: list[ProblemField] | None = Field(default=None)
    """Every offending field, when there are some."""
