"""How dependencies are, by what was measured of them; figures by hand."""

import pytest
from fastapi.testclient import TestClient

from huoyan.model.histogram import Histogram
from huoyan.server.api.dependencies import dependency_figures, judge
from huoyan.server.api.schemas.dependency import Dependency
from huoyan.signals.metrics.application import (
    DB_POOL_IN_USE,
    DB_POOL_SIZE,
    DB_POOL_WAIT,
    DB_QUERY_DURATION,
    DB_QUERY_ERRORS,
    DEPENDENCY_LAST_SUCCESS,
    HTTP_CLIENT_REQUEST_DURATION,
    REDIS_COMMAND_DURATION,
)
from huoyan.testing.memory_source import MemorySource

NOW = 10_000.0


def _took(seconds: float, count: int) -> Histogram:
    histogram = Histogram()
    if count:
        histogram.observe(seconds, count)
    return histogram


@pytest.mark.parametrize(
    ("calls", "errors", "now_s", "before", "wait", "expected"),
    [
        (0, 0, 0.0, _took(0.01, 100), None, ("idle", None)),
        (100, 5, 0.01, None, None, ("good", None)),
        (100, 6, 0.01, None, None, ("degraded", "errors")),
        (100, 50, 0.01, None, None, ("failing", "errors")),
        (1, 1, 0.01, None, None, ("degraded", "errors")),
        (2, 2, 0.01, None, None, ("failing", "errors")),
        (20, 0, 0.31, _took(0.1, 20), None, ("degraded", "slower")),
        (19, 0, 0.31, _took(0.1, 20), None, ("good", None)),
        (20, 0, 0.31, _took(0.1, 19), None, ("good", None)),
        (20, 0, 0.28, _took(0.1, 20), None, ("good", None)),
        (20, 0, 0.04, _took(0.001, 20), None, ("good", None)),
        (20, 0, 0.01, None, _took(0.11, 5), ("degraded", "pool_wait")),
        (20, 0, 0.01, None, _took(0.11, 4), ("good", None)),
    ],
)
def test_health_follows_the_rules_that_are_documented(calls, errors, now_s, before, wait, expected):
    health, reason = judge(calls, errors, _took(now_s, calls), before, wait)
    assert (health, reason and reason.kind) == expected


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str, str], Dependency]:
    """Give the dependencies of two services over the last 100 seconds."""
    source = MemorySource()
    orders = {"service": "orders", "operation": "SELECT", "table": "orders", "target": "shop"}
    for _ in range(30):
        source.observe(DB_QUERY_DURATION, orders, NOW - 500, 0.01)
        source.observe(DB_QUERY_DURATION, orders, NOW - 10, 0.9)
        source.observe(DB_QUERY_DURATION, {**orders, "operation": "INSERT"}, NOW - 10, 0.1)
    source.observe(DB_QUERY_DURATION, {**orders, "target": "db:5432/archive"}, NOW - 10, 0.2)
    source.add(DB_QUERY_ERRORS, orders, NOW - 10, 3)
    pool = {"service": "orders", "pool": "shop"}
    source.set(DB_POOL_IN_USE, pool, NOW - 1, 5)
    source.set(DB_POOL_SIZE, pool, NOW - 1, 10)
    source.observe(DB_POOL_WAIT, pool, NOW - 5, 0.02)
    source.set(
        DEPENDENCY_LAST_SUCCESS, {"service": "orders", "component": "database", "target": "shop"}, NOW - 1, NOW - 10
    )
    source.set(
        DEPENDENCY_LAST_SUCCESS, {"service": "orders", "component": "http", "target": "mail.test"}, NOW - 1, NOW - 600
    )
    for status, count in (("200", 6), ("404", 1), ("503", 1), ("error", 8)):
        labels = {"service": "orders", "method": "POST", "host": "bank.test", "http_status": status}
        for _ in range(count):
            source.observe(HTTP_CLIENT_REQUEST_DURATION, labels, NOW - 10, 0.2)
    source.observe(
        REDIS_COMMAND_DURATION, {"service": "mail", "command": "GET", "target": "cache:6379/0"}, NOW - 10, 0.0
    )
    return {(one.service, one.kind, one.target): one for one in dependency_figures(source, NOW, 100.0, ())}


def test_each_database_of_a_service_has_its_own_operations_pool_and_last_answer(found):
    archive = found[("orders", "database", "db:5432/archive")]
    assert (archive.calls, archive.errors, archive.health, archive.pool) == (1, 0, "good", None)
    assert archive.last_success_at is None
    database = found[("orders", "database", "shop")]
    assert (database.calls, database.calls_per_s, database.errors, database.error_ratio) == (60, 0.6, 3, 0.05)
    assert database.p50_s == pytest.approx(0.1, rel=0.03)
    assert database.p95_s == pytest.approx(0.9, rel=0.03)
    assert database.p95_before_s == pytest.approx(0.01, rel=0.03)
    assert (database.health, database.reason and database.reason.kind) == ("degraded", "slower")
    select, insert = database.parts
    assert select.labels == {"operation": "SELECT", "table": "orders"}
    assert (select.share, select.errors, insert.errors) == (pytest.approx(0.9), 3, 0)
    pool = database.pool
    assert pool is not None
    assert (pool.in_use, pool.most, pool.wait_p95_s) == (5, 10, pytest.approx(0.02, rel=0.03))
    assert database.last_success_at == NOW - 10


def test_a_request_failed_when_it_had_no_answer_or_one_of_500_and_above(found):
    bank = found[("orders", "http", "bank.test")]
    assert (bank.calls, bank.errors, bank.health) == (16, 9, "failing")
    assert {part.labels["http_status"]: part.errors for part in bank.parts} == {
        "200": 0,
        "404": 0,
        "503": 1,
        "error": 8,
    }


def test_what_is_only_known_to_have_answered_is_idle(found):
    mail = found[("orders", "http", "mail.test")]
    assert (mail.health, mail.calls, mail.p95_s, mail.error_ratio) == ("idle", 0, None, None)


def test_those_that_need_somebody_come_first(found):
    assert [key[1:] for key in found] == [
        ("http", "bank.test"),
        ("database", "shop"),
        ("redis", "cache:6379/0"),
        ("database", "db:5432/archive"),
        ("http", "mail.test"),
    ]
    assert found[("mail", "redis", "cache:6379/0")].parts[0].share == 0.0, "calls of no duration divide nothing"


def test_a_server_that_heard_of_none_lists_none(client: TestClient) -> None:
    assert client.get("/api/v1/dependencies").json() == {"items": [], "next": None}
