"""What `huoyan deploy` writes for Prometheus, accepted by its own checker."""

import subprocess
from pathlib import Path

import pytest
import yaml

from huoyan.deploy.prometheus import prometheus
from huoyan.deploy.rules import DefaultCondition, default_conditions, rules
from huoyan.deploy.settings import Monitoring
from huoyan.model.alert import Level
from huoyan.server.alert.defaults import default_rules
from huoyan.server.alert.rules import Rule, parse_rule
from huoyan.signals import CATALOGUE
from huoyan.signals.promql import recording_rule_name
from huoyan.signals.spec import Op
from tests.servers import find_program


def _promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = find_program("promtool", "prometheus")
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, timeout=60, cwd=folder)


def test_configuration_and_rules_are_accepted_together(tmp_path):
    monitoring = Monitoring(
        servers=("huoyan-1:8650", "[::1]:8650"),
        applications=("orders:8000",),
        alertmanagers=("127.0.0.1:9093",),
        token_file="token",
        scheme="https",
    )
    (tmp_path / "token").write_text("secret")
    (tmp_path / "huoyan-rules.yml").write_text(rules(monitoring=monitoring))
    (tmp_path / "prometheus.yml").write_text(prometheus(monitoring))
    result = _promtool(tmp_path, "check", "config", "prometheus.yml")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 rule files found" in result.stdout


def test_metrics_are_read_and_rules_evaluated_each_15_seconds():
    document = yaml.safe_load(prometheus(Monitoring()))
    assert document["global"] == {"scrape_interval": "15s", "evaluation_interval": "15s"}
    assert [job["job_name"] for job in document["scrape_configs"]] == ["huoyan"]
    assert "alerting" not in document


def test_the_token_is_named_by_its_file_and_sent_to_huoyan_alone():
    text = prometheus(
        Monitoring(applications=("orders:8000",), node_exporters=("db-1:9100",), token_file="/run/secrets/huoyan")
    )
    huoyan, applications, nodes = yaml.safe_load(text)["scrape_configs"]
    assert huoyan["authorization"] == {"type": "Bearer", "credentials_file": "/run/secrets/huoyan"}
    assert "authorization" not in applications
    assert nodes == {"job_name": "node", "static_configs": [{"targets": ["db-1:9100"]}]}


def _rules(text: str) -> list[dict]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_every_signal_is_recorded_once():
    recorded = [rule["record"] for rule in _rules(rules()) if "record" in rule]
    assert sorted(recorded) == sorted(recording_rule_name(signal) for signal in CATALOGUE.values())


def test_every_default_threshold_is_an_alert():
    alerts = {
        (rule["labels"]["signal"], rule["labels"]["severity"]): rule for rule in _rules(rules()) if "alert" in rule
    }
    del alerts["up", "critical"]
    expected = {
        (signal.id, level)
        for signal in CATALOGUE.values()
        if signal.thresholds is not None
        for level, threshold in (("warning", signal.thresholds.warning), ("critical", signal.thresholds.critical))
        if threshold is not None
    }
    assert set(alerts) == expected
    failures = alerts["task_failure_ratio", "critical"]
    assert failures["alert"] == "HuoyanTaskFailureRatio"
    assert failures["expr"] == "huoyan:task_failure_ratio:5m > 0.2"
    assert failures["for"] == "1m"


def test_an_alert_sees_what_its_own_group_recorded_before():
    for group in yaml.safe_load(rules())["groups"]:
        recorded = set()
        for rule in group["rules"]:
            if "record" in rule:
                recorded.add(rule["record"])
            elif rule["alert"] != "HuoyanDown":
                assert rule["expr"].split()[0] in recorded


def test_the_rules_of_the_server_are_conditions_and_pass_the_checker(tmp_path):
    (tmp_path / "rules.yml").write_text(rules(default_rules()))
    result = _promtool(tmp_path, "check", "rules", "rules.yml")
    assert result.returncode == 0, result.stdout + result.stderr
    names = [rule["alert"] for rule in _rules(rules(default_rules())) if "alert" in rule]
    assert sorted(names) == sorted([*(rule.name for rule in default_rules()), "HuoyanDown"])


def test_a_rule_with_a_window_and_filter_of_its_own_does_not_use_the_recorded_series(tmp_path):
    rule = Rule(
        name="pay",
        signal="task_failure_ratio",
        op=Op.AT_LEAST,
        threshold=0.29,
        level=Level.CRITICAL,
        window_s=60,
        where={"queue": 'a"b'},
        by=("task",),
        min_samples=3,
        keep_firing_s=0,
        annotations={"runbook": "Look at {{ payments }}."},
    )
    text = rules([rule])
    (alert,) = [found for found in _rules(text) if found.get("alert") == "pay"]
    assert "huoyan:" not in alert["expr"]
    assert "[1m]" in alert["expr"]
    assert 'queue="a\\"b"' in alert["expr"]
    assert alert["expr"].endswith(" >= 3) >= 0.29")
    assert "keep_firing_for" not in alert
    assert alert["annotations"]["description"].endswith("The limit is >= 29 %.")
    (tmp_path / "rules.yml").write_text(text)
    result = _promtool(tmp_path, "check", "rules", "rules.yml")
    assert result.returncode == 0, result.stdout + result.stderr


