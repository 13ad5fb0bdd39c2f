"""A real Prometheus that scrapes a real server finds what the server's own engine computes.

Two of them read the same server: one keeps classic buckets, the other native histograms. What has to be equal is said
with each test; docs/reference/signals.md says the same to people.
"""

import subprocess
import sys
import time
import urllib.request
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from huoyan.model.grid import DEFAULT_CLASSIC_BOUNDS_S, relative_error_bound
from huoyan.model.histogram import DEFAULT_SCHEMA
from huoyan.signals import CATALOGUE
from huoyan.signals.promql import Buckets, promql, recording_rule_name
from tests.servers import PrometheusServer, find_program, wait_until
from tests.servers.huoyan import HuoyanServer

WINDOW_S = 300
STEPS = 4
# What each step adds: durations of the runs that succeed, and of those that fail. With eleven of them no percentile
# lies on the edge between two.
LOAD = {
    "pay": ([0.02, 0.05, 0.11, 0.3, 0.45, 0.52, 0.9, 1.7], [2.2, 3.1, 5.0]),
    "send": ([0.004, 0.006, 0.02, 0.021, 0.03, 0.6, 0.61, 0.62, 7.0, 12.0, 40.0], []),
}
QUANTILES = ("task_duration_p50", "task_duration_p95", "task_duration_p99", "task_wait_p95")
CONFIG = """
[[rules]]
name = "failing"
signal = "task_failure_ratio"
threshold = 0.2
window = "10s"
min_samples = 5
keep_firing = "1s"
level = "critical"
"""

Labels = tuple[tuple[str, str], ...]
_numbers = count()


@dataclass
class Load:
    """Feeds a server with runs whose every figure is known."""

    server: HuoyanServer
    posted: int = 0

    def post(self, events: list[dict[str, Any]], **more: Any) -> None:
        answer = self.server.post("/events", {"events": events, "sent_at": time.time(), **more})
        assert answer == {"accepted": len(events), "rejected": []}
        self.posted += len(events)

    def run(self, task: str, state: str, duration_s: float, wait_s: float = 0.5) -> list[dict[str, Any]]:
        """Return the events of a run that ends now."""
        now = time.time()
        started = now - duration_s
        run = {"run_id": f"run-{next(_numbers)}", "task": task, "service": "shop", "queue": "default"}
        attempt = {**run, "attempt": 1, "execution": "1", "worker": "w1"}
        end: dict[str, Any] = {**attempt, "kind": state, "at": now, "duration_s": duration_s}
        if state == "failed":
            end["exception"] = {"type": "PaymentError", "message": "declined"}
        return [
            {**run, "kind": "queued", "at": started - wait_s},
            {**attempt, "kind": "started", "at": started},
            end,
        ]

    def step(self) -> None:
        """Post every run of one step, one of each task after a retry."""
        events: list[dict[str, Any]] = []
        for task, (good, bad) in LOAD.items():
            for position, duration_s in enumerate(good):
                events += self.run(task, "succeeded", duration_s, wait_s=0.01 * 3**position)
            for duration_s in bad:
                events += self.run(task, "failed", duration_s)
        self.post(events)


@dataclass
class Monitored:
    """A server with its load and those who read it."""

    server: HuoyanServer
    classic: PrometheusServer
    native: PrometheusServer
    load: Load

    @property
    def readers(self) -> tuple[PrometheusServer, PrometheusServer]:
        return self.classic, self.native

    def own(self, signal: str, **query: Any) -> dict[Labels, dict[str, Any]]:
        """Return what the server's own engine computes, by labels."""
        answer = self.server.get(f"/signals/{signal}", **query)
        return {_labels(item["labels"]): item for item in answer["now"]}

    def values(self, signal: str, **query: Any) -> dict[Labels, float]:
        return {
            labels: item["value"] for labels, item in self.own(signal, **query).items() if item["value"] is not None
        }

    def caught_up(self) -> bool:
        """Whether both have scraped everything posted so far."""
        return all(
            prometheus.value("huoyan_events_received_total") == self.load.posted
            for prometheus in (self.classic, self.native)
        )


def _labels(labels: dict[str, str]) -> Labels:
    return tuple(sorted((name, value) for name, value in labels.items() if value and not name.startswith("__")))


def _read(prometheus: PrometheusServer, expression: str) -> dict[Labels, float]:
    return {_labels(item["metric"]): float(item["value"][1]) for item in prometheus.query(expression)}


def _deployed(server: HuoyanServer, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("huoyan")), "deploy", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, cwd=server.process.folder
    ).stdout


