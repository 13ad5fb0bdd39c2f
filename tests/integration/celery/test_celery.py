"""A real worker on a real broker: each run once, in its right state, with its attempts, however it is watched."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.celery.app import KINDS
from tests.integration.celery.deployment import NODE, Deployment
from tests.servers import RabbitmqServer, RedisServer

COUNT = 500
MODES = ("stream", "hooks", "both")
SPECIAL = {
    *("revoked-early", "expired", "waiting", "unknown", "root", "leaf"),
    *("terminated", "killed", "crashed", "too-long"),
}

EXPECTED = {
    "ok": ("succeeded", ["succeeded"]),
    "fail": ("failed", ["failed"]),
    "flaky": ("succeeded", ["retrying", "succeeded"]),
    "flakier": ("succeeded", ["retrying", "retrying", "succeeded"]),
    "exhaust": ("failed", ["retrying", "retrying", "failed"]),
    # By their ids.
    "revoked-early": ("revoked", []),
    "expired": ("dead", []),
    "waiting": ("revoked", ["revoked"]),
    "unknown": ("rejected", ["rejected"]),
    "root": ("succeeded", ["succeeded"]),
    "leaf": ("succeeded", ["succeeded"]),
    "terminated": ("revoked", ["revoked"]),
    "killed": ("failed", ["failed"]),
    "crashed": ("succeeded", ["retrying", "succeeded"]),
    "too-long": ("failed", ["failed"]),
}

Shape = tuple[Any, ...]
_seen: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}


def expected(run_id: str) -> tuple[str, list[str]]:
    return EXPECTED[run_id if run_id in EXPECTED else KINDS[int(run_id.removeprefix("task-")) % 10]]


def shape(run: dict[str, Any]) -> Shape:
    """Return what every source must agree about."""
    return (
        run["task"] if run["id"] not in {"revoked-early", "expired", "unknown"} else "",
        run["state"],
        run["reason"],
        run["worker"],
        [
            (
                attempt["number"],
                attempt["state"],
                attempt["worker"],
                attempt["exception"]["fingerprint"] if attempt["exception"] else None,
                attempt["duplicate"],
            )
            for attempt in run["attempts"]
        ],
    )


def check(runs: dict[str, dict[str, Any]]) -> None:
    """Compare every run with what its task did."""
    wrong = {
        run_id: got
        for run_id, run in runs.items()
        if (got := (run["state"], [a["state"] for a in run["attempts"]])) != expected(run_id)
    }
    assert not wrong, f"{len(wrong)} of {len(runs)}: {dict(list(wrong.items())[:5])}"
    for run in runs.values():
        assert run["framework"] == "celery"
        assert run["evidence"] == "reported"
        for attempt in run["attempts"]:
            assert attempt["worker"] == NODE
        if run["id"].startswith("task-"):
            assert run["task"] == "orders.work"
            assert run["queue"] == "celery"
            assert run["attempt_count"] == len(run["attempts"])
            assert run["started_at"]
            assert run["wait_s"] is not None
            assert run["finished_at"] >= run["started_at"]
            assert run["duration_s"] is not None
            assert 0 <= run["duration_s"] < 30


def check_consumption(runs: dict[str, dict[str, Any]]) -> None:
    """Compare what attempts took with what can be known of prefork children."""
    ended = [run["attempts"][-1] for run_id, run in runs.items() if run_id.startswith("task-")]
    assert all(0 <= attempt["cpu_s"] < 5 for attempt in ended)
    peaks = [attempt["peak_memory_bytes"] for attempt in ended if attempt["peak_memory_bytes"] is not None]
    # A child grows now and then, and most runs fit into what it had before.
    assert all(peak > 1 << 20 for peak in peaks)
    assert len(peaks) < len(ended) / 2


def observe(broker: str, mode: str, address: Callable[[str], str]) -> dict[str, dict[str, Any]]:
    """Run the deployments of a broker watched in every way, all at a time and once for all tests."""
    if (broker, mode) not in _seen:
        addresses = {each: address(each) for each in MODES}
        # Each thread stays until the processes that it started are gone.
        with ThreadPoolExecutor(len(MODES)) as pool:
            found = pool.map(lambda each: _observed(addresses[each], each), MODES)
            _seen.update({(broker, each): runs for each, runs in zip(MODES, found, strict=True)})
    return _seen[broker, mode]


def _observed(address: str, mode: str) -> dict[str, dict[str, Any]]:
    with Deployment(address, mode) as deployment:
        deployment.publish("task", COUNT, "special")
        ids = {f"task-{n}" for n in range(COUNT)} | SPECIAL
        runs = deployment.runs(ids, timeout_s=120)
        listed = [run["id"] for run in deployment.server.runs() if not run["id"].startswith("warm-")]
        assert Counter(listed) == dict.fromkeys(ids, 1)
    return runs


@pytest.fixture
def address(request: pytest.FixtureRequest, broker: str) -> Callable[[str], str]:
    """Give a function that returns the address of an empty broker for each way of watching."""

    def make(mode: str) -> str:
        if broker == "rabbitmq":
            server: RabbitmqServer = request.getfixturevalue("rabbitmq_server")
            return server.make_virtual_host(f"celery-{mode}")
        redis: RedisServer = request.getfixturevalue("redis_server")
        return redis.database_url(20 + MODES.index(mode))

    return make


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_every_run_is_seen_once_with_its_state_and_attempts(
    broker: str, mode: str, address: Callable[[str], str]
) -> None:
    runs = observe(broker, mode, address)
    assert len(runs) == COUNT + len(SPECIAL)
    check(runs)
    if mode == "stream":
        assert {(a["cpu_s"], a["peak_memory_bytes"]) for run in runs.values() for a in run["attempts"]} == {
            (None, None)
        }
    else:
        check_consumption(runs)
    assert runs["leaf"]["parent_id"] == "root"
    assert runs["leaf"]["root_id"] == "root"
    assert runs["killed"]["exception"]["type"].endswith("WorkerLostError")
    assert runs["too-long"]["exception"]["type"].endswith("TimeLimitExceeded")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_stream_and_hooks_and_both_tell_the_same(broker: str, address: Callable[[str], str]) -> None:
    stream, hooks, both = (observe(broker, mode, address) for mode in MODES)
    for other in (hooks, both):
        different = {n: (shape(stream[n]), shape(other[n])) for n in stream if shape(stream[n]) != shape(other[n])}
        assert not different, f"{len(different)}: {dict(list(different.items())[:5])}"


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("pool", "mode"), [("threads", "both"), ("gevent", "both"), ("gevent", "hooks")])
def test_other_pools_are_seen_alike(pool: str, mode: str, redis_server: RedisServer) -> None:
    database = 40 + hash((pool, mode)) % 20
    redis_server.command("FLUSHALL")
    with Deployment(redis_server.database_url(database), mode, pool=pool, concurrency=8) as deployment:
        deployment.publish("task", 200)
        runs = deployment.runs({f"task-{n}" for n in range(200)})
        check(runs)
        attempts = [attempt for run in runs.values() for attempt in run["attempts"]]
        assert {attempt["cpu_s"] is not None for attempt in attempts} == {pool == "threads"}
        assert {attempt["peak_memory_bytes"] for attempt in attempts} == {None}
        assert Counter(run["service"] for run in runs.values()) == {"orders": 200}
