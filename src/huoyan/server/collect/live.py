"""The bus on which the server tells pages what changed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that changed. `id` grows by one with every message of the bus.

    Topics: `runs` {"items": [summaries, newest first, at most 200]}, `counts`, `alerts`, `incidents`, `workers`, `queues`,
    `failures` (small: the page fetches again), `resync` (messages were dropped for this subscriber: fetch everything).
    Times in `data` are float seconds.
    """

    id: int
    topic: str
    data: dict[str, Any]


class Subscription:
    """One listener. Use it from an event loop (`async for message in subscription`) or a thread (`get`)."""

    def get(self, timeout_s: float | None = None) -> Message | None:
        """Return the next message, None when none came within `timeout_s` or the subscription is closed."""
        ...

    def __aiter__(self) -> AsyncIterator[Message]:
        """Yield messages as they come until the subscription is closed."""
        ...

    async def receive(self, timeout_s: float | None = None) -> Message | None:
        """Return the next message, None when none came within `timeout_s` or the subscription is closed."""
        ...

    def close(self) -> None:
        """End it; whoever waits is woken."""
        ...

    def __enter__(self) -> "Subscription":
        ...

    def __exit__(self, *_: object) -> None:
        ...


class Bus:
    """Publish and subscribe within the process. Publishing never blocks."""

    def __init__(self, capacity: int = 256) -> None:
        """Args:
        capacity: Messages kept per subscriber; beyond it the oldest are dropped and a `resync` takes their place.
        """
        ...

    def publish(self, topic: str, data: dict[str, Any]) -> None:
        """Tell every subscriber."""
        ...

    def subscribe(self) -> Subscription:
        """Return a new listener, which hears everything from now on."""
        ...

    def close(self) -> None:
        """End every subscription."""
        ...
