"""Which run the current thread, greenlet or coroutine executes, so that what it starts knows its parent."""

from collections.abc import Callable, MutableMapping
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

from huoyan.model.event import Progress


class RunContext(NamedTuple):
    """The run that is being executed here.

    Args:
        run_id: Its identity.
        root_id: The first run of its tree (its own identity when nothing started it).
        on_progress: Reports how far it is, or None where the framework cannot say.
        on_heartbeat: Reports that it is alive, and how often it promises to say so.
    """

    run_id: str
    root_id: str
    on_progress: Callable[[Progress], None] | None = None
    on_heartbeat: Callable[[float | None], None] | None = None


_current: ContextVar[RunContext | None] = ContextVar("huoyan_run", default=None)


def current() -> RunContext | None:
    """Return the run that this code executes in, or None."""
    return _current.get()


def enter(context: RunContext | None) -> Token[RunContext | None]:
    """Make `context` the current run; give the token to `leave` when it ends."""
    return _current.set(context)


def leave(token: Token[RunContext | None]) -> None:
    """Make current what was current before `enter`.

    A token from another context (a generator closed by the garbage collector, a callback that a framework ran in a
    copy) cannot be used; there is nothing to restore there either.
    """
    try:
        _current.reset(token)
    except ValueError:
        return


def lineage() -> tuple[str | None, str | None]:
    """Return (parent_id, root_id) for a run that is being started here; (None, None) outside any run."""
    context = _current.get()
    return (None, None) if context is None else (context.run_id, context.root_id)


RequestContext = tuple[object, MutableMapping[str, Any], str]
"""A watched application, the ASGI scope of a request to it (with the route, once it was matched) and the `root_path`
that the request came with."""
