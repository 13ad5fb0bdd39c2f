"""Call an Apprise service and find out why it failed.

Apprise answers yes or no; the reason goes to its log, half of it at DEBUG level. So its log is read while the call
lasts, by a handler that listens to this thread alone, and kept away from the server's own log, where it could show
addresses and passwords that nobody scrubbed.
"""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import apprise

from huoyan.errors import Undelivered
from huoyan.server.notify.channel import hush

if TYPE_CHECKING:
    from apprise import NotifyBase

ASSET = apprise.AppriseAsset(
    app_id="Huoyan",
    app_desc="Huoyan",
    app_url="",
    # A redirect would carry the message, and the credentials in it, to a host that nobody configured.
    http_redirects=False,
)
"""How Apprise introduces us."""

_LOG = logging.getLogger("apprise")
_NOISE = ("Socket Exception: ", "A Connection error occurred sending ")
_ANSWER = re.compile(r"""\((\d{3}), b?(['"])(.*?)\2\)""")
_SMTP_CODE = re.compile(r"(?:^|[ (:])([45]\d\d)[ ,]")
_HTTP_CODE = re.compile(r"error=(\d{3})\b")


class _Reader(logging.Handler):
    """Keeps what this thread logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._thread = threading.get_ident()
        self.records: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self.records) < 200:
            self.records.append((record.levelno, record.getMessage()))


@contextmanager
def reading() -> Iterator[list[tuple[int, str]]]:
    """Give the (level, text) of what Apprise logs in this thread meanwhile."""
    hush()
    _LOG.setLevel(logging.DEBUG)
    _LOG.propagate = False
    reader = _Reader()
    _LOG.addHandler(reader)
    try:
        yield reader.records
    finally:
        _LOG.removeHandler(reader)


def service(settings: dict[str, Any] | str) -> "NotifyBase | None":
    """Return a service from its settings or its address, None when Apprise cannot make one of them.

    A service is made anew for each message: Apprise makes one wait 5 s between two messages.
    """
    with reading():
        return apprise.Apprise.instantiate(settings, asset=ASSET)


def send(settings: dict[str, Any] | str, title: str, body: str, body_format: str, kind: str) -> None:
    """Send one message through a service.

    Args:
        settings: The service's settings or its address.
        title: Subject.
        body: The text.
        body_format: `text`, `html` or `markdown`.
        kind: `info`, `success`, `warning` or `failure`: chooses colours and icons.

    Raises:
        Undelivered: It did not arrive; retryable unless the other side refused for good.
    """
    plugin = service(settings)
    if plugin is None:
        raise Undelivered("the settings were not understood", retryable=False)
    with reading() as records:
        try:
            arrived = plugin.notify(
                body=body,
                title=title,
                notify_type=apprise.NotifyType(kind),
                body_format=apprise.NotifyFormat(body_format),
            )
        except Exception as error:  # noqa: BLE001 - plugins raise what they please; all of it means that nothing arrived
            records.append((logging.WARNING, f"{type(error).__name__}: {error}"))
            arrived = False
    if not arrived:
        text = reason(records)
        raise Undelivered(text, retryable=not refused_for_good(text))


def reason(records: list[tuple[int, str]]) -> str:
    """Make one sentence of what was logged: the warnings, then what the other side or the network said."""
    said: list[str] = []
    details = [text for level, text in records if level <= logging.DEBUG and text.startswith("Socket Exception: ")]
    for text in [*(text for level, text in records if level >= logging.WARNING), *details]:
        for noise in _NOISE:
            text = text.removeprefix(noise)
        text = _ANSWER.sub(lambda found: f"{found[1]} {found[3]}", text).strip(" .")
        if text and text not in said:
            said.append(text)
    return ": ".join(said)[:500] or "it was refused without a reason"


def refused_for_good(text: str) -> bool:
    """Return whether the same message will never be taken: SMTP 5xx, HTTP 4xx but for 408, 425 and 429."""
    smtp = _SMTP_CODE.search(text)
    if smtp is not None and smtp[1].startswith("5") and "error=" not in text:
        return True
    http = _HTTP_CODE.search(text)
    return http is not None and http[1].startswith("4") and http[1] not in ("408", "425", "429")
