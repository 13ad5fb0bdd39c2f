"""The server put together: which part knows which other, in what order they start and stop."""

import logging
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from types import FrameType

import anyio.to_thread
import uvicorn
from fastapi import FastAPI

from huoyan import __version__
from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.errors import HuoyanError
from huoyan.server.alert.service import AlertService
from huoyan.server.api.assembly import assemble
from huoyan.server.api.context import Context
from huoyan.server.collect import Bus, Collector, CollectorSettings
from huoyan.server.collect.ledger import Ledger
from huoyan.server.collect.nodes import Nodes
from huoyan.server.collect.pipeline import Service
from huoyan.server.collect.schedules import Schedules
from huoyan.server.config import Settings
from huoyan.server.export import Exposition, Reading, Sample
from huoyan.server.incident.explaining import Explainer, explanations
from huoyan.server.incident.facts import failure_facts
from huoyan.server.incident.service import IncidentService
from huoyan.server.ingest.celery_doubts import CeleryDoubts
from huoyan.server.ingest.celery_events import CeleryEventIngest
from huoyan.server.ingest.celery_presence import CeleryPresence
from huoyan.server.ingest.http import HttpIngest
from huoyan.server.ingest.node_exporter import NodeExporters
from huoyan.server.ingest.rq_poll import RqPollIngest
from huoyan.server.notify.notifier import Notifier
from huoyan.server.occupancy import listen, occupy
from huoyan.server.periodic import Schedule
from huoyan.server.retention import ExampleRetention, IncidentRetention
from huoyan.server.store import Store
from huoyan.signals.metrics.server import ALERTS_FIRING, BLIND, INCIDENTS_OPEN
from huoyan.signals.metrics.work import LEDGER_DISCREPANCIES, SCHEDULER_DEAD

DRAIN_TIMEOUT_S = 8.0
"""How long a stopping server goes on storing what it has taken."""

REQUEST_TIMEOUT_S = 3
"""How long a stopping server waits for requests that are under way."""

_LOG = logging.getLogger(__name__)
_DAY_S = 86_400.0
EXAMPLES_KEPT_S = 3 * _DAY_S
"""How long requests are kept as examples at most, in seconds."""


