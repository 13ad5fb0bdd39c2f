"""Sessions of requests: every request by method, host and status.

All methods of a session end in its `send` (https://requests.readthedocs.io/en/latest/api/#requests.Session.send), which
calls itself for every redirect: the outermost call counts, with all it took.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

from huoyan.client.calls import begin, claim, release
from huoyan.client.outbound import OutboundRequests, host_label
from huoyan.client.reporter import Reporter

_sending: ContextVar[bool] = ContextVar("huoyan_requests_sending", default=False)


def _host(url: Any) -> str:
    try:
        parts = urlsplit(url)
        return host_label(parts.hostname, parts.port)
    except Exception:  # noqa: BLE001 - an address that is none, which the session refuses
        return ""


class RequestsIntegration:
    """Watches `requests.Session`."""

    framework = ""
    options: frozenset[str] = frozenset()

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Put a hook into a session."""
        outbound = OutboundRequests(reporter.client)
        claim("requests", thing)
        send = thing.send

        def send_watched(request: Any, **kwargs: Any) -> Any:
            if _sending.get():
                return send(request, **kwargs)
            token = _sending.set(True)
            call = begin()
            try:
                response = send(request, **kwargs)
            except BaseException as error:
                outbound.finish(
                    call, str(getattr(request, "method", "")), _host(getattr(request, "url", "")), None, error
                )
                raise
            finally:
                _sending.reset(token)
            outbound.finish(call, str(request.method), _host(request.url), response.status_code, None)
            return response

        thing.send = send_watched

    def unwatch(self, thing: Any) -> None:
        """Take the hook out again."""
        vars(thing).pop("send", None)
        release("requests", thing)


integration = RequestsIntegration()