def _prometheus(server: HuoyanServer, buckets: Buckets) -> PrometheusServer:
    """Start a Prometheus with the configuration that Huoyan writes, only with shorter intervals."""
    native = buckets is Buckets.NATIVE
    config = yaml.safe_load(_deployed(server, "prometheus", "--target", f"127.0.0.1:{server.port}"))
    del config["global"], config["rule_files"]
    rules = _deployed(
        server, "rules", "--config", str(server.config_path), *(["--native-histograms"] if native else [])
    )
    features = ["native-histograms"] if native else []
    return PrometheusServer(config=config, rules=[rules], interval_s=1.0, features=features)


@pytest.fixture(scope="module")
def monitored() -> Iterator[Monitored]:
    """A server that was fed in steps, each scraped before the next, and is quiet now."""
    with ExitStack() as parts:
        server = parts.enter_context(HuoyanServer(config=CONFIG))
        load = Load(server)
        classic = parts.enter_context(_prometheus(server, Buckets.CLASSIC))
        native = parts.enter_context(_prometheus(server, Buckets.NATIVE))
        monitored = Monitored(server, classic, native, load)
        worker = {"worker": "w1", "service": "shop", "framework": "background", "interval_s": 600}
        # Tasks are known before anything ends, as they are in life.
        first = [event for task in LOAD for event in load.run(task, "succeeded", 0.1)[:1]]
        load.post(
            first,
            process=worker,
            queues=[
                {"queue": "default", "service": "shop", "depth": 42, "oldest_age_s": 17.5, "at": time.time()},
                {"queue": "bulk", "service": "shop", "depth": 0, "at": time.time()},
            ],
        )
        # One that dies: it promised to report each second.
        load.post([], process={**worker, "worker": "w2", "interval_s": 1})
        wait_until(
            lambda: (
                _read(native, "sum by (task) (huoyan_task_runs_total)")
                == _read(classic, "sum by (task) (huoyan_task_runs_total)")
                == {(("task", "pay"),): 0.0, (("task", "send"),): 0.0}
            ),
            timeout_s=30,
            message="both to see the tasks at zero",
        )
        for _ in range(STEPS):
            load.step()
            wait_until(monitored.caught_up, timeout_s=15, message="both to scrape the step")
        # Two runs that are still being executed, and a client that had to drop three events.
        unfinished = [event for task in LOAD for event in load.run(task, "succeeded", 1.0)[:2]]
        load.post(unfinished, process={**worker, "dropped": 3})
        wait_until(monitored.caught_up, timeout_s=15, message="both to scrape the last events")
        yield monitored


def test_every_rule_that_huoyan_writes_is_evaluated_without_an_error(monitored):
    for prometheus in monitored.readers:
        wait_until(partial(_all_evaluated, prometheus), timeout_s=15, message="every rule to be evaluated")
        rules = prometheus.rules()
        assert {rule["name"]: rule["lastError"] for rule in rules if rule["health"] != "ok"} == {}
        recorded = {rule["name"] for rule in rules if rule["type"] == "recording"}
        assert recorded == {recording_rule_name(signal) for signal in CATALOGUE.values()}


def _all_evaluated(prometheus: PrometheusServer) -> bool:
    rules = prometheus.rules()
    return bool(rules) and all(rule["health"] != "unknown" for rule in rules)


