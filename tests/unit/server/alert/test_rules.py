"""Rules: what is accepted, and what is refused with which words."""

import math

import pytest

from huoyan.errors import ConfigurationError
from huoyan.model.alert import Level
from huoyan.server.alert.defaults import default_rules
from huoyan.server.alert.rules import Rule, parse_duration, parse_rule, parse_rules
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.spec import Op

GOOD = {"name": "failing", "signal": "task_failure_ratio", "op": ">", "threshold": 0.2}


def test_a_whole_rule_is_read():
    rule = parse_rule(
        {
            **GOOD,
            "level": "critical",
            "for": "30s",
            "window": "5m",
            "where": {"service": "orders"},
            "by": ["task"],
            "min_samples": 5,
            "keep_firing": "1m",
            "stale": 120,
            "group": "failures",
            "annotations": {"runbook": "https://example.com/pay"},
            "receivers": ["ops"],
        },
        0,
    )
    assert rule == Rule(
        name="failing",
        signal="task_failure_ratio",
        op=Op.ABOVE,
        threshold=0.2,
        level=Level.CRITICAL,
        for_s=30.0,
        window_s=300.0,
        where={"service": "orders"},
        by=("task",),
        min_samples=5,
        keep_firing_s=60.0,
        stale_s=120.0,
        group="failures",
        annotations={"runbook": "https://example.com/pay"},
        receivers=("ops",),
    )


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("500ms", 0.5), ("30s", 30.0), ("5m", 300.0), ("1h", 3600.0), ("1d", 86400.0), ("45", 45.0), (2.5, 2.5), (0, 0.0)],
)
def test_a_duration_is_a_number_of_seconds_or_a_text_with_a_unit(written, seconds):
    assert parse_duration(written, "rules[0].for") == seconds


@pytest.mark.parametrize("written", ["", "5 parsecs", "-1s", -1, True, None, "8d", math.inf, math.nan, [], "1h30m"])
def test_what_is_no_duration_is_refused(written):
    with pytest.raises(ConfigurationError, match=r"rules\[0\]\.for: expected a duration such as"):
        parse_duration(written, "rules[0].for")


