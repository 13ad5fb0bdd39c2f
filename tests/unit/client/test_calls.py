"""Calls of dependencies: what is kept is bounded, belongs to one process, and what fails stays within Huoyan."""

import gc
import logging
import os
import weakref
from importlib import import_module
from time import time
from typing import Any

import httpx
import pytest
import redis
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

import huoyan
from huoyan.client import breakdown, calls
from huoyan.client.calls import SeriesCache, begin, claim, is_claimed, release, series
from huoyan.client.measurements import Distribution, Gauge
from huoyan.client.outbound import OutboundRequests, host_label
from huoyan.client.process import Client
from huoyan.signals.metrics.application import (
    DB_QUERY_DURATION,
    DB_QUERY_ERRORS,
    DEPENDENCY_LAST_SUCCESS,
    HTTP_CLIENT_REQUEST_DURATION,
)
from tests.servers.http import HttpSink

KEY = ("database", "SELECT", "orders")
LABELS = ("SELECT", "orders", "shop")


def test_a_call_is_a_duration_a_success_and_a_part(client: Client) -> None:
    made = series(client, KEY, (DB_QUERY_DURATION, LABELS), (DB_QUERY_ERRORS, LABELS), ("database", "shop"))
    entry = breakdown.enter("request")
    made.finish(begin())
    made.finish(begin(), failed=True)
    told = breakdown.leave(entry)
    made.finish(begin())
    assert told is not None
    assert [(part["calls"], part["errors"]) for part in told["parts"]] == [(2, 1)]
    assert client.measurements.distribution(DB_QUERY_DURATION).child(LABELS).count == 3
    assert client.measurements.counter(DB_QUERY_ERRORS).child(LABELS).value == 1


def test_calls_of_an_open_request_are_measured_when_somebody_reads(client: Client) -> None:
    made = series(client, KEY, (DB_QUERY_DURATION, LABELS), None, ("database", "shop"))
    entry = breakdown.enter("request")
    before = time()
    made.finish(begin())
    after = time()
    found = {family.metric.name: dict(family.series()) for family in client.measurements.families()}
    durations = found[DB_QUERY_DURATION.name][LABELS]
    assert isinstance(durations, Distribution)
    assert durations.count == 1
    last = found[DEPENDENCY_LAST_SUCCESS.name]["database", "shop"]
    assert isinstance(last, Gauge)
    assert last.value is not None
    # When it ended, not when it was read; the two clocks differ by little.
    assert before - 0.01 <= last.value <= after + 0.01
    made.finish(begin())
    breakdown.leave(entry)
    assert durations.count == 2


@given(st.lists(st.sampled_from(["call", "fail", "read", "inner", "leave"]), max_size=40), st.integers(1, 300))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_call_is_measured_once(client: Client, steps: list[str], times: int) -> None:
    made = series(client, KEY, (DB_QUERY_DURATION, LABELS), (DB_QUERY_ERRORS, LABELS), None)
    durations = client.measurements.distribution(DB_QUERY_DURATION).child(LABELS)
    entries = [breakdown.enter("request")]
    before, calls = durations.count, 0
    for step in steps:
        if step in {"call", "fail"}:
            for _ in range(times):
                made.finish(begin(), failed=step == "fail")
            calls += times
        elif step == "inner":
            entries.append(breakdown.enter("run"))
        elif step == "leave" and len(entries) > 1:
            breakdown.leave(entries.pop())
        else:
            client.measurements.families()
            assert durations.count - before == calls
    told = None
    while entries:
        told = breakdown.leave(entries.pop())
    assert durations.count - before == calls
    assert sum(part["calls"] for part in (told or {"parts": []})["parts"]) == calls


def test_what_a_run_called_that_never_ends_is_measured_when_it_is_left(client: Client) -> None:
    made = series(client, KEY, (DB_QUERY_DURATION, LABELS), None, None)
    collector = breakdown.RunCollector("shop.pay")
    token = breakdown.resume(collector)
    made.finish(begin())
    assert collector in breakdown._open
    collector.stop()
    breakdown.suspend(token)
    assert collector not in breakdown._open
    assert client.measurements.distribution(DB_QUERY_DURATION).child(LABELS).count == 1


def test_what_is_called_after_the_end_of_a_request_is_measured(client: Client) -> None:
    made = series(client, KEY, (DB_QUERY_DURATION, LABELS), None, None)
    entry = breakdown.enter("request")
    assert entry.collector.close() is None
    for _ in range(1_000):
        made.finish(begin())
    breakdown.suspend(entry.token)
    assert client.measurements.distribution(DB_QUERY_DURATION).child(LABELS).count == 1_000
    assert len(entry.collector.calls or ()) < breakdown.MANY_CALLS


def test_a_call_that_another_thread_ended_the_request_of_is_measured(client: Client) -> None:
    made = series(client, KEY, (DB_QUERY_DURATION, LABELS), None, None)
    entry = breakdown.enter("request")
    breakdown.leave(entry)
    # As a thread does that looked whether it was closed just before.
    entry.collector.add(1.0, 2.0, made, False)
    assert client.measurements.distribution(DB_QUERY_DURATION).child(LABELS).count == 1


