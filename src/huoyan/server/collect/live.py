"""The bus on which the server tells pages what changed."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self

RESYNC = "resync"


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that changed. `id` grows by one with every message of the bus.

    Topics: `runs` {"items": [summaries, newest first, at most 200]}; `counts`, `alerts`, `incidents`, `workers`,
    `queues`, `failures` (small: the page fetches again); `resync` (messages were dropped for this subscriber: fetch
    everything). Times in `data` are float seconds.
    """

    id: int
    topic: str
    data: dict[str, Any]


class Subscription:
    """One listener. Use it from an event loop (`async for message in subscription`) or a thread (`get`)."""

    def __init__(self, bus: "Bus", capacity: int) -> None:
        self._bus = bus
        self._capacity = capacity
        self._messages: deque[Message] = deque()
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self.closed = False

    def put(self, message: Message) -> None:
        """Take a message; when too many wait, they give way to one `resync`."""
        with self._lock:
            if self.closed:
                return
            if len(self._messages) >= self._capacity:
                self._messages.clear()
                self._messages.append(Message(message.id, RESYNC, {}))
            else:
                self._messages.append(message)
            self._notify()

    def get(self, timeout_s: float | None = None) -> Message | None:
        """Return the next message, None when none came within `timeout_s` or the subscription is closed."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._lock:
            while not self._messages:
                left = None if deadline is None else deadline - time.monotonic()
                if self.closed or (left is not None and left <= 0):
                    return None
                self._arrived.wait(left)
            return self._messages.popleft()

    def __aiter__(self) -> AsyncIterator[Message]:
        """Yield messages as they come until the subscription is closed."""
        return self._stream()

    async def _stream(self) -> AsyncIterator[Message]:
        while not self.closed:
            message = await self.receive()
            if message is not None:
                yield message

    async def receive(self, timeout_s: float | None = None) -> Message | None:
        """Return the next message, None when none came within `timeout_s` or the subscription is closed."""
        wake = self._attach()
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    wake.clear()
                    with self._lock:
                        if self._messages:
                            return self._messages.popleft()
                        if self.closed:
                            return None
                    await wake.wait()
        except TimeoutError:
            return None

    def _attach(self) -> asyncio.Event:
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._wake is None or self._loop is not loop:
                self._loop, self._wake = loop, asyncio.Event()
            return self._wake

    def close(self) -> None:
        """End it; whoever waits is woken."""
        self._bus.forget(self)
        with self._lock:
            self.closed = True
            self._messages.clear()
            self._notify()

    def _notify(self) -> None:
        self._arrived.notify_all()
        if self._loop is not None and self._wake is not None:
            try:
                self._loop.call_soon_threadsafe(self._wake.set)
            except RuntimeError:
                # The loop ended without closing the subscription; nobody is left to be woken.
                self._loop = self._wake = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Bus:
    """Publish and subscribe within the process. Publishing never blocks.

    Args:
        capacity: Messages kept per subscriber, default 256; beyond it they give way to one `resync`.
    """

    def __init__(self, capacity: int = 256) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._subscriptions: tuple[Subscription, ...] = ()
        self._last_id = 0

    @property
    def heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._subscriptions)

    def publish(self, topic: str, data: dict[str, Any]) -> None:
        """Tell every subscriber."""
        with self._lock:
            self._last_id += 1
            message = Message(self._last_id, topic, data)
            # Within the lock, so that everybody hears messages in the order of their ids.
            for subscription in self._subscriptions:
                subscription.put(message)

    def subscribe(self) -> Subscription:
        """Return a new listener, which hears everything from now on."""
        subscription = Subscription(self, self._capacity)
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Publish no more to a listener."""
        with self._lock:
            self._subscriptions = tuple(other for other in self._subscriptions if other is not subscription)

    def close(self) -> None:
        """End every subscription."""
        for subscription in self._subscriptions:
            subscription.close()
