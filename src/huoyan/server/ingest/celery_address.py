"""The address of a Celery broker, read once and checked whole.

What Kombu understands is understood: `redis://`, `rediss://`, `redis+socket://`, `sentinel://a;sentinel://b`,
`amqp://`, `amqps://`, `pyamqp://`, with user, password, database or virtual host, and `ssl_*` parameters. Settings that
a Celery application keeps in its configuration and not in its address are given as parameters:

| parameter | Celery setting | default |
|---|---|---|
| `global_keyprefix` | `broker_transport_options["global_keyprefix"]` (Redis) | empty |
| `fanout_prefix` | `broker_transport_options["fanout_prefix"]` (Redis) | `/{db}.` |
| `master_name` | `broker_transport_options["master_name"]` (Sentinel) | required there |
| `event_exchange` | `event_exchange` | `celeryev` |
| `control_exchange` | `control_exchange` | `celery` |
"""

from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from huoyan.errors import ConfigurationError

_REDIS = {"redis": 6379, "rediss": 6379, "redis+socket": 0, "sentinel": 26379}
_AMQP = {"amqp": 5672, "pyamqp": 5672, "amqps": 5671}
_OURS = ("global_keyprefix", "fanout_prefix", "master_name", "event_exchange", "control_exchange")
_MAX_DATABASE = 1_000_000


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is and how Celery uses it. Passwords are in no repr and not in `shown`.

    Args:
        kind: Which protocol it speaks.
        url: For Kombu, without the parameters that are ours.
        shown: For people: without password and parameters.
        hosts: Host and port of each server; several for Sentinel.
        path: The Unix socket, empty for TCP.
        database: Number of the Redis database.
        virtual_host: Of the RabbitMQ.
        tls: The `ssl_*` parameters when TLS is used (`ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs`,
            `ssl_check_hostname`), else None.
    """

    kind: Literal["redis", "amqp"]
    url: str = field(repr=False)
    shown: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    database: int = 0
    virtual_host: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: dict[str, Any] | None = field(default=None, repr=False)
    master_name: str = ""
    global_keyprefix: str = ""
    fanout_prefix: str = ""
    event_exchange: str = "celeryev"
    control_exchange: str = "celery"

    @property
    def sentinel(self) -> bool:
        """Whether the hosts are Sentinels, to be asked for the Redis."""
        return bool(self.master_name)

    @property
    def event_topic(self) -> str:
        """Redis channel of the event exchange; Kombu appends `/` and the routing key."""
        return f"{self.global_keyprefix}{self.fanout_prefix}{self.event_exchange}"

    @property
    def transport_options(self) -> dict[str, Any]:
        """What Kombu needs beside the address."""
        options: dict[str, Any] = {}
        if self.kind == "redis":
            options = {"socket_timeout": 10.0, "socket_connect_timeout": 5.0, "fanout_prefix": self.fanout_prefix}
            if self.global_keyprefix:
                options["global_keyprefix"] = self.global_keyprefix
            if self.master_name:
                options["master_name"] = self.master_name
        return options


def parse_address(url: str, setting: str = "celery.url") -> BrokerAddress:
    """Read the address of a broker.

    Args:
        url: The address as Celery takes it.
        setting: How the user wrote the setting, for the error.

    Raises:
        ConfigurationError: It is no address, or of a broker that Huoyan cannot listen to. The message holds no
        password.
    """
    alternatives = [part.strip() for part in url.split(";") if part.strip()]
    if not alternatives:
        raise ConfigurationError(setting, "the address of a broker", "nothing", "For example redis://127.0.0.1:6379/0.")
    scheme = alternatives[0].partition("://")[0].lower()
    if scheme in _REDIS:
        return _redis(scheme, alternatives, setting)
    if scheme in _AMQP:
        return _amqp(alternatives, setting)
    raise ConfigurationError(
        setting,
        f"an address that starts with {', '.join(f'{known}://' for known in (*_REDIS, *_AMQP))}",
        f"{scheme}://…" if "://" in alternatives[0] else "an address without ://",
        "Other brokers of Celery send no events to listen to; watch their workers with huoyan.watch(app).",
    )


@dataclass(slots=True)
class _Parts:
    scheme: str
    host: str
    port: int
    username: str | None
    password: str | None
    path: str
    query: dict[str, str]


def _parts(address: str, setting: str, default_port: int) -> _Parts:
    scheme, separator, rest = address.partition("://")
    if not separator:
        scheme, rest = "", address
    try:
        # With the rules of HTTP, whatever the scheme: `redis+socket` and the like are not known to the parser.
        split = urlsplit(f"http://{rest}")
        port = split.port if split.port is not None else default_port
    except ValueError:
        raise ConfigurationError(setting, "a host and a port from 1 to 65535", f"{scheme}://…") from None
    return _Parts(
        scheme.lower(),
        split.hostname or "",
        port,
        unquote(split.username) if split.username else None,
        unquote(split.password) if split.password else None,
        unquote(split.path),
        dict(parse_qsl(split.query, keep_blank_values=True)),
    )


def _redis(scheme: str, alternatives: list[str], setting: str) -> BrokerAddress:
    all_parts = [_parts(address, setting, _REDIS[scheme]) for address in alternatives]
    first = all_parts[0]
    query = {name: value for parts in reversed(all_parts) for name, value in parts.query.items()}
    socket_path = first.path if scheme == "redis+socket" else ""
    number = query.get("virtual_host", "0") if socket_path else first.path.strip("/")
    if scheme == "sentinel":
        if not query.get("master_name"):
            raise ConfigurationError(
                setting, "the parameter master_name", "none", "As in sentinel://host:26379/0?master_name=mymaster."
            )
        number = all_parts[-1].path.strip("/") or number
    elif len(all_parts) > 1:
        raise ConfigurationError(setting, "one address of a Redis", f"{len(all_parts)} addresses")
    if number and (not number.isdecimal() or int(number) > _MAX_DATABASE):
        raise ConfigurationError(setting, "the number of a Redis database after the host", number)
    database = int(number or 0)
    tls = _tls(query, setting)
    prefix = query.get("fanout_prefix", "/{db}.").replace("{db}", str(database))
    hosts = tuple((parts.host or "127.0.0.1", parts.port) for parts in all_parts)
    return BrokerAddress(
        kind="redis",
        url=";".join(_without(address, _OURS) for address in alternatives),
        shown=f"{scheme}://{socket_path}" if socket_path else _shown(scheme, hosts, str(database)),
        hosts=() if socket_path else hosts,
        path=socket_path,
        database=database,
        username=first.username,
        password=first.password,
        tls=tls if scheme == "rediss" or tls else None,
        master_name=query.get("master_name", ""),
        global_keyprefix=query.get("global_keyprefix", ""),
        fanout_prefix=prefix,
        event_exchange=query.get("event_exchange") or "celeryev",
        control_exchange=query.get("control_exchange") or "celery",
    )


def _amqp(alternatives: list[str], setting: str) -> BrokerAddress:
    all_parts = [_parts(address, setting, _AMQP.get(address.partition("://")[0], 5672)) for address in alternatives]
    first = all_parts[0]
    hosts = tuple((parts.host or "127.0.0.1", parts.port) for parts in all_parts)
    tls = _tls(first.query, setting)
    # The path after the first slash is the virtual host; without one it is "/".
    return BrokerAddress(
        kind="amqp",
        # Kombu knows these parameters for Redis only, and would pass on names that py-amqp does not know.
        url=";".join(_without(address, (*_OURS, *tls)) for address in alternatives),
        shown=_shown(first.scheme, hosts, first.path[1:]),
        hosts=hosts,
        virtual_host=first.path[1:] or "/",
        username=first.username,
        password=first.password,
        tls=tls if first.scheme == "amqps" or tls else None,
        event_exchange=first.query.get("event_exchange") or "celeryev",
        control_exchange=first.query.get("control_exchange") or "celery",
    )


def _tls(query: dict[str, str], setting: str) -> dict[str, str]:
    tls = {name: value for name, value in query.items() if name.startswith("ssl_")}
    required = tls.get("ssl_cert_reqs", "required")
    if required.lower().removeprefix("cert_") not in {"none", "optional", "required"}:
        raise ConfigurationError(setting, "ssl_cert_reqs=required, optional or none", required)
    return tls


def _without(address: str, names: tuple[str, ...]) -> str:
    head, mark, query = address.partition("?")
    if not mark:
        return address
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name not in names]
    return f"{head}?{urlencode(kept)}" if kept else head


def _shown(scheme: str, hosts: tuple[tuple[str, int], ...], path: str) -> str:
    names = ",".join(f"{f'[{host}]' if ':' in host else host}:{port}" for host, port in hosts)
    return f"{scheme}://{names}/{quote(path, safe='/')}"
