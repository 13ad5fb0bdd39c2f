"""What an integration is: the hooks that let Huoyan see the work of one framework.

`huoyan.client.watch` looks integrations up in one table by the type of the thing watched. Each is an object named
`integration` in a module of its own that imports its framework alone, and no sibling.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from huoyan.client.reporter import Reporter


class Integration(Protocol):
    """Attaches Huoyan to things of one framework.

    Every hook that an integration puts into its host goes through `huoyan.client.guard`, so that nothing Huoyan does
    can raise there; `watch` itself may raise ConfigurationError for a wrong option, because a developer is looking.
    """

    framework: str
    """Goes into `TaskEvent.framework`: `celery`, `huey`, …"""

    options: frozenset[str]
    """Names of keyword arguments of `huoyan.watch` that this integration understands beside the client's settings."""

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:
        """Hook into `thing`. Called once for each thing until `unwatch`.

        Args:
            thing: What the developer passed to `huoyan.watch`.
            reporter: Where to report; bound to the service and framework of this thing.
            options: The options given, a subset of `options` by name.

        Raises:
            ConfigurationError: An option has a wrong value.
        """
        ...

    def unwatch(self, thing: Any) -> None:
        """Take every hook out of `thing` again. A thing that is not watched is left alone."""
        ...
