"""Arguments, results and exceptions as they may leave the process: bounded, and without secrets."""

import os
import traceback as tracebacks
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from huoyan.client.guard import warn
from huoyan.client.saying import Sayings
from huoyan.client.scrub import Scrubber
from huoyan.model.event import ExceptionInfo, Payload
from huoyan.model.fingerprint import fingerprint

MAX_MESSAGE_CHARS = 8_000
MAX_TRACEBACK_CHARS = 64_000
_MAX_FRAMES = 64
_MAX_CHAIN = 20
_OWN = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - compared with file names of code objects, as text


class Capture:
    """Turns what the host handles into what may be sent. No method raises.

    Args:
        enabled: False sends neither arguments nor results; exceptions are described all the same.
        names: Further names whose values are secret, beside the built-in ones.

    Raises:
        ConfigurationError: A name has no letters.
    """

    def __init__(self, *, enabled: bool = True, names: Iterable[str] = ()) -> None:
        self._enabled = enabled
        self._scrubber = Scrubber(names=tuple(names))
        self._sayings = Sayings()

    def call(
        self, function: Callable[..., Any] | None, args: tuple[Any, ...] | list[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Payload, Payload]:
        """Return (args, kwargs) of a call."""
        if not self._enabled:
            return None, None
        try:
            return self._scrubber.scrub_call(function, tuple(args), dict(kwargs))
        except Exception as error:  # noqa: BLE001 - an argument may do anything when it is looked at
            warn("capture.call", "huoyan: arguments could not be shown", error=error)
            return None, None

    def value(self, value: Any) -> Payload:
        """Return a result."""
        if not self._enabled or value is None:
            return None
        try:
            return self._scrubber.represent(value)
        except Exception as error:  # noqa: BLE001
            warn("capture.value", "huoyan: a value could not be shown", error=error)
            return None

    def exception(self, error: BaseException, traceback: str | None = None) -> ExceptionInfo:
        """Describe an exception; `traceback` is its text where the exception carries none."""
        kind = type_name(type(error))
        try:
            said = self._sayings.text(error)
            message = self._text(said, MAX_MESSAGE_CHARS)
            if traceback is None:
                traceback = self._formatted(error, said)
            shown = self._text(traceback, MAX_TRACEBACK_CHARS)
            return ExceptionInfo(kind, message, shown, fingerprint(kind, message, shown))
        except Exception as problem:  # noqa: BLE001
            warn("capture.exception", "huoyan: an exception could not be described", error=problem)
            return ExceptionInfo(kind)

    def _formatted(self, error: BaseException, said: str) -> str:
        """Format a traceback without the frames of Huoyan's wrappers: how they came to call the host is of no
        interest."""
        chain = _chain(error)
        # The texts of those behind it are made once to see how long they take: what formats them asks all again.
        for inner in chain[1:]:
            self._sayings.text(inner)
        if any(self._sayings.waits(inner) for inner in chain):
            trace = "".join(tracebacks.format_list(_frames(error)))
            return f"Traceback (most recent call last):\n{trace}{type_name(type(error))}: {said}\n"
        described = tracebacks.TracebackException.from_exception(error, limit=-_MAX_FRAMES)
        _leave_out_own_frames(described, 0)
        return "".join(described.format())

    def _text(self, text: str, limit: int) -> str:
        # Scrubbed first: half a secret, left where a text was cut, is recognised by no pattern.
        return _cut(self._scrubber.scrub_text(text), limit)


def type_name(kind: type[BaseException]) -> str:
    """Return the qualified name of an exception's class, without the module of the built-in ones."""
    module = kind.__module__
    return kind.__qualname__ if module in {"builtins", "__main__"} else f"{module}.{kind.__qualname__}"


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception and those behind and inside it, the nearest first, as many as are shown."""
    found: list[BaseException] = []
    left = [error]
    while left and len(found) < _MAX_CHAIN:
        one = left.pop(0)
        if any(one is each for each in found):
            continue
        found.append(one)
        inner = getattr(one, "exceptions", None)
        behind = (one.__cause__, one.__context__, *(inner if isinstance(inner, tuple) else ()))
        left += [each for each in behind if isinstance(each, BaseException)]
    return found


def _frames(error: BaseException) -> tracebacks.StackSummary:
    summary = tracebacks.StackSummary.extract(tracebacks.walk_tb(error.__traceback__), limit=-_MAX_FRAMES)
    summary[:] = [frame for frame in summary if not frame.filename.startswith(_OWN)]
    return summary


def _leave_out_own_frames(described: tracebacks.TracebackException, depth: int) -> None:
    described.stack[:] = [frame for frame in described.stack if not frame.filename.startswith(_OWN)]
    if depth < _MAX_CHAIN:
        for inner in (described.__cause__, described.__context__, *(getattr(described, "exceptions", None) or ())):
            if inner is not None:
                _leave_out_own_frames(inner, depth + 1)


def _cut(text: str, limit: int) -> str:
    """Keep the beginning, which names the root cause, and the end, which names what happened last."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… ({len(text) - 2 * half} characters left out)\n{text[-half:]}"
