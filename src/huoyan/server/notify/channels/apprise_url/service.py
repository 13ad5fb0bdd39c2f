"""Any service that Apprise knows (Slack, Teams, Telegram, WeCom, DingTalk, Feishu, …), by its Apprise address."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from huoyan.server.notify import apprise_call
from huoyan.server.notify.message import Message
from huoyan.server.notify.settings import HIDDEN, Settings

_EXPECTED = 'an Apprise address, such as "wecombot://BOTKEY"'
_KINDS = {"warning": "warning", "critical": "failure"}


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """An Apprise address. All of it but the scheme counts as a secret."""

    url: str = field(repr=False)

    def send(self, message: Message, delivered: Collection[str] = ()) -> None:  # noqa: ARG002 - there is one recipient
        """Send title and text in the service's own form.

        Raises:
            Undelivered: It did not arrive.
        """
        kind = "success" if message.event == "resolved" else _KINDS.get(message.level, "info")
        apprise_call.send(self.url, message.title, message.text, "text", kind)

    def secrets(self) -> Collection[str]:
        """Return the address and each of its parts."""
        parts = urlsplit(self.url)
        pieces = [parts.netloc, parts.username, parts.password, *parts.path.split("/"), parts.query]
        # Short words such as a host name's "com" are no secrets, and masking them would make errors unreadable.
        known = {text for piece in pieces if piece for text in (piece, unquote(piece)) if len(text) >= 6}
        return [self.url, *known]

    def describe(self) -> str:
        """Say which kind of service it is."""
        return f"{self.url.partition('://')[0]}://…"


def channel(settings: Mapping[str, Any], at: str) -> AppriseChannel:
    """Check the settings of a receiver given by an Apprise address.

    Args:
        settings: `url`, as https://appriseit.com lists them for each service.
        at: How the receiver is called in error messages.

    Raises:
        ConfigurationError: No service of Apprise understands it.
    """
    table = Settings(settings, at)
    url = table.text("url", expected=_EXPECTED, secret=True)
    table.finish()
    if apprise_call.service(url) is None:
        scheme = url.partition("://")[0] if "://" in url else ""
        got = f"{scheme}://{HIDDEN}" if scheme.isalnum() else HIDDEN
        raise table.wrong("url", f"{_EXPECTED}, that a service of Apprise understands", got)
    return AppriseChannel(url)
