"""Events over HTTP, with nothing but the standard library: one connection kept open, time-outs on everything."""

import http.client
import json
import socket
import ssl
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from huoyan.client.delivery import Answer, Batch, Receipt
from huoyan.client.wire import encode_batch

PATH = "/api/v1/events"
_GZIP_FROM_BYTES = 16 * 1024
_MAX_ANSWER_BYTES = 1024 * 1024
_MAX_RETRY_AFTER_S = 300.0
_GZIP = 16 + zlib.MAX_WBITS


class HttpTransport:
    """Posts batches to a Huoyan server.

    Args:
        url: Address of the server, a path prefix included.
        token: Bearer token; empty sends none.
        now: Wall clock, seconds since 1970 UTC.
        version: Goes into the User-Agent.
    """

    def __init__(self, url: str, token: str, now: Callable[[], float], version: str = "") -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port
        self._path = parts.path.rstrip("/") + PATH
        self._now = now
        self._headers = {"Content-Type": "application/json", "User-Agent": f"huoyan/{version}"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._connection: http.client.HTTPConnection | None = None
        self.address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{self._path}"

    def send(self, batch: Batch, timeout_s: float) -> Receipt:
        body = encode_batch(batch, self._now())
        headers = self._headers
        if len(body) >= _GZIP_FROM_BYTES:
            packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
            body = packer.compress(body) + packer.flush()
            headers = {**headers, "Content-Encoding": "gzip"}
        reused = self._connection is not None
        try:
            try:
                response, content = self._post(body, headers, timeout_s)
            except (http.client.HTTPException, ConnectionError):
                # A server closes connections that were idle for a while; that says nothing about its health.
                if not reused:
                    raise
                self.close()
                response, content = self._post(body, headers, timeout_s)
        except (OSError, http.client.HTTPException, ssl.SSLError) as error:
            self.close()
            return Receipt(Answer.LATER, reason=f"{self.address} is unreachable: {type(error).__name__}: {error}")
        if response.will_close:
            self.close()
        return self._receipt(response, content)

    def _post(self, body: bytes, headers: dict[str, str], timeout_s: float) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self._connection
        if connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            connection = kind(self._host, self._port, timeout=timeout_s)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = connection
        connection.sock.settimeout(timeout_s)
        connection.request("POST", self._path, body, headers)
        response = connection.getresponse()
        return response, response.read(_MAX_ANSWER_BYTES)

    def _receipt(self, response: http.client.HTTPResponse, content: bytes) -> Receipt:
        status = response.status
        document = _document(content)
        # What answers everything with its start page, or with one about maintenance, has stored nothing. A server of
        # somebody else's may take events and say nothing of them. Text is looked for, because a long answer is cut.
        if status == 200 and (document is not None or not content.strip() or b'"accepted"' in content):
            rejected = (document or {}).get("rejected")
            refused = rejected if isinstance(rejected, list) else []
            return Receipt(Answer.STORED, rejected=len(refused), reason=_first_rejection(refused))
        reason = f"{self.address} answered {status} {response.reason}{_told(content)}"
        if status in (200, 404, 405):
            reason += ". Expected the address of a Huoyan server in HUOYAN_URL"
        if status == 413:
            return Receipt(Answer.TOO_LARGE, reason=reason)
        if status in (200, 429) or status >= 500 or status == 408:
            return Receipt(Answer.LATER, reason=reason, retry_after_s=self._retry_after_s(response))
        if 300 <= status < 400:
            reason += f", Location: {response.getheader('Location', '')}"
        return Receipt(Answer.REFUSED, reason=reason)

    def _retry_after_s(self, response: http.client.HTTPResponse) -> float | None:
        """Read Retry-After: seconds or a date (RFC 9110, 10.2.3)."""
        text = (response.getheader("Retry-After") or "").strip()
        if not text:
            return None
        try:
            seconds = float(text)
        except ValueError:
            try:
                when = parsedate_to_datetime(text)
            except ValueError:
                return None
            if when.tzinfo is None:
                when = when.replace(tzinfo=UTC)
            seconds = (when - datetime.fromtimestamp(self._now(), UTC)).total_seconds()
        return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S) if seconds == seconds else None

    def forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.sock is not None:
            # Only this process's copy of the descriptor is closed: no TLS goodbye, no shutdown of the parent's
            # connection.
            connection.sock.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _document(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _told(content: bytes) -> str:
    """Return what a problem document says, RFC 9457."""
    document = _document(content) or {}
    told = document.get("detail") or document.get("title") or _first_rejection(document.get("rejected") or [])
    return f": {str(told)[:300]}" if told else ""


def _first_rejection(rejected: list[Any]) -> str:
    if not rejected or not isinstance(rejected[0], dict):
        return ""
    first = rejected[0]
    return f"{first.get('field')}: expected {first.get('expected')}, got {str(first.get('got'))[:120]}"
