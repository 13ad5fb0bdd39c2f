"""APScheduler."""

import datetime
import threading
from collections.abc import Callable
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

import huoyan
from huoyan.client.capabilities import Capability
from tests.contract.adapters.contract import AdapterUnderTest, Base, Function
from tests.servers.waiting import wait_until


class ApschedulerAdapter(Base):
    """APScheduler with threads."""

    framework = "apscheduler"
    queues = False
    partly = frozenset({Capability.CPU, Capability.LINEAGE})

    def __init__(self) -> None:
        self.scheduler = BackgroundScheduler()
        self.watch_again()
        self.scheduler.start(paused=True)

    def watch_again(self) -> None:
        huoyan.watch(self.scheduler)

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        return self.scheduler.add_job(function, args=args, kwargs=kwargs, misfire_grace_time=None)

    def delayed(self, function: Function, delay_s: float) -> None:
        due = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=delay_s)
        self.scheduler.add_job(function, "date", run_date=due, misfire_grace_time=None)

    def revoke(self, handle: Any) -> None:
        handle.remove()

    def schedule(self, function: Function) -> None:
        self.scheduler.add_job(function, "interval", hours=1)
        self.serve()

    def serve(self) -> None:
        self.scheduler.resume()
        threading.Event().wait()

    def work(self) -> None:
        self.scheduler.resume()
        wait_until(lambda: not self.scheduler.get_jobs(), message="every job to be submitted")
        executor = self.scheduler._executors["default"]
        # A job that ends while it is submitted leaves a zero behind.
        wait_until(lambda: not any(executor._instances.values()), message="every job to have ended")
        self.scheduler.pause()

    def unwatch(self) -> None:
        huoyan.unwatch(self.scheduler)

    def close(self) -> None:
        self.unwatch()
        self.scheduler.shutdown()


ADAPTERS: dict[str, Callable[[pytest.FixtureRequest], AdapterUnderTest]] = {
    "apscheduler": lambda _: ApschedulerAdapter(),
}
"""How to make them."""
