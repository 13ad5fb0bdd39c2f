"""Naming executions in the worker's main process, so that every process and source names them the same."""

import os
from typing import Any

HEADER = "huoyan_execution"
"""Where a request carries the name of its execution, from the main process to the child that runs it."""

_MAX_REMEMBERED = 50_000


class Deliveries:
    """Counts how often this process got each try of each task, in bounded memory."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self._latest: dict[str, tuple[int, str]] = {}

    def received(self, request: Any, nodename: str) -> tuple[int, str, str | None]:
        """Count a delivery and mark its request.

        Args:
            request: The worker's request.
            nodename: Name of the worker, `celery@host`.

        Returns:
            The number of the try from 1; the name of the execution, `{retries}.{delivery}@{worker}#{pid}`; and that of
            the delivery of the same try before it, if there was one.
        """
        retries = request.request_dict.get("retries") or 0
        key = (request.id, retries)
        count = self._counts.pop(key, 0) + 1
        self._counts[key] = count
        process = f"@{nodename}#{os.getpid()}"
        execution = f"{retries}.{count}{process}"
        before = f"{retries}.{count - 1}{process}" if count > 1 else None
        request.request_dict[HEADER] = execution
        self._latest.pop(request.id, None)
        self._latest[request.id] = (retries + 1, execution)
        for remembered in (self._counts, self._latest):
            if len(remembered) > _MAX_REMEMBERED:
                _forget_oldest(remembered)
        return retries + 1, execution, before

    def latest(self, task_id: str) -> tuple[int | None, str | None]:
        """Return try and execution of the last delivery of a task; (None, None) when it is not (or no longer) known."""
        return self._latest.get(task_id, (None, None))


def marked(request: Any) -> str | None:
    """Return the name of the execution that a request (`Context`, `dict`) carries, None when it carries none."""
    values = request if isinstance(request, dict) else getattr(request, "__dict__", {})
    value = values.get(HEADER)
    return value if isinstance(value, str) else None


def _forget_oldest(remembered: dict[Any, Any]) -> None:
    for key in list(remembered)[: _MAX_REMEMBERED // 10]:
        del remembered[key]
