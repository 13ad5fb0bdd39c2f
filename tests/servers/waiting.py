"""Waiting for a condition with a deadline, in place of sleeping and hoping."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

MOST_PATIENCE = 4.0
"""How much longer than on an idle machine a deadline is at most."""


def patience() -> float:
    """Return by what factor everything takes longer now: how many want each core (load of the last minute), 1 to 4."""
    return min(max(os.getloadavg()[0] / (os.cpu_count() or 1) / 2, 1.0), MOST_PATIENCE)


def wait_until(
    predicate: Callable[[], T | None],
    timeout_s: float = 10.0,
    message: str | Callable[[], str] = "",
    interval_s: float = 0.02,
) -> T:
    """Call the predicate until it answers something true, and return that.

    Args:
        predicate: What has to become true. An exception it raises is not caught.
        timeout_s: The deadline, in seconds (default 10); where more than two want each core, up to four times as late.
        message: What was expected, for the failure; a function is called then, to tell the state at that time.
        interval_s: The pause between two calls, in seconds (default 0.02).

    Raises:
        AssertionError: The deadline passed; the text names the expectation and the last answer.
    """
    started = time.monotonic()
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() - started >= timeout_s * patience():
            raise AssertionError(_failure(timeout_s, message, answer))
        time.sleep(interval_s)


async def wait_until_async(
    predicate: Callable[[], Awaitable[T | None] | T | None],
    timeout_s: float = 10.0,
    message: str | Callable[[], str] = "",
    interval_s: float = 0.02,
) -> T:
    """Wait like `wait_until`, leaving the event loop free; the predicate may be a coroutine function."""
    started = time.monotonic()
    while True:
        answer = predicate()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() - started >= timeout_s * patience():
            raise AssertionError(_failure(timeout_s, message, answer))
        await asyncio.sleep(interval_s)


def _failure(timeout_s: float, message: str | Callable[[], str], answer: object) -> str:
    expected = message if isinstance(message, str) else message()
    return f"expected within {timeout_s:g} s: {expected or 'the condition to hold'}; the last answer was {answer!r}"
