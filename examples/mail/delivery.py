"""Mails leave over SMTP, as tasks of the queue."""

import smtplib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import cache
from time import perf_counter
from typing import Any

import huoyan
from examples.mail.figures import Kind, count_newsletter, counted
from examples.mail.settings import settings
from examples.mail.templates import render
from examples.mail.waiting import PRIORITIES, queue
from examples.naming import named

TIMEOUT_S = 10.0
BATCH = 20
"""Mails of a newsletter that leave over one connection."""

huoyan.watch(smtplib.SMTP)


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
    kind = Kind(client, region, template, urgency)
    message = compose(to, kind, values)
    with counted(kind):
        try:
            with relay() as connection:
                connection.send_message(message)
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
def send_newsletter(recipients: list[str], campaign: str, client: str, region: str) -> dict[str, int]:
    """Put the mails of a newsletter into the queue, batch by batch, behind everything else."""
    batches = [recipients[begin : begin + BATCH] for begin in range(0, len(recipients), BATCH)]
    for batch in batches:
        queue.enqueue(send_batch.s(batch, campaign, client, region, priority=PRIORITIES["low"]))
    return {"recipients": len(recipients), "batches": len(batches)}


@queue.task()
@named("mail.send_batch")
def send_batch(recipients: list[str], campaign: str, client: str, region: str) -> dict[str, int]:
    """Send a newsletter to some over one connection, and count them in one go. What is refused is not tried again."""
    kind = Kind(client, region, "newsletter", "low")
    took_s: list[float] = []
    refused = 0
    reason = ""
    with relay() as connection:
        for number, to in enumerate(recipients, 1):
            began = perf_counter()
            try:
                connection.send_message(compose(to, kind, {}))
            except smtplib.SMTPResponseException as error:
                refused, reason = refused + 1, _reason(error)
            took_s.append(perf_counter() - began)
            huoyan.progress(number, len(recipients))
    count_newsletter(kind, campaign, took_s, refused)
    if refused:
        raise MailRefused(f"{refused} of {len(recipients)}: {reason}")
    return {"sent": len(recipients)}


def compose(to: str, kind: Kind, values: Mapping[str, str]) -> EmailMessage:
    """Write a mail."""
    subject, text = render(kind.template, values)
    message = EmailMessage()
    message["From"] = settings().sender
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="teahouse.example")
    message["X-Client"] = kind.client
    message["X-Priority"] = {"high": "1", "normal": "3", "low": "5"}[kind.priority]
    message.set_content(text)
    return message


@contextmanager
def relay() -> Iterator[smtplib.SMTP]:
    """Open a connection to the relay, encrypted and with a login where the settings name one."""
    given = settings()
    with smtplib.SMTP(
        given.smtp_host, given.smtp_port, local_hostname="mail.teahouse.example", timeout=TIMEOUT_S
    ) as connection:
        if given.smtp_username:
            connection.starttls(context=_trusted())
            connection.login(given.smtp_username, given.smtp_password)
        yield connection


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings().smtp_certificate or None)


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        told = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"relay answered {error.smtp_code}: {told}"
    return f"relay: {error}"
