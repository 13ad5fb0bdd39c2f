"""Mails as the demonstration's relay keeps them."""

import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

KEPT = 500


@dataclass(frozen=True)
class Mail:
    """One mail that arrived. `at` in seconds since 1970 UTC; `alert`: it came from Huoyan."""

    id: int
    at: float
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str
    alert: bool


class Post:
    """Keeps the newest mails, alerts apart from the rest, so that the many do not push out the few.

    Args:
        alerts_to: The address that alerts go to.
        kept: How many of each are kept (default 500).
    """

    def __init__(self, alerts_to: str, kept: int = KEPT) -> None:
        self._alerts_to = alerts_to
        self._alerts: deque[Mail] = deque(maxlen=kept)
        self._others: deque[Mail] = deque(maxlen=kept)
        self._next_id = 1
        self._lock = threading.Lock()
        self.refused_count = 0

    def is_alert(self, recipients: Collection[str]) -> bool:
        """Tell whether a mail to these addresses is an alert."""
        return self._alerts_to in recipients

    def keep(self, content: bytes, sender: str, recipients: Collection[str], at: float) -> Mail:
        """Keep a mail.

        Args:
            content: The message as it came over the wire.
            sender: From the envelope.
            recipients: From the envelope.
            at: Seconds since 1970 UTC.
        """
        message = message_from_bytes(content, policy=policy.default)
        with self._lock:
            mail = Mail(
                id=self._next_id,
                at=at,
                sender=sender,
                recipients=tuple(recipients),
                subject=str(message["Subject"] or ""),
                text=_part(message, "plain"),
                html=_part(message, "html"),
                alert=self.is_alert(recipients),
            )
            self._next_id += 1
            (self._alerts if mail.alert else self._others).append(mail)
        return mail

    def alerts(self, after_id: int = 0) -> list[Mail]:
        """Return the alerts that came after a mail, newest first."""
        with self._lock:
            return [mail for mail in reversed(self._alerts) if mail.id > after_id]

    def others(self, after_id: int = 0) -> list[Mail]:
        """Return the other mails, likewise."""
        with self._lock:
            return [mail for mail in reversed(self._others) if mail.id > after_id]

    def find(self, mail_id: int) -> Mail | None:
        """Return a mail, None when it was never there or is not kept any more."""
        with self._lock:
            return next((mail for mails in (self._alerts, self._others) for mail in mails if mail.id == mail_id), None)


def _part(message: EmailMessage | object, kind: str) -> str:
    if not isinstance(message, EmailMessage):
        return ""
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError):
        return ""
