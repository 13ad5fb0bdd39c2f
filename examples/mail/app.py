"""The mail service's web application.

HUOYAN_URL=http://127.0.0.1:8650 SMTP_PORT=1025 uvicorn examples.mail.app:app --port 8002
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Literal

from fastapi import BackgroundTasks, FastAPI, Header, HTTPException
from huey.consumer import Consumer
from pydantic import BaseModel, Field

import huoyan
from examples.mail.delivery import enqueue, send_newsletter
from examples.mail.figures import CLIENTS
from examples.mail.settings import settings
from examples.mail.templates import TEMPLATES, render
from examples.mail.waiting import queue, watch_backlog
from examples.naming import named

Client = Annotated[str, Header(alias="X-Client", max_length=100)]
Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=200)]


class Mail(BaseModel):
    """A mail to send."""

    to: Address
    template: Literal["order-confirmation", "welcome", "password-reset"]
    region: Literal["cn", "eu", "us"] = "eu"
    priority: Literal["high", "normal", "low"] = "normal"
    values: dict[str, str] = Field(default_factory=dict, max_length=20)


class Newsletter(BaseModel):
    """The same mail for many."""

    recipients: Annotated[list[Address], Field(min_length=1, max_length=1000)]
    campaign: str = Field("spring", max_length=100)
    region: Literal["cn", "eu", "us"] = "eu"


class Accepted(BaseModel):
    """What the caller gets back at once."""

    id: str
    client: str


class EmbeddedConsumer(Consumer):
    """A Huey consumer of threads that leaves the signals to the web server."""

    def _set_signal_handlers(self) -> None:
        """Do nothing: uvicorn has its own."""


@contextmanager
def embedded_consumer() -> Iterator[None]:
    """Work off the queue inside this process, where the settings ask for it."""
    if not settings().all_in_one:
        yield
        return
    consumer = EmbeddedConsumer(queue, workers=2, initial_delay=0.05, max_delay=0.3, periodic=False)
    consumer.start()
    try:
        yield
    finally:
        consumer.stop(graceful=True)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Start what belongs to the application, and stop it in the end."""
    with embedded_consumer():
        yield


app = FastAPI(title="Mail", lifespan=lifespan)
# Looking at a template is nobody's mail, and /healthz is asked all the time.
huoyan.watch(app, exclude=["/healthz", "/previews/*"])
watch_backlog()


def known(client: str) -> str:
    """Return the name of a client as it goes into labels: a header may say anything."""
    return client if client in CLIENTS else "unknown"


@app.post("/send", status_code=202)
def send_mail(mail: Mail, background: BackgroundTasks, x_client: Client = "") -> Accepted:
    """Take a mail. It leaves later, the urgent ones first."""
    client = known(x_client)
    mail_id = enqueue(mail.to, mail.template, mail.values, client=client, region=mail.region, urgency=mail.priority)
    background.add_task(count_quota, client)
    return Accepted(id=mail_id, client=client)


@app.post("/newsletters", status_code=202)
def start_newsletter(newsletter: Newsletter, x_client: Client = "") -> dict[str, int]:
    """Send the newsletter to many, behind everything else."""
    send_newsletter(newsletter.recipients, newsletter.campaign, known(x_client), newsletter.region)
    return {"recipients": len(newsletter.recipients)}


@app.get("/previews/{template}")
def preview(template: str) -> dict[str, str]:
    """Show what a mail says."""
    if template not in TEMPLATES:
        raise HTTPException(404, f"expected one of {', '.join(TEMPLATES)}")
    subject, text = render(template, {})
    return {"subject": subject, "text": text}


@named("mail.count_quota")
async def count_quota(client: str) -> dict[str, int]:
    """Count what a client has sent, for its bill."""
    _quota[client] = _quota.get(client, 0) + 1
    return {"sent": _quota[client]}


_quota: dict[str, int] = {}


@app.get("/healthz")
def healthz() -> dict[str, int]:
    """Say that it works, and how many mails wait."""
    return {"waiting": queue.pending_count()}
