"""Pages of a list, cut by key instead of by number, so that no page costs more than the first."""

import base64
import binascii
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from huoyan.errors import InvalidQuery

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list in its order; `next` is the cursor of the page after it, None on the last one."""

    items: list[T]
    next: str | None = None

    def map(self, convert: Callable[[T], U]) -> "Page[U]":
        """Return the same page of converted items."""
        return Page([convert(item) for item in self.items], self.next)


def encode_cursor(at: float, key: int | str) -> str:
    """Return the cursor that stands for the place behind the item with this time and key."""
    text = json.dumps([at, key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> tuple[float, int | str]:
    """Return the time and key that `encode_cursor` was given.

    Raises:
        InvalidQuery: The text is no cursor of ours.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        at, key = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, TypeError, binascii.Error):
        at, key = None, None
    if not isinstance(at, int | float) or not math.isfinite(at) or not isinstance(key, int | str):
        raise InvalidQuery(f"cursor: expected the `next` of an earlier answer, got {cursor[:80]!r}")
    return float(at), key
