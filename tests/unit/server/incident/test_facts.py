"""The failure named behind an alert, from failure groups as the store keeps them."""

import pytest
from sqlalchemy import insert

from huoyan.model.alert import Alert, AlertState, Level
from huoyan.model.rollup import Series
from huoyan.server.incident.facts import TopFailure, failure_facts
from huoyan.server.store import Store
from huoyan.server.store.failures import FailureChange, add_failures
from huoyan.server.store.schema.figures import series as series_table
from tests.servers import migrated_sqlite
from tests.unit.server.alert.scene import START, Hand

PAY = Series("orders", "orders.take_payment", "default")
MAIL = Series("mail", "mail.send", "bulk")


@pytest.fixture
def store(tmp_path):
    opened = Store.open(migrated_sqlite(tmp_path / "huoyan.db"), Hand())
    yield opened
    opened.close()


def _alert(signal="task_failure_ratio", labels=None) -> Alert:
    return Alert(
        rule="burst",
        signal=signal,
        level=Level.CRITICAL,
        state=AlertState.FIRING,
        labels={"service": "orders", "task": "orders.take_payment"} if labels is None else labels,
        op=">",
        threshold=0.2,
        pending_at=START,
        window_s=60.0,
    )


def _fail(store, series, kind, title, count, at=START) -> None:
    with store.engine.begin() as connection:
        known = {PAY: 1, MAIL: 2}
        for each, number in known.items():
            row = {"id": number, "service": each.service, "task": each.task, "queue": each.queue, "last_at": START}
            connection.execute(insert(series_table).prefix_with("OR IGNORE"), row)
        change = FailureChange(f"{kind}-{series.task}", kind, title, series, at, f"run-of-{kind}", count)
        add_failures(connection, [change], known)


def test_the_group_with_most_failures_of_the_task_is_named_with_its_share(store):
    _fail(store, PAY, "PaymentError", "PaymentError: provider down", 43)
    _fail(store, PAY, "TimeoutError", "TimeoutError", 2)
    _fail(store, MAIL, "SMTPError", "SMTPError: refused", 900)
    assert failure_facts(store.failures)(_alert(), START + 5) == TopFailure(
        "PaymentError-orders.take_payment",
        "PaymentError: provider down",
        43,
        45,
        "run-of-PaymentError",
        "PaymentError",
    )


@pytest.mark.parametrize(
    ("kind", "stored", "named"),
    [
        ("shop.payments.ProviderDown", "shop.payments.ProviderDown: no answer", "ProviderDown: no answer"),
        ("shop.payments.ProviderDown", "ProviderDown: no answer", "ProviderDown: no answer"),
        ("shop.payments.ProviderDown", "shop.payments.ProviderDown", "ProviderDown"),
        ("f.<locals>.Boom", "f.<locals>.Boom: Boomerang", "Boom: Boomerang"),
        ("TimeoutError", "TimeoutError", "TimeoutError"),
        ("lost", "the worker is gone", "lost: the worker is gone"),
    ],
)
def test_people_read_the_exception_without_its_module(store, kind, stored, named):
    _fail(store, PAY, kind, stored, 3)
    top = failure_facts(store.failures)(_alert(), START + 5)
    assert top is not None
    assert (top.title, top.type) == (named, kind)


def test_failures_from_before_the_alert_do_not_count(store):
    _fail(store, PAY, "OldError", "OldError: long gone", 500, at=START - 3600)
    _fail(store, PAY, "PaymentError", "PaymentError: provider down", 3)
    top = failure_facts(store.failures)(_alert(), START + 5)
    assert top is not None
    assert (top.title, top.count, top.total) == ("PaymentError: provider down", 3, 3)


def test_nothing_is_named_where_nothing_failed_or_failures_explain_nothing(store):
    facts = failure_facts(store.failures)
    assert facts(_alert(), START + 5) is None
    _fail(store, PAY, "PaymentError", "PaymentError: provider down", 3)
    assert facts(_alert("task_wait_p95"), START + 5) is None


def test_it_comes_back_from_the_data_of_a_line():
    top = TopFailure("f", "PaymentError", 1, 2, "r")
    assert TopFailure.of_data(top.as_data()) == top
    assert TopFailure.of_data(None) is None


def test_runs_that_ended_without_an_exception_are_named_in_both_languages(store):
    _fail(store, PAY, "lost", "lost: the process of worker w@h is gone", 3)
    found = failure_facts(store.failures)(_alert(), START + 5)
    assert found is not None
    assert (found.titled("en"), found.titled("zh")) == (
        "lost: the process of worker w@h is gone",
        "丢失：worker w@h 的进程已经不在",
    )
    assert TopFailure.of_data(found.as_data()) == found
