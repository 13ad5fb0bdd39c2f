"""Arguments, results and exceptions as they may leave the process: bounded, and without secrets."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from huoyan.client import chain
from huoyan.client.attributes import class_name
from huoyan.client.guard import warn
from huoyan.client.saying import Sayings, cut
from huoyan.client.scrub import Scrubber
from huoyan.model.event import ExceptionInfo, Payload
from huoyan.model.fingerprint import fingerprint

MAX_MESSAGE_CHARS = 8_000
MAX_TRACEBACK_CHARS = 64_000
MAX_REASON_CHARS = 500
MAX_NAME_CHARS = 300
_MAX_READ_CHARS = 2 * MAX_TRACEBACK_CHARS
# PostgreSQL stores no NUL, UTF-8 no lone surrogate.
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


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

    def said(self, value: object, limit: int = MAX_REASON_CHARS) -> str:
        """Return what an exception, or another object of the host, says of itself; at most `limit` characters."""
        try:
            return self._text(self._sayings.text(value), limit)
        except Exception as error:  # noqa: BLE001
            warn("capture.said", "huoyan: a text could not be made", error=error)
            return ""

    def exception(self, error: BaseException, traceback: str | None = None) -> ExceptionInfo:
        """Describe an exception; `traceback` is its text where the exception carries none."""
        kind = type_name(type(error))
        try:
            deadline = self._sayings.deadline()
            said = self._sayings.text(error, deadline)
            message = self._text(said, MAX_MESSAGE_CHARS)
            if traceback is None:
                traceback = chain.formatted(error, said, lambda inner: self._sayings.text(inner, deadline))
            shown = self._text(cut(traceback, _MAX_READ_CHARS), MAX_TRACEBACK_CHARS)
            return ExceptionInfo(kind, message, shown, fingerprint(kind, message, shown))
        except Exception as problem:  # noqa: BLE001
            warn("capture.exception", "huoyan: an exception could not be described", error=problem)
            return ExceptionInfo(kind)

    def _text(self, text: str, limit: int) -> str:
        # Scrubbed first: half a secret, left where a text was cut, is recognised by no pattern.
        return cut(_UNSTORABLE.sub("\ufffd", self._scrubber.scrub_text(text)), limit)


def type_name(kind: type[BaseException]) -> str:
    """Return the qualified name of an exception's class, without the module of the built-in ones."""
    return class_name(kind).removeprefix("__main__.")[:MAX_NAME_CHARS]
