"""Who a process is, alone or as one of several that speak under one name."""

import os
import socket

from huoyan import __version__ as VERSION  # noqa: N812
from huoyan.client.settings import Settings
from huoyan.client.tally import Tally
from huoyan.clock import Clock
from huoyan.model.event import ProcessReport


class Process:
    """Who this process is, as its events and reports say.

    Args:
        service: Name of the service, empty when unknown.
        clock: Gives the time at which the process began to be watched.
    """

    def __init__(self, service: str, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self.framework = ""
        self.host = socket.gethostname() or "localhost"
        self.queues: list[str] = []
        self._given = ""
        self._reports = True
        self._children = False
        self.settled = True
        self._tally: Tally | None = None
        self._begin()

    def _begin(self) -> None:
        self.pid = os.getpid()
        self.started_at = self._clock.now()
        self._worker = ""

    @property
    def worker(self) -> str:
        """`service@host:pid`, or the name that a framework gave. Once it was said, it stays, if it was settled."""
        name = self._worker or self._given or f"{self._service or self.framework or 'python'}@{self.host}:{self.pid}"
        if self.settled:
            self._worker = name
        return name

    @property
    def name(self) -> str:
        """The worker, and which of its processes this one is where another one speaks for all of them."""
        return self.worker if self._reports else f"{self.worker}/{self.pid}"

    @property
    def reports(self) -> bool:
        """Whether it speaks for itself, rather than the process that it was forked from."""
        return self._reports

    @property
    def knows_all(self) -> bool:
        """Whether no other process executes runs under the same name."""
        return self._reports and not self._children

    @property
    def service(self) -> str:
        """Name of the service, empty when unknown."""
        return self._service

    def belongs_to(self, service: str, framework: str) -> None:
        """Take the name of the first thing watched, where the settings give none."""
        if not self._worker:
            self._service = self._service or service
            self.framework = self.framework or framework

    def identify(self, framework: str, worker: str, queues: list[str] | None, *, reports: bool, children: bool) -> None:
        """Take the name that a framework gives to its workers."""
        self.framework = framework
        self._worker = self._given = worker
        self._reports = reports
        self._children = children
        if children and self._tally is None:
            self._tally = Tally()
        if queues is not None:
            self.queues = list(queues)

    def before_fork(self) -> None:
        """Prepare for a child."""
        if self._tally is not None:
            self._tally.before_fork()

    def forked(self) -> None:
        """Become a process of its own, or a child in whose place its parent speaks."""
        self._begin()
        if self._given and self._children:
            self._reports = False
            if self._tally is not None:
                self._tally.forked()
        else:
            self._given = ""
            self._reports = True
            self._tally = None

    def dropped(self, count: int) -> int:
        """Book how many events this process dropped so far; return the number to report, with that of its children."""
        if self._tally is None:
            return count
        self._tally.write(count)
        return self._tally.total()

    def report(self, settings: Settings, active: int, dropped: int = 0, *, closing: bool) -> ProcessReport | None:
        """Return what this process says of itself, or None when another speaks for it."""
        if not self._reports:
            self.dropped(dropped)
            return None
        return ProcessReport(
            worker=self.worker,
            service=self._service,
            framework=self.framework,
            host=self.host,
            pid=self.pid,
            started_at=self.started_at,
            interval_s=settings.report_interval_s,
            dropped=self.dropped(dropped),
            active=active,
            queues=self.queues,
            closing=closing,
            version=VERSION,
            service_version=settings.version,
        )
