"""HTTPX clients, synchronous and asynchronous: every request by method, host and status.

All methods of a client end in its `send` (https://www.python-httpx.org/api/#client), which follows redirects and reads
the body unless it is streamed; a streamed answer counts until its head.
"""

from collections.abc import Mapping
from inspect import iscoroutinefunction
from typing import Any

from huoyan.client.calls import begin, claim, release
from huoyan.client.guard import warn
from huoyan.client.outbound import OutboundRequests, host_label
from huoyan.client.reporter import Reporter


def _host(request: Any) -> str:
    try:
        return host_label(request.url.host, request.url.port)
    except Exception as error:  # noqa: BLE001 - what is no request is refused by the client itself
        warn("httpx.host", "huoyan: a host could not be read", error=error)
        return ""


class HttpxIntegration:
    """Watches `httpx.Client` and `httpx.AsyncClient`."""

    framework = ""
    options: frozenset[str] = frozenset()

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Put a hook into a client."""
        outbound = OutboundRequests(reporter.client)
        claim("httpx", thing)
        send = thing.send

        if iscoroutinefunction(send):

            async def send_async(request: Any, *args: Any, **kwargs: Any) -> Any:
                call = begin()
                try:
                    response = await send(request, *args, **kwargs)
                except BaseException as error:
                    outbound.finish(call, getattr(request, "method", ""), _host(request), None, error)
                    raise
                outbound.finish(call, request.method, _host(request), response.status_code, None)
                return response

            thing.send = send_async
            return

        def send_watched(request: Any, *args: Any, **kwargs: Any) -> Any:
            call = begin()
            try:
                response = send(request, *args, **kwargs)
            except BaseException as error:
                outbound.finish(call, getattr(request, "method", ""), _host(request), None, error)
                raise
            outbound.finish(call, request.method, _host(request), response.status_code, None)
            return response

        thing.send = send_watched

    def unwatch(self, thing: Any) -> None:
        """Take the hook out again."""
        vars(thing).pop("send", None)
        release("httpx", thing)


integration = HttpxIntegration()