class Server:
    """The parts of one server process.

    Args:
        settings: Checked settings.
        clock: The time.
    """

    def __init__(self, settings: Settings, clock: Clock = SYSTEM_CLOCK) -> None:
        self.settings = settings
        self.clock = clock
        self.context: Context | None = None
        self.ingests: list[CeleryEventIngest | RqPollIngest] = []
        self._parts = ExitStack()

    def start(self) -> Context:
        """Open the store and start every thread. Starting twice does nothing.

        Raises:
            AlreadyRunning: Another server uses the data directory.
            ConfigurationError: A setting is wrong.
            Unreachable: The database does not answer.
        """
        if self.context is not None:
            return self.context
        with ExitStack() as parts:
            context = self._start(parts)
            # From here on stopping is the business of `stop`; until here a failure takes down what was started.
            self._parts = parts.pop_all()
        self.context = context
        return context

    def stop(self) -> None:
        """Stop in the order of the flow, so that what was taken is stored: sources, services, collector, store."""
        self.context = None
        self._parts.close()

    def silent(self) -> list[str]:
        """Return the sources that nothing is heard from now."""
        return [status.source for status in (ingest.status() for ingest in self.ingests) if not status.connected]

    def _blind(self) -> dict[tuple[tuple[str, str], ...], float]:
        """Return 1 for each source that nothing is heard from, 0 for the others."""
        statuses = [ingest.status() for ingest in self.ingests]
        return {(("source", status.source),): 0.0 if status.connected else 1.0 for status in statuses}

    def _start(self, parts: ExitStack) -> Context:
        settings, clock = self.settings, self.clock
        settings.check()
        retention_s = settings.server.retention_days * _DAY_S
        parts.callback(occupy(settings.server.data_dir))
        store = Store.open(settings.store_url, clock)
        parts.callback(store.close)
        bus = Bus()
        parts.callback(bus.close)
        collector = Collector(store, clock, bus, _collector_settings(settings, retention_s))
        collector.start()
        parts.callback(collector.stop, DRAIN_TIMEOUT_S)
        source = collector.source()
        rules = settings.alert_rules()
        notifier = Notifier(
            store.notifications,
            store.incidents,
            store.alerts,
            settings.notify_receivers(),
            rules=rules,
            clock=clock,
            public_url=settings.public_url,
        )
        parts.callback(notifier.stop)
        explain = explanations(store, source)
        incidents = IncidentService(
            store.incidents,
            store.alerts,
            clock=clock,
            bus=bus,
            facts=failure_facts(store.failures),
            explain=explain,
            on_entry=notifier.wake,
        )
        alerts = AlertService(
            store.alerts,
            source,
            rules,
            clock=clock,
            bus=bus,
            on_transition=incidents.handle,
            silent=self.silent,
        )
        retention = IncidentRetention(store.incidents, clock, retention_s)
        forgetting = ExampleRetention(store.examples, clock, min(retention_s, EXAMPLES_KEPT_S))
        explainer = Explainer(store.incidents, store.alerts, explain, clock, bus)
        schedules = Schedules(store, clock, retention_s)
        collector.found_by(SCHEDULER_DEAD.name, schedules.dead)
        self.ingests = [*self._celery(collector), *self._rq(collector)]
        ledger = self._ledger(store, collector)
        parts.callback(ledger.close)
        asking: list[CeleryDoubts | CeleryPresence] = [*self._doubts(), *self._presence()]
        for each in asking:
            parts.callback(each.close)
        nodes, exporters = self._nodes(collector, parts)
        deciding: list[Service] = [ledger, schedules, alerts, incidents, explainer, notifier, retention, forgetting]
        schedule = Schedule([*collector.services(), *exporters, *asking, *deciding], clock)
        schedule.start()
        parts.callback(schedule.stop)
        for ingest in self.ingests:
            ingest.start()
            parts.callback(ingest.stop)
        return Context(
            store=store,
            bus=bus,
            ingest=HttpIngest(collector, clock),
            source=source,
            ledger=ledger,
            nodes=nodes,
            alerts=alerts,
            incidents=incidents,
            render_metrics=_metrics(collector, alerts, store, schedules),
            readiness=lambda: _readiness(store),
            silent=self.silent,
            started_at=clock.now(),
            clock=clock,
            token=settings.token,
            public_url=settings.server.public_url,
        )

    def _celery(self, collector: Collector) -> list[CeleryEventIngest]:
        return [
            CeleryEventIngest(
                celery.url.get_secret_value(),
                collector,
                service=celery.service,
                clock=self.clock,
                spool=self.settings.server.data_dir / f"celery-{number}.spool",
            )
            for number, celery in enumerate(self.settings.celery)
        ]

    def _ledger(self, store: Store, collector: Collector) -> Ledger:
        asked = [
            [None if one is None else one.get_secret_value() for one in (celery.result_url, celery.management_url)]
            for celery in self.settings.celery
        ]
        celery = [ingest for ingest in self.ingests if isinstance(ingest, CeleryEventIngest)]
        rq = [ingest for ingest in self.ingests if isinstance(ingest, RqPollIngest)]
        ledger = Ledger(
            store,
            self.clock,
            [
                *(ingest.holdings(*addresses) for ingest, addresses in zip(celery, asked, strict=True)),
                *(ingest.holdings() for ingest in rq),
            ],
            collector.take,
            every_s=self.settings.truth.ledger_every_s,
            settle_s=self.settings.truth.ledger_settle_s,
        )
        collector.found_by(LEDGER_DISCREPANCIES.name, ledger.gauge)
        collector.found_by(BLIND.name, self._blind)
        return ledger

    def _nodes(self, collector: Collector, parts: ExitStack) -> tuple[Nodes | None, list[NodeExporters]]:
        """Return what node exporters say of hosts, and what asks for it; nothing where no Prometheus is named."""
        settings = self.settings.prometheus
        if settings.url is None:
            return None, []
        nodes = Nodes(settings.shown, self.clock, collector.measured.gauges.read, collector.hosts)
        for metric in nodes.metrics:
            collector.found_by(metric, partial(nodes.read, metric))
        exporters = NodeExporters(settings.client(), nodes, self.clock)
        parts.callback(exporters.close)
        return nodes, [exporters]

    def _doubts(self) -> list[CeleryDoubts]:
        results = [celery.result_url for celery in self.settings.celery]
        ingests = [ingest for ingest in self.ingests if isinstance(ingest, CeleryEventIngest)]
        return [
            ingest.doubts(None if result is None else result.get_secret_value())
            for ingest, result in zip(ingests, results, strict=True)
        ]

    def _presence(self) -> list[CeleryPresence]:
        ingests = (ingest for ingest in self.ingests if isinstance(ingest, CeleryEventIngest))
        return [presence for ingest in ingests if (presence := ingest.presence()) is not None]

    def _rq(self, collector: Collector) -> list[RqPollIngest]:
        return [
            RqPollIngest(rq.url.get_secret_value(), collector, service=rq.service, clock=self.clock, poll_s=rq.poll_s)
            for rq in self.settings.rq
        ]