def test_requests_that_nobody_ends_are_known_up_to_a_number() -> None:
    known = breakdown._open.copy()
    made = []
    for _ in range(breakdown._MAX_OPEN + 10):
        made.append(breakdown.Collector("request"))
        made[-1].first()
        assert made[-1] in breakdown._open
        assert len(breakdown._open) <= breakdown._MAX_OPEN
    breakdown._open.clear()
    breakdown._open.update(known)


def test_a_collection_of_garbage_may_call_dependencies(client: Client) -> None:
    made = series(client, KEY, (DB_QUERY_DURATION, LABELS), None, None)

    class Slow:
        key = KEY
        distribution: Distribution | None = None

        def measured(self, ended: float) -> None:
            # As a finalizer would that runs in the midst of it: enough to be summed up.
            for _ in range(breakdown.MANY_CALLS + 1):
                made.finish(begin())

    entry = breakdown.enter("request")
    entry.collector.add(0.0, 0.0, Slow(), False)
    breakdown.leave(entry)
    assert client.measurements.distribution(DB_QUERY_DURATION).child(LABELS).count == breakdown.MANY_CALLS + 1


def test_series_are_kept_up_to_a_number(client: Client) -> None:
    cache = SeriesCache()
    made = series(client, KEY, None, None, None)
    for number in range(calls._MAX_SERIES + 10):
        cache.put(number, made)
    assert len(cache) == 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_keeps_no_series_of_its_parent(client: Client) -> None:
    cache = SeriesCache()
    made = series(client, KEY, None, None, None)
    cache.put("a", made)
    entry = breakdown.enter("request")
    made.finish(begin())
    assert breakdown._open
    child = os.fork()
    if child == 0:
        os._exit(len(cache) + len(breakdown._open))
    breakdown.leave(entry)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(cache) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_a_child_calls_is_measured_without_the_request_that_it_was_forked_in(client: Client) -> None:
    entry = breakdown.enter("request")
    child = os.fork()
    if child == 0:
        made = series(client, KEY, (DB_QUERY_DURATION, LABELS), None, None)
        made.finish(begin())
        os._exit(client.measurements.distribution(DB_QUERY_DURATION).child(LABELS).count)
    assert breakdown.leave(entry) is None
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_a_cache_goes_with_its_owner() -> None:
    before = len(calls._caches)
    cache = SeriesCache()
    assert len(calls._caches) == before + 1
    del cache
    assert len(calls._caches) == before


def test_a_library_is_claimed_while_an_object_of_it_lives() -> None:
    class Thing:
        pass

    first, second = Thing(), Thing()
    claim("test", first)
    claim("test", second)
    release("test", first)
    assert is_claimed("test")
    del second
    assert not is_claimed("test")
    release("never claimed", first)


def test_what_is_watched_goes_when_its_owner_lets_it_go(client: Client) -> None:
    def made() -> list[weakref.ref[Any]]:
        engine = huoyan.watch(create_engine("sqlite://"))
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        things: list[Any] = [engine, engine.pool, redis.Redis(), httpx.Client(), requests.Session()]
        for thing in things[2:]:
            huoyan.watch(thing)
        things[2].pipeline()
        return [weakref.ref(thing) for thing in things]

    references = made()
    gc.collect()
    assert [reference() for reference in references] == [None] * 5


def test_hosts_are_labels_with_unusual_ports() -> None:
    assert host_label("Bank.Example", None) == "bank.example"
    assert host_label("bank.example", 443) == "bank.example"
    assert host_label("bank.example", 8443) == "bank.example:8443"
    assert host_label(None, None) == ""


def test_methods_that_do_not_exist_are_one(client: Client) -> None:
    outbound = OutboundRequests(client)
    for method in ("get", "BREW", "x" * 1000, ""):
        outbound.finish(begin(), method, "h", 200, None)
    found = {values[0] for values, _ in client.measurements.distribution(HTTP_CLIENT_REQUEST_DURATION).series()}
    assert found == {"GET", "other"}


def test_what_fails_in_the_hooks_reaches_nobody(
    client: Client, http_sink: HttpSink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The work is done all the same, and one warning says that it goes unwatched."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    engine = huoyan.watch(create_engine("sqlite://"))
    session = huoyan.watch(httpx.Client())
    connection = huoyan.watch(redis.Redis(port=1))
    for module in ("sqlalchemy.integration", "redis"):
        monkeypatch.setattr(import_module(f"huoyan.client.dependencies.{module}"), "series", broken)
    monkeypatch.setattr("huoyan.client.outbound.series", broken)
    with caplog.at_level(logging.WARNING, "huoyan"), engine.connect() as c:
        assert c.execute(text("SELECT 1")).scalar() == 1
        c.commit()
        assert session.get(http_sink.url).status_code == 200
        with pytest.raises(redis.ConnectionError):
            connection.get("a")
    assert len(caplog.records) == 4
    session.close()