NAMES = ("支付 失败率过高", "größer als 5.1:v2", "yes", "1.5", "- a", "भुगतान विफल")


def test_names_of_any_script_stay_what_they_are_and_pass_the_checker(tmp_path):
    conditions = [parse_rule({"name": name, "signal": "queue_depth"}, 0) for name in NAMES]
    text = rules(conditions)
    assert [rule["alert"] for rule in _rules(text) if "alert" in rule] == [*NAMES, "HuoyanDown"]
    assert "支付 失败率过高" in text, "people who read the file have to be able to read the name"
    (tmp_path / "rules.yml").write_text(text)
    result = _promtool(tmp_path, "check", "rules", "rules.yml")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_rule_with_a_chinese_name_fires_under_it(tmp_path):
    rule = parse_rule({"name": "队列 积压", "signal": "queue_depth", "threshold": 10, "for": 0, "keep_firing": 0}, 0)
    (tmp_path / "rules.yml").write_text(rules([rule]))
    series = {'huoyan_queue_depth{service="shop", queue="邮件"}': "20x40", 'up{job="huoyan", instance="a"}': "1x40"}
    firing = {
        "exp_labels": {"severity": "warning", "signal": "queue_depth", "service": "shop", "queue": "邮件"},
        "exp_annotations": {
            "summary": "Queue depth: 20 (service shop, queue 邮件)",
            "value": "20",
            "description": f"{CATALOGUE['queue_depth'].help} The limit is > 10.",
        },
    }
    assert _alert_test(tmp_path, series, "5m", "队列 积压", [firing]) == ""


def _alert_test(folder: Path, series: dict[str, str], at: str, alert: str, expected: list[dict]) -> str:
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": expected}],
            }
        ],
    }
    (folder / "test.yml").write_text(yaml.safe_dump(test))
    result = _promtool(folder, "test", "rules", "test.yml")
    return "" if result.returncode == 0 else result.stdout + result.stderr


def test_an_alert_fires_after_its_time_and_says_what_where_and_how_much(tmp_path):
    (tmp_path / "rules.yml").write_text(rules())
    series = {
        'huoyan_task_runs_total{service="orders", task="pay", queue="", state="succeeded"}': "0+9x40",
        'huoyan_task_runs_total{service="orders", task="pay", queue="", state="failed"}': "0+1x40",
        'up{job="huoyan", instance="a"}': "1x40",
    }
    firing = {
        "exp_labels": {"severity": "warning", "signal": "task_failure_ratio", "service": "orders", "task": "pay"},
        "exp_annotations": {
            "summary": "Failure ratio: 10% (service orders, task pay)",
            "value": "10%",
            "description": f"{CATALOGUE['task_failure_ratio'].help} The limit is > 5 %.",
        },
    }
    assert _alert_test(tmp_path, series, "10m", "HuoyanTaskFailureRatio", [firing]) == ""
    # Ten runs are seen with the second sample, and the condition has to hold for a minute from then on.
    assert _alert_test(tmp_path, series, "1m", "HuoyanTaskFailureRatio", []) == ""
    assert _alert_test(tmp_path, series, "10m", "HuoyanDown", []) == ""


@pytest.mark.parametrize(
    ("series", "labels", "where"),
    [({}, {}, ""), ({'up{job="huoyan", instance="a"}': "0x40"}, {"instance": "a"}, "a")],
    ids=["absent", "down"],
)
def test_a_server_that_does_not_answer_is_an_alert(tmp_path, series, labels, where):
    (tmp_path / "rules.yml").write_text(rules())
    firing = {
        "exp_labels": {"severity": "critical", "signal": "up", "job": "huoyan", **labels},
        "exp_annotations": {
            "summary": f"Huoyan does not answer on {where}",
            "description": "Prometheus cannot read the metrics of huoyan serve, so no other alert of Huoyan can fire.",
        },
    }
    assert _alert_test(tmp_path, series, "5m", "HuoyanDown", [firing]) == ""


def test_default_conditions_leave_out_signals_without_thresholds():
    judged = {condition.signal for condition in default_conditions()}
    assert "task_duration_p95" not in judged
    assert "queue_depth" in judged
    assert all(isinstance(condition, DefaultCondition) for condition in default_conditions())


def test_a_rule_on_a_metric_of_the_application_becomes_an_alert_that_prometheus_accepts(tmp_path):
    written = parse_rule(
        {
            "name": "no-orders",
            "signal": "rate:orders_total",
            "op": "<",
            "threshold": 1,
            "window": "10m",
            "by": ["kind"],
        },
        0,
    )
    text = rules([written])
    (tmp_path / "rules.yml").write_text(text)
    result = _promtool(tmp_path, "check", "rules", "rules.yml")
    assert result.returncode == 0, result.stdout + result.stderr
    found = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"] if "alert" in rule]
    assert "(sum by (kind) (rate(orders_total[10m])) * 60) < 1" in [rule["expr"] for rule in found]
