"""Signals as PromQL, parsed and computed by the engine of a real Prometheus (promtool)."""

import subprocess
from pathlib import Path

import pytest
import yaml

from huoyan.signals import CATALOGUE, Signal
from huoyan.signals.metrics.work import TASK_RUNS, TASKS_ENQUEUED
from huoyan.signals.promql import Buckets, duration, promql, quoted, recording_rule_name
from huoyan.signals.spec import Difference, Increase, Panel, Unit, where
from tests.servers import find_program

STRANGE = 'a"b\\c)d(e|f.*{g} 任务\nh'
TASK = 'service="orders", task="pay"'


def test_a_whole_hundred_of_statuses_is_one_pattern():
    assert 'http_status=~"5.."' in promql(CATALOGUE["http_error_ratio"])
    assert "500|" not in promql(CATALOGUE["http_error_ratio"])


def _promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = find_program("promtool", "prometheus")
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, timeout=60)


def _check(folder: Path, expression: str, series: dict[str, str], expected: dict[str, float]) -> None:
    """Assert what Prometheus computes after ten minutes of samples each 15 s, in promtool's notation of series."""
    test = {
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": expression,
                        "eval_time": "10m",
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in expected.items()],
                    }
                ],
            }
        ],
    }
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump(test))
    result = _promtool("test", "rules", path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_signal_parses_with_classic_and_with_native_buckets(tmp_path):
    rules: list[dict[str, str]] = []
    for signal in CATALOGUE.values():
        for buckets in Buckets:
            for by in (signal.by, (), signal.labels):
                rules.append({"record": f"r{len(rules)}", "expr": promql(signal, by=by, buckets=buckets)})
        conditions = dict.fromkeys(signal.labels, (STRANGE, "b"))
        rules.append({"record": f"r{len(rules)}", "expr": promql(signal, where=conditions, window_s=90.5)})
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    result = _promtool("check", "rules", path)
    assert result.returncode == 0, result.stderr
    assert f"{len(rules)} rules found" in result.stdout


def test_a_ratio_divides_the_increases(tmp_path):
    _check(
        tmp_path,
        promql(CATALOGUE["task_failure_ratio"]),
        {
            f'huoyan_task_runs_total{{{TASK}, queue="a", state="succeeded"}}': "0+6x40",
            f'huoyan_task_runs_total{{{TASK}, queue="b", state="failed"}}': "0+1x40",
            f'huoyan_task_runs_total{{{TASK}, queue="b", state="lost"}}': "0+1x40",
            f'huoyan_task_runs_total{{{TASK}, queue="b", state="revoked"}}': "0+99x40",
        },
        {f"{{{TASK}}}": 0.25},
    )


def test_a_ratio_is_zero_where_no_failure_was_ever_seen(tmp_path):
    series = {f'huoyan_task_runs_total{{{TASK}, state="succeeded"}}': "0+6x40"}
    _check(tmp_path, promql(CATALOGUE["task_failure_ratio"]), series, {f"{{{TASK}}}": 0.0})


def test_a_division_by_zero_and_too_few_samples_give_nothing(tmp_path):
    signal = CATALOGUE["task_failure_ratio"]
    series = {
        'huoyan_task_runs_total{service="orders", task="idle", state="succeeded"}': "7x40",
        'huoyan_task_runs_total{service="orders", task="rare", state="succeeded"}': "0x33 1+1x6",
        'huoyan_task_runs_total{service="orders", task="busy", state="succeeded"}': "0+1x40",
    }
    _check(tmp_path, promql(signal), series, {'{service="orders", task="busy"}': 0.0})
    _check(
        tmp_path,
        promql(signal, min_samples=0),
        series,
        {'{service="orders", task="busy"}': 0.0, '{service="orders", task="rare"}': 0.0},
    )


def test_runs_per_minute_is_a_rate_per_minute(tmp_path):
    series = {f'huoyan_task_runs_total{{{TASK}, state="{state}"}}': "0+3x40" for state in ("succeeded", "failed")}
    _check(tmp_path, promql(CATALOGUE["task_runs_per_minute"]), series, {f"{{{TASK}}}": 24.0})


def test_a_quantile_of_classic_buckets_needs_an_observation(tmp_path):
    name = "huoyan_task_duration_seconds"
    series = {}
    for task, step in (("pay", 10), ("idle", 0)):
        labels = f'service="orders", task="{task}"'
        for le, share in (("0.5", 0), ("1", 1), ("+Inf", 1)):
            series[f'{name}_bucket{{{labels}, le="{le}"}}'] = f"0+{step * share}x40"
        series[f"{name}_count{{{labels}}}"] = f"0+{step}x40"
    _check(tmp_path, promql(CATALOGUE["task_duration_p50"]), series, {f"{{{TASK}}}": 0.75})


def test_workers_down_counts_zeros_and_is_zero_when_all_are_up(tmp_path):
    expression = promql(CATALOGUE["workers_down"])
    series = {f'huoyan_worker_up{{worker="{worker}"}}': f"{up}x40" for worker, up in (("a", 1), ("b", 0), ("c", 0))}
    _check(tmp_path, expression, series, {"{}": 2.0})
    _check(tmp_path, expression, {'huoyan_worker_up{worker="a"}': "1x40"}, {"{}": 0.0})
    _check(tmp_path, expression, {}, {})


def test_a_gauge_that_is_no_longer_there_has_no_value(tmp_path):
    series = {
        'huoyan_queue_depth{service="orders", queue="a"}': "5x40",
        'huoyan_queue_depth{service="orders", queue="b"}': "5x38 stale",
    }
    _check(tmp_path, promql(CATALOGUE["queue_depth"]), series, {'{service="orders", queue="a"}': 5.0})


@pytest.mark.parametrize("values", [STRANGE, ("other", STRANGE)], ids=["one value", "any of two"])
def test_a_filter_matches_strange_text_literally(tmp_path, values):
    series = {
        f"huoyan_tasks_active{{task={quoted(STRANGE)}}}": "3x40",
        f"huoyan_tasks_active{{task={quoted(STRANGE.replace('.', 'x'))}}}": "4x40",
    }
    expression = promql(CATALOGUE["tasks_active"], where={"task": values}, by=())
    _check(tmp_path, expression, series, {"{}": 3.0})


def test_a_filter_without_values_matches_nothing(tmp_path):
    series = {'huoyan_tasks_active{task="a"}': "3x40", 'huoyan_tasks_active{queue="b"}': "3x40"}
    _check(tmp_path, promql(CATALOGUE["tasks_active"], where={"task": ()}, by=()), series, {})


def _backlog() -> Signal:
    return Signal(
        id="backlog",
        title="Backlog",
        title_zh="积压",
        help="Grew.",
        help_zh="增长。",
        unit=Unit.COUNT,
        by=("task",),
        expression=Difference(Increase(TASKS_ENQUEUED), Increase(TASK_RUNS, where(state=("failed", "succeeded")))),
        panel=Panel("tasks"),
        window_s=300,
    )


def test_a_difference_takes_what_was_not_counted_for_zero(tmp_path):
    series = {
        'huoyan_tasks_enqueued_total{task="both"}': "0+2x40",
        'huoyan_tasks_enqueued_total{task="asked"}': "0+3x40",
        'huoyan_task_runs_total{task="both", state="failed"}': "0+1x40",
        'huoyan_task_runs_total{task="ended", state="succeeded"}': "0+1x40",
    }
    expected = {'{task="both"}': 20.0, '{task="asked"}': 60.0, '{task="ended"}': -20.0}
    _check(tmp_path, promql(_backlog()), series, expected)


def test_patterns_stand_as_they_are():
    text = promql(CATALOGUE["queue_depth"], patterns={"service": "$service"})
    assert text == 'sum by (service, queue) (huoyan_queue_depth{service=~"$service"})'


def test_a_recording_rule_is_named_after_signal_and_window():
    assert recording_rule_name(CATALOGUE["task_failure_ratio"]) == "huoyan:task_failure_ratio:5m"
    assert recording_rule_name(CATALOGUE["task_failure_ratio"], 3600) == "huoyan:task_failure_ratio:1h"
    assert recording_rule_name(CATALOGUE["queue_depth"]) == "huoyan:queue_depth:latest"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(300, "5m"), (90, "1m30s"), (5400, "1h30m"), (0.5, "500ms"), (86400 * 8, "8d"), (0, "0s"), (15, "15s")],
)
def test_a_duration_is_written_in_the_units_of_prometheus(seconds, text):
    assert duration(seconds) == text
