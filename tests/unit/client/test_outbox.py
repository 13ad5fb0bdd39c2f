"""Frames of measurements: what is new, once, however often the server has to be asked."""

import json
import math
import sys

from huoyan.client.delivery import Answer, Receipt
from huoyan.client.measurements import Measurements
from huoyan.client.outbox import Outbox
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.signals.measured import Frame
from huoyan.signals.metrics.application import DB_POOL_IN_USE, DB_QUERY_DURATION, HTTP_REQUESTS
from huoyan.testing import FakeClock


def _outbox(clock: FakeClock) -> tuple[Outbox, Measurements]:
    measurements = Measurements()
    return Outbox(clock, lambda: measurements, lambda: ("shop", "shop@host:1")), measurements


def _sent(outbox: Outbox) -> list[dict]:
    return [json.loads(encoded) for _, encoded in outbox.take()]


def _series(frame: dict, name: str) -> list[dict]:
    return next(metric["series"] for metric in frame["metrics"] if metric["name"] == name)


def test_a_frame_carries_growth_and_the_next_one_only_what_is_new():
    clock = FakeClock()
    outbox, measurements = _outbox(clock)
    requests = measurements.counter(HTTP_REQUESTS).child(("GET", "/a", "200"))
    queries = measurements.distribution(DB_QUERY_DURATION).child(("SELECT", "orders", "shop"))
    requests.add(3)
    queries.observe(0.5)
    outbox.freeze()
    first = _sent(outbox)
    assert [frame["sequence"] for frame in first] == [1]
    assert _series(first[0], HTTP_REQUESTS.name) == [{"values": ["GET", "/a", "200"], "add": 3.0}]
    assert _series(first[0], DB_QUERY_DURATION.name)[0]["sum"] == 0.5
    outbox.settle(1)
    requests.add(1)
    queries.observe(0.5)
    queries.observe(0.0)
    outbox.freeze()
    (second,) = _sent(outbox)
    assert second["sequence"] == 2
    assert _series(second, HTTP_REQUESTS.name) == [{"values": ["GET", "/a", "200"], "add": 1.0}]
    assert [count for _, count in _series(second, DB_QUERY_DURATION.name)[0]["buckets"]] == [1]
    assert _series(second, DB_QUERY_DURATION.name)[0]["zeros"] == 1
    outbox.settle(2)
    outbox.freeze()
    assert not outbox.waiting


def test_no_number_keeps_a_frame_from_being_written():
    """One that did would keep every later one here, and the events of the process with it."""
    outbox, measurements = _outbox(FakeClock())
    in_use = measurements.gauge(DB_POOL_IN_USE)
    for name, value in (("a", math.nan), ("b", math.inf), ("c", 4.0)):
        in_use.child((name,)).set(value)
    requests = measurements.counter(HTTP_REQUESTS).child(("GET", "/a", "200"))
    queries = measurements.distribution(DB_QUERY_DURATION).child(("SELECT", "orders", "shop"))
    for _ in range(2):
        requests.add(sys.float_info.max)
        queries.observe(sys.float_info.max)
    outbox.freeze()
    (frame,) = _sent(outbox)
    assert _series(frame, DB_POOL_IN_USE.name) == [{"values": ["c"], "value": 4.0}]
    assert _series(frame, HTTP_REQUESTS.name)[0]["add"] == sys.float_info.max
    assert _series(frame, DB_QUERY_DURATION.name)[0]["sum"] == sys.float_info.max


def test_a_frame_that_cannot_be_written_holds_up_nothing():
    outbox, measurements = _outbox(FakeClock())
    measurements.gauge(DB_POOL_IN_USE).child(("a",)).set(4)
    outbox.freeze()
    (frame,) = outbox._frames
    assert isinstance(frame, Frame)
    frame.metrics[DB_POOL_IN_USE.name].series[("a",)] = math.nan
    (empty,) = _sent(outbox)
    assert (empty["sequence"], empty["metrics"]) == (1, [])


def test_what_was_sent_once_is_sent_again_unchanged_and_what_came_after_it_is_merged():
    clock = FakeClock()
    outbox, measurements = _outbox(clock)
    requests = measurements.counter(HTTP_REQUESTS).child(("GET", "/a", "200"))
    requests.add(1)
    outbox.freeze()
    tried = outbox.take()
    for _ in range(5):
        requests.add(2)
        outbox.freeze()
    again = outbox.take()
    assert again[0] == tried[0]
    assert len(again) == 2
    assert _series(json.loads(again[1][1]), HTTP_REQUESTS.name)[0]["add"] == 10.0


def test_an_outage_of_days_keeps_every_count_in_a_bounded_number_of_frames():
    clock = FakeClock()
    outbox, measurements = _outbox(clock)
    requests = measurements.counter(HTTP_REQUESTS).child(("GET", "/a", "200"))
    for _ in range(500):
        clock.advance(60)
        requests.add(1)
        outbox.freeze()
    frames = _sent(outbox)
    assert len(frames) <= 60
    assert sum(_series(frame, HTTP_REQUESTS.name)[0]["add"] for frame in frames) == 500.0


def test_a_gauge_is_told_in_every_frame_until_it_is_unknown():
    clock = FakeClock()
    outbox, measurements = _outbox(clock)
    in_use = measurements.gauge(DB_POOL_IN_USE).child(("orders",))
    in_use.set(4)
    for sequence in (1, 2):
        outbox.freeze()
        (frame,) = _sent(outbox)
        assert _series(frame, DB_POOL_IN_USE.name) == [{"values": ["orders"], "value": 4.0}]
        outbox.settle(sequence)
    in_use.set(None)
    outbox.freeze()
    assert not outbox.waiting


def test_label_values_over_the_budget_are_counted_with_samples():
    clock = FakeClock()
    outbox, measurements = _outbox(clock)
    family = measurements.counter(HTTP_REQUESTS)
    for number in range(2000):
        family.child(("GET", f"/{number}", "200")).add()
    outbox.freeze()
    frames = _sent(outbox)
    metric = frames[0]["metrics"][0]
    assert metric["folded"] >= 1000
    assert metric["samples"][0][1].startswith("/")
    assert sum(series["add"] for series in metric["series"]) == 2000


def test_a_client_sends_measurements_with_its_reports_and_again_until_they_are_stored():
    transport = MemoryTransport([Receipt(Answer.LATER, reason="away")])
    client = Client(Settings(service="shop", exit_timeout_s=5.0), transport=transport)
    client.measurements.counter(HTTP_REQUESTS).child(("GET", "/a", "200")).add(2)
    assert not client.flush(0.2)
    client.measurements.counter(HTTP_REQUESTS).child(("GET", "/a", "200")).add(3)
    client.close()
    found = [_series(frame, HTTP_REQUESTS.name)[0]["add"] for frame in transport.measurements]
    assert sum(found) == 5.0
    assert {frame["service"] for frame in transport.measurements} == {"shop"}


def test_a_child_process_names_itself_anew_and_leaves_what_waits_to_its_parent():
    clock = FakeClock()
    outbox, measurements = _outbox(clock)
    measurements.counter(HTTP_REQUESTS).child(("GET", "/a", "200")).add(2)
    outbox.freeze()
    (before,) = _sent(outbox)
    outbox.forked()
    assert not outbox.waiting
    outbox.freeze()
    (after,) = _sent(outbox)
    assert after["source"] != before["source"]
    assert after["sequence"] == 1
