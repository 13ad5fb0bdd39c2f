"""`/metrics`, read back by the parsers of prometheus-client."""

import random

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from huoyan.model.grid import DEFAULT_CLASSIC_BOUNDS_S
from huoyan.model.histogram import Histogram
from huoyan.server.export import Exposition, Reading
from huoyan.signals.exposition import Format, negotiate
from huoyan.signals.metrics import METRICS
from huoyan.signals.metrics.work import TASK_RUNS

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
PAY = {"service": "orders", "task": "pay", "queue": "default"}

Samples = dict[str, list[Reading]]
Labels = tuple[tuple[str, str], ...]
Read = dict[tuple[str, Labels], float]


@pytest.fixture
def exposition():
    return Exposition("1.2.3")


def _distribution(*values: float) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    return histogram


def _read(exposition: Exposition, samples: Samples, accept: str | None = None) -> Read:
    body, content_type = exposition.render(samples, accept)
    parse = parse_openmetrics if "openmetrics" in content_type else parse_text
    answer = {}
    for family in parse(body.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in answer, f"{key} is written twice"
            answer[key] = sample.value
    return answer


def _named(read: Read, name: str) -> dict[Labels, float]:
    return {key[1]: value for key, value in read.items() if key[0] == name}


@pytest.mark.parametrize("accept", [None, OPENMETRICS])
def test_what_is_written_is_what_is_read(exposition, accept):
    read = _read(
        exposition,
        {
            "huoyan_task_failures_total": [Reading(7, {**PAY, "exception": "ValueError"})],
            "huoyan_queue_depth": [Reading(3, {"service": "orders", "queue": "default"})],
            "huoyan_events_received_total": [Reading(12345678901)],
            "huoyan_ingest_lag_seconds": [Reading(0.0025)],
        },
        accept,
    )
    labels = tuple(sorted({**PAY, "exception": "ValueError"}.items()))
    assert read["huoyan_task_failures_total", labels] == 7
    assert read["huoyan_queue_depth", (("queue", "default"), ("service", "orders"))] == 3
    assert read["huoyan_events_received_total", ()] == 12345678901
    assert read["huoyan_ingest_lag_seconds", ()] == 0.0025
    assert read["huoyan_build_info", (("version", "1.2.3"),)] == 1


@pytest.mark.parametrize("accept", [None, OPENMETRICS])
@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", "a\\nb", "a,b={}", "任务", "a\\"], ids=repr)
def test_any_text_survives_as_a_label(exposition, accept, value):
    read = _read(exposition, {"huoyan_tasks_active": [Reading(1, {**PAY, "task": value})]}, accept)
    assert dict(next(iter(_named(read, "huoyan_tasks_active"))))["task"] == value


def test_classic_buckets_hold_the_counts_of_the_histogram_exactly(exposition):
    values = [random.Random(1).lognormvariate(-1, 2) for _ in range(1000)]
    histogram = _distribution(*values)
    labels = {**PAY, "state": "succeeded"}
    samples = {"huoyan_task_duration_seconds": [Reading(histogram, labels)]}
    for accept in (None, OPENMETRICS):
        read = _read(exposition, samples, accept)
        buckets = {
            float(dict(key)["le"]): count for key, count in _named(read, "huoyan_task_duration_seconds_bucket").items()
        }
        expected = {bound: sum(value <= bound for value in values) for bound in DEFAULT_CLASSIC_BOUNDS_S}
        assert buckets == {**expected, float("inf"): 1000}
        (count,) = _named(read, "huoyan_task_duration_seconds_count").values()
        (total,) = _named(read, "huoyan_task_duration_seconds_sum").values()
        assert count == 1000
        assert total == pytest.approx(sum(values))


def test_a_histogram_that_grew_is_written_anew(exposition):
    histogram = _distribution(0.5)
    samples = {"huoyan_task_wait_seconds": [Reading(histogram, PAY)]}
    _read(exposition, samples)
    histogram.observe(0.7)
    read = _read(exposition, samples)
    assert list(_named(read, "huoyan_task_wait_seconds_count").values()) == [2]
    buckets = {dict(key)["le"]: count for key, count in _named(read, "huoyan_task_wait_seconds_bucket").items()}
    assert (buckets["0.5"], buckets["1.0"], buckets["+Inf"]) == (1, 2, 2)


def test_series_of_a_known_task_are_there_at_zero_before_anything_ends(exposition):
    read = _read(exposition, {"huoyan_tasks_enqueued_total": [Reading(1, PAY)]})
    runs = _named(read, "huoyan_task_runs_total")
    states = dict(TASK_RUNS.closed)["state"]
    assert {dict(key)["state"]: value for key, value in runs.items()} == dict.fromkeys(states, 0.0)
    assert list(_named(read, "huoyan_task_retries_total").values()) == [0.0]


def test_a_series_with_a_value_is_not_set_to_zero(exposition):
    read = _read(exposition, {"huoyan_task_runs_total": [Reading(4, {**PAY, "state": "failed"})]})
    runs = {dict(key)["state"]: value for key, value in _named(read, "huoyan_task_runs_total").items()}
    assert runs.pop("failed") == 4
    assert set(runs.values()) == {0.0}
    assert len(runs) == len(dict(TASK_RUNS.closed)["state"]) - 1


def test_what_is_unknown_is_absent(exposition):
    body, _ = exposition.render({"huoyan_queue_depth": []})
    assert b"huoyan_queue_depth" not in body


def test_series_that_are_gone_are_forgotten(exposition):
    for batch in range(5):
        series = [Reading(1, {"worker": f"w{batch}-{n}"}) for n in range(1000)]
        exposition.render({"huoyan_worker_up": series})
    assert sum(len(labels) for labels in exposition._text._labels.values()) <= 4000
    body, _ = exposition.render({"huoyan_worker_up": [Reading(1, {"worker": "last"})]})
    assert body.count(b"huoyan_worker_up{") == 1


def test_a_metric_outside_the_vocabulary_is_refused(exposition):
    with pytest.raises(ValueError, match="huoyan_surprise_total"):
        exposition.render({"huoyan_surprise_total": [Reading(1)]})


@pytest.mark.parametrize(
    ("name", "value"), [("huoyan_task_wait_seconds", 1.0), ("huoyan_tasks_active", Histogram())], ids=str
)
def test_a_value_of_the_wrong_kind_is_refused(exposition, name, value):
    with pytest.raises(ValueError, match=name):
        exposition.render({name: [Reading(value, PAY)]})


def test_the_process_shows_its_memory_and_processor_time(exposition):
    for accept in (None, OPENMETRICS):
        read = _read(exposition, {}, accept)
        assert read["process_resident_memory_bytes", ()] > 1e6
        assert read["process_cpu_seconds_total", ()] > 0


def test_openmetrics_ends_with_its_mark_and_names_families_without_total(exposition):
    samples = {"huoyan_events_lost_total": [Reading(0)]}
    body, content_type = exposition.render(samples, OPENMETRICS)
    assert content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert body.endswith(b"# EOF\n")
    assert b"# TYPE huoyan_events_lost counter\nhuoyan_events_lost_total 0.0\n" in body
    body, content_type = exposition.render(samples)
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# EOF" not in body
    assert b"# TYPE huoyan_events_lost_total counter\n" in body


def test_every_metric_has_its_help_text_from_the_vocabulary(exposition):
    body, _ = exposition.render({"huoyan_tasks_active": [Reading(1, PAY)]})
    assert f"# HELP huoyan_tasks_active {METRICS['huoyan_tasks_active'].help}\n".encode() in body


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, Format.TEXT),
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.TEXT),
        (PROMETHEUS_2_42, Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', Format.OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", Format.TEXT),
        ("application/openmetrics-text;version=2.0.0", Format.TEXT),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.9", Format.TEXT),
        ("application/openmetrics-text;q=0", Format.TEXT),
        ("application/openmetrics-text;q=many", Format.TEXT),
        (f"{PROTOBUF},{PROMETHEUS_2_42}", Format.PROTOBUF),
        (f"{PROTOBUF};q=0.1,{PROMETHEUS_2_42}", Format.OPENMETRICS),
        ("application/vnd.google.protobuf;proto=other;encoding=delimited", Format.TEXT),
        (PROTOBUF.replace("delimited", "text"), Format.TEXT),
        (";;,,=;q", Format.TEXT),
    ],
    ids=str,
)
def test_the_scraper_chooses_the_format(accept, expected):
    assert negotiate(accept) is expected


@pytest.mark.parametrize(("opened", "critical"), [([], 0), ([Reading(2, {"level": "critical"})], 2)])
def test_levels_without_an_open_incident_are_zero(exposition, opened, critical):
    read = _read(exposition, {"huoyan_incidents_open": opened})
    assert _named(read, "huoyan_incidents_open") == {(("level", "critical"),): critical, (("level", "warning"),): 0}


def test_incidents_that_nobody_counted_are_absent(exposition):
    assert _named(_read(exposition, {}), "huoyan_incidents_open") == {}
