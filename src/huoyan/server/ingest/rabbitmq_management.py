"""What RabbitMQ's management API tells beside the protocol: how many messages of a queue are not acknowledged.

`GET /api/queues/{vhost}` answers with a list of queues. With `disable_stats` and `enable_queue_totals` the totals are
those of the moment; releases that do not know these parameters answer with totals that are a few seconds old.

Source: https://www.rabbitmq.com/docs/management#http-api.
"""

import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlsplit

import httpx
import msgspec

from huoyan.errors import ConfigurationError, Unreachable
from huoyan.server.ingest.celery_address import BrokerAddress

AUTO = "auto"
"""Stands for the hosts, the user and the password of the broker, and the port that RabbitMQ listens on by default."""
TIMEOUT_S = 3.0
MOST_BYTES = 16 * 1024 * 1024
_PORT, _TLS_PORT = 15672, 15671
_EXPECTED = "http://user:password@host:15672, https://…, or auto"
_ASKED = {
    "columns": "name,messages_ready,messages_unacknowledged",
    "disable_stats": "true",
    "enable_queue_totals": "true",
}
_REFUSALS = {
    401: "its user and password were refused. Give those of a user with the tag monitoring in management_url",
    403: "its user may not read queues. Give it the tag monitoring",
    404: "there is no such virtual host, or no management API",
}


_Count = Annotated[int, msgspec.Meta(ge=0)]


class QueueTotals(msgspec.Struct):
    """How many messages of a queue wait and how many were taken and not acknowledged; None: it does not tell."""

    name: str
    messages_ready: _Count | None = None
    messages_unacknowledged: _Count | None = None


_totals = msgspec.json.Decoder(list[QueueTotals])


class RabbitmqManagement:
    """Asks the management API of one broker. Used by one thread.

    Args:
        url: Its address; user and password default to those of the broker. `auto`: where it is by default.
        address: The broker.
        setting: What the setting is called, for the message.
        timeout_s: How long an answer may take altogether, in seconds (default 3).

    Raises:
        ConfigurationError: The address is none, or the broker is no RabbitMQ. The message holds no password.
    """

    def __init__(
        self, url: str, address: BrokerAddress, setting: str = "management_url", timeout_s: float = TIMEOUT_S
    ) -> None:
        if address.kind != "amqp":
            raise ConfigurationError(setting, "nothing, because url is no RabbitMQ", "an address", "Leave it out.")
        self._timeout_s = timeout_s
        user, password = address.username or "guest", address.password or "guest"
        if url.strip() == AUTO:
            scheme, port = ("http", _PORT) if address.tls is None else ("https", _TLS_PORT)
            self._bases = tuple(f"{scheme}://{_in_address(host)}:{port}" for host, _ in address.hosts)
        else:
            base, given = _parts(url.strip(), setting)
            self._bases = (base,)
            user, password = given or (user, password)
        self._auth = (user, password)
        self._path = f"/api/queues/{quote(address.virtual_host, safe='')}"
        tls = _tls(address.tls) if self._bases[0].startswith("https") and address.tls else True
        self._client = httpx.Client(timeout=timeout_s, verify=tls, follow_redirects=False, trust_env=False)

    def queues(self) -> dict[str, QueueTotals]:
        """Return the totals of every queue of the virtual host.

        Raises:
            Unreachable: It does not answer in time, refuses to, or answers with something else.
        """
        refusals = []
        for base in self._bases:
            try:
                return {queue.name: queue for queue in self._read(base)}
            except Unreachable as error:
                refusals.append(error)
        raise refusals[0]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _read(self, base: str) -> Sequence[QueueTotals]:
        expected = f"expected RabbitMQ's management API at {base} to tell its queues"
        try:
            status, body = self._answer(f"{base}{self._path}")
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            raise Unreachable(f"{expected}: {str(error) or type(error).__name__}") from None
        if status != httpx.codes.OK:
            why = f": {_REFUSALS[status]}" if status in _REFUSALS else ""
            raise Unreachable(f"{expected}, got status {status}{why}")
        try:
            return _totals.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Unreachable(f"{expected} as a list, got something else: {error}") from None

    def _answer(self, url: str) -> tuple[int, bytes]:
        until = time.monotonic() + self._timeout_s
        body = bytearray()
        with self._client.stream("GET", url, params=_ASKED, auth=self._auth) as answer:
            if answer.status_code == httpx.codes.OK:
                for piece in answer.iter_bytes():
                    body += piece
                    # What drips in never breaks the time limit between two pieces.
                    if time.monotonic() > until:
                        raise httpx.ReadTimeout(f"it took longer than {self._timeout_s:g} s")
                    if len(body) > MOST_BYTES:
                        raise httpx.DecodingError(f"it is longer than {MOST_BYTES} bytes")
            return answer.status_code, bytes(body)


def _parts(url: str, setting: str) -> tuple[str, tuple[str, str] | None]:
    """Return an address without user and password, and those."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or port == 0 or parts.query or parts.fragment:
        scheme = parts.scheme if parts.scheme and "://" in url else ""
        raise ConfigurationError(setting, _EXPECTED, f"{scheme}://…" if scheme else "another text")
    base = f"{parts.scheme}://{_in_address(host)}{f':{port}' if port is not None else ''}{parts.path.rstrip('/')}"
    # Both the address of the page and that of the API are what people copy.
    base = base.removesuffix("/api")
    return base, (unquote(parts.username), unquote(parts.password or "")) if parts.username else None


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _tls(parameters: Mapping[str, Any]) -> ssl.SSLContext:
    """Return what the `ssl_*` parameters of the broker's address mean here, too."""
    context = ssl.create_default_context(cafile=parameters.get("ssl_ca_certs") or None)
    if parameters.get("ssl_certfile"):
        context.load_cert_chain(parameters["ssl_certfile"], parameters.get("ssl_keyfile") or None)
    required = str(parameters.get("ssl_cert_reqs", "required")).lower().removeprefix("cert_")
    if required == "none" or str(parameters.get("ssl_check_hostname", "true")).lower() in {"false", "0", "no"}:
        context.check_hostname = False
    if required == "none":
        context.verify_mode = ssl.CERT_NONE
    return context
