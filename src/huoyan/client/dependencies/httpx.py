"""HTTPX clients, synchronous and asynchronous: every request by method, host and status.

All methods of a client end in its `send` (https://www.python-httpx.org/api/#client), which follows redirects and reads
the body unless it is streamed; a streamed answer counts until its head. `httpx.get` and the like make a client for each
call, so the class is what watches them.
"""

from collections.abc import Mapping
from inspect import iscoroutinefunction
from typing import Any

from httpx import HTTPStatusError

from huoyan.client.calls import begin, claim, release
from huoyan.client.guard import warn
from huoyan.client.originals import Originals
from huoyan.client.outbound import OutboundRequests, host_label
from huoyan.client.reporter import Reporter


def _host(request: Any) -> str:
    try:
        return host_label(request.url.host, request.url.port)
    except Exception as error:  # noqa: BLE001 - what is no request is refused by the client itself
        warn("httpx.host", "huoyan: a host could not be read", error=error)
        return ""


def _answered(error: BaseException) -> int | None:
    """Return the status of the answer that a hook of the program made an error of; None when there was none."""
    return error.response.status_code if isinstance(error, HTTPStatusError) else None


def _watched(send: Any, outbound: OutboundRequests, of_class: bool) -> Any:
    """Return what takes the place of `send`: of one client, or of a class, where the client is the first argument."""
    place = int(of_class)

    def sent(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return args[place] if len(args) > place else kwargs.get("request")

    def is_counted(args: tuple[Any, ...]) -> bool:
        # A client with a hook of its own counts there.
        return of_class and bool(args) and "send" in vars(args[0])

    if iscoroutinefunction(send):

        async def send_async(*args: Any, **kwargs: Any) -> Any:
            if is_counted(args):
                return await send(*args, **kwargs)
            call = begin()
            request = sent(args, kwargs)
            try:
                response = await send(*args, **kwargs)
            except BaseException as error:
                outbound.finish(call, getattr(request, "method", ""), _host(request), _answered(error), error)
                raise
            outbound.finish(call, request.method, _host(request), response.status_code, None)
            return response

        return send_async

    def send_watched(*args: Any, **kwargs: Any) -> Any:
        if is_counted(args):
            return send(*args, **kwargs)
        call = begin()
        request = sent(args, kwargs)
        try:
            response = send(*args, **kwargs)
        except BaseException as error:
            outbound.finish(call, getattr(request, "method", ""), _host(request), _answered(error), error)
            raise
        outbound.finish(call, request.method, _host(request), response.status_code, None)
        return response

    return send_watched


class HttpxIntegration:
    """Watches `httpx.Client` and `httpx.AsyncClient`, one client or the class; `httpx.get` makes a client each time."""

    framework = ""
    options: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._originals = Originals()

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Put a hook into a client or a class."""
        claim("httpx", thing)
        hook = _watched(thing.send, OutboundRequests(reporter.client), isinstance(thing, type))
        self._originals.replace(thing, "send", hook)

    def unwatch(self, thing: Any) -> None:
        """Take the hook out again."""
        self._originals.restore(thing, "send")
        release("httpx", thing)


integration = HttpxIntegration()
