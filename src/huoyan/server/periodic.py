"""Runs the periodic services of the server, each in a thread of its own, so that none waits for another's slowness."""

import logging
import threading
from collections.abc import Iterable
from typing import Protocol

from huoyan.clock import SYSTEM_CLOCK, Clock

_LOG = logging.getLogger(__name__)


class Service(Protocol):
    """Something that is to be done again and again."""

    @property
    def name(self) -> str:
        """What it is called in logs."""
        ...

    @property
    def interval_s(self) -> float:
        """How often, in seconds."""
        ...

    def run_once(self) -> object:
        """Do what is due now."""
        ...


class Schedule:
    """The threads that call `run_once()`.

    A service is called at its interval, measured from start to start; one that takes longer is called again at once,
    and never twice at the same time. One that raises is logged and called again at the next turn.

    Args:
        services: What to run.
        clock: Monotonic time.
    """

    def __init__(self, services: Iterable[Service], clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._stopping = threading.Event()
        self._failing: dict[str, str] = {}
        self._threads = [
            threading.Thread(target=self._run, args=(service,), name=f"huoyan-{service.name}", daemon=True)
            for service in services
        ]

    def start(self) -> None:
        """Start every thread; each service is called for the first time at once."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ask every thread to end and wait for them, all together for at most `timeout_s` seconds."""
        self._stopping.set()
        deadline = self._clock.monotonic() + timeout_s
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - self._clock.monotonic()))
                if thread.is_alive():
                    _LOG.warning("%s did not end in time", thread.name)

    def failing(self) -> dict[str, str]:
        """Return the services whose last call failed, with the reason."""
        return dict(self._failing)

    def _run(self, service: Service) -> None:
        while not self._stopping.is_set():
            began = self._clock.monotonic()
            try:
                service.run_once()
            except Exception as error:  # noqa: BLE001 - a service that fails once is called again; the others go on
                if service.name not in self._failing:
                    _LOG.exception("%s failed; it is tried again every %g s", service.name, service.interval_s)
                self._failing[service.name] = f"{type(error).__name__}: {error}"
            else:
                if self._failing.pop(service.name, None) is not None:
                    _LOG.info("%s works again", service.name)
            self._stopping.wait(max(0.0, began + service.interval_s - self._clock.monotonic()))
