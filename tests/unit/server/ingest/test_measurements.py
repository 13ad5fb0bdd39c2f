"""What a batch says was measured, and what is wrong with it."""

import json
from typing import Any

import pytest

from huoyan.model.histogram import Histogram
from huoyan.server.ingest.batch import Decoded, decode
from huoyan.signals.metrics.application import HTTP_REQUESTS

AT = 1_795_209_308.0


def _decode(*metrics: dict[str, Any], **frame: Any) -> Decoded:
    body = {"measurements": [{"source": "p1", "sequence": 1, "at": AT, "metrics": list(metrics), **frame}]}
    return decode(json.dumps(body).encode(), AT)


def test_a_frame_of_each_kind_is_read_as_it_was_told():
    decoded = _decode(
        {"name": "parcels_total", "kind": "counter", "labels": ["carrier"], "series": [{"values": ["dhl"], "add": 2}]},
        {"name": "stock", "kind": "gauge", "series": [{"value": -4.5}]},
        {
            "name": "weight_grams",
            "kind": "distribution",
            "series": [{"buckets": [[0, 2], [32, 1]], "zeros": 1, "sum": 3.5}],
        },
        service="shop",
    )
    assert decoded.rejected == []
    (frame,) = decoded.measurements
    assert frame.service == "shop"
    assert frame.metrics["parcels_total"].series == {("dhl",): 2.0}
    assert frame.metrics["stock"].series == {(): -4.5}
    weight = frame.metrics["weight_grams"].series[()]
    assert isinstance(weight, Histogram)
    assert (weight.count, weight.zero_count, weight.sum, weight.buckets) == (4, 1, 3.5, {0: 2, 32: 1})


@pytest.mark.parametrize(
    ("metric", "field", "expected"),
    [
        ({"name": "a b", "kind": "counter"}, "measurements[0].metrics[0].name", "text that matches"),
        ({"name": "a", "kind": "summary"}, "measurements[0].metrics[0].kind", "one of counter, gauge, distribution"),
        (
            {"name": "huoyan_task_runs_total", "kind": "counter"},
            "measurements[0].metrics[0].name",
            "a metric of an application",
        ),
        (
            {"name": HTTP_REQUESTS.name, "kind": "counter", "labels": ["path"]},
            "measurements[0].metrics[0].kind",
            "a counter with the labels",
        ),
        ({"name": "a", "kind": "counter", "labels": ["service"]}, "measurements[0].metrics[0].labels", "different"),
        (
            {"name": "a", "kind": "counter", "labels": ["x"], "series": [{"values": [], "add": 1}]},
            "measurements[0].metrics[0].series[0]",
            "`add` and values for the labels",
        ),
        ({"name": "a", "kind": "gauge", "series": [{"add": 1}]}, "measurements[0].metrics[0].series[0]", "`value`"),
        (
            {"name": "a", "kind": "distribution", "series": [{"buckets": [[0, -1]]}]},
            "measurements[0].metrics[0].series[0].buckets[0][1]",
            "a whole number",
        ),
    ],
)
def test_what_cannot_be_taken_is_named_with_what_was_expected(metric, field, expected):
    (rejected,) = _decode(metric).rejected
    assert rejected.field == field
    assert rejected.expected.startswith(expected)


def test_what_is_wrong_with_one_metric_keeps_no_other_out():
    decoded = _decode(
        {"name": "huoyan_task_runs_total", "kind": "counter", "series": [{"add": 1}]},
        {"name": "parcels_total", "kind": "counter", "series": [{"add": 1}]},
    )
    assert list(decoded.measurements[0].metrics) == ["parcels_total"]
    assert len(decoded.rejected) == 1
