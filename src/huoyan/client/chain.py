"""An exception, with those behind and inside it, as Python prints them, but without running any code of their classes.

Python's own formatter asks every exception of the chain for its text, and looks for names that may have been meant in
the attributes of the host's objects. It is handed stand-ins instead: exceptions of classes with the same names, which
say what they were told to say and carry the real tracebacks.
"""

import functools
import os
import traceback
from collections.abc import Callable
from typing import Any

from huoyan.client.attributes import class_module, class_qualname, derives, instance_dict
from huoyan.client.saying import cut

MAX_FRAMES = 64
MAX_EXCEPTIONS = 20
_MAX_MEMBERS = 15
_MAX_NOTES = 5
_MAX_NOTE_CHARS = 2_000
_MAX_NAME_CHARS = 300
_OWN = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - compared with file names of code objects, as text

_cause, _context, _suppressed, _trace = (
    vars(BaseException)[name].__get__ for name in ("__cause__", "__context__", "__suppress_context__", "__traceback__")
)
_members: Callable[[object], Any] = vars(BaseExceptionGroup)["exceptions"].__get__


def formatted(error: BaseException, said: str, say: Callable[[object], str]) -> str:
    """Return the traceback of an exception, at most `MAX_FRAMES` frames of each and `MAX_EXCEPTIONS` exceptions.

    The frames of Huoyan's own wrappers are left out: how they came to call the host is of no interest.

    Args:
        error: The exception.
        said: What it says.
        say: Tells what another object says.
    """
    described = traceback.TracebackException.from_exception(_Cast(say).stand_in(error, said), limit=-MAX_FRAMES)
    _leave_out_own_frames(described, 0)
    return "".join(described.format())


class _Cast:
    """Stand-ins for the exceptions of one chain, one for each."""

    def __init__(self, say: Callable[[object], str]) -> None:
        self._say = say
        self._made: dict[int, BaseException | None] = {}

    def stand_in(self, error: BaseException, said: str) -> BaseException:
        """Return a stand-in for an exception that says what it is told to."""
        kind = type(error)
        # What leads back to an exception that is being looked at leads nowhere.
        self._made[id(error)] = None
        members = _members(error) if derives(kind, BaseExceptionGroup) else ()
        inner = [each for each in map(self._of, members[:_MAX_MEMBERS]) if each is not None]
        named = _class(class_module(kind), class_qualname(kind)[:_MAX_NAME_CHARS], grouped=bool(inner))
        standing: Any = named("", inner) if inner else named()
        standing.said = said
        standing.__cause__, standing.__context__ = self._of(_cause(error)), self._of(_context(error))
        standing.__suppress_context__ = _suppressed(error)
        standing.__traceback__ = _trace(error)
        for note in self._notes(error, kind):
            standing.add_note(note)
        if len(members) > len(inner):
            standing.add_note(f"… {len(members) - len(inner)} more")
        self._made[id(error)] = standing
        return standing  # type: ignore[no-any-return]

    def _of(self, error: BaseException | None) -> BaseException | None:
        if error is None or id(error) in self._made:
            return None if error is None else self._made[id(error)]
        return self.stand_in(error, self._say(error)) if len(self._made) < MAX_EXCEPTIONS else None

    def _notes(self, error: BaseException, kind: type) -> list[str]:
        notes = instance_dict(error, kind).get("__notes__")
        if type(notes) is not list:
            return []
        return [cut(self._say(note), _MAX_NOTE_CHARS) for note in notes[:_MAX_NOTES]]


@functools.lru_cache(maxsize=256)
def _class(module: str, name: str, *, grouped: bool) -> Any:
    """Return a class of exceptions that is called like another one."""
    own = {"__module__": module, "__qualname__": name, "__str__": lambda self: self.said}
    return type(name.rpartition(".")[2], (BaseExceptionGroup if grouped else BaseException,), own)


def _leave_out_own_frames(described: traceback.TracebackException, depth: int) -> None:
    described.stack[:] = [frame for frame in described.stack if not frame.filename.startswith(_OWN)]
    if depth < MAX_EXCEPTIONS:
        for inner in (described.__cause__, described.__context__, *(getattr(described, "exceptions", None) or ())):
            if inner is not None:
                _leave_out_own_frames(inner, depth + 1)
