"""Mail over SMTP, through Apprise: STARTTLS, TLS or plain, with login, one mail to each address."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from huoyan.errors import Undelivered
from huoyan.server.notify import apprise_call
from huoyan.server.notify.channel import TIMEOUT_S
from huoyan.server.notify.channels.email.html import render
from huoyan.server.notify.message import Message
from huoyan.server.notify.settings import HIDDEN, Settings

_PORTS = {"starttls": 587, "tls": 465, "plain": 25}
_MODES = {"starttls": "starttls", "tls": "ssl", "plain": "insecure"}
_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")
_FROM = re.compile(r"(?:(?P<name>[^<>@\r\n]+?)\s*)?<(?P<address>[^<>\s]+)>")
_KINDS = {"warning": "warning", "critical": "failure"}


@dataclass(frozen=True, slots=True)
class MailChannel:
    """Where mails go and how; times in seconds."""

    host: str
    port: int
    security: str
    sender: str
    sender_name: str
    to: tuple[str, ...]
    username: str = ""
    password: str = field(default="", repr=False)
    verify: bool = True
    timeout_s: float = TIMEOUT_S

    def send(self, message: Message, delivered: Collection[str] = ()) -> None:
        """Send one mail to each address that has none yet.

        Raises:
            Undelivered: Some address got none. `delivered` names those that did, in this try or an earlier one;
                retryable while that may help any of the others.
        """
        done = [address for address in self.to if address in delivered]
        failures: list[tuple[str, Undelivered]] = []
        for address in self.to:
            if address in done:
                continue
            try:
                apprise_call.send(
                    self._settings(message, address), message.title, render(message), "html", _tone(message)
                )
                done.append(address)
            except Undelivered as error:
                failures.append((address, error))
        if failures:
            raise Undelivered(
                "; ".join(f"{address}: {error}" for address, error in failures),
                retryable=any(error.retryable for _, error in failures),
                delivered=tuple(done),
            )

    def secrets(self) -> Collection[str]:
        """Return the password."""
        return (self.password,)

    def describe(self) -> str:
        """Say who gets mail through which server."""
        return f"{', '.join(self.to)} through {self.host}:{self.port} ({self.security})"

    def _settings(self, message: Message, address: str) -> dict[str, Any]:
        domain = self.sender.rpartition("@")[2]
        settings: dict[str, Any] = {
            "schema": "mailtos" if self.security != "plain" else "mailto",
            "host": domain,
            "smtp_host": self.host,
            "port": self.port,
            "secure_mode": _MODES[self.security],
            "from_addr": f"{self.sender_name} <{self.sender}>",
            "targets": [address],
            "verify": self.verify,
            "cto": self.timeout_s,
            "format": "html",
            "headers": {
                "Auto-Submitted": "auto-generated",
                "X-Huoyan-Event": message.event,
                "X-Huoyan-Key": message.key,
                # Mail programs show what shares a reference as one conversation.
                "References": f"<huoyan-{message.thread}@{domain}>",
            },
        }
        if self.username:
            # Apprise takes both for parts of an address and decodes them.
            settings["user"] = quote(self.username, safe="")
            settings["password"] = quote(self.password, safe="")
        return settings


def channel(settings: Mapping[str, Any], at: str) -> MailChannel:
    """Check the settings of a mail receiver.

    Args:
        settings: `host`, `port` (default by security: 587, 465, 25), `security` ("starttls", the default, "tls" or
            "plain"), `username` and `password` to log in with, `from`, `to` (one address or a list), `verify` (default
            true: the certificate has to be valid), `timeout` in seconds (default 10).
        at: How the receiver is called in error messages.

    Raises:
        ConfigurationError: One of them is wrong.
    """
    table = Settings(settings, at)
    host = table.text("host", expected='the name of an SMTP server, such as "smtp.example.com"')
    if "/" in host or ":" in host or any(character.isspace() for character in host):
        raise table.wrong("host", "a host name without scheme and port", host, f"write the port as {at}.port")
    security = table.one_of("security", _PORTS, "starttls")
    port = int(table.number("port", _PORTS[security], least=1, most=65535))
    username = table.text("username", "", expected="the name to log in with")
    password = table.text("password", "", expected="the password to log in with", secret=True)
    if bool(username) != bool(password):
        missing = "password" if username else "username"
        raise table.wrong(missing, "both username and password, or neither", None)
    for key, value in (("username", username), ("password", password)):
        if not value.isascii():
            # Python's smtplib encodes logins as ASCII and would fail when the first mail is due.
            raise table.wrong(key, "ASCII characters only", HIDDEN if key == "password" else value)
    sender, sender_name = _sender(table)
    to = table.texts("to", "a list of mail addresses")
    for index, address in enumerate(to):
        if not _ADDRESS.fullmatch(address):
            raise table.wrong(f"to[{index}]", "a mail address", address)
    built = MailChannel(
        host=host,
        port=port,
        security=security,
        sender=sender,
        sender_name=sender_name,
        to=tuple(dict.fromkeys(to)),
        username=username,
        password=password,
        verify=table.flag("verify", True),
        timeout_s=table.number("timeout", TIMEOUT_S, least=1, most=60),
    )
    table.finish()
    return built


def _sender(table: Settings) -> tuple[str, str]:
    """Return address and name of `from`: "huoyan@example.com" or "Huoyan <huoyan@example.com>"."""
    written = table.text("from", expected='a mail address, such as "huoyan@example.com"').strip()
    named = _FROM.fullmatch(written)
    address, name = (named["address"], named["name"] or "Huoyan") if named else (written, "Huoyan")
    if not _ADDRESS.fullmatch(address):
        raise table.wrong("from", 'a mail address, such as "huoyan@example.com"', written)
    return address, name


def _tone(message: Message) -> str:
    return "success" if message.event == "resolved" else _KINDS.get(message.level, "info")
