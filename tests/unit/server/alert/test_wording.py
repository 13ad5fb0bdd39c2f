"""Values and subjects in words."""

import pytest

from huoyan.server.alert.wording import amount, quantity, span, subject
from huoyan.signals.spec import Unit


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.62, Unit.RATIO, "62 %"),
        (0.0543, Unit.RATIO, "5.4 %"),
        (0.0004, Unit.RATIO, "0.04 %"),
        (1.0, Unit.RATIO, "100 %"),
        (1234.0, Unit.COUNT, "1,234"),
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
        (0.9999, "1.0 s"),
        (1.25, "1.2 s"),
        (9.96, "10 s"),
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


@pytest.mark.parametrize(
    ("labels", "english", "chinese"),
    [
        ({"service": "orders", "task": "orders.take_payment"}, "orders.take_payment", "orders.take_payment"),
        ({"service": "orders", "task": "take_payment"}, "orders.take_payment", "orders.take_payment"),
        ({"service": "shop", "task": "app.tasks.pay"}, "shop/app.tasks.pay", "shop/app.tasks.pay"),
        ({"service": "", "task": "pay"}, "pay", "pay"),
        ({"service": "shop", "queue": "mail"}, "queue mail (shop)", "队列 mail (shop)"),
        ({"queue": ""}, "queue (unknown)", "队列 （未知）"),
        ({"worker": "celery@a"}, "worker celery@a", "工作进程 celery@a"),
        ({"source": "celery redis://a"}, "source celery redis://a", "来源 celery redis://a"),
        ({"service": "shop"}, "service shop", "服务 shop"),
        ({"host": "a", "disk": "/"}, "disk=/, host=a", "disk=/, host=a"),
        ({}, "everything", "全部"),
    ],
)
def test_labels_are_said_as_what_they_point_at(labels, english, chinese):
    assert subject(labels) == english
    assert subject(labels, "zh") == chinese


def test_signals_are_named_inside_a_sentence_by_their_own_titles():
    assert quantity("task_failure_ratio") == "failure ratio"
    assert quantity("task_duration_p95") == "P95 duration"
    assert quantity("task_failure_ratio", "zh") == "失败率"
    assert quantity("gone_by_now") == "gone by now"
