"""What exceptions and other objects of the host say of themselves, without waiting for code of the host.

Most exceptions hold texts and numbers and leave it to Python to put them together: those are said at once, by code of
Python's own. What a class makes itself, in a `__str__` of its own or in that of an object among the arguments, may be
slow, hang, raise or grow without end, and a call that runs cannot be broken off. So the first time it is made in a
thread of its own, for which nobody waits longer than `PATIENCE_S`; a class that was quick is asked directly from then
on. One that was not is left alone for a hundred times as long, and what its arguments hold is told instead.

It has to be asked at all because the messages that matter most are made that way: those of SQLAlchemy, of Pydantic, of
a translated text.
"""

import builtins
import contextvars
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from huoyan.client.attributes import class_name, definer, derives
from huoyan.client.payload import PayloadLimits, represent
from huoyan.client.thread import start

PATIENCE_S = 0.5
"""How long a text may take before it is given up, in seconds."""
SLOW_S = 0.02
"""What is slower than this is remembered, in seconds."""
SHARE = 0.01
"""The share of time that the texts of one class may take once one of them was slow."""
MAX_TEXT_CHARS = 20_000
"""Longer texts lose their middle, before anything else reads them."""
UNSAID = "(its own text takes too long to make)"
UNMADE = "(its own text could not be made)"

_MOST_THREADS = 4
_MOST_CLASSES = 1_000
_MOST_PARTS = 200
_DEEPEST_PART = 8
_MOST_MAKERS = 4
_PARTS = PayloadLimits(max_bytes=4096, max_items=16)

_BUILT_IN = frozenset(
    kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, BaseException)
)
_args: Callable[[object], Any] = vars(BaseException)["args"].__get__
# What the built-in classes say beside their arguments.
_MEMBERS: dict[type, tuple[str, ...]] = {
    OSError: ("errno", "strerror", "filename", "filename2"),
    SyntaxError: ("msg", "filename", "lineno", "end_lineno"),
    ImportError: ("msg",),
    BaseExceptionGroup: ("message",),
    UnicodeEncodeError: ("encoding", "object", "reason"),
    UnicodeDecodeError: ("encoding", "object", "reason"),
    UnicodeTranslateError: ("object", "reason"),
}


class _Known:
    """What is known of a class from the texts it made."""

    __slots__ = ("kind", "trusted", "until")

    def __init__(self, kind: type) -> None:
        self.kind = weakref.ref(kind)
        self.trusted = False
        self.until = 0.0