def create_app(settings: Settings, clock: Clock = SYSTEM_CLOCK) -> FastAPI:
    """Return the application, whose lifespan starts and stops the server's parts; `app.state.server` is the `Server`.

    Args:
        settings: Checked settings.
        clock: The time.
    """
    server = Server(settings, clock)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.context = await anyio.to_thread.run_sync(server.start)
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(server.stop)

    app = assemble(lifespan)
    app.state.server = server
    return app


def serve(settings: Settings, say: Callable[[str], None] = print) -> None:
    """Run the server until it is told to stop.

    Args:
        settings: Checked settings.
        say: Takes the line that says where it is and where data is kept.

    Raises:
        AlreadyRunning: The port or the data directory is taken.
        ConfigurationError: A setting is wrong.
        Unreachable: The database does not answer.
    """
    settings.check()
    _log_to_stderr(settings.server.log_level)
    _end_on_signals()
    with listen(settings.server.host, settings.server.port) as listening:
        port = listening.getsockname()[1]
        if port != settings.server.port:
            settings = settings.model_copy(update={"server": settings.server.model_copy(update={"port": port})})
        app = create_app(settings)
        server: Server = app.state.server
        # Started here and not in the lifespan, where uvicorn would bury the reason of a failure in a traceback.
        server.start()
        try:
            _Uvicorn(app, settings, lambda: say(_line(settings, server))).run(sockets=[listening])
        finally:
            server.stop()


class _Uvicorn(uvicorn.Server):
    def __init__(self, app: FastAPI, settings: Settings, on_started: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                log_level=max(logging.WARNING, logging.getLevelNamesMapping()[settings.server.log_level.upper()]),
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=REQUEST_TIMEOUT_S,
                timeout_keep_alive=15,
                h11_max_incomplete_event_size=64 * 1024,
            )
        )
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()


def _collector_settings(settings: Settings, retention_s: float) -> CollectorSettings:
    truth = settings.truth
    return CollectorSettings(
        retention_s=retention_s,
        missed_reports=truth.missed_reports,
        closed_kept_s=truth.closed_kept_s,
        down_kept_s=truth.down_kept_s,
        wedged_after_s=truth.wedged_after_s,
        missed_heartbeats=truth.missed_heartbeats,
        heartbeats=truth.heartbeats,
    )


def _line(settings: Settings, server: Server) -> str:
    watching = "".join(f" · watching {ingest.source}" for ingest in server.ingests)
    return f"Huoyan {__version__} at {settings.address} · data in {settings.shown_store}{watching}"


def _metrics(
    collector: Collector, alerts: AlertService, store: Store, schedules: Schedules
) -> Callable[[str], tuple[bytes, str]]:
    exposition = Exposition(__version__)

    def render(accept: str) -> tuple[bytes, str]:
        firing = [
            Reading(count, {"rule": rule, "level": level}) for (rule, level), count in alerts.firing_counts().items()
        ]
        opened = [Reading(count, {"level": level}) for level, count in store.incidents.open_counts().items()]
        samples: dict[str, Sequence[Sample]] = {**collector.metrics.collect()}
        judged = {
            metric: [Reading(count, {"schedule": label}) for label, count in counts.items()]
            for metric, counts in schedules.counts().items()
        }
        samples |= {ALERTS_FIRING.name: firing, INCIDENTS_OPEN.name: opened, **judged}
        return exposition.render(samples, accept)

    return render


def _readiness(store: Store) -> list[str]:
    try:
        store.ping()
    except HuoyanError as error:
        return [error.message]
    return []


def _end_on_signals() -> None:
    """Make SIGTERM and SIGINT an orderly end with status 0.

    While it serves, uvicorn listens to them, ends, and raises them again; what they do then, and while the server is
    still starting, is said here.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    # What these say at info is about every request and message, and none of it is ours.
    for noisy in ("uvicorn", "httpx", "httpcore", "apprise", "kombu", "amqp", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
