"""`huoyan check`: find out before the start what would not work."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from huoyan.cli.options import Celery, Config, DatabaseUrl, DataDir, Host, Json, Port, Rq
from huoyan.errors import ConfigurationError, ConfigurationErrors, HuoyanError, Undelivered

if TYPE_CHECKING:
    from huoyan.server.config import Settings
    from huoyan.server.notify.channels.email import MailChannel
    from huoyan.server.notify.receivers import Receiver

TIMEOUT_S = 5.0
"""How long each system may take to answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and whether it works; `ok` is None for what cannot be tried without doing it."""

    name: str
    ok: bool | None
    detail: str


def check(
    receiver: Annotated[
        list[str] | None, typer.Argument(metavar="RECEIVER", help="Whom --notify sends to. Default: everybody.")
    ] = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Send receivers a real test message instead of only logging in.")
    ] = False,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    config: Config = None,
    celery: Celery = None,
    rq: Rq = None,
    as_json: Json = False,
) -> None:
    """Check the settings, and that the database, the brokers, Prometheus and the mail servers in them answer.

    Takes the options of `huoyan serve`. Nothing is changed, and nothing is sent but by --notify. The exit status is 0
    when all is well, 1 when something does not answer or a message does not arrive, 2 when a setting is wrong.
    """
    from huoyan.server.config import load

    flags = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "database_url": database_url,
        "celery": celery or [],
        "rq": rq or [],
    }
    try:
        settings = load(flags, config)
        told = _whom(settings, receiver or [], notify)
    except ConfigurationErrors as error:
        _tell([Finding("settings", False, each.message) for each in error.errors], as_json)
        raise typer.Exit(2) from None
    except ConfigurationError as error:
        _tell([Finding("settings", False, error.message)], as_json)
        raise typer.Exit(2) from None
    if not _tell(inspect(settings, told), as_json):
        raise typer.Exit(1)


def inspect(settings: "Settings", told: Collection[str] | None = None) -> Iterator[Finding]:
    """Try everything the settings name, one after the other.

    Args:
        settings: The settings, already checked.
        told: Names of receivers who are sent a test message; None sends nothing.
    """
    yield Finding("settings", True, f"{len(settings.alert_rules())} rules, {len(settings.receivers)} receivers")
    yield _tried("data directory", lambda: _data_dir(settings))
    yield _tried("database", lambda: _database(settings))
    for each in settings.celery:
        url = each.url.get_secret_value()
        yield _tried("celery", lambda url=url: _broker(url))  # type: ignore[misc]
    for deployment in settings.rq:
        url = deployment.url.get_secret_value()
        yield _tried("rq", lambda url=url: _redis(url))  # type: ignore[misc]
    if settings.prometheus.url is not None:
        yield _tried("prometheus", lambda: _prometheus(settings))
    for receiver in settings.notify_receivers():
        sends = told is not None and receiver.name in told
        yield _sent(receiver, settings.public_url) if sends else _receiver(receiver)
    if told is not None and not told:
        yield Finding("receivers", False, "expected somebody to send a test message to, got no [[receivers]]")


def _whom(settings: "Settings", named: Sequence[str], notify: bool) -> list[str] | None:
    """Return the names of the receivers to send to, None when nothing is to be sent."""
    from huoyan.server.alert.rules import nearest

    known = [receiver.name for receiver in settings.notify_receivers()]
    if not notify:
        if named:
            raise ConfigurationError("RECEIVER", "--notify with the name of a receiver", named[0], "Add --notify")
        return None
    for name in named:
        if name not in known:
            advice = nearest(name, known) if known else "no receivers are configured"
            raise ConfigurationError("RECEIVER", "the name of a receiver", name, advice)
    return list(named) or known


def _tried(name: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, attempt())
    except HuoyanError as error:
        return Finding(name, False, error.message)


def _data_dir(settings: "Settings") -> str:
    import os

    folder = settings.server.data_dir
    nearest = folder.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigurationError("server.data_dir", "a folder that can be written to", str(folder))
    return str(folder) if folder.exists() else f"{folder} (made at the start)"


def _database(settings: "Settings") -> str:
    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from huoyan.errors import Unreachable

    url = make_url(settings.store_url)
    if url.get_backend_name() == "sqlite":
        # Opening would make the file; the folder was looked at already.
        return settings.shown_store
    url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url, connect_args={"connect_timeout": int(TIMEOUT_S)})
    try:
        with engine.connect() as connection:
            connection.execute(text("select 1"))
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()[0]
        raise Unreachable(f"expected {settings.shown_store} to answer, got {_without(reason, url.password)}") from None
    finally:
        engine.dispose()
    return settings.shown_store


def _broker(url: str) -> str:
    from kombu import Connection

    from huoyan.errors import Unreachable
    from huoyan.server.ingest.celery_address import parse_address

    address = parse_address(url)
    options: dict[str, Any] = address.transport_options
    if address.kind == "redis":
        options |= {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    try:
        with Connection(address.url, connect_timeout=TIMEOUT_S, transport_options=options) as connection:
            connection.connect()
            if address.kind == "redis":
                # Kombu connects to Redis when it is first used.
                cast(Any, connection.default_channel).client.ping()
    except Exception as error:  # noqa: BLE001 - each transport raises errors of its own library
        reason = _without(str(error).strip() or type(error).__name__, address.password)
        raise Unreachable(f"expected {address.shown} to answer, got: {reason}") from None
    return address.shown


def _redis(url: str) -> str:
    import redis

    from huoyan.errors import Unreachable
    from huoyan.server.ingest.celery_stream_redis import redis_client
    from huoyan.server.ingest.rq_address import parse_rq_address

    address = parse_rq_address(url)
    client = redis_client(address)
    try:
        client.ping()
    except (OSError, redis.RedisError) as error:
        reason = _without(str(error).strip() or type(error).__name__, address.password)
        raise Unreachable(f"expected {address.shown} to answer, got: {reason}") from None
    finally:
        client.close()
    return address.shown


def _prometheus(settings: "Settings") -> str:
    from huoyan.server.ingest.node_exporter import NAMES

    client = settings.prometheus.client()
    try:
        known = len(client.query(NAMES))
    finally:
        client.close()
    exporters = f"{known or 'no'} node exporter{'' if known == 1 else 's'}"
    return f"{settings.prometheus.shown}: {exporters}"


def _receiver(receiver: "Receiver") -> Finding:
    from huoyan.server.notify.channels.email import MailChannel

    name = f"receiver {receiver.name}"
    channel = receiver.channel
    if not isinstance(channel, MailChannel):
        return Finding(name, None, f"{receiver.describe()}: not tried, because trying means sending")
    try:
        _log_in(channel)
    except HuoyanError as error:
        return Finding(name, False, receiver.scrub(error.message))
    return Finding(name, True, receiver.describe())


def _sent(receiver: "Receiver", public_url: str) -> Finding:
    """Send a test message; it is taken once the mail server or the other side has said so."""
    from huoyan.server.notify.notifier import send_test

    name = f"receiver {receiver.name}"
    try:
        send_test(receiver, public_url)
    except Undelivered as error:
        others = f"; sent to {', '.join(error.delivered)}" if error.delivered else ""
        return Finding(name, False, f"expected a test message to be taken, got: {error.message}{others}")
    return Finding(name, True, f"test message sent: {receiver.describe()}")


def _log_in(channel: "MailChannel") -> None:
    """Connect to the mail server as for a mail, log in, and leave."""
    import smtplib
    import ssl

    from huoyan.errors import Unreachable

    context = ssl.create_default_context()
    if not channel.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    where = f"{channel.host}:{channel.port}"
    try:
        if channel.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(channel.host, channel.port, timeout=TIMEOUT_S, context=context)
        else:
            server = smtplib.SMTP(channel.host, channel.port, timeout=TIMEOUT_S)
        with server:
            if channel.security == "starttls":
                server.starttls(context=context)
            if channel.username:
                server.login(channel.username, channel.password)
            server.noop()
    except smtplib.SMTPAuthenticationError as error:
        raise Unreachable(f"expected {where} to accept the login, got {error.smtp_code} {_answer(error)}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise Unreachable(f"expected the mail server {where} to answer, got: {error}") from None


def _answer(error: object) -> str:
    said = getattr(error, "smtp_error", b"")
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _without(text: str, secret: str | None) -> str:
    return text.replace(secret, "***") if secret else text


def _tell(findings: Iterable[Finding], as_json: bool) -> bool:
    """Write findings, for people each as soon as it is known; return whether all is well."""
    from rich.text import Text

    from huoyan.cli.terminal import console, plain, print_json

    told: list[Finding] = []
    out = console()
    marks = {True: Text("ok   ", style="green"), False: Text("wrong", style="red"), None: Text("-    ", style="dim")}
    for finding in findings:
        told.append(finding)
        if not as_json:
            out.print(marks[finding.ok] + Text(f"  {finding.name}: {plain(finding.detail)}"), soft_wrap=True)
    well = all(finding.ok is not False for finding in told)
    if as_json:
        print_json({"ok": well, "findings": [asdict(finding) for finding in told]})
    return well
