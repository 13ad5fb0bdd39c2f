"""Puts the middlewares into a broker and takes them out again."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from huoyan.client.frameworks.taskiq.messages import Messages
from huoyan.client.frameworks.taskiq.middleware import Innermost, Outermost
from huoyan.client.reporter import Reporter
from huoyan.errors import ConfigurationError

_NEEDED = ("find_task", "kick", "startup")


class TaskiqIntegration:
    """Brokers of Taskiq, in producers, schedulers and workers."""

    framework = "taskiq"
    options: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._watched: WeakKeyDictionary[Any, tuple[Outermost, Innermost]] = WeakKeyDictionary()

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Put one middleware before all others and one behind them."""
        missing = [name for name in _NEEDED if not callable(getattr(thing, name, None))]
        if missing or not isinstance(getattr(thing, "middlewares", None), list):
            missing = missing or ["a list of middlewares"]
            raise ConfigurationError("watch", "a broker of Taskiq 0.12 or newer", f"one without {', '.join(missing)}")
        messages = Messages(thing, reporter)
        ours = Outermost(messages), Innermost(messages)
        for each in ours:
            each.set_broker(thing)
        # A new list, because tasks may be going through the old one.
        thing.middlewares = [ours[0], *thing.middlewares, ours[1]]
        self._watched[thing] = ours

    def unwatch(self, thing: Any) -> None:
        """Take both out again."""
        ours = self._watched.pop(thing, None)
        if ours is not None:
            ours[0].close()
            thing.middlewares = [each for each in thing.middlewares if each not in ours]
