"""What a message says of the runs that come after it: the rest of its chain, the body of its chord, its callbacks.

Celery's message protocol 2 carries them as signatures, in `embed` of a message's body and on the request of a task:
https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

from collections.abc import Iterable, Mapping
from typing import Any

_MOST = 50
_DEEPEST = 4


def embedded(body: Any) -> dict[str, str] | None:
    """Return the runs that a message names as coming after it, and their tasks; None when there are none.

    Args:
        body: The body of a message, `(args, kwargs, embed)` in version 2 of the protocol.
    """
    if not isinstance(body, tuple | list) or len(body) < 3 or not isinstance(body[2], Mapping):
        return None
    return _following(body[2].get("chain"), body[2].get("chord"), body[2].get("callbacks"))


def requested(request: Any) -> dict[str, str] | None:
    """Return the same of a task that is being executed, from its request."""
    return _following(request.chain, request.chord, request.callbacks)


def _following(chain: Any, chord: Any, callbacks: Any) -> dict[str, str] | None:
    found: dict[str, str] = {}
    if isinstance(chain, tuple | list) and chain:
        # The chain is kept backwards: the next step is the last.
        _add(found, chain[-1])
    _add(found, chord)
    for callback in _listed(callbacks):
        _add(found, callback)
    return found or None


def _add(found: dict[str, str], signature: Any, depth: int = 0) -> None:
    if not isinstance(signature, Mapping) or len(found) >= _MOST or depth > _DEEPEST:
        return
    kwargs = signature.get("kwargs")
    inner = kwargs if isinstance(kwargs, Mapping) else {}
    task = str(signature.get("task") or "")
    # What comes next may be several: the members of a group, the header of a chord, the first step of a chain.
    if task == "celery.group" or signature.get("subtask_type") == "group":
        members = _listed(inner.get("tasks"))
    elif task == "celery.chord" or signature.get("subtask_type") == "chord":
        header = inner.get("header")
        members = _listed((header.get("kwargs") or {}).get("tasks") if isinstance(header, Mapping) else header)
    elif task == "celery.chain" or signature.get("subtask_type") == "chain":
        members = _listed(inner.get("tasks"))[:1]
    else:
        options = signature.get("options")
        run_id = options.get("task_id") if isinstance(options, Mapping) else None
        if run_id:
            found[str(run_id)] = task
        return
    for member in members:
        _add(found, member, depth + 1)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [value]
    return list(value)[:_MOST] if isinstance(value, Iterable) and not isinstance(value, str | bytes) else []