@pytest.mark.parametrize(
    ("change", "setting", "words"),
    [
        ({"signal": "task_failure_rato"}, "rules[2].signal", "did you mean task_failure_ratio"),
        ({"signal": 7}, "rules[2].signal", "known are backlog"),
        ({"name": ""}, "rules[2].name", "a name of at most 80"),
        ({"name": "   "}, "rules[2].name", "a name of at most 80"),
        ({"name": "x" * 81}, "rules[2].name", "a name of at most 80"),
        ({"name": "-.:"}, "rules[2].name", "a name of at most 80"),
        ({"name": "a\nb"}, "rules[2].name", "a name of at most 80"),
        ({"name": "a\tb"}, "rules[2].name", "a name of at most 80"),
        ({"name": "支付\u3000失败"}, "rules[2].name", "a name of at most 80"),
        ({"name": "a\u200bb"}, "rules[2].name", "a name of at most 80"),
        ({"name": "a\x1b[31m"}, "rules[2].name", "a name of at most 80"),
        ({"name": 'a"b'}, "rules[2].name", "a name of at most 80"),
        ({"name": "a{b}"}, "rules[2].name", "a name of at most 80"),
        ({"group": "a/b"}, "rules[2].group", "a name of at most 80"),
        ({"op": "=="}, "rules[2].op", "one of >, >=, <, <="),
        ({"op": "above"}, "rules[2].op", "one of >, >=, <, <="),
        ({"threshold": math.nan}, "rules[2].threshold", "a finite number"),
        ({"threshold": True}, "rules[2].threshold", "a finite number"),
        ({"threshold": "0.2"}, "rules[2].threshold", "a finite number"),
        ({"level": "fatal"}, "rules[2].level", '"warning" or "critical"'),
        ({"for": "soon"}, "rules[2].for", "a duration"),
        ({"window": 1}, "rules[2].window", "at least 5 seconds"),
        ({"where": {"taks": "pay"}}, "rules[2].where.taks", "did you mean task?"),
        ({"where": ["task"]}, "rules[2].where", "a table of names and texts"),
        ({"by": ["worker"]}, "rules[2].by[0]", "a label of signal task_failure_ratio"),
        ({"by": "task"}, "rules[2].by", "a list of texts"),
        ({"min_samples": 1.5}, "rules[2].min_samples", "a whole number"),
        ({"treshold": 1}, "rules[2].treshold", "did you mean threshold?"),
        ({"receivers": "ops"}, "rules[2].receivers", "a list of texts"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_expected(change, setting, words):
    with pytest.raises(ConfigurationError) as refused:
        parse_rule({**GOOD, **change}, 2)
    assert refused.value.setting == setting
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("payment-failures", "payment-failures"),
        ("支付失败率过高", "支付失败率过高"),
        ("  支付 失败率 5.1:v2  ", "支付 失败率 5.1:v2"),
        ("Zahlungen größer_10", "Zahlungen größer_10"),
        ("भुगतान विफल", "भुगतान विफल"),
        ("cafe\u0301", "café"),
        ("支" * 80, "支" * 80),
        ("2", "2"),
    ],
)
def test_a_name_is_made_of_letters_of_any_script(written, name):
    rule = parse_rule({**GOOD, "name": written, "group": written}, 0)
    assert (rule.name, rule.group) == (name, name)


def test_names_that_differ_in_blanks_at_the_ends_are_one_name():
    with pytest.raises(ConfigurationError, match=r"rules\[1\]\.name: expected a name that no other rule carries"):
        parse_rules([{**GOOD, "name": "支付 失败"}, {**GOOD, "name": " 支付 失败 "}])


def test_a_rule_that_is_no_table_is_refused():
    with pytest.raises(ConfigurationError, match=r"rules\[1\]: expected a table"):
        parse_rules([GOOD, "failing"])


def test_two_rules_of_one_name_are_refused():
    with pytest.raises(ConfigurationError, match=r"rules\[1\]\.name: .*rules\[0\] has it already"):
        parse_rules([GOOD, GOOD])


def test_a_window_for_a_signal_that_has_a_value_at_each_moment_is_refused():
    with pytest.raises(ConfigurationError, match="use for"):
        parse_rule({"name": "deep", "signal": "queue_depth", "window": "5m"}, 0)


def test_without_a_threshold_the_signals_own_for_the_level_applies_with_its_time():
    warning = parse_rule({"name": "deep", "signal": "queue_depth"}, 0)
    critical = parse_rule({"name": "deep", "signal": "queue_depth", "level": "critical", "for": 0}, 0)
    declared = CATALOGUE["queue_depth"].thresholds
    assert declared is not None
    assert (warning.op, warning.threshold, warning.for_s) == (declared.op, declared.warning, declared.for_s)
    assert (critical.threshold, critical.for_s) == (declared.critical, 0.0)


def test_a_signal_without_thresholds_needs_one():
    with pytest.raises(ConfigurationError, match="signal task_retries has no default"):
        parse_rule({"name": "retries", "signal": "task_retries"}, 0)


def test_the_threshold_of_the_other_direction_is_not_borrowed():
    with pytest.raises(ConfigurationError, match="has no default for <"):
        parse_rule({"name": "shallow", "signal": "queue_depth", "op": "<"}, 0)


def test_nan_meets_no_condition():
    for op in (">", ">=", "<", "<="):
        assert not parse_rule({**GOOD, "op": op}, 0).holds(math.nan)


def test_the_default_rules_are_valid_and_explained():
    rules = default_rules()
    assert len({rule.name for rule in rules}) == len(rules)
    assert all(rule.annotations.get("summary") for rule in rules)
    assert {rule.signal for rule in rules} >= {
        "task_failure_ratio",
        "queue_oldest_age",
        "workers_down",
        "task_wait_p95",
    }
