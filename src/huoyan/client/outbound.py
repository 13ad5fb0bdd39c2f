"""Requests to other services: counted by method, host and status, whatever library makes them."""

from typing import TYPE_CHECKING

from huoyan.client.attributes import bare_name
from huoyan.client.calls import Call, Series, SeriesCache, series
from huoyan.client.guard import warn
from huoyan.signals.metrics.application import HTTP_CLIENT_ERRORS, HTTP_CLIENT_REQUEST_DURATION

if TYPE_CHECKING:
    from huoyan.client.process import Client

NO_ANSWER = "error"
"""The status of a request that got no answer."""
CANCELLED = "cancelled"
"""The status of a request whose answer nobody waited for."""

_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_OTHER = "other"
_FIRST_FAILING_STATUS = 500
_DEFAULT_PORTS = frozenset({None, 80, 443})


class OutboundRequests:
    """Counts requests for the client of the process."""

    __slots__ = ("_client", "_series")

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._series = SeriesCache()

    def finish(
        self,
        call: Call,
        method: str,
        host: str,
        status: int | None,
        error: BaseException | None,
        reason: str = "",
    ) -> None:
        """End a request that `calls.begin` began. Never raises.

        Args:
            call: What `begin` returned.
            method: Its method.
            host: Where it went, with the port unless it is 80 or 443.
            status: Of the answer; None when there was none.
            error: What was raised in place of an answer.
            reason: Name of the error, where there is no exception at hand; the status by default.
        """
        try:
            failed = status is None or status >= _FIRST_FAILING_STATUS
            told = str(status) if status is not None else NO_ANSWER
            if error is not None and not isinstance(error, Exception):
                failed, told = False, CANCELLED
            if method not in _METHODS:
                method = method.upper() if method.upper() in _METHODS else _OTHER
            key = (method, host, told)
            (self._series.get(key) or self._make(key)).finish(call, failed)
            if failed:
                if status is not None:
                    reason = told
                elif error is not None:
                    reason = bare_name(type(error))
                self._client.measurements.counter(HTTP_CLIENT_ERRORS).child((method, host, reason or told)).add()
        except Exception as own:  # noqa: BLE001 - the request was made all the same
            warn("outbound", "huoyan: a request could not be measured", error=own)

    def _make(self, key: tuple[str, str, str]) -> Series:
        method, host, told = key
        answered = told not in (NO_ANSWER, CANCELLED)
        made = series(
            self._client,
            ("http", method, host),
            (HTTP_CLIENT_REQUEST_DURATION, key),
            None,
            ("http", host) if answered else None,
        )
        return self._series.put(key, made)


def host_label(host: str | None, port: int | None) -> str:
    """Return a host as label: with its port, unless that is the usual one."""
    name = (host or "").lower()
    return name if port in _DEFAULT_PORTS else f"{name}:{port}"
