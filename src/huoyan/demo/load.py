"""The customers of the demonstration, a process of its own: orders, mails, now and then a newsletter.

    python -m huoyan.demo.load --orders-url http://127.0.0.1:8653 --mail-url http://127.0.0.1:8654

Arrivals are random, as those of customers are, with a swell that takes two minutes to come and go.
"""

import argparse
import asyncio
import math
import random
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

ORDERS_PER_S = 5.0
MAILS_PER_S = 1.5
SWELL_S = 120.0
SWELL_SHARE = 0.3
NEWSLETTER_EVERY_S = 45.0
NEWSLETTER_RECIPIENTS = 60
_TIMEOUT_S = 10.0

_SKUS = ("TEA-LONGJING-100", "TEA-PUER-357", "TEA-JASMINE-100", "POT-YIXING-200", "CUP-CELADON-2", "TRAY-BAMBOO")
_NAMES = ("Ada", "Chen Wei", "Grace", "Li Na", "Linus", "Margaret", "Sun Yu", "Wang Fang", "Zhang Min")
_DOMAINS = ("customers.example", "mail.cn", "post.example")
_CAMPAIGNS = ("spring teas", "new teapots", "winter sale")
_REFERRERS = ("https://search.example/", "https://news.example/tea", "")


def order() -> dict[str, Any]:
    """Make up an order. One in fifty asks for something that is not sold."""
    name = random.choice(_NAMES)
    return {
        "customer": name,
        "email": f"{name.lower().replace(' ', '.')}@{random.choice(_DOMAINS)}",
        "sku": "TEA-UNKNOWN" if random.random() < 0.02 else random.choice(_SKUS),
        "quantity": random.choice((1, 1, 1, 2, 2, 3)),
        "method": random.choices(("card", "wallet", "transfer"), (6, 3, 1))[0],
    }


def mail() -> tuple[dict[str, Any], dict[str, str]]:
    """Make up a mail and the headers it is asked for with; one in ten callers does not say who it is."""
    template = random.choice(("welcome", "password-reset"))
    name = random.choice(_NAMES)
    body = {
        "to": f"{name.lower().replace(' ', '.')}@{random.choice(_DOMAINS)}",
        "template": template,
        "region": random.choice(("cn", "eu", "eu", "us")),
        "priority": "high" if template == "password-reset" else "normal",
        "values": {"name": name},
    }
    client = random.choices(("web", "app", "partner", ""), (3, 4, 2, 1))[0]
    return body, {"X-Client": client} if client else {}


def rate(base_per_s: float, at_s: float) -> float:
    """Return how many arrive per second at a moment.

    Args:
        base_per_s: The mean over a swell.
        at_s: Seconds since the beginning.
    """
    return base_per_s * (1.0 + SWELL_SHARE * math.sin(2 * math.pi * at_s / SWELL_S))


class Customers:
    """Keeps coming until the process is told to end; what goes wrong at the other end does not stop them."""

    def __init__(self, client: httpx.AsyncClient, orders_url: str, mail_url: str) -> None:
        self._client = client
        self._orders_url = orders_url
        self._mail_url = mail_url
        self._open: set[asyncio.Task[None]] = set()

    async def come(self, per_s: float, visit: Callable[[], Awaitable[None]]) -> None:
        """Let visits happen at random moments, `per_s` in a second on average."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(random.expovariate(rate(per_s, time.monotonic() - began)))
            if len(self._open) < 50:
                task = asyncio.create_task(self._quietly(visit))
                self._open.add(task)
                task.add_done_callback(self._open.discard)

    async def place_order(self) -> None:
        """Order something."""
        headers = {"Referer": random.choice(_REFERRERS)}
        await self._client.post(f"{self._orders_url}/orders", json=order(), headers=headers)

    async def ask_for_mail(self) -> None:
        """Have a mail sent."""
        body, headers = mail()
        await self._client.post(f"{self._mail_url}/send", json=body, headers=headers)

    async def newsletters(self) -> None:
        """Have a newsletter sent every now and then."""
        while True:
            await asyncio.sleep(NEWSLETTER_EVERY_S)
            await self._quietly(self._send_newsletter)

    async def _send_newsletter(self) -> None:
        readers = [f"reader{number}@customers.example" for number in range(NEWSLETTER_RECIPIENTS)]
        body = {"recipients": readers, "campaign": random.choice(_CAMPAIGNS)}
        await self._client.post(f"{self._mail_url}/newsletters", json=body, headers={"X-Client": "web"})

    async def _quietly(self, visit: Callable[[], Awaitable[None]]) -> None:
        try:
            await visit()
        except httpx.HTTPError as error:
            print(f"{type(error).__name__}: {error}", flush=True)  # the log file of this process


async def open_for_business(client: httpx.AsyncClient, url: str, ended: asyncio.Event) -> None:
    """Wait until an application answers, or until the process is told to end."""
    while not ended.is_set():
        try:
            if (await client.get(f"{url}/healthz")).is_success:
                return
        except httpx.HTTPError:
            pass
        await asyncio.sleep(0.2)


async def run(orders_url: str, mail_url: str, orders_per_s: float, mails_per_s: float) -> None:
    """Send customers until the process is told to end."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    # Servers close idle connections after five seconds; one that is about to be closed is not used again.
    limits = httpx.Limits(keepalive_expiry=2.0)
    async with httpx.AsyncClient(timeout=_TIMEOUT_S, limits=limits) as client:
        for url in (orders_url, mail_url):
            await open_for_business(client, url, ended)
        customers = Customers(client, orders_url, mail_url)
        coming = [
            asyncio.create_task(customers.come(orders_per_s, customers.place_order)),
            asyncio.create_task(customers.come(mails_per_s, customers.ask_for_mail)),
            asyncio.create_task(customers.newsletters()),
        ]
        print("the customers are coming", flush=True)
        await ended.wait()
        for task in coming:
            task.cancel()
        await asyncio.gather(*coming, return_exceptions=True)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="The customers of the demonstration.")
    parser.add_argument("--orders-url", required=True)
    parser.add_argument("--mail-url", required=True)
    parser.add_argument("--orders-per-s", type=float, default=ORDERS_PER_S)
    parser.add_argument("--mails-per-s", type=float, default=MAILS_PER_S)
    given = parser.parse_args()
    asyncio.run(run(given.orders_url, given.mail_url, given.orders_per_s, given.mails_per_s))


if __name__ == "__main__":
    main()
