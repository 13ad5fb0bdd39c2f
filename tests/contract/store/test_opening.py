"""A store opens what is empty, keeps what was written, and says by name what it cannot open."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from huoyan.errors import ConfigurationError, Unreachable
from huoyan.model.event import EventKind, ExceptionInfo, TaskEvent
from huoyan.model.run import apply
from huoyan.server.store import Store
from huoyan.server.store.codec import decode_run, encode_run
from huoyan.server.store.schema import metadata
from tests.contract.store.lives import T, event_of, life, queued, record


def test_the_migrations_make_the_tables_that_the_code_knows(empty, clock):
    store = Store.open(empty, clock)
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _: (
                    not (kind == "table" and str(name).startswith("run_fts")) and name != "ix_run_texts_text"
                ),
            },
        )
        assert compare_metadata(context, metadata) == []
    store.close()


def test_what_was_stored_is_there_after_opening_again(url, store, clock):
    record(store, life("a", T - 10, args=[1]), clock)
    store.close()
    again = Store.open(url, clock)
    run = again.runs.get("a")
    assert run is not None
    assert run.args == [1]
    again.close()


def test_two_servers_that_open_an_empty_database_at_once_both_can(empty, clock):
    errors: list[BaseException] = []

    def open_one() -> None:
        try:
            Store.open(empty, clock).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []


def test_a_database_of_a_later_version_is_refused(url, store, clock):
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match=r"database_url: expected a database of version .* got '9999'"):
        Store.open(url, clock)


@pytest.mark.parametrize("wrong", ["mysql://host/x", "sqlite://", "sqlite:///:memory:", "not an address"])
def test_an_address_of_another_kind_is_refused_by_name(wrong):
    with pytest.raises(ConfigurationError, match="database_url: expected sqlite:///path/to/file or postgresql://"):
        Store.open(wrong)


def test_a_wrong_address_does_not_print_its_password():
    with pytest.raises(ConfigurationError) as caught:
        Store.open("mysql://ann:geheim@host/x")
    assert "geheim" not in str(caught.value)


def test_a_database_that_does_not_answer_is_unreachable_and_its_password_is_not_printed():
    with pytest.raises(Unreachable) as caught:
        Store.open("postgresql://ann:geheim@127.0.0.1:1/nothing")
    assert "geheim" not in str(caught.value)


def test_a_database_that_is_there_answers(store):
    store.ping()


def test_every_field_of_a_run_survives_being_written():
    run = None
    for event in [
        queued(
            "a",
            1.0,
            args=[1, {"x": None}],
            kwargs={"k": "支付"},
            parent_id="p",
            root_id="r",
            group_id="g",
            eta=2.0,
            expires=9.0,
            labels={"l": "v"},
            framework="celery",
        ),
        event_of(EventKind.RECEIVED, "a", 2.0),
        event_of(EventKind.STARTED, "a", 3.0),
        event_of(EventKind.LOST, "a", 4.0, reason="gone"),
        event_of(
            EventKind.FAILED,
            "a",
            5.0,
            duration_s=1.5,
            exception=ExceptionInfo("E", "m", "tb", "fp"),
            breakdown={"db": 1},
            cpu_s=0.25,
            peak_memory_bytes=1 << 33,
        ),
        TaskEvent(EventKind.REVOKED, "a", 6.0, reason="by ann"),
        TaskEvent(EventKind.SUCCEEDED, "a", 7.0, worker="w2", result=[1.5, True]),
    ]:
        run = apply(run, event)
    assert run is not None
    assert decode_run(encode_run(run)) == run


@pytest.mark.parametrize("payload", [2**70, {"n": [-(2**65)]}, "half \ud800 a pair", {1: 2}])
def test_a_payload_that_no_format_holds_is_kept_as_text(payload):
    run = apply(None, queued("a", 1.0, args=payload))
    assert decode_run(encode_run(run)).id == "a"


def test_damaged_bytes_are_told(store):
    with pytest.raises(ValueError, match="run: expected"):
        decode_run(b"\x00damaged")
