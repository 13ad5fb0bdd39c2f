"""Which alerts belong together."""

import pytest

from huoyan.server.alert.rules import Rule
from huoyan.server.incident.grouping import group_key, group_labels
from huoyan.signals.spec import Op


def _rule(**changes) -> Rule:
    return Rule(**{"name": "a", "signal": "task_failures", "op": Op.ABOVE, "threshold": 1.0, **changes})


@pytest.mark.parametrize(
    ("labels", "shared"),
    [
        ({"service": "s", "task": "t", "queue": "q"}, {"service": "s", "task": "t"}),
        ({"service": "s", "queue": "q"}, {"service": "s", "queue": "q"}),
        ({"worker": "w1", "service": "s"}, {"service": "s"}),
        ({"worker": "w1"}, {}),
        ({"source": "celery redis://a/0"}, {}),
        ({"host": "h", "disk": "/"}, {"host": "h", "disk": "/"}),
        ({}, {}),
    ],
)
def test_alerts_share_service_and_task_or_service_and_queue_or_their_service(labels, shared):
    assert group_labels(labels) == shared


def test_rules_share_incidents_only_when_they_share_a_group():
    labels = {"service": "s", "task": "t"}
    assert group_key(_rule(), labels) != group_key(_rule(name="b"), labels)
    assert group_key(_rule(group="g"), labels) == group_key(_rule(name="b", group="g"), labels)


def test_names_of_any_script_with_marks_make_keys_of_their_own():
    names = ["支付 失败", "支付失败", "支付:失败", "支付 失败 2", "支付.失败"]
    for labels in ({}, {"service": "s", "task": "t"}, {"service": "支付 失败"}):
        assert len({group_key(_rule(name=name), labels) for name in names}) == len(names)
    assert group_key(_rule(name="支付 失败"), {"service": "s"}) == '支付 失败{"service":"s"}'
