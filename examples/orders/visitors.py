"""People who look at the shop: most ask what was ordered in the last hour, some what they ordered themselves."""

import random
import threading
import time
from collections.abc import Callable

import httpx

THREADS = 4
PAUSE_S = 0.06
"""What each of them thinks between two requests, on average."""
SEARCHING = 1 / 20
"""Share of the requests that search for an address, while any do."""


class Visitors:
    """Keep asking until the block is left; while the shop is away they come back later.

    Args:
        url: The shop.
        address: Makes up an address to search for.

    Attributes:
        searching: Whether some of them search for an address.
    """

    def __init__(self, url: str, address: Callable[[], str]) -> None:
        self.searching = False
        self._url = url
        self._address = address
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._come, daemon=True) for _ in range(THREADS)]

    def __enter__(self) -> "Visitors":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _come(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30.0) as client:
            while not self._over.is_set():
                search = self.searching and random.random() < SEARCHING
                try:
                    client.get("/orders", params={"email": self._address()} if search else {})
                except httpx.HTTPError:
                    time.sleep(0.2)
                self._over.wait(random.expovariate(1 / PAUSE_S))
