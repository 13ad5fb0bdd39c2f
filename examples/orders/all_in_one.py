"""The queue's consumer and the schedule inside the web process, so that one command shows the whole pipeline."""

from collections.abc import Iterator
from contextlib import contextmanager

from huey.consumer import Consumer

from examples.orders.pipeline import queue
from examples.orders.schedule import scheduler
from examples.orders.settings import settings


class EmbeddedConsumer(Consumer):
    """A Huey consumer of threads that leaves the signals to the web server."""

    def _set_signal_handlers(self) -> None:
        """Do nothing: uvicorn has its own."""


@contextmanager
def everything() -> Iterator[None]:
    """Run consumer and schedule until the end of the block, where the settings ask for it."""
    if not settings().all_in_one:
        yield
        return
    consumer = EmbeddedConsumer(queue, workers=4, initial_delay=0.05, max_delay=0.3, periodic=False)
    consumer.start()
    timetable = scheduler()
    timetable.start()
    try:
        yield
    finally:
        timetable.shutdown(wait=False)
        consumer.stop(graceful=True)
