"""Hostile values all the way: through a task, its events, JSON, the server, each store, and out of the API again."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings

import huoyan
from huoyan.client import process
from huoyan.client.delivery import Answer, Batch, Receipt
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.wire import encode_batch
from huoyan.server.app import create_app
from huoyan.server.config import Settings as ServerSettings
from tests.contract import hostile
from tests.contract.hostile import BIDI, EXECUTED, HTML, HUGE, LONG_LIST, PICKLED, Held, armed
from tests.servers import migrated_sqlite
from tests.servers.postgres import PostgresServer

MOST_BYTES = 400_000
"""Of a whole run with everything that is kept of it: payloads, an exception and its traceback."""


class Wire:
    """Carries batches to a server in this process as they would go over the network, and keeps what it carried."""

    def __init__(self, server: TestClient) -> None:
        self._server = server
        self.bodies: list[bytes] = []
        self.rejected: list[Any] = []

    def send(self, batch: Batch, timeout_s: float) -> Receipt:
        """Post a batch."""
        body = encode_batch(batch, 0.0)
        answer = self._server.post("/api/v1/events", content=body)
        if answer.status_code == 503:
            # The machine stands still; as over the network, it is tried again.
            return Receipt(Answer.LATER, reason="too slow", retry_after_s=0.5)
        self.bodies.append(body)
        self.rejected += [answer.status_code] if answer.status_code != 200 else answer.json()["rejected"]
        return Receipt(Answer.STORED)

    def taken(self) -> tuple[list[bytes], list[Any]]:
        """Return what was carried and what was not accepted, once."""
        bodies, rejected, self.bodies, self.rejected = self.bodies, self.rejected, [], []
        return bodies, rejected

    def forget(self) -> None:
        """There is no connection."""

    def close(self) -> None:
        """There is no connection."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Give a server on either store."""
    own: dict[str, Any] = {"data_dir": tmp_path_factory.mktemp("data")}
    name = f"hostile_{uuid.uuid4().hex[:12]}"
    postgres: PostgresServer | None = None
    if request.param == "postgresql":
        postgres = request.getfixturevalue("postgres_server")
        own["database_url"] = postgres.make_migrated(name)
    else:
        migrated_sqlite(own["data_dir"] / "huoyan.db")
    app = create_app(ServerSettings.model_validate({"server": own, "rules": []}))
    with TestClient(app, base_url="http://127.0.0.1:8650") as client:
        yield client
    if postgres is not None:
        postgres.drop_database(name)


@pytest.fixture(scope="module")
def wire(server: TestClient) -> Iterator[Wire]:
    """Give the way of a client to the server."""
    carried = Wire(server)
    client = Client(Settings(service="shop", flush_interval_s=60.0), transport=carried)
    before = process.install(client)
    yield carried
    process.install(before)
    client.close()


def strict(body: bytes) -> Any:
    """Read JSON as the strictest reader does: UTF-8, no NaN, no half of a surrogate pair."""

    def refuse(word: str) -> Any:
        raise ValueError(word)

    value = json.loads(body.decode("utf-8"), parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def begin(wire: Wire) -> None:
    """Forget what an example left behind that went wrong."""
    process.client().flush(60.0)
    wire.taken()


def told(wire: Wire) -> dict[str, Any]:
    """Return the one run that was told of since, as the API has it."""
    client = process.client()
    assert client.flush(60.0)
    bodies, rejected = wire.taken()
    assert rejected == []
    events = [event for body in bodies for event in strict(body).get("events", [])]
    assert max(map(len, bodies)) < MOST_BYTES
    (run_id,) = {event["run_id"] for event in events}
    answer = wire._server.get(f"/api/v1/runs/{run_id}")
    assert answer.status_code == 200, answer.text
    assert len(answer.content) < 2 * MOST_BYTES
    assert b"\\u0000" not in answer.content
    shown: dict[str, Any] = strict(answer.content)
    return shown


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@given(hostile.values, hostile.values, hostile.texts)
@example(Held({HTML: HUGE, BIDI: LONG_LIST}), Held(PICKLED), HTML)
@example(Held(hostile.deep()), Held(hostile.cyclic()), BIDI)
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_run_whose_arguments_and_result_are_hostile_is_told_whole(
    wire: Wire, held: Held, held_result: Held, text: str
) -> None:
    value, result = held.value, held_result.value
    begin(wire)
    taken: list[Any] = []

    @huoyan.task(name=f"shop.{text}", queue=text)
    def work(*args: Any, **kwargs: Any) -> Any:
        huoyan.progress(float("nan"), float("inf"), note=value)
        taken.append((args, kwargs))
        return result

    with armed():
        returned = work(value, order=value, password=value)
        run = told(wire)
        assert EXECUTED == []
    assert returned is result
    # The host got what it passed, and nobody took anything out of it.
    assert taken[0][0][0] is taken[0][1]["order"] is value
    assert run["state"] == "succeeded"
    assert len(run["args"]) == 1
    assert run["kwargs"]["password"] in ("[scrubbed]", None, True, False, "")


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@given(hostile.errors, hostile.texts)
@example(Held(ValueError(HUGE)), "note \x00\ud800")
@example(Held(ValueError(hostile.cyclic(), hostile.deep())), HTML)
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_run_that_raises_something_hostile_is_told_whole(wire: Wire, held: Held, note: str) -> None:
    error = held.value
    begin(wire)

    @huoyan.task(name="shop.fails")
    def fails() -> None:
        raise error

    raised: BaseException | None = None
    with armed():
        try:
            fails()
        except BaseException as caught:
            raised = caught
        run = told(wire)
    assert raised is error
    assert not {"args", "__cause__", "__context__", "__traceback__", "__notes__", "unpickled"} & set(EXECUTED)
    assert run["state"] == "failed"
    assert run["exception"]["type"].endswith(type(error).__name__)
    assert len(run["exception"]["message"]) < 9_000


@pytest.mark.parametrize("path", ["runs", "runs/counts", "tasks", "failures", "queues", "workers", "overview"])
def test_what_all_of_them_left_is_listed(wire: Wire, path: str) -> None:
    answer = wire._server.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    assert strict(answer.content)
    assert b"\\u0000" not in answer.content
