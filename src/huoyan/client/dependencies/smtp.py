"""Mail handed to a server: `smtplib.SMTP` and `aiosmtplib.SMTP`, a connection or the class.

Programs make a connection for a few mails, mostly, so the class is what they watch: `huoyan.watch(smtplib.SMTP)` hooks
into all its connections, and those of `SMTP_SSL`. `send_message` and `aiosmtplib.send` end in `sendmail`
(https://docs.python.org/3/library/smtplib.html); `connect` of aiosmtplib begins TLS and logs in by itself
(https://aiosmtplib.readthedocs.io/en/stable/usage.html), what programs with smtplib do by calls of their own.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from inspect import iscoroutinefunction
from typing import Any

from huoyan.client.calls import Call, Series, SeriesCache, begin, series
from huoyan.client.guard import warn
from huoyan.client.originals import Originals
from huoyan.client.reporter import Reporter
from huoyan.signals.metrics.application import SMTP_SEND_DURATION, SMTP_SEND_ERRORS

_MAX_HOST_CHARS = 100
_SEND = "sendmail"
_CONNECT = "connect"
_OPERATIONS = {_CONNECT: "CONNECT", "starttls": "STARTTLS", "login": "LOGIN", _SEND: "SEND"}
"""Method of a connection → what it is in breakdowns. One that fails is an error of the mail server."""

_calling: ContextVar[object] = ContextVar("huoyan_smtp_calling", default=None)
"""The connection of which a method is under way: what that calls is part of it, as is the hook in its class."""


class _Watch:
    """What the hooks in one connection or class count by."""

    def __init__(self, reporter: Reporter) -> None:
        self._client = reporter.client
        self._series = SeriesCache()

    def wrapped(self, name: str, original: Callable[..., Any], connection: Any = None) -> Callable[..., Any]:
        """Return what takes the place of a method.

        Args:
            name: Its name.
            original: The method, bound to `connection`, or the function in the class.
            connection: The one connection that is watched; None in a class.
        """
        finish = self._finish

        def mine(args: tuple[Any, ...]) -> Any:
            return connection if connection is not None else (args[0] if args else None)

        if iscoroutinefunction(original):

            async def call_async(*args: Any, **kwargs: Any) -> Any:
                if _calling.get() is mine(args):
                    return await original(*args, **kwargs)
                token = _calling.set(mine(args))
                begun = begin()
                failure: BaseException | None = None
                try:
                    return await original(*args, **kwargs)
                except BaseException as error:
                    failure = error
                    raise
                finally:
                    _calling.reset(token)
                    finish(begun, name, args if connection is None else (connection, *args), kwargs, failure)

            return call_async

        def call(*args: Any, **kwargs: Any) -> Any:
            if _calling.get() is mine(args):
                return original(*args, **kwargs)
            token = _calling.set(mine(args))
            begun = begin()
            failure: BaseException | None = None
            try:
                return original(*args, **kwargs)
            except BaseException as error:
                failure = error
                raise
            finally:
                _calling.reset(token)
                finish(begun, name, args if connection is None else (connection, *args), kwargs, failure)

        return call

    def _finish(
        self, call: Call, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], error: BaseException | None
    ) -> None:
        try:
            host = _host(args[0]) or (_given_host(args, kwargs) if name == _CONNECT else _peer(args[0]))
            failed = error is not None and isinstance(error, Exception)
            (self._series.get((name, host)) or self._make(name, host)).finish(call, failed)
        except Exception as own:  # noqa: BLE001 - the mail was handed over all the same
            warn("smtp", "huoyan: a mail could not be measured", error=own)

    def _make(self, name: str, host: str) -> Series:
        sends = name == _SEND
        made = series(
            self._client,
            ("smtp", _OPERATIONS[name], host),
            (SMTP_SEND_DURATION, (host,)) if sends else None,
            (SMTP_SEND_ERRORS, (host,)),
            ("smtp", host) if sends else None,
        )
        return self._series.put((name, host), made)


def _host(connection: Any) -> str:
    """Return where a connection goes: smtplib keeps it in `_host`, aiosmtplib in `hostname`."""
    host = getattr(connection, "hostname", None) or getattr(connection, "_host", None) or ""
    return str(host)[:_MAX_HOST_CHARS].lower()


def _given_host(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Return the host that `connect(host)` or `connect(hostname=…)` was given."""
    given = kwargs.get("hostname") or kwargs.get("host") or (args[1] if len(args) > 1 else "")
    return str(given)[:_MAX_HOST_CHARS].lower()


def _peer(connection: Any) -> str:
    """Return where a connection of smtplib goes that was made without a host and connected later."""
    try:
        return str(connection.sock.getpeername()[0])
    except (AttributeError, OSError):
        return ""


class SmtpIntegration:
    """Watches connections to mail servers, one or all of a class."""

    framework = ""
    options: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._originals = Originals()

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Put hooks into a connection or a class."""
        watch = _Watch(reporter)
        connection = None if isinstance(thing, type) else thing
        for name in _OPERATIONS:
            self._originals.replace(thing, name, watch.wrapped(name, getattr(thing, name), connection))

    def unwatch(self, thing: Any) -> None:
        """Take the hooks out again."""
        for name in _OPERATIONS:
            self._originals.restore(thing, name)


integration = SmtpIntegration()