class Sayings:
    """Makes texts of exceptions and other objects. No method raises. Safe for concurrent use.

    Args:
        monotonic: Where time comes from.
        patience_s: How long a text may take, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, patience_s: float = PATIENCE_S) -> None:
        self._monotonic = monotonic
        self._patience_s = patience_s
        # By identity: a metaclass may have put its own code behind the hash of a class. No lock: every step stands
        # for itself, and a fork would leave a lock held.
        self._known: OrderedDict[int, _Known] = OrderedDict()
        self._slots = threading.BoundedSemaphore(_MOST_THREADS)
        self._pid = os.getpid()

    def deadline(self) -> float:
        """Return until when texts that are made from now on may take together."""
        return self._monotonic() + self._patience_s

    def text(self, value: object, deadline: float | None = None) -> str:
        """Return what an object says of itself, at most `MAX_TEXT_CHARS` characters.

        Args:
            value: An exception, or anything else that has a text.
            deadline: Until when it may take, default `PATIENCE_S` from now on.
        """
        try:
            held = _held(value)
            if held is not None:
                return cut(held)
            makers = _makers(value)
            if not makers:
                return cut(str(value))
            return self._asked(value, makers, self.deadline() if deadline is None else deadline)
        except Exception:  # noqa: BLE001 - e.g. an argument that another thread changes meanwhile
            return UNMADE

    def _asked(self, value: object, makers: list[type], deadline: float) -> str:
        known = [self._know(kind) for kind in makers]
        began = self._monotonic()
        if began >= deadline or any(began < each.until for each in known):
            return _without_asking(value, UNSAID)
        trusted = all(each.trusted for each in known)
        said = _made(value) if trusted else self._aside(value, deadline - began)
        took_s = self._monotonic() - began
        quick = took_s <= SLOW_S
        for each in known:
            each.trusted = quick and said is not None and said is not UNMADE
            if not quick:
                each.until = began + took_s + min(took_s, self._patience_s) / SHARE
        return said if said is not None and said is not UNMADE else _without_asking(value, said or UNSAID)

    def _know(self, kind: type) -> _Known:
        known = self._known.get(id(kind))
        if known is None or known.kind() is not kind:
            known = self._known[id(kind)] = _Known(kind)
            if len(self._known) > _MOST_CLASSES:
                self._known.popitem(last=False)
        return known

    def _aside(self, value: object, patience_s: float) -> str | None:
        """Return what an object says, made in another thread; None when it is not there in time."""
        if os.getpid() != self._pid:
            # The threads that held a place stayed in the parent.
            self._slots, self._pid = threading.BoundedSemaphore(_MOST_THREADS), os.getpid()
        slots = self._slots
        began = time.monotonic()
        if not slots.acquire(timeout=patience_s):
            return None
        said: list[str] = []

        def make() -> None:
            try:
                said.append(_made(value))
            except BaseException:  # noqa: BLE001 - SystemExit from a `__str__` ends nothing but this thread
                said.append(UNMADE)
            finally:
                slots.release()

        # A translated text depends on the language of the request, which stands in the context.
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(make,), name="huoyan-saying", daemon=True)
        try:
            start(thread)
        except RuntimeError:
            # The interpreter is being shut down and starts no thread any more.
            make()
        else:
            thread.join(max(0.0, patience_s - (time.monotonic() - began)))
        return said[0] if said else None


def cut(text: str, limit: int = MAX_TEXT_CHARS) -> str:
    """Keep the beginning of a text, which names the root cause, and the end, which names what happened last.

    A subclass of `str` becomes the text it holds, whatever its own methods say.
    """
    length = str.__len__(text)
    if length <= limit:
        return text if type(text) is str else str.__str__(text)
    half = limit // 2
    head, tail = str.__getitem__(text, slice(half)), str.__getitem__(text, slice(-half, None))
    return f"{head}\n… ({length - 2 * half} characters left out)\n{tail}"


def _made(value: object) -> str:
    try:
        return cut(str(value))
    except Exception:  # noqa: BLE001 - `__str__` of the host's own class
        return UNMADE


def _held(value: object) -> str | None:
    """Return the text that an object is or that an exception holds as its one argument, however long it is."""
    kind = type(value)
    if derives(kind, str):
        return value  # type: ignore[return-value]
    if not derives(kind, BaseException) or definer(kind, "__str__") is not BaseException:
        return None
    args = _args(value)
    return args[0] if len(args) == 1 and type(args[0]) is str else None


def _makers(value: object) -> list[type]:
    """Return the classes whose own code would take part in making a text; none where Python does it alone."""
    found: list[type] = []
    _gather(value, found, 0, _Left())
    return found


class _Left:
    """How much may still be looked at."""

    __slots__ = ("chars", "parts")

    def __init__(self) -> None:
        self.chars = 10 * MAX_TEXT_CHARS
        self.parts = _MOST_PARTS


def _gather(value: Any, found: list[type], depth: int, left: _Left) -> None:
    kind = type(value)
    left.parts -= 1
    if left.parts < 0 or left.chars < 0 or depth > _DEEPEST_PART or len(found) >= _MOST_MAKERS:
        # Too large to be quick for certain, or inside itself.
        found.append(kind)
    elif kind is str or kind is bytes or kind is bytearray:
        left.chars -= len(value)
    elif kind is int:
        left.chars -= int.bit_length(value)
    elif kind in (list, tuple, set, frozenset):
        for item in kind.__iter__(value):
            _gather(item, found, depth + 1, left)
    elif kind is dict:
        for key, item in dict.items(value):
            _gather(key, found, depth + 1, left)
            _gather(item, found, depth + 1, left)
    elif derives(kind, BaseException):
        if definer(kind, "__str__") not in _BUILT_IN or definer(kind, "__repr__") not in _BUILT_IN:
            found.append(kind)
        # A group says its own message and how many it holds.
        group = not depth and definer(kind, "__str__") is BaseExceptionGroup
        for part in [vars(BaseExceptionGroup)["message"].__get__(value)] if group else _parts(value, kind):
            _gather(part, found, depth + 1, left)
    elif kind is not float and kind is not bool and value is not None:
        found.append(kind)
    if left.chars < 0 and not found:
        found.append(kind)


def _parts(value: object, kind: type) -> list[object]:
    """Return what an exception's text is made of."""
    parts = [_args(value)]
    for base, names in _MEMBERS.items():
        if derives(kind, base):
            parts += [vars(base)[name].__get__(value) for name in names if name in vars(base)]
    return parts


def _without_asking(value: object, why: str) -> str:
    """Return what is known of an object without any code of its class, and why that is so."""
    kind = type(value)
    if not derives(kind, BaseException):
        return f"<{class_name(kind)}> {why}"
    args = _args(value)
    if type(args) is not tuple or not args:
        return why
    shown = [represent(each, _PARTS) for each in args[:_MOST_MAKERS]]
    return f"{cut(', '.join(each if type(each) is str else repr(each) for each in shown))} {why}"
