"""A client of its own for each test, with a transport that keeps what it is sent."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from huoyan.client import guard, process, totals, watch
from huoyan.client.emitter import Emitter
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from tests.servers.http import HttpSink


@pytest.fixture(autouse=True)
def _warnings_are_heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let each test see its warnings: logged once a minute at most, and muted by a Celery worker of another test."""
    monkeypatch.setattr(guard, "_last_told_at", {})
    level = guard.logger.level
    guard.logger.setLevel("WARNING")
    yield
    guard.logger.setLevel(level)


@pytest.fixture(autouse=True)
def _children_of_other_tests_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what processes counted that another test forked out of the figures of this one."""
    monkeypatch.setattr(totals, "_descendants", lambda: None)


@pytest.fixture
def transport() -> MemoryTransport:
    """Keep what the client of the test sends."""
    return MemoryTransport()


@pytest.fixture
def client(transport: MemoryTransport) -> Iterator[Client]:
    """Install a client that sends to `transport`, and put the one before back afterwards."""
    with installed(Client(Settings(service="shop", flush_interval_s=0.01), transport=transport)) as new:
        yield new


@pytest.fixture
def local_client() -> Iterator[Client]:
    """Install a client without a server, which counts in the process."""
    with installed(Client(Settings(service="shop"))) as new:
        yield new


@pytest.fixture
def emitters() -> Iterator[list[Emitter]]:
    """Close what a test opens."""
    opened: list[Emitter] = []
    yield opened
    for emitter in opened:
        emitter.close(1)


class installed:  # noqa: N801 - reads like a function
    """Install a client for a block."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __enter__(self) -> Client:
        self._before = process.install(self._client)
        self._given = dict(watch._given)
        return self._client

    def __exit__(self, *_: object) -> None:
        process.install(self._before)
        watch._given.clear()
        watch._given.update(self._given)
        self._client.close()


def batches(sink: HttpSink) -> list[dict[str, Any]]:
    """Return the batches that arrived, in order."""
    bodies = []
    for request in sink.requests:
        packed = request.headers.get("content-encoding") == "gzip"
        bodies.append(json.loads(gzip.decompress(request.body) if packed else request.body))
    return bodies


def events(sink: HttpSink) -> list[dict[str, Any]]:
    """Return the events that arrived, in order."""
    return [event for batch in batches(sink) for event in batch["events"]]
