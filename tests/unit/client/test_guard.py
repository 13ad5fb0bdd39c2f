"""What fails in Huoyan stays in Huoyan, and the log tells it without being flooded."""

import asyncio
import logging

import pytest

from huoyan.client import guard as guards
from huoyan.client.guard import guard, guarded, warn


def test_a_guarded_block_swallows_exceptions_and_logs_them(caplog: pytest.LogCaptureFixture) -> None:
    with guard("here"):
        raise ValueError("broken hook")
    assert "here failed and was skipped" in caplog.text
    assert "broken hook" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_what_ends_programs_and_coroutines_passes_through(error: type[BaseException]) -> None:
    with pytest.raises(error), guard("here"):
        raise error


def test_a_guarded_function_returns_its_default() -> None:
    @guarded("there", 7)
    def broken() -> int:
        raise RuntimeError

    @guarded("there")
    def fine(value: int) -> int:
        return value + 1

    assert (broken(), fine(1)) == (7, 2)


def test_one_place_warns_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        warn("a", "same place")
    warn("b", "other place")
    assert [record.message for record in caplog.records] == ["same place", "other place"]
    guards._last_told_at["a"] -= 61
    warn("a", "same place")
    assert len(caplog.records) == 3


def test_places_are_bounded() -> None:
    for number in range(10_000):
        warn(f"place {number}", "x")
    assert len(guards._last_told_at) <= 256


def test_a_broken_log_handler_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise OSError("disk full")

    handler = Broken()
    logging.getLogger("huoyan").addHandler(handler)
    try:
        warn("x", "text %s", "argument")
    finally:
        logging.getLogger("huoyan").removeHandler(handler)
