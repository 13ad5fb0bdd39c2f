"""Sessions of requests: every request by method, host and status.

All methods of a session end in its `send` (https://requests.readthedocs.io/en/latest/api/#requests.Session.send), which
calls itself for every redirect: the outermost call of a session counts, with all it took. What another session is
asked meanwhile, by a hook that fetches a token for example, counts by itself.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

from requests.exceptions import HTTPError

from huoyan.client.calls import begin, claim, release
from huoyan.client.originals import Originals
from huoyan.client.outbound import OutboundRequests, host_label
from huoyan.client.reporter import Reporter

_sending: ContextVar[object] = ContextVar("huoyan_requests_sending", default=None)
"""The session whose `send` is under way."""


def _host(url: Any) -> str:
    try:
        parts = urlsplit(url)
        return host_label(parts.hostname, parts.port)
    except Exception:  # noqa: BLE001 - an address that is none, which the session refuses
        return ""


def _answered(error: BaseException) -> int | None:
    """Return the status of the answer that a hook of the program made an error of; None when there was none."""
    return error.response.status_code if isinstance(error, HTTPError) and error.response is not None else None


class RequestsIntegration:
    """Watches `requests.Session`, one session or the class; `requests.get` makes a session each time."""

    framework = ""
    options: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._originals = Originals()

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Put a hook into a session or the class."""
        outbound = OutboundRequests(reporter.client)
        claim("requests", thing)
        send = thing.send
        place = int(isinstance(thing, type))

        def send_watched(*args: Any, **kwargs: Any) -> Any:
            session = args[0] if place and args else thing
            # Of a session with a hook of its own, too, the outermost call counts.
            if _sending.get() is session:
                return send(*args, **kwargs)
            request: Any = args[place] if len(args) > place else kwargs.get("request")
            token = _sending.set(session)
            call = begin()
            try:
                response = send(*args, **kwargs)
            except BaseException as error:
                method, host = str(getattr(request, "method", "")), _host(getattr(request, "url", ""))
                outbound.finish(call, method, host, _answered(error), error)
                raise
            finally:
                _sending.reset(token)
            outbound.finish(call, str(request.method), _host(request.url), response.status_code, None)
            return response

        self._originals.replace(thing, "send", send_watched)

    def unwatch(self, thing: Any) -> None:
        """Take the hook out again."""
        self._originals.restore(thing, "send")
        release("requests", thing)


integration = RequestsIntegration()
