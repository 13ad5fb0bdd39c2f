"""The one verb: `watch` looks at the type of a thing and lets the integration for it hook in.

Types are compared by name over the method resolution order, so no framework is imported to find out that a thing is not
its own, and a subclass of a known type is known.
"""

import importlib
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from huoyan.client import process
from huoyan.client import settings as client_settings
from huoyan.client.guard import guard
from huoyan.client.integration import Integration
from huoyan.client.reporter import Reporter
from huoyan.errors import ConfigurationError

TABLE: dict[str, tuple[str, ...]] = {
    "aiosmtplib.smtp.SMTP": ("huoyan.client.dependencies.smtp:integration",),
    "apscheduler.schedulers.base.BaseScheduler": ("huoyan.client.frameworks.apscheduler:integration",),
    "arq.connections.ArqRedis": ("huoyan.client.frameworks.arq:integration",),
    "arq.worker.Worker": ("huoyan.client.frameworks.arq:integration",),
    "celery.app.base.Celery": ("huoyan.client.frameworks.celery:integration",),
    "dramatiq.broker.Broker": ("huoyan.client.frameworks.dramatiq:integration",),
    "fastapi.applications.FastAPI": (
        "huoyan.client.frameworks.background:integration",
        "huoyan.client.web.asgi:integration",
    ),
    "flask.app.Flask": ("huoyan.client.web.wsgi:integration",),
    "httpx.AsyncClient": ("huoyan.client.dependencies.httpx:integration",),
    "httpx.Client": ("huoyan.client.dependencies.httpx:integration",),
    "huey.api.Huey": ("huoyan.client.frameworks.huey:integration",),
    "opentelemetry.sdk.trace.TracerProvider": ("huoyan.client.dependencies.opentelemetry:integration",),
    "redis.asyncio.cluster.RedisCluster": ("huoyan.client.dependencies.redis:integration",),
    "redis.cluster.RedisCluster": ("huoyan.client.dependencies.redis:integration",),
    "redis.asyncio.client.Redis": ("huoyan.client.dependencies.redis:integration",),
    "redis.client.Redis": ("huoyan.client.dependencies.redis:integration",),
    "requests.sessions.Session": ("huoyan.client.dependencies.requests:integration",),
    "rq.queue.Queue": ("huoyan.client.frameworks.rq:integration",),
    "rq.worker.BaseWorker": ("huoyan.client.frameworks.rq:integration",),
    "rq.worker.base.BaseWorker": ("huoyan.client.frameworks.rq:integration",),
    "starlette.applications.Starlette": (
        "huoyan.client.frameworks.background:integration",
        "huoyan.client.web.asgi:integration",
    ),
    "smtplib.SMTP": ("huoyan.client.dependencies.smtp:integration",),
    "sqlalchemy.engine.base.Engine": ("huoyan.client.dependencies.sqlalchemy:integration",),
    "sqlalchemy.ext.asyncio.engine.AsyncEngine": ("huoyan.client.dependencies.sqlalchemy:integration",),
    "taskiq.abc.broker.AsyncBroker": ("huoyan.client.frameworks.taskiq:integration",),
}
"""Qualified name of a type → where its integrations are (`module:object`)."""

CLASSES = frozenset(
    {
        "aiosmtplib.smtp.SMTP",
        "httpx.AsyncClient",
        "httpx.Client",
        "requests.sessions.Session",
        "rq.queue.Queue",
        "rq.worker.BaseWorker",
        "rq.worker.base.BaseWorker",
        "smtplib.SMTP",
    }
)
"""Types that are watched as a class too, for all their instances: the framework makes them, not the host."""

SETTINGS_CLASSES: dict[str, tuple[str, ...]] = {
    "functions": ("huoyan.client.frameworks.arq:integration",),
    "cron_jobs": ("huoyan.client.frameworks.arq:integration",),
}
"""Attribute of a class that makes it the settings of a worker, whatever it is called and without any base class."""

COMMON_OPTIONS = ("service", "labels")
_T = TypeVar("_T")


@dataclass(slots=True)
class _Watched:
    """Something that is watched, kept only as long as its owner keeps it."""

    thing: Callable[[], object]
    integrations: list[Integration]


_lock = threading.RLock()
_watched: dict[int, _Watched] = {}
_given: dict[str, Any] = {}


def configure(**options: Any) -> None:
    """Set the client up in code, over the environment.

    What was given to an earlier call stays as it was unless it is given again.

    Args:
        options: Names and values of `huoyan.client.settings.Settings`: url, token, service, enabled, …

    Raises:
        ConfigurationError: A setting is unknown or has a wrong value.
    """
    with _lock:
        merged = {**_given, **{name: value for name, value in options.items() if value is not None}}
        settings = client_settings.load(merged)
        _given.clear()
        _given.update(merged)
        existing = process.existing()
        if existing is None:
            process.install(process.Client(settings))
        else:
            existing.configure(settings)


