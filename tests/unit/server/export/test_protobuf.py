"""The protobuf format, taken apart by hand after the field numbers of its definition."""

import random
import struct
from itertools import accumulate

from huoyan.model.grid import DEFAULT_CLASSIC_BOUNDS_S
from huoyan.model.histogram import Histogram
from huoyan.server.export import Exposition, Reading

ACCEPT = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PAY = {"service": "orders", "task": "支付", "queue": ""}

Message = dict[int, list]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return number, at
        shift += 7


def _signed(number: int) -> int:
    return number >> 1 ^ -(number & 1)


def _decode(data: bytes) -> Message:
    fields: Message = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value: int | float | bytes
        if tag & 7 == 0:
            value, at = _varint(data, at)
        elif tag & 7 == 1:
            (value,) = struct.unpack_from("<d", data, at)
            at += 8
        else:
            assert tag & 7 == 2
            length, at = _varint(data, at)
            value = data[at : at + length]
            at += length
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _families(samples: dict[str, list[Reading]]) -> dict[str, tuple[int, list[tuple[dict[str, str], Message]]]]:
    """Return name → (type, [(labels, metric)])."""
    body, content_type = Exposition("1.2.3").render(samples, ACCEPT)
    assert content_type.startswith("application/vnd.google.protobuf")
    found = {}
    at = 0
    while at < len(body):
        length, at = _varint(body, at)
        family = _decode(body[at : at + length])
        at += length
        metrics = []
        for data in family.get(4, []):
            metric = _decode(data)
            pairs = [_decode(pair) for pair in metric.get(1, [])]
            metrics.append(({pair[1][0].decode(): pair[2][0].decode() for pair in pairs}, metric))
        found[family[1][0].decode()] = (family[3][0], metrics)
    return found


def test_counters_and_gauges_carry_their_labels_and_values():
    families = _families(
        {
            "huoyan_task_failures_total": [Reading(7, {**PAY, "exception": "ValueError"})],
            "huoyan_queue_depth": [Reading(3, {"service": "orders", "queue": "default"})],
        }
    )
    kind, ((labels, metric),) = families["huoyan_task_failures_total"]
    assert (kind, labels) == (0, {**PAY, "exception": "ValueError"})
    assert _decode(metric[3][0]) == {1: [7.0]}
    kind, ((labels, metric),) = families["huoyan_queue_depth"]
    assert (kind, labels) == (1, {"service": "orders", "queue": "default"})
    assert _decode(metric[2][0]) == {1: [3.0]}


def test_a_native_histogram_has_every_bucket_and_the_classic_ones_beside_it():
    numbers = random.Random(2)
    histogram = Histogram()
    for _ in range(500):
        histogram.observe(numbers.choice([0.0, numbers.lognormvariate(-1, 2), 3600.0]))
    kind, ((_, metric),) = _families({"huoyan_task_wait_seconds": [Reading(histogram, PAY)]})[
        "huoyan_task_wait_seconds"
    ]
    assert kind == 4
    fields = _decode(metric[7][0])
    assert fields[1] == [500]
    assert fields[2] == [histogram.sum]
    assert _signed(fields[5][0]) == histogram.schema
    assert fields[6] == [1e-9]
    assert fields[7] == [histogram.zero_count]
    classic = [_decode(bucket) for bucket in fields[3]]
    bounds = [*DEFAULT_CLASSIC_BOUNDS_S, float("inf")]
    assert [bucket[2][0] for bucket in classic] == bounds
    assert [bucket[1][0] for bucket in classic] == histogram.classic(bounds)
    deltas = []
    at = 0
    while at < len(fields[13][0]):
        delta, at = _varint(fields[13][0], at)
        deltas.append(_signed(delta))
    counts = iter(accumulate(deltas))
    buckets: dict[int, int] = {}
    index = 0
    for data in fields[12]:
        span = _decode(data)
        index += _signed(span[1][0])
        for _ in range(span[2][0]):
            buckets[index] = next(counts)
            index += 1
    assert {index: count for index, count in buckets.items() if count} == histogram.buckets


def test_an_empty_histogram_is_still_a_native_one():
    families = _families({"huoyan_task_wait_seconds": [Reading(Histogram(), PAY)]})
    _, ((_, metric),) = families["huoyan_task_wait_seconds"]
    fields = _decode(metric[7][0])
    assert [_decode(span) for span in fields[12]] == [{1: [0], 2: [0]}]
    assert 13 not in fields
