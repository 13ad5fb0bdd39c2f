"""What RQ keeps in Redis is read as data, whatever it is."""

import base64
import json
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

from huoyan.server.ingest.rq_records import (
    JOB_FIELDS,
    MAX_EXCEPTION_BYTES,
    exception_of,
    function_of_data,
    function_of_description,
    job_of,
    outcome_of,
    seconds,
)


@pytest.mark.parametrize(
    ("description", "function"),
    [
        ("shop.tasks.send('x', y=1)", "shop.tasks.send"),
        ("shop.tasks.send()", "shop.tasks.send"),
        ("shop.tasks.make.<locals>.send(1)", "shop.tasks.make.<locals>.send"),
        ("shop.tasks.send('a\nb')", "shop.tasks.send"),
        ("send('x')", ""),
        ("Send a mail (to ann)", ""),
        ("shop.tasks.send", ""),
        ("1.2.3()", ""),
        ("", ""),
        ("a." * 200 + "b()", ""),
    ],
)
def test_a_description_tells_the_function_when_rq_wrote_it(description: str, function: str) -> None:
    assert function_of_description(description) == function


class Bomb:
    """Does something when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_function_in_the_data_is_found_and_nothing_is_loaded(tmp_path: Any, protocol: int) -> None:
    place = str(tmp_path / "made")
    call: Any = ("shop.tasks.send", None, (Bomb(place), "x" * 100_000), {})
    assert function_of_data(zlib.compress(pickle.dumps(call, protocol))) == "shop.tasks.send"
    assert function_of_data(pickle.dumps(call, protocol)) == "shop.tasks.send"
    first = pickle.dumps((Bomb(place), None, (), {}), protocol)
    assert function_of_data(zlib.compress(first)) in {"", "posix", "mkdir"}
    assert not Path(place).exists()


def test_the_function_in_data_of_the_json_serializer_is_found() -> None:
    data = json.dumps(["shop.tasks.send", None, ["x"], {"password": "hunter2"}]).encode()
    assert function_of_data(zlib.compress(data)) == "shop.tasks.send"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80", b"garbage", b"\x80\x05\x8d" + b"\xff" * 8, zlib.compress(b"\0" * 10_000_000), b'["a b"]', b"[1]"],
)
def test_other_data_tells_nothing(data: bytes) -> None:
    assert function_of_data(data) == ""


def values(**given: Any) -> list[bytes | None]:
    return [str(given[name]).encode() if name in given else None for name in JOB_FIELDS]


def test_a_job_is_read_with_its_times() -> None:
    job = job_of(
        "j1",
        values(
            status="failed",
            created_at="2026-11-20T10:00:00.250000Z",
            started_at="2026-11-20T10:00:01.500000Z",
            ended_at="",
            worker_name="w1",
            origin="default",
            description="shop.send(1)",
            ttl="60",
            result_ttl="0",
            dependency_ids='["a", 7, "b"]',
            repeats_left="2",
            number_of_retries="1",
        ),
    )
    assert job is not None
    assert (job.status, job.worker, job.queue, job.function) == ("failed", "w1", "default", "shop.send")
    assert job.created_at_ms == 1_795_168_800_250
    assert job.started_at == 1_795_168_801.5
    assert job.ended_at is None
    assert (job.ttl_s, job.result_ttl_s, job.repetitions_left, job.retries) == (60, 0, 2, 1)
    assert job.dependencies == ("a", "b")


@pytest.mark.parametrize("broken", ["[", "{}", '"a"', "null", "\ud800", "[" * 100_000])
def test_a_job_with_broken_fields_is_read_as_far_as_it_can_be(broken: str) -> None:
    raw = [broken.encode("utf-8", "surrogatepass")] * len(JOB_FIELDS)
    job = job_of("j1", raw)
    assert job is not None
    assert (job.created_at, job.started_at, job.ttl_s, job.repetitions_left) == (None, None, None, None)
    job.status.encode()


def test_what_is_no_job_is_none() -> None:
    assert job_of("j1", [None] * len(JOB_FIELDS)) is None
    # A heartbeat may come after the job was deleted, and makes a hash of nothing else.
    assert job_of("j1", values(worker_name="w1")) is None


def test_an_outcome_is_read_without_its_value() -> None:
    entry = {
        b"type": b"2",
        b"worker_name": b"w1",
        b"exc_string": base64.b64encode(zlib.compress(b"Traceback \xc3\xa4")),
        b"return_value": base64.b64encode(pickle.dumps(Bomb("/nowhere"))),
        b"execution_id": b"e1",
        b"execution_started_at": b"1795168801.5",
        b"execution_ended_at": b"1795168802.5",
    }
    outcome = outcome_of(b"1795168802600-3", entry)
    assert outcome is not None
    assert (outcome.id, outcome.kind, outcome.worker, outcome.execution_id) == ((1795168802600, 3), 2, "w1", "e1")
    assert (outcome.started_at, outcome.ended_at, outcome.at) == (1795168801.5, 1795168802.5, 1795168802.6)
    assert outcome.exception == "Traceback ä"


@pytest.mark.parametrize(("entry_id", "entry"), [(b"x", {b"type": b"1"}), (b"1-0", {}), (b"1-0", {b"type": b"one"})])
def test_what_is_no_outcome_is_none(entry_id: bytes, entry: dict[bytes, bytes]) -> None:
    assert outcome_of(entry_id, entry) is None


def test_an_exception_is_bounded_however_well_it_was_compressed() -> None:
    assert len(exception_of(zlib.compress(b"x" * 50_000_000))) == MAX_EXCEPTION_BYTES
    assert exception_of(b"plain text") == "plain text"
    assert exception_of(None) == ""


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-11-20T10:00:00Z", 1_795_168_800.0),
        ("2026-11-20T10:00:00", 1_795_168_800.0),
        ("2026-11-20 11:00:00+01:00", 1_795_168_800.0),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(written: str, moment: float | None) -> None:
    assert seconds(written) == moment
