"""What a message and its broker say of themselves."""

from typing import Any

PARENT, ROOT = "huoyan_parent", "huoyan_root"
"""Labels in which a message carries the run that sent it, and the first run of its tree."""

_DEAF_TO_DELAY = ("taskiq.brokers.", "taskiq_redis.")
"""Modules of brokers that hand a message over at once, whatever its label `delay` says."""


def attempt(labels: dict[str, Any]) -> int:
    """Return the number of the try: the retrying middlewares count theirs, and `Context.requeue` its own."""
    return 1 + _count(labels, "_retries") + requeues(labels)


def requeues(labels: dict[str, Any]) -> int:
    """Return how often a task has put itself into the queue again."""
    return _count(labels, "X-Taskiq-requeue")


def retries(labels: dict[str, Any]) -> int:
    """Return how often the task was retried."""
    return _count(labels, "_retries")


def queue(broker: Any, labels: dict[str, Any]) -> str:
    """Return the queue; Taskiq itself knows none, some brokers do."""
    for name in (labels.get("queue_name"), getattr(broker, "queue_name", None)):
        if isinstance(name, str) and name:
            return name
    return ""


def delay_s(broker: Any, labels: dict[str, Any]) -> float | None:
    """Return how long the broker keeps a message back, in seconds; None when it does not."""
    if "delay" not in labels or broker.kick.__module__.startswith(_DEAF_TO_DELAY):
        return None
    try:
        return float(labels["delay"])
    except (TypeError, ValueError):
        return None


def lineage(labels: dict[str, Any]) -> dict[str, Any]:
    """Return the run that sent a message, and the first run of its tree."""
    return {"parent_id": labels.get(PARENT), "root_id": labels.get(ROOT)}


def function(broker: Any, task_name: str) -> Any:
    """Return the function behind a task, None when this process does not know it."""
    return getattr(broker.find_task(task_name), "original_func", None)


def _count(labels: dict[str, Any], name: str) -> int:
    try:
        return int(labels.get(name) or 0)
    except (TypeError, ValueError):
        return 0
