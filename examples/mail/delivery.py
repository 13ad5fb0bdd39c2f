"""Mails wait in a Huey queue in an SQLite file, the urgent ones in front, and leave over SMTP."""

import smtplib
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import cache
from typing import Any

from huey import SqliteHuey

import huoyan
from examples.mail.settings import settings
from examples.mail.templates import render
from examples.naming import named

PRIORITIES = {"high": 20, "normal": 10, "low": 0}
TIMEOUT_S = 10.0

queue = SqliteHuey(
    "mail", filename=str(settings().data_dir / "queue.sqlite3"), results=False, fsync=False, strict_fifo=True
)
huoyan.watch(queue)


@queue.on_startup()
@cache
def tell() -> None:
    """Say that the consumer works: each of its threads calls this."""
    print("the consumer of the mails is ready", flush=True)


class MailRefused(Exception):
    """The relay refused the mail."""


@queue.task(retries=2, retry_delay=4)
@named("mail.send")
def send(to: str, template: str, values: dict[str, str], client: str, region: str, urgency: str) -> dict[str, Any]:
    """Send one mail. What the relay refuses is tried twice more: most refusals are for a moment.

    Args:
        to: The recipient.
        template: Which mail.
        values: What goes into it.
        client: Which program asked for it: web, app, partner, unknown.
        region: Where the recipient is: cn, eu, us.
        urgency: high, normal or low. The name `priority` belongs to Huey.
    """
    subject, text = render(template, values)
    message = EmailMessage()
    message["From"] = settings().sender
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="teahouse.example")
    message["X-Client"] = client
    message["X-Priority"] = {"high": "1", "normal": "3", "low": "5"}[urgency]
    message.set_content(text)
    try:
        with smtplib.SMTP(
            settings().smtp_host, settings().smtp_port, local_hostname="mail.teahouse.example", timeout=TIMEOUT_S
        ) as relay:
            relay.send_message(message)
    except (smtplib.SMTPException, OSError) as error:
        raise MailRefused(_reason(error)) from None
    return {"template": template, "client": client, "region": region, "bytes": len(message.as_bytes())}


def enqueue(to: str, template: str, values: dict[str, str], *, client: str, region: str, urgency: str) -> str:
    """Put a mail into the queue, before everything that is less urgent, and return its id; arguments as for `send`."""
    task = send.s(to, template, values, client=client, region=region, urgency=urgency, priority=PRIORITIES[urgency])
    queue.enqueue(task)
    return str(task.id)


@queue.task(priority=PRIORITIES["normal"])
@named("mail.send_newsletter")
def send_newsletter(recipients: list[str]) -> dict[str, int]:
    """Put one mail for each recipient into the queue, behind everything else."""
    for to in recipients:
        enqueue(to, "newsletter", {}, client="web", region="eu", urgency="low")
    return {"recipients": len(recipients)}


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        told = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"relay answered {error.smtp_code}: {told}"
    return f"relay: {error}"
