"""Puts the middlewares into a broker and takes them out again."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from huoyan.client.frameworks.dramatiq.messages import Messages
from huoyan.client.frameworks.dramatiq.middleware import Innermost, Outermost
from huoyan.client.reporter import Reporter
from huoyan.errors import ConfigurationError

_NEEDED = ("add_middleware", "emit_before", "emit_after", "enqueue")


class DramatiqIntegration:
    """Brokers of Dramatiq, in producers and workers."""

    framework = "dramatiq"
    options: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._watched: WeakKeyDictionary[Any, tuple[Outermost, Innermost]] = WeakKeyDictionary()

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Put one middleware before all others and one behind them."""
        missing = [name for name in _NEEDED if not callable(getattr(thing, name, None))]
        if missing:
            raise ConfigurationError("watch", "a broker of Dramatiq", f"one without {', '.join(missing)}")
        messages = Messages(reporter)
        outer, inner = Outermost(messages), Innermost(messages)
        first = thing.middleware[0] if thing.middleware else None
        thing.add_middleware(outer, before=type(first) if first is not None else None)
        thing.add_middleware(inner)
        self._watched[thing] = outer, inner

    def unwatch(self, thing: Any) -> None:
        """Take both out again."""
        ours = self._watched.pop(thing, None)
        if ours is not None:
            ours[0].stop()
            # A new list, because threads may be going through the old one.
            thing.middleware = [each for each in thing.middleware if each not in ours]