def watch(thing: _T, **options: Any) -> _T:
    """Watch an application, a scheduler, a task queue or something that the program calls. Watching it again changes
    nothing.

    Args:
        thing: A FastAPI or Starlette application, a Celery application, a Dramatiq broker, an APScheduler scheduler, a
            Huey instance, an RQ queue or worker or one of these classes, arq's worker, its settings class or its pool;
            an SQLAlchemy engine, a Redis client, an HTTPX client, a session of requests or the class of either, the
            class SMTP of smtplib or aiosmtplib or a connection of it, a tracer provider of OpenTelemetry.
        options: `service` names the service of this thing, `labels` (text to text) go onto each of its runs; all
            settings of `huoyan.configure`; and the options of the integration, e.g. `metrics_path` for web
            applications.

    Returns:
        The same thing.

    Raises:
        ConfigurationError: The type is not supported, an option is unknown or has a wrong value.
    """
    target = _unwrapped(thing)
    with _lock:
        integrations = _integrations(target)
        _check_names(options, integrations)
        process_wide = {
            name: value
            for name, value in options.items()
            if name in client_settings.NAMES and name not in COMMON_OPTIONS
        }
        if process_wide:
            configure(**process_wide)
        client = process.client()
        if not client.settings.enabled or is_watched(target):
            return thing
        service = _service(options.get("service"), client.settings.service)
        labels = client_settings.text_labels("labels", options.get("labels"))
        done: list[Integration] = []
        try:
            for integration in integrations:
                chosen = {name: value for name, value in options.items() if name in integration.options}
                reporter = Reporter(client, integration.framework, service, labels)
                integration.watch(target, reporter, chosen)
                done.append(integration)
                client.watched(reporter)
        except BaseException:
            for integration in done:
                integration.unwatch(target)
            raise
        _watched[id(target)] = _Watched(_reference(target), done)
        if client.settings.metrics_port:
            from huoyan.client.metrics_port import serve_metrics

            serve_metrics(registry=options.get("registry"))
    return thing


def unwatch(thing: Any) -> None:
    """Take every hook out of a watched thing. Something that is not watched is left alone."""
    target = _unwrapped(thing)
    with _lock:
        if not is_watched(target):
            return
        for integration in _watched.pop(id(target)).integrations:
            with guard(f"{integration.framework or type(integration).__name__}.unwatch"):
                integration.unwatch(target)


def is_watched(thing: object) -> bool:
    """Tell whether `thing` is watched now."""
    entry = _watched.get(id(thing))
    return entry is not None and entry.thing() is thing


def flush(timeout_s: float | None = None) -> bool:
    """Wait until everything reported so far has been sent.

    Args:
        timeout_s: How long to wait at most, in seconds (the setting `exit_timeout_s` by default).

    Returns:
        Whether all of it was settled in time; True when nothing is sent anywhere.
    """
    client = process.existing()
    return True if client is None else client.flush(timeout_s)


def supported() -> list[str]:
    """Return the types that can be watched, by package and name: `redis.Redis` for all that are called so."""
    return sorted({f"{name.partition('.')[0]}.{name.rpartition('.')[2]}" for name in TABLE})


def _unwrapped(thing: Any) -> Any:
    """Return what a lazy proxy (`celery.current_app`) stands for."""
    current = getattr(type(thing), "_get_current_object", None)
    return current(thing) if callable(current) else thing


def _integrations(thing: Any) -> list[Integration]:
    places = _places_of_class(thing) if isinstance(thing, type) else _places(type(thing))
    if places is not None:
        return [_load(place) for place in places]
    shown = f"{type(thing).__module__}.{type(thing).__qualname__}"
    advice = "Functions are watched by the decorator @huoyan.task." if callable(thing) else "Pass the object itself."
    if isinstance(thing, type):
        shown, advice = f"the class {thing.__qualname__}", "Pass an instance."
        if any(name in TABLE for name in _names(thing)):
            raise ConfigurationError("watch", f"an instance of {thing.__qualname__}", shown, advice)
    raise ConfigurationError("watch", f"one of {', '.join(supported())}", shown, advice)


def _places(kind: type) -> tuple[str, ...] | None:
    return next((TABLE[name] for name in _names(kind) if name in TABLE), None)


def _places_of_class(kind: type) -> tuple[str, ...] | None:
    if any(name in TABLE for name in _names(kind)):
        return _places(kind) if any(name in CLASSES for name in _names(kind)) else None
    settings = (places for name, places in SETTINGS_CLASSES.items() if isinstance(vars(kind).get(name), list | tuple))
    return next(settings, None)


def _names(kind: type) -> list[str]:
    return [f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__]


def _load(place: str) -> Integration:
    module, _, name = place.partition(":")
    integration: Integration = getattr(importlib.import_module(module), name)
    return integration


def _check_names(options: Mapping[str, Any], integrations: list[Integration]) -> None:
    known = {*client_settings.NAMES, *COMMON_OPTIONS}
    for integration in integrations:
        known |= integration.options
    for name in options:
        if name not in known:
            raise client_settings.unknown_option(name, tuple(sorted(known)))


def _service(given: object, default: str) -> str:
    if given is None:
        return default
    if not isinstance(given, str) or not given.strip():
        raise ConfigurationError("service", "the name of a service", given)
    return given.strip()


def _reference(thing: object) -> Callable[[], object]:
    key = id(thing)

    # The dictionary is an argument because things also go at the end of the interpreter, when globals are gone already.
    def gone(reference: object, watched: dict[int, _Watched] = _watched) -> None:
        entry = watched.get(key)
        if entry is not None and entry.thing is reference:
            watched.pop(key, None)

    try:
        return weakref.ref(thing, gone)
    except TypeError:
        return lambda: thing
