"""Query parameters that several routes share, and how they are read."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BeforeValidator

from huoyan.errors import InvalidQuery
from huoyan.model.run import RunState

_RELATIVE = re.compile(r"-(\d+(?:\.\d+)?)(s|m|h|d)")
_UNIT_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LATEST_S = 253402300799.0
"""The last second of the year 9999, beyond which a time cannot be written as RFC 3339."""
_MOST_VALUES = 100


def _split(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        return value
    parts = [part.strip() for item in value for part in (item.split(",") if isinstance(item, str) else [item])]
    return [part for part in parts if part != ""]


def _listed(description: str) -> Any:
    return Query(description=f"{description} Comma separated or repeated: any of them.", max_length=_MOST_VALUES)


Texts = Annotated[list[str], BeforeValidator(_split)]

STUCK = "stuck"
"""Stands for runs in `started` that owe a sign of life; it goes with no other state."""
States = Annotated[
    list[RunState | Literal["stuck"]],
    BeforeValidator(_split),
    _listed("State of the run, see the schema of `Run`; or `stuck` alone: started, and owing a sign of life."),
]
Tasks = Annotated[Texts, _listed("Task name.")]
Queues = Annotated[Texts, _listed("Queue.")]
Workers = Annotated[Texts, _listed("Worker.")]
Services = Annotated[Texts, _listed("Service.")]
Frameworks = Annotated[Texts, _listed("Framework.")]

OneTask = Annotated[str | None, Query(description="Task name.", max_length=300)]
OneService = Annotated[str | None, Query(description="Service.", max_length=300)]

_TIME = "RFC 3339, seconds since 1970 UTC, or relative to now: `-30s`, `-15m`, `-1h`, `-7d`."
Since = Annotated[str | None, Query(description=f"Not before this time. {_TIME}", examples=["-1h"], max_length=64)]
Until = Annotated[str | None, Query(description=f"Before this time. {_TIME}", examples=["-5m"], max_length=64)]
Limit = Annotated[int, Query(ge=1, le=500, description="How many items at most.")]
Cursor = Annotated[
    str | None, Query(description="`next` of the page before; absent for the first page.", max_length=1000)
]
WindowS = Annotated[float | None, Query(gt=0, le=31 * 86400.0, description="Window of every value, in seconds.")]
Search = Annotated[str | None, Query(description="Text in the id, task, arguments or exception.", max_length=500)]


def moment(text: str | None, now: float, name: str) -> float | None:
    """Read a point in time from a query parameter.

    Args:
        text: RFC 3339 (with an offset or `Z`), seconds since 1970 UTC, or relative such as `-1h`; None stays None.
        now: What relative times refer to, in seconds since 1970 UTC.
        name: The parameter, for the message.

    Returns:
        Seconds since 1970 UTC.

    Raises:
        InvalidQuery: The text is none of these.
    """
    if text is None or not text.strip():
        return None
    text = text.strip()
    relative = _RELATIVE.fullmatch(text)
    if relative is not None:
        return max(0.0, now - float(relative[1]) * _UNIT_S[relative[2]])
    at = _absolute(text)
    if at is None or not 0 <= at <= _LATEST_S:
        raise InvalidQuery(
            f"{name}: expected an RFC 3339 time, seconds since 1970 or a relative time such as -1h, got {text[:64]!r}"
        )
    return at


def _absolute(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        # A plus sign that was not escaped arrives as a space.
        parsed = datetime.fromisoformat(text.replace(" ", "+") if "T" in text.upper() else text)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        return None
    try:
        return parsed.timestamp()
    except (OverflowError, ValueError):
        return None


def period(since: str | None, until: str | None, now: float) -> tuple[float | None, float | None]:
    """Read a period and refuse one that ends before it begins.

    Raises:
        InvalidQuery: A time cannot be read, or `until` is not after `since`.
    """
    start, end = moment(since, now, "since"), moment(until, now, "until")
    if start is not None and end is not None and end <= start:
        raise InvalidQuery(f"until: expected a time after since ({since}), got {until}. Swap the two")
    return start, end


def one_of(values: Sequence[str], allowed: Sequence[str], name: str) -> tuple[str, ...]:
    """Check a list of words against those that exist.

    Raises:
        InvalidQuery: One of them does not.
    """
    for value in values:
        if value not in allowed:
            raise InvalidQuery(f"{name}: expected one of {', '.join(allowed)}, got {value[:64]!r}")
    return tuple(values)
