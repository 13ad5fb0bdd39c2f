"""The payment provider as the shop sees it: an HTTP service that is slow now and then, and sometimes away."""

import random
import time
from functools import cache

import httpx

import huoyan
from examples.orders.settings import settings

TIMEOUT_S = 1.5
LIMITS = httpx.Limits(keepalive_expiry=2.0)
"""Idle connections are given up before the other side does so, which could be in the middle of a request."""


class PaymentTimeout(Exception):
    """The provider did not answer in time."""


class PaymentProviderDown(Exception):
    """The provider answered that it cannot serve anybody, or does not answer at all."""


def charge(order_id: str, amount_cents: int, method: str, card: str) -> str:
    """Ask the provider for the money.

    Args:
        order_id: Makes the request idempotent: the provider charges an order once.
        amount_cents: How much, in cents.
        method: card, wallet or transfer.
        card: Number of the card; empty for other methods.

    Returns:
        "paid" or "declined".

    Raises:
        PaymentTimeout: No answer in time; asking again is safe.
        PaymentProviderDown: It is out of order.
    """
    if not settings().payment_url:
        return _charge_inside()
    body = {"order_id": order_id, "amount_cents": amount_cents, "method": method, "card": card}
    try:
        answer = _client().post("/charges", json=body)
    except httpx.TimeoutException:
        raise PaymentTimeout(f"no answer from the payment provider within {TIMEOUT_S:g} s") from None
    except httpx.TransportError as error:
        raise PaymentProviderDown(f"payment provider cannot be reached: {error}") from None
    if answer.status_code >= 500:
        raise PaymentProviderDown(f"payment provider answered {answer.status_code}: {answer.json()['error']}")
    return str(answer.json()["status"])


def _charge_inside() -> str:
    """Play the provider's part: mostly quick, one in fifty too slow, one in fifty declined."""
    fate = random.random()
    if fate < 0.02:
        time.sleep(TIMEOUT_S)
        raise PaymentTimeout(f"no answer from the payment provider within {TIMEOUT_S:g} s")
    time.sleep(min(random.lognormvariate(-2.1, 0.5), 1.0))
    return "declined" if fate < 0.04 else "paid"


@cache
def _client() -> httpx.Client:
    return huoyan.watch(httpx.Client(base_url=settings().payment_url, timeout=TIMEOUT_S, limits=LIMITS))
