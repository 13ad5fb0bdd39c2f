"""Find why it is slow: a shop with a million orders and no index on the address, before and after.

    python -m examples.orders.story --database sqlite
    python -m examples.orders.story --database postgresql://shop@127.0.0.1/empty_database

The shop is started in version 1.0 with people who ask for what an index serves. Then some of them search for an
address. Huoyan is asked what is slow, without being told where to look. The index is made, version 1.1 goes live, and
Huoyan is asked again.
"""

import argparse
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from examples.orders import history
from examples.orders.database import connect
from examples.orders.visitors import Visitors

ENDPOINT = "GET /orders"
OWN_CODE = "own code"
WINDOW_S = 15.0
PATIENCE_S = 120.0


@dataclass
class Findings:
    """What the story showed.

    Attributes:
        load_s: How long loading the orders took, in seconds.
        accused_before: What Huoyan named while no statement was slow: nothing, or the code itself.
        named_after_s: Seconds from the first slow request until Huoyan named a cause first.
        cause: That cause, as the API told it.
        index_s: How long making the index took, in seconds.
        before: Seconds by percentile of the endpoint while it was slow: p50, p95, p99.
        after: The same with the index.
        searching_at: When people began to search, seconds since 1970 UTC.
        deployed_at: When the new version answered.
    """

    load_s: float = 0.0
    accused_before: list[dict[str, Any]] = field(default_factory=list)
    named_after_s: float = 0.0
    cause: dict[str, Any] = field(default_factory=dict)
    index_s: float = 0.0
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    searching_at: float = 0.0
    deployed_at: float = 0.0


class Huoyan:
    """What is asked of a Huoyan server about the shop.

    Args:
        url: Its address.
        service: The name that the shop has there.
    """

    def __init__(self, url: str, service: str) -> None:
        self.url = url
        self.service = service

    def causes(self, since: float) -> dict[str, Any]:
        """Ask what makes any endpoint of the shop slow."""
        return self._get("/causes", service=self.service, since=f"-{time.time() - since:.1f}s")

    def percentiles(self, length_s: float) -> dict[str, float]:
        """Ask for P50, P95 and P99 of the endpoint, over the last seconds; those that are not known are left out."""
        found = {}
        for name in ("p50", "p95", "p99"):
            answer = self._get(
                f"/signals/http_latency_{name}",
                service=self.service,
                label="endpoint=/orders",
                by="method",
                window_s=f"{length_s:.0f}",
                since="-1m",
            )
            for item in answer["now"]:
                if item["labels"] == {"method": "GET"} and item["value"] is not None:
                    found[name] = float(item["value"])
        return found

    def wait(self) -> None:
        """Wait until it answers."""
        until(lambda: answers(f"{self.url}/readyz"), "Huoyan to answer")

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.url}/api/v1{path}", params=query, timeout=30.0)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


