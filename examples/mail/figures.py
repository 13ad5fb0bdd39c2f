"""What the mail service counts of its own, beside what Huoyan counts of requests, tasks, Redis and SMTP.

Labels hold one of few values: 4 clients, 2 outcomes, 3 regions, 4 templates and 3 priorities are at most 288 series,
and a recipient is never one of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter

import huoyan

CLIENTS = frozenset({"web", "app", "partner"})
"""Programs that are known; whoever else asks is `unknown`."""

sent = huoyan.counter(
    "mails_sent",
    "Mails handed to the relay, by how it went; what is tried again counts again.",
    labels=("client", "status", "region", "template", "priority"),
)
duration = huoyan.distribution("mail_send_seconds", "How long the relay took for a mail.", labels=("client",))
in_progress = huoyan.gauge("mails_in_progress", "Mails that are being handed to the relay.", labels=("client",))
campaigns = huoyan.counter("newsletter_mails", "Mails of newsletters by campaign.", labels=("campaign",))
"""People choose the names of campaigns, so this is where a label could get out of hand."""


@dataclass(frozen=True)
class Kind:
    """What is told apart of mails.

    Attributes:
        client: Which program asked for it: web, app, partner, unknown.
        region: Where the recipient is: cn, eu, us.
        template: Which mail.
        priority: high, normal or low.
    """

    client: str
    region: str
    template: str
    priority: str


@contextmanager
def counted(kind: Kind) -> Iterator[None]:
    """Count one mail, a success unless the block raises."""
    in_progress.add(1, client=kind.client)
    began, status = perf_counter(), "failure"
    try:
        # An operation for each of the four clients: the success rate of each is a signal.
        with huoyan.operation(f"send for {kind.client}"):
            yield
        status = "success"
    finally:
        in_progress.add(-1, client=kind.client)
        huoyan.record_many(
            [
                (duration, perf_counter() - began, {"client": kind.client}),
                (sent, 1, {**asdict(kind), "status": status}),
            ]
        )


def count_newsletter(kind: Kind, campaign: str, seconds: Sequence[float], refused: int) -> None:
    """Count a whole batch at once.

    Args:
        kind: Of every mail in it.
        campaign: What the newsletter is for, as somebody called it.
        seconds: How long each mail took.
        refused: How many of them the relay refused.
    """
    about = asdict(kind)
    sent.add_many(
        [
            ({**about, "status": "success"}, len(seconds) - refused),
            ({**about, "status": "failure"}, refused),
        ]
    )
    duration.observe_many(({"client": kind.client}, one) for one in seconds)
    campaigns.add(len(seconds), campaign=campaign)
