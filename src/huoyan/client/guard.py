"""Nothing that Huoyan does may raise into the program it watches: one guard, with a log that cannot flood."""

import functools
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

_P = ParamSpec("_P")
_R = TypeVar("_R")

logger = logging.getLogger("huoyan")
_INTERVAL_S = 60.0
_MAX_PLACES = 256
_last_told_at: dict[str, float] = {}


def warn(place: str, message: str, *args: object, error: BaseException | None = None) -> None:
    """Log a warning, at most once a minute for each `place`. Never raises."""
    try:
        now = time.monotonic()
        last = _last_told_at.get(place)
        if last is not None and now - last < _INTERVAL_S:
            return
        if len(_last_told_at) >= _MAX_PLACES:
            _last_told_at.clear()
        _last_told_at[place] = now
        logger.warning(message, *args, exc_info=error)
    except Exception:  # noqa: BLE001, S110 - a logging handler of the host is broken; there is nowhere left to say so
        pass


class _Guard:
    """Swallow every Exception of a block and log it; let KeyboardInterrupt, SystemExit and cancellation through."""

    __slots__ = ("_place",)

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        warn(
            self._place,
            "huoyan: %s failed and was skipped; the program goes on unwatched there",
            self._place,
            error=error,
        )
        return True


def guard(place: str) -> _Guard:
    """Return a context that keeps every Exception of its block from the host.

    Args:
        place: Where this is, for the log: `celery.task_prerun`. One warning a minute is logged for each place.
    """
    return _Guard(place)


@overload
def guarded(place: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R | None]]: ...
@overload
def guarded(place: str, default: _R) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]: ...
def guarded(place: str, default: Any = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a hook so that it returns `default` instead of raising. Not for coroutine functions."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the whole point
                warn(
                    place, "huoyan: %s failed and was skipped; the program goes on unwatched there", place, error=error
                )
                return default

        return call

    return decorate
