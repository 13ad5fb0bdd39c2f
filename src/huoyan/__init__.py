"""Watch every task that Python services run, and say within seconds which one goes wrong and why."""

# Type checkers take this name for true; importing typing for it would cost most of what the import costs.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from huoyan.client.backlog import backlog
    from huoyan.client.business import counter, distribution, gauge, record_many
    from huoyan.client.exposition import metrics_app
    from huoyan.client.function import task
    from huoyan.client.funnel import funnel
    from huoyan.client.metrics_port import serve_metrics
    from huoyan.client.operation import operation
    from huoyan.client.progress import heartbeat, progress
    from huoyan.client.watch import configure, flush, unwatch, watch
    from huoyan.client.web.asgi import asgi
    from huoyan.client.web.wsgi import wsgi
    from huoyan.errors import ConfigurationError, HuoyanError

__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "HuoyanError",
    "__version__",
    "asgi",
    "backlog",
    "configure",
    "counter",
    "distribution",
    "flush",
    "funnel",
    "gauge",
    "heartbeat",
    "metrics_app",
    "operation",
    "progress",
    "record_many",
    "serve_metrics",
    "task",
    "unwatch",
    "watch",
    "wsgi",
]

# Loaded when first used: a program pays for what it uses, and `import huoyan` costs next to nothing.
_PLACES = {
    "ConfigurationError": "huoyan.errors",
    "HuoyanError": "huoyan.errors",
    "configure": "huoyan.client.watch",
    "backlog": "huoyan.client.backlog",
    "counter": "huoyan.client.business",
    "distribution": "huoyan.client.business",
    "funnel": "huoyan.client.funnel",
    "gauge": "huoyan.client.business",
    "operation": "huoyan.client.operation",
    "record_many": "huoyan.client.business",
    "flush": "huoyan.client.watch",
    "heartbeat": "huoyan.client.progress",
    "metrics_app": "huoyan.client.exposition",
    "progress": "huoyan.client.progress",
    "task": "huoyan.client.function",
    "asgi": "huoyan.client.web.asgi",
    "serve_metrics": "huoyan.client.metrics_port",
    "unwatch": "huoyan.client.watch",
    "watch": "huoyan.client.watch",
    "wsgi": "huoyan.client.web.wsgi",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        place = _PLACES.get(name)
        if place is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(place), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
