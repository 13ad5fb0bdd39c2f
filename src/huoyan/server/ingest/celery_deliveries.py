"""Which delivery of a task an event of a Celery worker speaks of.

A worker says with `task-received` which retry it got, and leaves that out of everything it says of the task afterwards.
What follows is attributed to the deliveries that this worker process still has open, so that every source names the
same execution the same way: `{retries}.{delivery}@{worker}#{pid}`.
"""

from collections.abc import Iterator
from itertools import islice

from huoyan.model.event import EventKind

_MOST_DELIVERIES = 16


class Delivery:
    """One delivery of a task to one worker process: try `retries + 1`, for the `number`-th time."""

    __slots__ = ("depth", "execution", "number", "outcome", "overtaken", "previous", "retries", "started_at")

    def __init__(self, retries: int, number: int, execution: str, previous: "Delivery | None") -> None:
        self.retries = retries
        self.number = number
        self.execution = execution
        self.previous = previous
        self.started_at: float | None = None
        self.outcome: EventKind | None = None
        self.overtaken = False
        """Whether a later delivery started whose announcement was lost."""
        self.depth = 0


class Deliveries:
    """The deliveries of all workers of one broker, in bounded memory.

    Args:
        keep: How many tasks are remembered after they ended, so that a redelivery counts as one (default 50,000; about
            0.4 kB each). Up to twice as many are held.
        keep_open: How many tasks that have not ended are remembered (default 500,000), scheduled ones included. Events
            of a task that was forgotten carry no execution, and the merge finds the one they belong to.
    """

    def __init__(self, keep: int = 50_000, keep_open: int = 500_000) -> None:
        self._keep = keep
        self._keep_open = keep_open
        self._room = keep
        self._young: dict[str, Delivery] = {}
        self._old: dict[str, Delivery] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def received(self, task_id: str, retries: int, process: str) -> Delivery:
        """Open a delivery.

        Args:
            task_id: The task.
            retries: How often it was retried before.
            process: The worker process, `@name#pid`.
        """
        key = task_id + process
        previous = self._find(key)
        number = 1
        earlier = previous
        while earlier is not None:
            if earlier.retries == retries:
                number = earlier.number + 1
                break
            earlier = earlier.previous
        delivery = Delivery(retries, number, f"{retries}.{number}{process}", previous)
        if previous is not None:
            if previous.depth >= _MOST_DELIVERIES:
                previous.previous = None
                previous.depth = 0
            delivery.depth = previous.depth + 1
        self._young[key] = delivery
        if len(self._young) >= self._room:
            self._turn()
        return delivery

    def started(self, task_id: str, process: str, at: float) -> Delivery | None:
        """Find the delivery that starts: the oldest one that has not. None when its announcement was lost."""
        newest = self._find(task_id + process)
        if newest is None:
            return None
        found: Delivery | None = None
        for delivery in _chain(newest):
            if delivery.outcome is None and delivery.started_at is None:
                found = delivery
        if found is None:
            newest.overtaken = True
            return None
        found.started_at = at
        return found

    def ended(
        self, task_id: str, process: str, kind: EventKind, *, ran: bool = True
    ) -> tuple[Delivery | None, list[Delivery]]:
        """Find the delivery that ended and close it.

        A retry is published before the worker tells that its cause ended, so its delivery may be announced first. Then
        two are open: the older one is what ended in a retry, and a final outcome belongs to the newer one.

        Args:
            task_id: The task.
            process: The worker process, `@name#pid`.
            kind: How it ended.
            ran: False when it ended before it was started.

        Returns:
            The delivery, None when its announcement was lost; and earlier tries that must have ended in a retry,
            because a later one ended, although nobody said so (yet).
        """
        newest = self._find(task_id + process)
        if newest is None:
            return None, []
        retrying = kind is EventKind.RETRYING
        if newest.previous is None and not newest.overtaken and newest.outcome is None:
            newest.outcome = kind
            return newest, []
        still_open = [delivery for delivery in _chain(newest) if delivery.outcome is None]
        if newest.overtaken and not (retrying and still_open):
            return None, []
        if not still_open:
            # What follows an end belongs to it, unless that was a retry, whose announcement was lost then.
            return (None if newest.outcome is EventKind.RETRYING else newest), []
        if retrying:
            running = [delivery for delivery in still_open if delivery.started_at is not None]
            found = (running or still_open)[-1]
        elif ran:
            found = max(still_open, key=_final_order)
        else:
            found = next((delivery for delivery in still_open if delivery.started_at is None), still_open[0])
        found.outcome = kind
        passed = [delivery for delivery in still_open if delivery.retries < found.retries] if not retrying else []
        return found, passed

    def _find(self, key: str) -> Delivery | None:
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
        return found

    def _turn(self) -> None:
        """Forget the tasks that ended before the last turn; the open ones live on, the newest if they are many."""
        still_open = {key: delivery for key, delivery in self._young.items() if delivery.outcome is None}
        self._old = {key: delivery for key, delivery in self._young.items() if delivery.outcome is not None}
        if len(still_open) > self._keep_open:
            still_open = dict(islice(still_open.items(), len(still_open) - self._keep_open, None))
        self._young = still_open
        self._room = len(still_open) + self._keep


def _chain(newest: Delivery) -> Iterator[Delivery]:
    delivery: Delivery | None = newest
    while delivery is not None:
        yield delivery
        delivery = delivery.previous


def _final_order(delivery: Delivery) -> tuple[int, bool, int]:
    # The last try, whether or not its start was heard. Of two deliveries of it the first most likely ends first.
    return (delivery.retries, delivery.started_at is not None, -delivery.number)
