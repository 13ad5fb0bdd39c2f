"""What a channel is: one way to reach people. Each is a package in `channels/` that imports no other."""

import logging
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from huoyan.server.notify.message import Message

TIMEOUT_S = 10.0
"""How long a channel waits for the other side, in seconds, unless the receiver says otherwise."""

_TALKATIVE = ("httpx", "httpcore", "urllib3")


def hush() -> None:
    """Keep what carries messages from logging where they go: httpx and urllib3 write addresses with their tokens."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)


class Channel(Protocol):
    """A way to reach people, with its settings, already checked."""

    def send(self, message: Message, delivered: Collection[str] = ()) -> None:
        """Send a message and return once the other side has taken it.

        Args:
            message: What to say.
            delivered: Recipients that have it from an earlier try.

        Raises:
            Undelivered: It did not arrive, or not at everybody.
        """
        ...

    def secrets(self) -> Collection[str]:
        """Return every text that must not appear in logs, errors and answers."""
        ...

    def describe(self) -> str:
        """Say where messages go, without secrets: `ops@example.com through smtp.example.com:587`."""
        ...


class ChannelFactory(Protocol):
    """The function `channel` that each channel package offers."""

    def __call__(self, settings: Mapping[str, Any], at: str) -> Channel:
        """Check the settings of a receiver and return its channel.

        Args:
            settings: The receiver's table, without what every receiver has.
            at: How it is called in error messages: `receivers[0]`.

        Raises:
            ConfigurationError: A setting is wrong. Its text never shows the value of a secret.
        """
        ...
