"""Under which keys Kombu keeps a queue in Redis.

A queue is a list, and one more for each step of priority (`priority_steps`, [0, 3, 6, 9] by default): the name, a
separator and the step. Applications may choose the separator (`sep`), and Kombu writes it down: the members of the set
`_kombu.binding.{exchange}` are routing key, pattern and queue, joined by it (kombu/transport/redis.py, `_queue_bind`).
"""

from typing import Any

import redis

from huoyan.clock import Clock

PRIORITY_SEPARATOR = "\x06\x16"
PRIORITIES = range(10)
LEARN_EVERY_S = 60.0
_MOST_BINDINGS = 1_000
_LONGEST_SEPARATOR = 20


class QueueKeys:
    """Knows the keys of queues.

    Args:
        prefix: The global key prefix.
        clock: Monotonic time.
    """

    def __init__(self, prefix: str, clock: Clock) -> None:
        self._prefix = prefix
        self._clock = clock
        self._separators = [PRIORITY_SEPARATOR]
        self._learned_at: dict[str, float] = {}

    def of(self, client: "redis.Redis", queue: str) -> list[str]:
        """Return the keys that may hold messages of a queue.

        Raises:
            redis.RedisError, OSError: The Redis does not answer.
        """
        now = self._clock.monotonic()
        if now - self._learned_at.get(queue, float("-inf")) >= LEARN_EVERY_S:
            self._learn(client, queue)
            self._learned_at[queue] = now
        steps = [f"{separator}{step}" for separator in self._separators for step in PRIORITIES if step]
        return [f"{self._prefix}{queue}{step}" for step in ("", *steps)]

    def _learn(self, client: "redis.Redis", queue: str) -> None:
        for exchange in {queue, "celery"}:
            key = f"{self._prefix}_kombu.binding.{exchange}"
            try:
                number: Any = client.scard(key)
                members: Any = client.smembers(key) if 0 < number <= _MOST_BINDINGS else ()
            except redis.ResponseError:
                continue  # The name is taken by something else.
            for member in members:
                found = separator_of(member.decode("utf-8", "replace"), queue)
                if found and found not in self._separators:
                    self._separators.append(found)


def separator_of(member: str, queue: str) -> str:
    """Return the separator in a binding of a queue to the routing key of the same name, empty when it is another."""
    if not (member.startswith(queue) and member.endswith(queue)) or len(member) <= 2 * len(queue):
        return ""
    middle = member[len(queue) : -len(queue)]
    half = len(middle) // 2
    return middle[:half] if middle == 2 * middle[:half] and half <= _LONGEST_SEPARATOR else ""
