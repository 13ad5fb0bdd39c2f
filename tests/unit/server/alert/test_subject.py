"""What labels point at, in words."""

import pytest

from huoyan.server.alert.subject import subject


@pytest.mark.parametrize(
    ("labels", "english", "chinese"),
    [
        ({"service": "orders", "task": "orders.take_payment"}, "orders.take_payment", "orders.take_payment"),
        ({"service": "orders", "task": "take_payment"}, "orders.take_payment", "orders.take_payment"),
        ({"service": "shop", "task": "app.tasks.pay"}, "shop/app.tasks.pay", "shop/app.tasks.pay"),
        ({"service": "", "task": "pay"}, "pay", "pay"),
        ({"service": "shop", "queue": "mail"}, "queue mail (shop)", "队列 mail (shop)"),
        ({"queue": ""}, "queue (unknown)", "未知队列"),
        ({"worker": "celery@a"}, "worker celery@a", "工作进程 celery@a"),
        ({"source": "celery redis://a"}, "source celery redis://a", "来源 celery redis://a"),
        ({"service": "shop"}, "service shop", "服务 shop"),
        ({"service": "shop", "task": "shop.pay", "queue": "mail"}, "shop.pay (queue mail)", "shop.pay (队列 mail)"),
        ({"service": "mail", "backlog": "emails"}, "backlog emails (mail)", "积压 emails (mail)"),
        ({"service": "shop", "operation": "pay"}, "operation pay (shop)", "操作 pay (shop)"),
        (
            {"service": "shop", "operation": "SELECT", "table": "orders"},
            "operation SELECT (table orders, shop)",
            "操作 SELECT (表 orders, shop)",
        ),
        (
            {"service": "shop", "funnel": "checkout", "step": "paid", "position": "2"},
            "funnel checkout (step paid, shop)",
            "漏斗 checkout (步骤 paid, shop)",
        ),
        ({"schedule": "shop/nightly"}, "schedule shop/nightly", "定时任务 shop/nightly"),
        ({"service": "shop", "endpoint": "GET /orders"}, "GET /orders (shop)", "GET /orders (shop)"),
        ({"service": "shop", "method": "card"}, "service shop (method=card)", "服务 shop (method=card)"),
        ({"method": "card", "region": "eu"}, "method=card, region=eu", "method=card, region=eu"),
        ({"host": "a", "disk": "/"}, "host a (disk=/)", "主机 a (disk=/)"),
        ({}, "everything", "全部"),
    ],
)
def test_labels_are_said_as_what_they_point_at(labels, english, chinese):
    assert subject(labels) == english
    assert subject(labels, "zh") == chinese


def test_labels_that_differ_are_said_differently():
    names = (
        "service",
        "task",
        "queue",
        "worker",
        "backlog",
        "operation",
        "funnel",
        "step",
        "schedule",
        "host",
        "shelf",
    )
    for name in names:
        labels = dict.fromkeys(names, "same")
        said = {subject({**labels, name: value}, language) for value in ("a", "b") for language in ("en", "zh")}
        assert len(said) == 4, name
