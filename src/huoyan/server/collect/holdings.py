"""What brokers and workers say they hold, whichever they are."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from huoyan.model.event import TaskEvent


@dataclass(frozen=True, slots=True)
class Holding:
    """What a broker holds of one queue.

    Attributes:
        waiting: Messages that nobody has taken.
        held: Messages taken and not acknowledged (prefetched, waiting for their ETA, executed with late
            acknowledgement); None: the broker does not tell.
        ids: Runs of all these messages; None: they cannot be told, or are too many.
        consumers: How many take messages from it; None: the broker does not tell.
        untold: Why `held` is None although somebody was asked, empty otherwise.
    """

    queue: str
    waiting: int
    held: int | None = None
    ids: frozenset[str] | None = None
    consumers: int | None = None
    untold: str = ""


class Broker(Protocol):
    """A broker that can be asked, with the workers that listen to it.

    Attributes:
        source: Names it, and its gaps.
        framework: Of the runs that go through it.
        service: Of those that name none; empty: their framework is shown.
        names_runs: Whether it tells which runs it holds, or at least that it holds none.
    """

    source: str
    framework: str
    service: str
    names_runs: bool

    def holdings(self, queues: Iterable[str]) -> dict[str, Holding]:
        """Return what it holds of these queues and of those it knows besides.

        Raises:
            Unreachable: It does not answer.
        """
        ...

    def working(self, run_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """Return worker → those of `run_ids` that it has, for every worker that answers.

        Raises:
            Unreachable: The broker does not answer.
        """
        ...

    def outcomes(self, run_ids: Collection[str]) -> list[TaskEvent]:
        """Return how runs ended, as far as a result backend knows; nothing where there is none.

        Raises:
            Unreachable: The result backend does not answer.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
