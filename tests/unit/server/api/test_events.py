"""`POST /events`: what is stored when it answers, what it says of the rest, and its bounds."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from huoyan.errors import Unreachable
from huoyan.server.collect import Receipt, Rejection
from huoyan.server.ingest.http import (
    MAX_BODY_BYTES,
    BodyTooLarge,
    EncodingUnknown,
    HttpIngest,
    StoreTooSlow,
    unpack,
)
from huoyan.server.ingest.wire import batch_schema

EVENT: dict[str, Any] = {"kind": "started", "run_id": "a", "at": 1795209303.5, "task": "orders.pay"}
URL = "/api/v1/events"


class TestAnswers:
    def test_it_answers_when_the_events_are_stored(self, client: TestClient) -> None:
        answer = client.post(URL, json={"events": [EVENT, {**EVENT, "run_id": "b"}]})
        assert (answer.status_code, answer.json()) == (200, {"accepted": 2, "rejected": []})
        assert client.get("/api/v1/runs/a").json()["state"] == "started"
        assert client.get("/api/v1/runs/b").json()["task"] == "orders.pay"

    def test_a_batch_sent_twice_changes_nothing(self, client: TestClient) -> None:
        client.post(URL, json=EVENT)
        first = client.get("/api/v1/runs/a").json()
        assert client.post(URL, json=EVENT).json()["accepted"] == 1
        assert client.get("/api/v1/runs/a").json() == first
        assert len(client.get("/api/v1/runs").json()["items"]) == 1

    def test_it_tells_what_was_not_accepted_and_why(self, client: TestClient) -> None:
        answer = client.post(URL, json={"events": [EVENT, {**EVENT, "run_id": "b", "kind": "boom"}]})
        assert answer.status_code == 200
        assert answer.json()["accepted"] == 1
        (rejected,) = answer.json()["rejected"]
        assert (rejected["index"], rejected["run_id"], rejected["field"]) == (1, "b", "events[1].kind")
        assert client.get("/api/v1/runs/b").status_code == 404

    @pytest.mark.parametrize(
        "body",
        [b"", b"null", b"{}", b"[", b"\xff", b'{"events":3}', b'[{"kind":"boom"}]', b"[" * 100_000, b'{"events":[1]}'],
        ids=lambda body: repr(body[:12]),
    )
    def test_a_body_of_which_nothing_is_valid_is_a_problem(self, shared: TestClient, body: bytes) -> None:
        answer = shared.post(URL, content=body)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["type"] == "urn:huoyan:problem:invalid-events"
        assert problem["detail"]
        assert problem["rejected"]

    @pytest.mark.parametrize("body", [{"events": []}, [], {"process": {"worker": "w"}}])
    def test_a_batch_without_events_is_fine(self, client: TestClient, body: object) -> None:
        answer = client.post(URL, json=body)
        assert (answer.status_code, answer.json()) == (200, {"accepted": 0, "rejected": []})

    def test_a_process_report_makes_a_worker(self, client: TestClient) -> None:
        client.post(URL, json={"process": {"worker": "orders@h:1", "service": "orders", "host": "h", "pid": 1}})
        (worker,) = client.get("/api/v1/workers").json()["items"]
        assert (worker["worker"], worker["service"], worker["state"], worker["pid"]) == (
            "orders@h:1",
            "orders",
            "up",
            1,
        )

    def test_a_reading_makes_a_queue(self, client: TestClient) -> None:
        now = client.get("/api/v1/overview").json()["now"]
        client.post(URL, json={"queues": [{"queue": "mail", "depth": 7, "at": now, "oldest_age_s": 2.5}]})
        (queue,) = client.get("/api/v1/queues").json()["items"]
        assert (queue["queue"], queue["depth"], queue["oldest_age_s"]) == ("mail", 7, 2.5)

    def test_the_schema_is_served(self, shared: TestClient) -> None:
        assert shared.get(f"{URL}/schema").json() == batch_schema()


class TestBounds:
    def test_gzip_is_unpacked(self, client: TestClient) -> None:
        body = gzip.compress(json.dumps([EVENT]).encode())
        assert client.post(URL, content=body, headers={"Content-Encoding": "gzip"}).json()["accepted"] == 1

    def test_a_body_that_is_too_long_is_refused(self, shared: TestClient) -> None:
        answer = shared.post(URL, content=b" " * (MAX_BODY_BYTES + 1))
        assert answer.status_code == 413
        assert answer.json()["type"] == "urn:huoyan:problem:body-too-large"

    def test_a_bomb_is_refused(self, shared: TestClient) -> None:
        bomb = gzip.compress(b" " * (33 << 20))
        assert len(bomb) < 50_000
        answer = shared.post(URL, content=bomb, headers={"Content-Encoding": "gzip"})
        assert answer.status_code == 413

    @pytest.mark.parametrize(
        ("encoding", "body"), [("br", b"x"), ("gzip", b"x"), ("gzip", gzip.compress(b"[]", mtime=0)[:-9])]
    )
    def test_what_is_not_gzip_is_refused(self, shared: TestClient, encoding: str, body: bytes) -> None:
        answer = shared.post(URL, content=body, headers={"Content-Encoding": encoding})
        assert answer.status_code == 415
        assert answer.headers["accept-encoding"] == "gzip"

    def test_a_length_that_is_a_lie_is_found_out(self) -> None:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(9):
                yield b" " * (1 << 20)

        with pytest.raises(BodyTooLarge):
            asyncio.run(HttpIngest(Slow()).accept(body(), length="10"))  # type: ignore[arg-type]

    def test_members_of_gzip_are_one_body(self) -> None:
        assert unpack(gzip.compress(b"[1,") + gzip.compress(b"2]")) == b"[1,2]"
        with pytest.raises(BodyTooLarge):
            unpack(gzip.compress(b"12345") + gzip.compress(b"67890"), limit_bytes=9)
        with pytest.raises(EncodingUnknown):
            unpack(gzip.compress(b"1") + b"rubbish")


class Slow:
    """A collector that never gets round to storing, or has no room at all."""

    store = SimpleNamespace(deploys=None)

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def submit(self, events: list[Any], **_: Any) -> Future[Receipt]:
        if self.error is not None:
            raise self.error
        return Future()


class Picky:
    """A collector that stores all but the second event it is given."""

    store = SimpleNamespace(deploys=None)

    def submit(self, events: list[Any], **_: Any) -> Future[Receipt]:
        receipt = Receipt(len(events) - 1)
        receipt.rejected = (Rejection(1, events[1].run_id, "it contradicts itself"),)
        stored: Future[Receipt] = Future()
        stored.set_result(receipt)
        return stored


def test_what_the_collector_refuses_is_told_by_its_place_in_the_batch() -> None:
    batch = [EVENT, {**EVENT, "kind": "boom"}, {**EVENT, "run_id": "c"}]
    answer = asyncio.run(HttpIngest(Picky()).accept(_once(json.dumps(batch).encode())))  # type: ignore[arg-type]
    assert answer.accepted == 1
    assert [(r.index, r.run_id, r.field) for r in answer.rejected] == [
        (1, "a", "events[1].kind"),
        (2, "c", "events[2]"),
    ]


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


class TestOverload:
    @pytest.mark.parametrize("collector", [Slow(), Slow(Unreachable("expected room, got none"))])
    def test_events_that_cannot_be_stored_in_time_are_given_back(self, collector: Slow) -> None:
        ingest = HttpIngest(collector, timeout_s=0.05)  # type: ignore[arg-type]
        with pytest.raises(StoreTooSlow) as caught:
            asyncio.run(ingest.accept(_once(json.dumps(EVENT).encode())))
        assert caught.value.retry_after_s > 0
        assert caught.value.retryable

    def test_the_client_is_told_when_to_come_again(self, client: TestClient) -> None:
        context = client.app.state.context  # type: ignore[attr-defined]
        context.ingest = HttpIngest(Slow(), timeout_s=0.05)  # type: ignore[arg-type]
        answer = client.post(URL, json=EVENT)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["type"] == "urn:huoyan:problem:overloaded"
