"""`huoyan deploy` on the command line."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from huoyan.cli.deploy import app
from huoyan.errors import ConfigurationError
from huoyan.server.alert.defaults import default_rules


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("HUOYAN_CONFIG", "HUOYAN_TOKEN", "HUOYAN_HOST"):
        monkeypatch.delenv(name, raising=False)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def _alerts(text: str) -> list[str]:
    return [rule["alert"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"] if "alert" in rule]


def test_prometheus_reads_the_given_targets(run):
    targets = ("--target", "a:1", "--target", "b:2", "--application", "c:3", "--node-exporter", "e:5")
    result = run("prometheus", *targets, "--alertmanager", "d:4")
    assert result.exit_code == 0
    document = yaml.safe_load(result.stdout)
    assert document["scrape_configs"][0]["static_configs"] == [{"targets": ["a:1", "b:2"]}]
    assert document["scrape_configs"][1]["static_configs"] == [{"targets": ["c:3"]}]
    assert document["scrape_configs"][2]["static_configs"] == [{"targets": ["e:5"]}]
    assert document["rule_files"] == ["huoyan-rules.yml"]


def test_out_writes_the_file_and_nothing_to_standard_output(run, tmp_path):
    result = run("grafana", "--out", "board.json", "--language", "zh")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "board.json" in result.stderr
    assert json.loads((tmp_path / "board.json").read_text("utf-8"))["uid"] == "huoyan-signals-zh"


def test_rules_are_those_that_the_server_judges(run):
    assert set(_alerts(run("rules").stdout)) == {"HuoyanDown", *(rule.name for rule in default_rules())}


def test_rules_of_the_configuration_take_the_place_of_the_built_in_ones(run, tmp_path):
    (tmp_path / "huoyan.toml").write_text(
        '[[rules]]\nname = "mine"\nsignal = "queue_depth"\nthreshold = 7\nwhere = {queue = "mail"}\n'
    )
    result = run("rules", "--config", "huoyan.toml")
    assert _alerts(result.stdout) == ["mine", "HuoyanDown"]
    assert 'huoyan_queue_depth{queue="mail"}' in result.stdout


def test_thresholds_add_the_signals_that_no_rule_judges(run):
    alerts = _alerts(run("rules", "--thresholds").stdout)
    assert "HuoyanQueueDepth" in alerts
    assert "HuoyanTaskFailureRatio" not in alerts  # judged by task-failures


@pytest.mark.parametrize("address", ["nowhere", "a:0", "a:70000", "http://a:1", "a:1/metrics", "a b:1"])
def test_what_is_no_address_is_refused(run, address):
    result = run("prometheus", "--target", address)
    assert isinstance(result.exception, ConfigurationError)
    assert result.exception.setting == "--target"


def test_a_file_that_cannot_be_written_is_named(run):
    result = run("grafana", "--out", "no/such/folder/board.json")
    assert isinstance(result.exception, ConfigurationError)
    assert "no/such/folder/board.json" in str(result.exception)


def test_native_histograms_are_queried_without_buckets(run):
    for command in ("rules", "grafana"):
        assert "huoyan_task_duration_seconds_bucket" in run(command).stdout
        native = run(command, "--native-histograms").stdout
        assert "_bucket" not in native
        assert "histogram_quantile(0.95, sum by (service, task) (rate(huoyan_task_duration_seconds" in native
