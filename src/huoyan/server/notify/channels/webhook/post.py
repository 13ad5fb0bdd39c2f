"""A POST of JSON to an address.

Not through Apprise: its JSON service wraps title and text in an envelope of its own and takes further fields only as
flat texts, so alerts and incident could not be sent as they are; and its hook for services of one's own answers yes or
no where the status code has to decide whether to try again. What speaks a service's own language is Apprise's work
(kind `apprise`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from huoyan.errors import Undelivered
from huoyan.server.notify.channel import TIMEOUT_S, hush
from huoyan.server.notify.message import Message
from huoyan.server.notify.settings import HIDDEN, Settings

_TRY_AGAIN = (408, 425, 429)
_LONGEST_ANSWER = 200


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """Where messages are posted. The address counts as a secret: many carry a token."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: bool = True
    timeout_s: float = TIMEOUT_S

    def send(self, message: Message, delivered: Collection[str] = ()) -> None:  # noqa: ARG002 - there is one recipient
        """Post the message; any answer of 2xx means that it was taken. Redirects are not followed.

        Raises:
            Undelivered: No answer, or another one. 4xx are for good but for 408, 425 and 429.
        """
        hush()
        headers = {"User-Agent": "Huoyan", "Idempotency-Key": message.key, **self.headers}
        try:
            answer = httpx.post(
                self.url,
                json=message.body(),
                headers=headers,
                timeout=self.timeout_s,
                verify=self.verify,
                follow_redirects=False,
            )
        except httpx.HTTPError as error:
            raise Undelivered(f"{self.describe()}: {str(error) or type(error).__name__}") from None
        if answer.is_success:
            return
        text = answer.text[:_LONGEST_ANSWER].strip()
        said = f": {text}" if text else ""
        retryable = answer.status_code >= 500 or answer.status_code in _TRY_AGAIN
        raise Undelivered(f"{self.describe()}: {answer.status_code} {answer.reason_phrase}{said}", retryable=retryable)

    def secrets(self) -> Collection[str]:
        """Return the address, what in it may be a token, and the headers' values."""
        parts = urlsplit(self.url)
        pieces = [self.url, parts.password or "", parts.username or "", parts.query]
        if len(parts.path) > 1:
            pieces.append(parts.path)
        return [*pieces, *self.headers.values()]

    def describe(self) -> str:
        """Say which host messages are posted to."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}"


def channel(settings: Mapping[str, Any], at: str) -> WebhookChannel:
    """Check the settings of a webhook receiver.

    Args:
        settings: `url`, `headers` (a table, such as `{ Authorization = "Bearer …" }`), `verify` (default true: the
            certificate has to be valid), `timeout` in seconds (default 10).
        at: How the receiver is called in error messages.

    Raises:
        ConfigurationError: One of them is wrong.
    """
    table = Settings(settings, at)
    url = table.text("url", expected="an address that starts with http:// or https://", secret=True)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise table.wrong("url", "an address that starts with http:// or https://", HIDDEN)
    headers = table.table("headers", "a table of header names and texts")
    for name, value in headers.items():
        if not name.isascii() or any(character in value for character in "\r\n\0"):
            raise table.wrong(f"headers.{name}", "a header on one line", HIDDEN)
    built = WebhookChannel(
        url=url,
        headers=headers,
        verify=table.flag("verify", True),
        timeout_s=table.number("timeout", TIMEOUT_S, least=1, most=60),
    )
    table.finish()
    return built