class Story:
    """The shop, its database and Huoyan, for one telling.

    Args:
        huoyan: The server that watches.
        database: `sqlite`, or the address of a PostgreSQL without a table `orders`.
        folder: Where files go.
        orders: How many there are.
        say: Told what happens.
    """

    def __init__(
        self,
        huoyan: Huoyan,
        database: str,
        folder: Path,
        orders: int = history.ORDERS,
        say: Callable[[str], None] = print,
    ) -> None:
        self._huoyan = huoyan
        self._folder = folder
        self._orders = orders
        self._say = say
        self._address = "" if database == "sqlite" else database
        self._engine = connect(self._address or f"sqlite:///{folder / 'orders.sqlite3'}")
        self._port = free_port()

    def tell(self, keep: bool = False) -> Findings:
        """Play it from the beginning to the end.

        Args:
            keep: Leave everything running until Ctrl-C, to look at the page.

        Raises:
            TimeoutError: Something did not come about in two minutes.
        """
        found = Findings()
        began = time.monotonic()
        history.load(self._engine, self._orders)
        found.load_s = time.monotonic() - began
        self._say(f"{self._orders:,} orders are in {self._engine.dialect.name}, after {found.load_s:.1f} s.")
        try:
            with ExitStack() as stack:
                shop = stack.enter_context(self._shop("1.0"))
                visitors = stack.enter_context(Visitors(f"http://127.0.0.1:{self._port}", self._anybody))
                self._quiet(found)
                visitors.searching = True
                self._slow(found)
                self._mend(found)
                end(shop)
                stack.enter_context(self._shop("1.1"))
                self._better(found)
                if keep:
                    self._say(f"Everything goes on; look at {self._huoyan.url}. Ctrl-C ends it.")
                    while True:
                        time.sleep(60)
        finally:
            history.remove(self._engine)
            self._engine.dispose()
        return found

    def _quiet(self, found: Findings) -> None:
        """Wait for a verdict on traffic in which nothing is slow."""
        began = time.time()
        self._say("Version 1.0 is up. Everybody asks for the last hour.")

        answer: dict[str, Any] = {}

        def judged() -> bool:
            answer.update(self._huoyan.causes(max(began, time.time() - WINDOW_S)))
            found.accused_before = answer["items"]
            # Where the machine has other work, requests wait for the processor now and then: that is own code.
            return _is_judged(answer) and all(item["component"] == OWN_CODE for item in answer["items"])

        until(judged, "Huoyan to have seen enough and to name no table", lambda: str(answer))
        told = [item["sentence"] for item in found.accused_before] or ["Huoyan names no cause."]
        self._say(f"{' '.join(told)} {spans(self._huoyan.percentiles(WINDOW_S))}".rstrip())

    def _slow(self, found: Findings) -> None:
        """Wait until the table is named first."""
        found.searching_at = time.time()
        began = time.monotonic()
        self._say("Now one request in thirty searches for an address.")
        seen: dict[str, Any] = {}

        def named() -> bool:
            # As somebody asks who knows that it became slow just now, and not when.
            seen.update(self._huoyan.causes(time.time() - 30.0))
            return bool(seen["items"]) and seen["items"][0]["component"] != OWN_CODE

        until(named, "a cause", lambda: str(seen.get("compared")))
        found.named_after_s = time.monotonic() - began
        found.cause = seen["items"][0]
        self._say(f"After {found.named_after_s:.1f} s Huoyan says of {found.cause['endpoint']}:")
        self._say(f"    {found.cause['sentence']}")

        def counted() -> bool:
            # The figures of a process follow within its report interval, 10 s unless set otherwise.
            found.before = self._huoyan.percentiles(time.time() - found.searching_at)
            return found.before.get("p99", 0.0) > float(found.cause["slow_s"]) / 2

        until(counted, "percentiles", lambda: str(found.before))
        self._say(spans(found.before))

    def _mend(self, found: Findings) -> None:
        began = time.monotonic()
        history.add_index(self._engine)
        found.index_s = time.monotonic() - began
        self._say(f"CREATE INDEX orders_email ON orders (email): {found.index_s:.1f} s. Version 1.1 goes live.")

    def _better(self, found: Findings) -> None:
        found.deployed_at = time.time()

        def fallen() -> bool:
            found.after = self._huoyan.percentiles(max(5.0, time.time() - found.deployed_at - 5.0))
            return found.after.get("p99", PATIENCE_S) < found.before["p99"] / 2

        until(fallen, "P99 to fall", lambda: f"{found.before} {found.after}")
        self._say(f"P99 was {span(found.before['p99'])} before, and is {span(found.after['p99'])} now.")
        self._say(spans(found.after))

    @contextmanager
    def _shop(self, version: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run the shop's web process until the end of the block."""
        env = {
            **os.environ,
            "HUOYAN_URL": self._huoyan.url,
            "HUOYAN_SERVICE": self._huoyan.service,
            "HUOYAN_VERSION": version,
            "ORDERS_DATA_DIR": str(self._folder),
            "ORDERS_DATABASE_URL": self._address,
            "ORDERS_ALL_IN_ONE": "0",
        }
        options = ("--port", str(self._port), "--log-level", "warning")
        with (self._folder / "shop.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "examples.orders.app:app", *options], stdout=log, stderr=log, env=env
            )
        try:
            until(lambda: answers(f"http://127.0.0.1:{self._port}/healthz"), "the shop to answer", self._log)
            yield process
        finally:
            end(process)

    def _log(self) -> str:
        return (self._folder / "shop.log").read_text()[-2000:]

    def _anybody(self) -> str:
        return history.email(random.randrange(max(1, self._orders // history.ORDERS_PER_CUSTOMER)))


def _is_judged(answer: dict[str, Any]) -> bool:
    return any(one["endpoint"] == ENDPOINT and one["verdict"] != "few" for one in answer["compared"])


def until(true: Callable[[], bool], what: str, state: Callable[[], str] = str) -> None:
    """Wait for something.

    Raises:
        TimeoutError: It did not come about.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected {what} within {PATIENCE_S:g} s. {state()}")
        time.sleep(0.25)


def answers(url: str) -> bool:
    """Tell whether an address answers well."""
    try:
        return httpx.get(url, timeout=2.0).is_success
    except httpx.HTTPError:
        return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, whether it still runs or not."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def span(seconds: float) -> str:
    """Return a duration as people read it."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1.0 else f"{seconds:.3g} s"


def spans(percentiles: dict[str, float]) -> str:
    """Return percentiles as people read them."""
    return ", ".join(f"{name.upper()} {span(value)}" for name, value in percentiles.items())


@contextmanager
def server(url: str, folder: Path) -> Iterator[str]:
    """Give the address of a Huoyan, one that is started for the story when none is named."""
    if url:
        yield url
        return
    port = free_port()
    command = [sys.executable, "-c", "from huoyan.cli import main; main()", "serve"]
    with (folder / "huoyan.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--data-dir", str(folder / "huoyan")], stdout=log, stderr=log
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process)


def main() -> None:
    """Read the arguments and tell the story."""
    parser = argparse.ArgumentParser(prog="python -m examples.orders.story", description="Find why it is slow.")
    parser.add_argument("--database", default="sqlite", help="sqlite, or the address of a PostgreSQL (default: sqlite)")
    parser.add_argument("--orders", type=int, default=history.ORDERS, help="how many there are (default: a million)")
    parser.add_argument("--huoyan", default="", metavar="URL", help="a server that runs (default: one is started)")
    parser.add_argument("--service", default="orders", help="name of the shop on the page (default: orders)")
    parser.add_argument("--keep", action="store_true", help="leave it running in the end, to look at the page")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="huoyan-story-") as name, server(given.huoyan, Path(name)) as url:
        huoyan = Huoyan(url, given.service)
        huoyan.wait()
        print(f"Huoyan is at {url}.")
        try:
            Story(huoyan, given.database, Path(name), given.orders).tell(given.keep)
        except (TimeoutError, history.NotEmpty) as error:
            sys.exit(str(error))
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
