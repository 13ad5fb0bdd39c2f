"""Label names and values, and the bound on their combinations."""

import enum
import logging
import multiprocessing
import re
import threading
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huoyan.model.labels import (
    MAX_NAME_CHARS,
    OTHER,
    Budget,
    clean_label_name,
    clean_label_value,
    escape_label_value,
    looks_like_identifier,
)

VALID_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


# Names


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("queue", "queue"),
        ("http.status-code", "http_status_code"),
        ("2nd", "_2nd"),
        ("__name__", "_name__"),
        ("le", "le_"),
        ("quantile", "quantile_"),
        ("", "unnamed"),
        (None, "unnamed"),
        ("区域", "u533au57df"),
    ],
)
def test_a_name_becomes_one_that_prometheus_accepts(name, clean):
    assert clean_label_name(name) == clean


@given(st.text(max_size=300))
def test_every_name_is_valid_not_reserved_and_bounded(name):
    clean = clean_label_name(name)
    assert VALID_NAME.fullmatch(clean)
    assert not clean.startswith("__")
    assert clean not in ("le", "quantile")
    assert len(clean) <= MAX_NAME_CHARS


# Values


class Status(enum.Enum):
    OK = "ok"
    LIMIT = 429
    PAIR = (1, 2)


class Level(enum.StrEnum):
    HIGH = "high"


class Code(enum.IntEnum):
    GONE = 410


class Rude:
    """Raises wherever Python lets a class run code."""

    def refuse(self, *args):
        raise RuntimeError("no")

    __str__ = __repr__ = __len__ = __hash__ = __eq__ = refuse
    __class__ = property(refuse)


class RudeText(str):
    def refuse(self, *args):
        raise RuntimeError("no")

    __str__ = __len__ = __getitem__ = refuse


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("eu-west", "eu-west"),
        ("", ""),
        (None, ""),
        (True, "true"),
        (False, "false"),
        (200, "200"),
        (2.5, "2.5"),
        (float("nan"), "nan"),
        (Status.OK, "ok"),
        (Status.LIMIT, "429"),
        (Status.PAIR, "PAIR"),
        (Level.HIGH, "high"),
        (Code.GONE, "410"),
        (b"caf\xc3\xa9", "café"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (["a"], "list"),
        ("a\nb\x00c\x7f", "a b c "),
        ("half \ud83d", "half �"),
        ("订单", "订单"),
    ],
)
def test_a_value_becomes_a_valid_string(value, clean):
    assert clean_label_value(value) == clean
    assert type(clean_label_value(value)) is str


def test_a_value_of_a_class_that_raises_everywhere_is_still_a_string():
    assert clean_label_value(Rude()) == "Rude"
    assert clean_label_value(RudeText("kept")) == "kept"
    assert clean_label_value(10**5000) == "int"


def test_a_long_value_is_cut_and_says_so():
    assert clean_label_value("x" * 129) == "x" * 127 + "…"
    assert clean_label_value("x" * 128) == "x" * 128
    assert clean_label_value("abcdef", max_length=4) == "abc…"


@given(st.one_of(st.text(), st.integers(), st.floats(), st.binary(), st.none(), st.lists(st.text())))
def test_every_value_is_encodable_bounded_and_on_one_line(value):
    clean = clean_label_value(value)
    assert len(clean) <= 128
    assert len(clean.encode("utf-8").splitlines()) <= 1
    assert clean_label_value(clean) == clean


@pytest.mark.parametrize(
    ("value", "escaped"),
    [("plain", "plain"), ('a"b', 'a\\"b'), ("a\\b", "a\\\\b"), ("a\nb", "a\\nb"), ('\\"', '\\\\\\"')],
)
def test_a_value_is_escaped_as_the_text_format_asks(value, escaped):
    assert escape_label_value(value) == escaped


@given(st.text())
def test_escaping_can_be_undone(value):
    escaped = escape_label_value(value)
    assert "\n" not in escaped
    assert re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), escaped) == value


# Ids


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "a UUID"),
        ("3f2504e04f8911d39a0c0305e82c3301", "a UUID"),
        ("urn:uuid:{3f2504e0-4f89-11d3-9a0c-0305e82c3301}", "a UUID"),
        ("48213", "a number"),
        ("4111 1111 1111 1111", "a number"),
        ("#1234", "a number"),
        ("-1.5", "a number"),
        ("2026-11-20T21:15:03Z", "a time"),
        ("alice@example.com", "an e-mail address"),
        ("Alice A. <alice@example.com>", "an e-mail address"),
        ("10.0.0.7", "an IP address"),
        ("fe80::1", "an IP address"),
        ("https://example.com/x", "a URL"),
        ("9f86d081884c", "a hexadecimal id"),
        ("sha256:9f86d081884c7d65", "a hexadecimal id"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dGVzdA", "a token"),
        ("/orders/123/items", "a path with an id"),
        ("user48213", "a name with a number"),
        ("3N8xYz2eZvKYlo2C9qA", "a random token"),
    ],
)
def test_ids_are_recognised(value, kind):
    assert looks_like_identifier(value) == kind


