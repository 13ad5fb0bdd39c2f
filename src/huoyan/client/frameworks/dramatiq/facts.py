"""What a message, its broker and an exception say of themselves."""

from typing import Any

from dramatiq.middleware import AgeLimit

PARENT, ROOT = "huoyan_parent", "huoyan_root"
"""Options in which a message carries the run that enqueued it, and the first run of its tree."""
_MOST_DEPENDENTS = 50


def attempt(message: Any) -> int:
    """Return the number of the try: Retries counts those that went wrong."""
    return int(message.options.get("retries") or 0) + 1


def queue(name: str) -> str:
    """Return the queue that a queue for delayed or dead messages belongs to."""
    return name[:-3] if name.endswith((".DQ", ".XQ")) else name


def lineage(message: Any) -> dict[str, Any]:
    """Return which run started this one, the group it belongs to, and the runs that come after it."""
    options = message.options
    following: list[Any] = [options.get("pipe_target"), *(options.get("group_completion_callbacks") or ())]
    return {
        "dependents": {
            str(each["message_id"]): str(each.get("actor_name") or "")
            for each in following[:_MOST_DEPENDENTS]
            if isinstance(each, dict) and each.get("message_id")
        }
        or None,
        "parent_id": options.get(PARENT),
        "root_id": options.get(ROOT),
        "group_id": options.get("group_completion_uuid"),
    }


def function(broker: Any, actor_name: str) -> Any:
    return getattr(broker.actors.get(actor_name), "fn", None)


def expires(broker: Any, message: Any) -> float | None:
    """Return when AgeLimit will drop the message, in seconds since 1970."""
    limit = next((each for each in broker.middleware if isinstance(each, AgeLimit)), None)
    if limit is None:
        return None
    actor = broker.actors.get(message.actor_name)
    declared = actor.options.get("max_age", limit.max_age) if actor is not None else limit.max_age
    max_age = message.options.get("max_age") or declared
    return (message.message_timestamp + max_age) / 1000 if max_age else None


def raiser(error: BaseException | None) -> str:
    """Return the class whose method raised an exception."""
    if error is None:
        return "a middleware"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = trace.tb_frame.f_code.co_qualname.rpartition(".")[0] if trace is not None else ""
    return name or "a middleware"
