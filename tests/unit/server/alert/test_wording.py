"""Values and subjects in words."""

import pytest

from huoyan.model.alert import Alert, AlertState, Level
from huoyan.server.alert.wording import amount, compared, condition, headline, quantity, quantity_of, span
from huoyan.signals.spec import Unit


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.62, Unit.RATIO, "62 %"),
        (0.0543, Unit.RATIO, "5.4 %"),
        (0.0004, Unit.RATIO, "0.04 %"),
        (1.0, Unit.RATIO, "100 %"),
        (0.0999, Unit.RATIO, "10 %"),
        (0.995, Unit.RATIO, "100 %"),
        (1234.0, Unit.COUNT, "1,234"),
        (1234.4, Unit.COUNT, "1,234"),
        (3.0000001, Unit.COUNT, "3"),
        (12.0, Unit.PER_MINUTE, "12 per minute"),
        (0.35, Unit.SECONDS, "350 ms"),
        (None, Unit.COUNT, "no data"),
    ],
)
def test_a_value_is_said_in_its_unit(value, unit, said):
    assert amount(value, unit) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.9994, "999 ms"),
        (0.9999, "1 s"),
        (1.25, "1.2 s"),
        (9.96, "10 s"),
        (2.04, "2 s"),
        (59.6, "1 min"),
        (65, "1 min 5 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (90061, "1 d 1 h"),
        (-65, "-1 min 5 s"),
    ],
)
def test_a_duration_is_said_in_at_most_two_units(seconds, said):
    assert span(seconds) == said


def test_signals_are_named_inside_a_sentence_by_their_own_titles():
    assert quantity("task_failure_ratio") == "failure ratio"
    assert quantity("task_duration_p95") == "P95 duration"
    assert quantity("task_failure_ratio", "zh") == "失败率"
    assert quantity("gone_by_now") == "gone by now"


@pytest.mark.parametrize(
    ("value", "limit", "unit", "said"),
    [
        (0.62, 0.2, Unit.RATIO, "62 %"),
        (0.204, 0.2, Unit.RATIO, "20.4 %"),
        (0.2004, 0.2, Unit.RATIO, "20.04 %"),
        (0.2, 0.2, Unit.RATIO, "20 %"),
        (100.4, 100.0, Unit.COUNT, "100.4"),
        (60.3, 60.0, Unit.SECONDS, "60.3 s"),
        (90.0, 60.0, Unit.SECONDS, "1 min 30 s"),
        (12.4, 12.0, Unit.PER_MINUTE, "12.4 per minute"),
        (100.0000001, 100.0, Unit.COUNT, "100"),
        (None, 1.0, Unit.COUNT, "no data"),
    ],
)
def test_a_value_beside_its_limit_has_the_digits_that_tell_them_apart(value, limit, unit, said):
    assert compared(value, limit, unit) == said


def _alert(**changes) -> Alert:
    whole = {
        "rule": "r",
        "signal": "workers_down",
        "level": Level.CRITICAL,
        "state": AlertState.FIRING,
        "labels": {"worker": "celery@a"},
        "op": ">",
        "threshold": 0.0,
        "value": 2.0,
        "pending_at": 0.0,
    }
    return Alert(**{**whole, **changes})


def test_a_worker_that_is_named_is_down_in_words_and_several_are_counted():
    assert headline(_alert()) == "worker celery@a: down, it stopped reporting"
    assert headline(_alert(), "zh") == "工作进程 celery@a：已停止上报"
    assert headline(_alert(labels={})) == "Workers down 2 (> 0)"
    assert headline(_alert(labels={}), "zh") == "失联进程数 2（> 0）"


def test_conditions_and_quantities_are_said_in_both_languages():
    deep = _alert(signal="queue_depth", labels={"service": "shop", "queue": "mail"}, value=1200.0, threshold=100.0)
    assert condition(deep) == "queue depth 1,200 (> 100)"
    assert condition(deep, "zh") == "队列积压 1,200（> 100）"
    assert quantity_of(deep) == "queue depth of queue mail (shop)"
    assert quantity_of(deep, "zh") == "队列 mail (shop) 的队列积压"
