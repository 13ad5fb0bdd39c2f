"""Choosing between two things said of one fact, so that the choice does not depend on which was said first.

Every function here chooses by a total order of its own: it is commutative, associative and
idempotent, and so is everything that is made of them.
"""

import json
from typing import Any

from huoyan.model.event import ExceptionInfo, Payload, Progress


def joined_names(left: str, right: str) -> str:
    """Return the names in two lists of names as one list, each once, in order."""
    return ",".join(sorted({*left.split(","), *right.split(",")} - {""}))


def least(left: float | None, right: float | None) -> float | None:
    """Prefer the smaller number."""
    if left is None:
        return right
    return left if right is None or left <= right else right


def most(left: float | None, right: float | None) -> float | None:
    """Prefer the greater number."""
    if left is None:
        return right
    return left if right is None or left >= right else right


def pick_text(left: str, right: str) -> str:
    """Prefer the longer text, then the greater one: any total order makes the choice independent of arrival."""
    if left == right or not right:
        return left
    return left if (len(left), left) > (len(right), right) else right


def pick_payload(left: Payload, right: Payload) -> Payload:
    """Prefer structured values over their repr as text, then the more complete one."""
    if left is None or left is right:
        return right
    if right is None or (type(left) is str and left == right):
        return left
    return left if _payload_order(left) >= _payload_order(right) else right


def _payload_order(value: Any) -> tuple[int, int, str]:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return (0 if isinstance(value, str) else 1, len(text), text)


def pick_exception(left: ExceptionInfo | None, right: ExceptionInfo) -> ExceptionInfo:
    """Prefer the exception that says more."""
    if left is None:
        return right
    return left if _exception_order(left) >= _exception_order(right) else right


def _exception_order(e: ExceptionInfo) -> tuple[bool, int, int, str, str, str, str]:
    return (bool(e.traceback), len(e.traceback), len(e.message), e.traceback, e.message, e.type, e.fingerprint)


def pick_progress(left: Progress | None, right: Progress) -> Progress:
    """Prefer the later progress."""
    if left is None:
        return right
    return left if _progress_order(left) >= _progress_order(right) else right


def _progress_order(p: Progress) -> tuple[float, float, float, str]:
    return (p.at, p.done if p.done is not None else -1.0, p.total if p.total is not None else -1.0, p.note)
