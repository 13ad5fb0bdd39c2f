"""Calls of dependencies: what is kept is bounded, belongs to one process, and what fails stays within Huoyan."""

import gc
import logging
import os
import weakref
from typing import Any

import httpx
import pytest
import redis
import requests
from sqlalchemy import create_engine, text

import huoyan
from huoyan.client import breakdown, calls
from huoyan.client.calls import SeriesCache, begin, claim, is_claimed, release, series
from huoyan.client.outbound import OutboundRequests, host_label
from huoyan.client.process import Client
from huoyan.signals.metrics.application import DB_QUERY_DURATION, DB_QUERY_ERRORS, HTTP_CLIENT_REQUEST_DURATION
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


def test_series_are_kept_up_to_a_number(client: Client) -> None:
    cache = SeriesCache()
    made = series(client, KEY, None, None, None)
    for number in range(calls._MAX_SERIES + 10):
        cache.put(number, made)
    assert len(cache) == 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_keeps_no_series_of_its_parent(client: Client) -> None:
    cache = SeriesCache()
    cache.put("a", series(client, KEY, None, None, None))
    child = os.fork()
    if child == 0:
        os._exit(len(cache))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(cache) == 1


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
    for module in ("sqlalchemy", "redis"):
        monkeypatch.setattr(f"huoyan.client.dependencies.{module}.series", broken)
    monkeypatch.setattr("huoyan.client.outbound.series", broken)
    with caplog.at_level(logging.WARNING, "huoyan"), engine.connect() as c:
        assert c.execute(text("SELECT 1")).scalar() == 1
        c.commit()
        assert session.get(http_sink.url).status_code == 200
        with pytest.raises(redis.ConnectionError):
            connection.get("a")
    assert len(caplog.records) == 4
    session.close()
