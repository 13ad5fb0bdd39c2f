"""Deploys: noticed when processes of a service report another version, and what became of its figures with them."""

import logging
import threading
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from huoyan.clock import Clock
from huoyan.model.deploy import Deploy, is_new
from huoyan.model.event import ProcessReport
from huoyan.server.store.deploys import DeployStore
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.evaluate import evaluate
from huoyan.signals.metrics.application import HTTP_REQUESTS
from huoyan.signals.metrics.work import TASK_RUNS
from huoyan.signals.source import Conditions, Moments

_LOG = logging.getLogger(__name__)
_MOST_SERVICES = 10_000
_OF_ENDPOINT = ("http_latency_p50", "http_latency_p95", "http_latency_p99", "http_error_ratio")
_OF_TASK = ("task_duration_p50", "task_duration_p95", "task_duration_p99", "task_failure_ratio")


class Deploys:
    """Notices deploys, and keeps those that are marked. Safe to use from any thread."""

    def __init__(self, store: DeployStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._latest: dict[str, Deploy | None] = {}
        self._lock = threading.Lock()

    def heard(self, report: ProcessReport, received_at: float, sent_at: float | None) -> Deploy | None:
        """Take what a process says of itself, and return the deploy that it shows first.

        Losing one to a database that does not answer costs nothing: the next report shows it again.
        """
        if not report.service_version or report.closing:
            return None
        # Its age is right whatever its clock says.
        age_s = max(0.0, (received_at if sent_at is None else sent_at) - report.started_at)
        started_at = received_at - age_s if report.started_at > 0.0 else received_at
        known = self._latest.get(report.service)
        if known is not None and not is_new(known, report.service_version, started_at):
            return None
        try:
            with self._lock:
                if len(self._latest) >= _MOST_SERVICES:
                    self._latest.clear()
                known = self._store.latest(report.service)
                if is_new(known, report.service_version, started_at):
                    before = "" if known is None else known.version
                    deploy = Deploy(report.service, report.service_version, started_at, before=before)
                    known = self._latest[report.service] = self._store.add(deploy)
                    return known
                self._latest[report.service] = known
        except SQLAlchemyError as error:
            _LOG.warning("a deploy of %s was not kept: %s", report.service, error)
        return None

    def mark(self, service: str, version: str, at: float | None, note: str, by: str) -> Deploy:
        """Keep a deploy that somebody marked, of now unless said otherwise."""
        with self._lock:
            known = self._store.latest(service)
            deploy = self._store.add(
                Deploy(
                    service,
                    version,
                    self._clock.now() if at is None else at,
                    "marked",
                    note,
                    by,
                    "" if known is None else known.version,
                )
            )
            self._latest.pop(service, None)
        return deploy


@dataclass(frozen=True, slots=True)
class Side:
    """How an endpoint, task or service did before or after a deploy; what was not measured is None.

    Args:
        since: Begin of the time that was looked at, seconds since 1970 UTC.
        until: Its end.
        count: Requests answered, or runs ended.
        bad_ratio: Share of server errors, or of runs that failed.
    """

    since: float
    until: float
    count: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    bad_ratio: float | None


def sides(
    store: DeployStore, source: Moments, deploy: Deploy, now: float, window_s: float, where: Conditions, of_task: bool
) -> tuple[Side, Side]:
    """Return the figures before and after a deploy, neither side reaching into the time of another one.

    Args:
        store: Knows the deploys next to it.
        source: What the signals read.
        deploy: The deploy.
        now: Seconds since 1970 UTC.
        window_s: How far back and forth at most, in seconds.
        where: Whose figures: service, and endpoint and method, or task.
        of_task: Figures of runs instead of those of requests.
    """
    near = [
        other.at
        for other in store.list(deploy.service, deploy.at - window_s, deploy.at + window_s)
        if other.id != deploy.id
    ]
    since = max([deploy.at - window_s, *(at for at in near if at < deploy.at)])
    until = min([now, deploy.at + window_s, *(at for at in near if at > deploy.at)])
    return (
        _side(source, since, deploy.at, where, of_task),
        _side(source, deploy.at, max(until, deploy.at), where, of_task),
    )


def _side(source: Moments, since: float, until: float, where: Conditions, of_task: bool) -> Side:
    if until - since < 1.0:
        return Side(since, until, 0, None, None, None, None)
    counted = TASK_RUNS if of_task else HTTP_REQUESTS
    count = source.increase(counted.name, where, (), since, until).get((), 0.0)
    p50, p95, p99, bad = (
        next(
            (
                one.value
                for one in evaluate(
                    CATALOGUE[name], source, until, window_s=until - since, where=where, by=(), min_samples=1
                )
            ),
            None,
        )
        for name in (_OF_TASK if of_task else _OF_ENDPOINT)
    )
    return Side(since, until, round(count), p50, p95, p99, bad)
