"""Telling the customer, through the mail service."""

import logging
from functools import cache

import httpx

import huoyan
from examples.orders.settings import settings

TIMEOUT_S = 3.0
LIMITS = httpx.Limits(keepalive_expiry=2.0)
"""Idle connections are given up before the other side does so, which could be in the middle of a request."""

_log = logging.getLogger(__name__)


class MailServiceDown(Exception):
    """The mail service did not take the mail."""


def confirm(order_id: str, email: str, title: str, total_cents: int) -> str:
    """Hand the confirmation of an order to the mail service.

    Returns:
        The id under which the mail service knows it; "logged" when there is no mail service.

    Raises:
        MailServiceDown: It did not take it; asking again is safe enough, at worst the customer reads it twice.
    """
    if not settings().mail_url:
        _log.info("order %s is on its way", order_id)
        return "logged"
    body = {
        "to": email,
        "template": "order-confirmation",
        "region": "cn" if email.endswith(".cn") else "eu",
        "priority": "high",
        "values": {"order": order_id, "title": title, "total": f"{total_cents / 100:.2f}"},
    }
    try:
        answer = _client().post("/send", json=body, headers={"X-Client": "web"}).raise_for_status()
    except httpx.HTTPError as error:
        raise MailServiceDown(f"mail service: {error}") from None
    return str(answer.json()["id"])


@cache
def _client() -> httpx.Client:
    return huoyan.watch(httpx.Client(base_url=settings().mail_url, timeout=TIMEOUT_S, limits=LIMITS))
