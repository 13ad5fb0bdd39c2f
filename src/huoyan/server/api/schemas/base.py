"""What every document of the API shares: the base model and how time is written."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema


def rfc3339(at: float) -> str:
    """Render seconds since 1970 UTC as RFC 3339 with microseconds, e.g. `2026-11-20T21:15:03.123456Z`."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def _seconds(value: Any) -> Any:
    # Documents are made from seconds; their examples and their own JSON read back carry text.
    return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else value


Timestamp = Annotated[
    float,
    BeforeValidator(_seconds),
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-20T21:15:03.123456Z"]}),
]
"""Seconds since 1970 UTC inside, RFC 3339 in JSON."""


class Document(BaseModel):
    """Base of every document the API answers with."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def documented(example: dict[str, Any]) -> ConfigDict:
    """Return the configuration of a document with one example in its schema."""
    return ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, json_schema_extra={"examples": [example]}
    )
