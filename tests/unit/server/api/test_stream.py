"""The live stream, as far as it goes without a socket; tests/integration/test_serve.py has the rest."""

import asyncio
import json
from typing import Any

from fastapi.testclient import TestClient

from huoyan.server.api.context import Context
from huoyan.server.api.routes.stream import _shared, messages, timestamped
from huoyan.server.collect import Message


def read(context: Context, count: int) -> list[dict[str, str]]:
    """Return the first messages as a browser takes them apart."""

    async def take() -> list[dict[str, str]]:
        taken = []
        stream = messages(context)
        async for message in stream:
            taken.append(dict(line.split(": ", 1) for line in message.decode().strip().splitlines()))
            if len(taken) == 1:
                context.bus.publish("counts", {"total": 3, "updated_at": 0.5})
                context.bus.publish("incidents", {})
            if len(taken) == count:
                break
        await stream.aclose()
        return taken

    return asyncio.run(take())


def test_it_says_hello_and_then_what_changes(client: TestClient, context: Context) -> None:
    context.streams = 1
    hello, counts, incidents = read(context, 3)
    assert hello["event"] == "hello"
    assert set(json.loads(hello["data"])) == {"version", "now"}
    assert counts["event"] == "counts"
    assert json.loads(counts["data"]) == {"total": 3, "updated_at": "1970-01-01T00:00:00.500000Z"}
    assert incidents["event"] == "incidents"
    assert int(incidents["id"]) == int(counts["id"]) + 1
    assert context.streams == 0


def test_a_message_is_written_once_for_all_streams(context: Context) -> None:
    message = Message(7, "runs", {"items": [{"id": "a", "sort_at": 1.0}]})
    assert _shared(context, message) is _shared(context, message)
    assert _shared(context, Message(7, "resync", {})) != _shared(context, message)
    for number in range(1000):
        _shared(context, Message(number, "counts", {}))
    assert len(context.written) <= 64


def test_too_many_streams_are_refused(client: TestClient, context: Context) -> None:
    context.stream_limit = 0
    answer = client.get("/api/v1/stream")
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert context.streams == 0


def test_times_are_written_as_everywhere() -> None:
    data: dict[str, Any] = {
        "items": [{"started_at": 0.25, "finished_at": None, "eta": 1.0, "duration_s": 0.25, "at": 3, "format": "x"}]
    }
    assert timestamped(data) == {
        "items": [
            {
                "started_at": "1970-01-01T00:00:00.250000Z",
                "finished_at": None,
                "eta": "1970-01-01T00:00:01.000000Z",
                "duration_s": 0.25,
                "at": 3,
                "format": "x",
            }
        ]
    }