def test_the_page_that_is_scraped_passes_the_checker_of_prometheus(monitored):
    with urllib.request.urlopen(f"{monitored.server.url}/metrics", timeout=10) as answer:
        page = answer.read()
    program = find_program("promtool", "prometheus")
    result = subprocess.run([str(program), "check", "metrics"], input=page, capture_output=True, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_raw_counters_are_exactly_what_the_engine_counts(monitored):
    by = ("service", "task", "queue", "state")
    own = monitored.own("task_runs_per_minute", window_s=WINDOW_S, by=",".join(by))
    counted = {labels: float(item["samples"]) for labels, item in own.items() if item["samples"]}
    expected = {}
    for task, (good, bad) in LOAD.items():
        for state, runs in (("succeeded", good), ("failed", bad)):
            if runs:
                labels = {"service": "shop", "task": task, "queue": "default", "state": state}
                expected[_labels(labels)] = float(STEPS * len(runs))
    assert counted == expected
    for prometheus in monitored.readers:
        assert _read(prometheus, f"sum by ({', '.join(by)}) (huoyan_task_runs_total) > 0") == expected


@pytest.mark.parametrize(
    ("signal", "label", "expected"),
    [
        ("queue_depth", "queue", {"bulk": 0.0, "default": 42.0}),
        ("queue_oldest_age", "queue", {"default": 17.5}),
        ("tasks_active", "task", {"pay": 1.0, "send": 1.0}),
        ("worker_up", "worker", {"w1": 1.0, "w2": 0.0}),
        ("workers_down", "", {"": 1.0}),
    ],
)
def test_a_gauge_is_equal(monitored, signal, label, expected):
    def own() -> dict[str, float]:
        return {dict(labels).get(label, ""): value for labels, value in monitored.values(signal).items()}

    def agrees(prometheus: PrometheusServer) -> bool:
        found = _read(prometheus, recording_rule_name(CATALOGUE[signal]))
        return {dict(labels).get(label, ""): value for labels, value in found.items()} == expected

    # A worker is missed only after a while, and what is recorded follows a second later.
    wait_until(lambda: own() == expected, timeout_s=15, message=lambda: f"{expected}, got {own()}")
    for prometheus in monitored.readers:
        wait_until(partial(agrees, prometheus), timeout_s=10, message=f"{signal} to be {expected}")


def test_the_failure_ratio_is_exactly_equal(monitored):
    own = monitored.values("task_failure_ratio", window_s=WINDOW_S)
    assert own == {
        _labels({"service": "shop", "task": "pay"}): pytest.approx(3 / 11, abs=1e-12),
        _labels({"service": "shop", "task": "send"}): 0.0,
    }
    recorded = recording_rule_name(CATALOGUE["task_failure_ratio"])
    for prometheus in monitored.readers:
        assert _read(prometheus, recorded) == pytest.approx(own, abs=1e-12)


def test_increases_are_what_was_scraped_extrapolated_to_the_window(monitored):
    """Series that were there at zero miss nothing; those that begin with their first increase may miss that one."""
    for signal, missed in (("task_runs_per_minute", 0), ("task_failures", 1), ("events_lost", 0)):
        own = monitored.own(signal, window_s=WINDOW_S)
        for prometheus in monitored.readers:
            scrapes = prometheus.value(f"count_over_time(huoyan_events_received_total[{WINDOW_S}s])")
            assert scrapes is not None
            factor = 1 + 2.2 / (scrapes - 1)
            found = _read(prometheus, promql(CATALOGUE[signal], WINDOW_S))
            for labels, item in own.items():
                if item["samples"]:
                    least = item["value"] * (STEPS - missed) / STEPS
                    assert least * (1 - 1e-9) <= found[labels] <= item["value"] * factor


@pytest.mark.parametrize("signal", QUANTILES)
def test_a_percentile_from_classic_buckets_lies_in_the_same_bucket(monitored, signal):
    own = monitored.values(signal, window_s=WINDOW_S)
    found = _read(monitored.classic, recording_rule_name(CATALOGUE[signal]))
    assert own.keys() == found.keys() == {_labels({"service": "shop", "task": task}) for task in LOAD}
    bounds = DEFAULT_CLASSIC_BOUNDS_S
    for labels, value in own.items():
        place = bisect_left(bounds, value)
        assert bounds[place - 1] * (1 - 1e-9) <= found[labels] <= bounds[place] * (1 + 1e-9)


@pytest.mark.parametrize("signal", QUANTILES)
def test_a_percentile_from_native_histograms_is_as_fine_as_the_engine(monitored, signal):
    own = monitored.values(signal, window_s=WINDOW_S)
    found = _read(monitored.native, recording_rule_name(CATALOGUE[signal]))
    assert found == pytest.approx(own, rel=relative_error_bound(DEFAULT_SCHEMA))
    assert len(found) == len(LOAD)


def test_an_alert_fires_and_ends_on_both_sides(monitored):
    def firing() -> list[set[Labels]]:
        own = monitored.server.get("/alerts", state="firing")["items"]
        found = [{_labels({"rule": alert["rule"], **alert["labels"]}) for alert in own}]
        for prometheus in monitored.readers:
            theirs = [alert["labels"] for alert in prometheus.alerts() if alert["state"] == "firing"]
            found.append(
                {_labels({"rule": a["alertname"], "service": a["service"], "task": a["task"]}) for a in theirs}
            )
        return found

    def feeding(feed: Callable[[], None], expected: set[Labels]) -> Callable[[], bool]:
        fed_at = [0.0]

        def look() -> bool:
            if time.monotonic() - fed_at[0] >= 1.0:
                fed_at[0] = time.monotonic()
                feed()
            return all(found == expected for found in firing())

        return look

    def succeed() -> None:
        monitored.load.post([event for _ in range(8) for event in monitored.load.run("pay", "succeeded", 0.1)])

    failing = {_labels({"rule": "failing", "service": "shop", "task": "pay"})}
    wait_until(feeding(monitored.load.step, failing), timeout_s=20, message=lambda: f"it to fire, got {firing()}")
    wait_until(feeding(succeed, set()), timeout_s=30, message=lambda: f"it to end, got {firing()}")