@pytest.mark.parametrize(
    "value",
    [
        "",
        "success",
        "200",
        "/orders/{id}",
        "orders.tasks.pay",
        "eu-west-1",
        "celery@host-1",
        "GET",
        "v2",
        "v1.2.3",
        "3 items",
        "0-100",
        "decade",
        "deadbeef",
    ],
)
def test_names_and_status_codes_are_no_ids(value):
    assert looks_like_identifier(value) is None


@given(st.text(max_size=400))
def test_looking_never_raises(value):
    assert looks_like_identifier(value) is None or looks_like_identifier(value)


# The budget


def test_combinations_within_the_budget_are_kept_and_the_rest_is_folded():
    budget = Budget("mails_sent_total", ("client",), limit=3)
    admitted = [budget.admit((f"c{n}",)) for n in range(5)]
    assert admitted == [("c0",), ("c1",), ("c2",), (OTHER,), (OTHER,)]
    assert budget.admit(("c1",)) == ("c1",)
    assert (len(budget), budget.folded, budget.samples) == (3, 2, [("c3",), ("c4",)])


def test_one_bad_label_is_folded_alone_and_does_not_use_up_the_budget():
    budget = Budget("orders_total", ("service", "customer"), limit=100, per_label=5)
    for n in range(50):
        budget.admit(("shop", f"customer-{n}"))
    assert budget.admit(("shop", "customer-49")) == ("shop", OTHER)
    assert budget.admit(("mail", "customer-49")) == ("mail", OTHER)
    assert len(budget) == 7


def test_a_place_given_back_can_be_used_again():
    budget = Budget("up", ("worker",), limit=2, per_label=2)
    budget.admit(("a",))
    budget.admit(("b",))
    budget.discard(("a",))
    budget.discard(("never admitted",))
    assert budget.admit(("c",)) == ("c",)
    assert budget.admit(("a",)) == (OTHER,)


def test_folding_warns_once_and_names_the_label_that_looks_like_an_id(caplog):
    budget = Budget("orders_total", ("customer",), limit=1)
    with caplog.at_level(logging.WARNING, logger="huoyan.labels"):
        for n in range(10):
            budget.admit((f"{n}@example.com",))
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert "orders_total" in message
    assert "customer='1@example.com' looks like an e-mail address" in message


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("12345678")), max_size=80), st.integers(1, 20))
def test_the_number_of_series_stays_within_the_budget_and_one(combinations, limit):
    budget = Budget("m", ("x", "y"), limit=limit, per_label=6)
    series = [budget.admit(values) for values in combinations]
    assert len(set(series) - {(OTHER, OTHER)}) <= limit
    assert budget.folded == sum(got != asked for got, asked in zip(series, combinations, strict=True))
    # What was admitted once stays admitted.
    assert all(budget.admit(got) == got for got in series)


def test_threads_together_never_exceed_the_budget():
    budget = Budget("m", ("x",), limit=50)
    start = threading.Barrier(8)
    series: list[set[tuple[str, ...]]] = [set() for _ in range(8)]

    def work(slot: int) -> None:
        start.wait()
        series[slot] = {budget.admit((str(n),)) for n in range(200)}

    threads = [threading.Thread(target=work, args=(slot,)) for slot in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set.union(*series) - {(OTHER,)}) == len(budget) == 50
    assert budget.folded == 8 * 150


def test_a_fork_taken_while_another_thread_holds_the_lock_does_not_hang_the_child():
    budget = Budget("m", ("x",))
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    with budget._lock:
        child = context.Process(target=lambda: answer.put(budget.admit(("a",))))
        child.start()
    child.join(10)
    hung = child.exitcode is None
    if hung:
        child.kill()
    assert not hung
    assert answer.get() == ("a",)


@pytest.mark.parametrize("options", [{"limit": 0}, {"per_label": 0}])
def test_a_budget_of_nothing_is_refused(options):
    with pytest.raises(ValueError, match="expected limits of 1 or more"):
        Budget("m", ("x",), **options)
