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
PATIENCE_S = 90.0


@dataclass
class Findings:
    """What the story showed.

    Attributes:
        load_s: How long loading the orders took, in seconds.
        accused_before: What Huoyan named while no statement was slow: nothing, or the code itself.
        named_after_s: Seconds from the first slow request until Huoyan named a cause first.
        cause: That cause, as the API told it.
        index_s: How long making the index took, in seconds.
        searching_at: When people began to search, seconds since 1970 UTC.
        deploy: The deploy of the version with the index, as the API lists it.
        p99_before_s: P99 of the endpoint while it was slow, in seconds.
        p99_after_s: P99 of ten seconds with the index.
        before: The endpoint before the deploy, while it was slow, as the API tells it.
        after: The same with the index.
    """

    load_s: float = 0.0
    accused_before: list[dict[str, Any]] = field(default_factory=list)
    named_after_s: float = 0.0
    cause: dict[str, Any] = field(default_factory=dict)
    index_s: float = 0.0
    searching_at: float = 0.0
    p99_before_s: float = 0.0
    p99_after_s: float = 0.0
    deploy: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


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

    def p99_s(self, window_s: float) -> float:
        """Ask for the P99 of the endpoint over the last seconds, 0 while it is not known."""
        query = {
            "service": self.service,
            "label": "endpoint=/orders",
            "by": "method",
            "window_s": f"{max(1.0, window_s):.0f}",
        }
        now = self._get("/signals/http_latency_p99", **query, since="-1m")["now"]
        return next((float(one["value"]) for one in now if one["labels"]["method"] == "GET" and one["value"]), 0.0)

    def deploy(self, version: str) -> dict[str, Any] | None:
        """Ask for the deploy of a version, None while it is not known."""
        listed = self._get("/deploys", service=self.service)["items"]
        return next((deploy for deploy in listed if deploy["version"] == version), None)

    def effect(self, deploy: dict[str, Any], window_s: float) -> dict[str, Any]:
        """Ask how the endpoint was before and after a deploy.

        Args:
            deploy: As it is listed.
            window_s: How far back and forth, in seconds.
        """
        return self._get(f"/deploys/{deploy['id']}/effect", endpoint=ENDPOINT, window_s=f"{window_s:.1f}")

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
                found.p99_before_s = self._huoyan.p99_s(time.time() - found.searching_at)
                self._mend(found)
                end(shop)
                stack.enter_context(self._shop("1.1"))
                self._better(found, time.time() - found.searching_at)
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
        self._say(" ".join(told))

    def _slow(self, found: Findings) -> None:
        """Wait until the table is named first."""
        found.searching_at = time.time()
        began = time.monotonic()
        self._say("Now one request in twenty searches for an address.")
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

        # The figures of a process follow within its report interval, 10 s unless set otherwise.
        until(
            lambda: self._huoyan.p99_s(time.time() - found.searching_at) > float(found.cause["slow_s"]) / 2,
            "the figures of the slow time",
        )

    def _mend(self, found: Findings) -> None:
        began = time.monotonic()
        history.add_index(self._engine)
        found.index_s = time.monotonic() - began
        self._say(f"{history.INDEX}: {found.index_s:.1f} s. Version 1.1 goes live.")

    def _better(self, found: Findings, slow_s: float) -> None:
        def fallen() -> bool:
            found.deploy = self._huoyan.deploy("1.1") or {}
            if not found.deploy:
                return False
            found.before = self._huoyan.effect(found.deploy, slow_s)["before"]
            found.after = self._huoyan.effect(found.deploy, PATIENCE_S)["after"]
            # The first requests of a process are slow, and weigh less from second to second.
            found.p99_after_s = self._huoyan.p99_s(10.0)
            return found.after["count"] >= 50 and 0.0 < found.p99_after_s < found.p99_before_s / 2

        until(
            fallen, "P99 to fall", lambda: f"{found.p99_before_s:.3f} s before, {found.p99_after_s:.3f} s {found.after}"
        )
        self._say(f"Huoyan marks the deploy of {found.deploy['version']}, after {found.deploy['before']}:")
        self._say(f"    before {spans(found.before)}")
        self._say(f"    after  {spans(found.after)}")

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
            until(
                lambda: process.poll() is not None or answers(f"http://127.0.0.1:{self._port}/healthz"),
                "the shop to answer",
                self._log,
            )
            if process.poll() is not None:
                raise TimeoutError(f"expected the shop to start, it ended. {self._log()}")
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


def spans(side: dict[str, Any]) -> str:
    """Return what is known of one side of a deploy, as people read it."""
    known = [(name.upper(), side[f"{name}_s"]) for name in ("p50", "p95", "p99")]
    return ", ".join(f"{name} {span(value)}" for name, value in known if value is not None)


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
