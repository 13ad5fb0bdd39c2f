"""Arguments and results as bounded JSON values, made of anything without running its code."""

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import ipaddress
import json
import math
import pathlib
import pickle
import threading
import time
import types
import uuid
import zoneinfo
from collections.abc import Iterator
from typing import Any

import attrs
import msgspec
import numpy
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from huoyan.client.payload import DEFAULT_LIMITS, PayloadLimits, represent
from huoyan.errors import ConfigurationError


def size_bytes(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))


class Colour(enum.Enum):
    RED = 1


class Level(enum.StrEnum):
    HIGH = "high"


class Plain:
    def __init__(self, **attributes: object) -> None:
        self.__dict__.update(attributes)


@dataclasses.dataclass
class Line:
    sku: str
    quantity: int


@dataclasses.dataclass
class Order:
    id: int
    lines: list[Line]


class Pair:
    __slots__ = ("_hidden", "empty", "left")

    def __init__(self) -> None:
        self.left = 1
        self._hidden = 2


@attrs.define
class Attrs:
    x: int


class Struct(msgspec.Struct):
    x: int


class Model(pydantic.BaseModel):
    x: int
    key: pydantic.SecretStr = pydantic.SecretStr("hunter2")


Point = collections.namedtuple("Point", ["x", "y"])

HERE = __name__


# What values look like


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (2**53 - 1, 2**53 - 1),
        (2**53, "9007199254740992"),
        (-(2**64), "-18446744073709551616"),
        (1.5, 1.5),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (2j, "2j"),
        ("text", "text"),
        ('quo"te\\\n', 'quo"te\\\n'),
        ("订单", "订单"),
        ("nul\x00 and half \ud83d", "nul� and half �"),
        (b"caf\xc3\xa9", "b'café'"),
        (b"", "b''"),
        (b"\x89PNG\x00", "<bytes: 5>"),
        (bytearray(b"ab"), "b'ab'"),
        (memoryview(b"abc"), "<memoryview: 3>"),
        ([1, [2]], [1, [2]]),
        ((1, 2), [1, 2]),
        ({3}, [3]),
        (frozenset("a"), ["a"]),
        (collections.deque([1, 2]), [1, 2]),
        (range(3), "range(0, 3)"),
        ({"a": {"b": 1}}, {"a": {"b": 1}}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.Counter("aa"), {"a": 2}),
        ({1: "a", None: "b", False: "c", 2.5: "d"}, {"1": "a", "null": "b", "false": "c", "2.5": "d"}),
        ({"1": "a", 1: "b"}, {"1": "a", "1#1": "b"}),
        ({(1, 2): "a"}, {"<tuple: 2>": "a"}),
        ({Colour.RED: 1}, {"Colour.RED": 1}),
        (decimal.Decimal("1.10"), "1.10"),
        (datetime.datetime(2026, 11, 20, 21, 15, 3, tzinfo=datetime.UTC), "2026-11-20T21:15:03+00:00"),
        (datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")), "2026-07-01T00:00:00+02:00"),
        (datetime.date(2026, 11, 20), "2026-11-20"),
        (datetime.time(9, 30), "09:30:00"),
        (datetime.timedelta(hours=25), "1 day, 1:00:00"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
        (Colour.RED, "Colour.RED"),
        (Level.HIGH, "Level.HIGH"),
        (Line("a", 2), {"__class__": f"{HERE}.Line", "sku": "a", "quantity": 2}),
        (Pair(), {"__class__": f"{HERE}.Pair", "left": 1}),
        (Attrs(3), {"__class__": f"{HERE}.Attrs", "x": 3}),
        (Struct(3), {"__class__": f"{HERE}.Struct", "x": 3}),
        (Point(1, 2), {"__class__": f"{HERE}.Point", "x": 1, "y": 2}),
        (Plain(a=1, _b=2), {"__class__": f"{HERE}.Plain", "a": 1}),
        (Plain(), f"<{HERE}.Plain>"),
        (ValueError("no", 5), {"__class__": "ValueError", "args": ["no", 5]}),
        (object(), "<object>"),
        (Plain, f"<class {HERE}.Plain>"),
        (json.dumps, "<function json.dumps>"),
        (len, "<builtin_function_or_method len>"),
        (json, "<module json>"),
        (threading.Lock(), "<_thread.lock>"),
        (functools.partial(len), "<functools.partial>"),
        (numpy.int64(5), 5),
        (numpy.float64(2.5), 2.5),
        (numpy.zeros(3), "<numpy.ndarray>"),
    ],
)
def test_a_value_is_shown_as_a_person_would_write_it(value, shown):
    assert represent(value) == shown


def test_a_model_is_shown_with_its_fields_and_without_what_it_hides():
    assert represent(Model(x=1)) == {
        "__class__": f"{HERE}.Model",
        "x": 1,
        "key": "<pydantic.types.SecretStr>",
    }


def test_records_are_shown_inside_others_and_plain_objects_by_their_class():
    order = Order(1, [Line("a", 2)])
    shown = represent(Plain(order=order, session=Plain(pool=Plain())))
    assert shown == {
        "__class__": f"{HERE}.Plain",
        "order": {
            "__class__": f"{HERE}.Order",
            "id": 1,
            "lines": [{"__class__": f"{HERE}.Line", "sku": "a", "quantity": 2}],
        },
        "session": f"<{HERE}.Plain>",
    }


def test_a_generator_is_named_and_not_consumed():
    numbers = iter_numbers()
    assert represent(numbers) == "<generator iter_numbers>"
    assert list(numbers) == [1, 2]


def iter_numbers() -> Iterator[int]:
    yield 1
    yield 2


# Bounds


def test_a_long_text_is_cut_and_says_how_long_it_was():
    shown = represent("x" * 2000)
    assert isinstance(shown, str)
    assert shown.endswith("x… [2000 characters]")
    assert len(shown) == DEFAULT_LIMITS.max_string


def test_a_long_container_says_how_much_is_missing():
    assert represent(list(range(100)))[-2:] == [30, "… 69 more"]  # type: ignore[index]
    shown = represent({f"k{n}": n for n in range(100)})
    assert isinstance(shown, dict)
    assert len(shown) == 32
    assert shown["…"] == "69 more"


def test_a_container_of_exactly_the_limit_is_whole():
    assert represent(list(range(32))) == list(range(32))


def test_depth_is_bounded_and_the_size_of_the_rest_is_told():
    deep: object = "bottom"
    for _ in range(10_000):
        deep = [deep]
    assert represent(deep) == [[[[[["<list: 1>"]]]]]]
    assert represent({"a": {"b": 1}}, PayloadLimits(max_depth=1)) == {"a": "<dict: 1>"}


def test_a_cycle_is_marked_and_a_value_that_merely_occurs_twice_is_not():
    cyclic: list[object] = [1]
    cyclic.append(cyclic)
    assert represent(cyclic) == [1, "<cycle>"]
    line = Line("a", 1)
    line.__dict__["itself"] = line
    assert represent(line) == {"__class__": f"{HERE}.Line", "sku": "a", "quantity": 1, "itself": "<cycle>"}
    twice = [1]
    assert represent([twice, twice]) == [[1], [1]]


def test_what_would_take_long_to_write_is_not_written():
    started = time.process_time()
    assert represent(10**100_000) == "<int: 332193 bits>"
    assert represent(decimal.Decimal("1" * 100_000)) == "<decimal.Decimal>"
    assert str(represent(b"a" * 50_000_000)).endswith("a… [50000000 bytes]")
    assert represent(b"\xff" * 50_000_000) == "<bytes: 50000000>"
    assert str(represent("é".encode() * 50_000_000)).endswith("é… [100000000 bytes]")
    represent("x" * 50_000_000)
    represent([0] * 5_000_000)
    represent(Plain(**{f"a{n}": n for n in range(100_000)}))
    assert time.process_time() - started < 1.0


json_like = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.uuids(), st.decimals()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=40),
        st.dictionaries(st.one_of(st.text(), st.integers(), st.none()), inner, max_size=40),
        st.builds(Line, inner, inner),
        st.builds(lambda value: Plain(a=value, b=value), inner),
    ),
    max_leaves=60,
)
limits = st.builds(
    PayloadLimits,
    max_bytes=st.integers(256, 5000),
    max_nodes=st.integers(1, 300),
    max_depth=st.integers(1, 8),
    max_items=st.integers(2, 40),
    max_string=st.integers(32, 600),
)


@given(json_like, limits)
def test_no_payload_exceeds_its_bytes_and_all_of_it_is_json(value, some_limits):
    shown = represent(value, some_limits)
    assert size_bytes(shown) <= some_limits.max_bytes
    assert json.loads(json.dumps(shown)) == shown
    assert "\x00" not in json.dumps(shown, ensure_ascii=False)


@given(json_like, limits)
def test_texts_depth_and_items_stay_within_their_limits(value, some_limits):
    def check(shown: object, depth: int) -> None:
        if isinstance(shown, str):
            assert len(shown) <= some_limits.max_string + len("… [10000 characters]")
        elif isinstance(shown, (list, dict)):
            assert depth < some_limits.max_depth
            # A class name and what is missing stand beside the items.
            assert len(shown) <= some_limits.max_items + 1
            for item in shown.values() if isinstance(shown, dict) else shown:
                check(item, depth + 1)

    check(represent(value, some_limits), 0)


@given(st.lists(st.one_of(st.integers(-999, 999), st.text("abc", max_size=9)), max_size=9))
def test_what_fits_is_kept_whole(value):
    assert represent(value) == value
    assert represent({"args": value}) == {"args": value}


@given(st.text(max_size=700))
def test_representing_twice_changes_nothing(text):
    once = represent(text)
    assert represent(once) == once


@pytest.mark.parametrize("change", [{"max_bytes": 10}, {"max_depth": 0}, {"max_items": "5"}, {"max_string": True}])
def test_a_limit_that_shows_nothing_is_refused(change):
    with pytest.raises(ConfigurationError, match=r"PayloadLimits\.max_\w+: expected a whole number of \d+ or more"):
        PayloadLimits(**change)


# Hostility


class Alarm(BaseException):
    """Not an Exception, so that nothing can have swallowed it: the code that raises it must not run at all."""


def forbidden(*args, **kwargs):
    raise Alarm


HOOKS = [
    "__repr__", "__str__", "__len__", "__iter__", "__getitem__", "__hash__", "__eq__", "__bool__", "__format__",
    "__getattr__", "__getattribute__", "__reduce_ex__", "__reduce__", "__dir__", "__index__", "__int__", "__float__",
    "__contains__", "__call__", "__enter__", "__next__", "__sizeof__", "__fspath__", "__bytes__", "__length_hint__",
    "items", "keys", "values", "get", "isoformat", "__await__", "__aiter__", "name", "value",
]  # fmt: skip


class Meta(type):
    """A metaclass that lies about everything."""

    __repr__ = __instancecheck__ = __subclasscheck__ = __call__ = forbidden

    def __getattribute__(cls, name):
        raise Alarm


def hostile_class(name: str, *bases: type) -> Any:
    members: dict[str, object] = dict.fromkeys(HOOKS, forbidden)
    members["__class__"] = members["__module__"] = property(forbidden)
    return types.new_class(name, bases, {"metaclass": Meta} if not bases else {}, lambda space: space.update(members))


def make(base: Any, *args: object) -> Any:
    return base.__new__(hostile_class("Hostile", base), *args)


def hostile_values() -> list[tuple[object, object]]:
    hostile_dict = make(dict)
    dict.__setitem__(hostile_dict, "a", 1)
    hostile_list = make(list)
    list.append(hostile_list, 1)
    with_dict = object.__new__(hostile_class("HidesItsDict"))
    zone = make(datetime.tzinfo)
    return [
        (object.__new__(hostile_class("Everything")), "<Everything>"),
        (with_dict, "<HidesItsDict>"),
        (hostile_class("Klass"), "<class Klass>"),
        (make(str, "text"), "text"),
        (make(int, 5), 5),
        (make(float, 2.5), 2.5),
        (make(bytes, b"ab"), "b'ab'"),
        (hostile_dict, {"a": 1}),
        (hostile_list, [1]),
        (make(tuple, (1, 2)), [1, 2]),
        (make(frozenset, [1]), [1]),
        (make(datetime.datetime, 2026, 11, 20), "2026-11-20T00:00:00"),
        (datetime.datetime(2026, 11, 20, tzinfo=zone), "2026-11-20T00:00:00"),
        (make(Exception, "no"), {"__class__": "Hostile", "args": ["no"]}),
    ]


def test_no_code_of_an_unknown_class_runs():
    for value, shown in hostile_values():
        assert represent(value) == shown
        assert represent([value, {"k": value}]) == [shown, {"k": shown}]
        assert represent({"after": value, "before": 1}) == {"after": shown, "before": 1}


class OwnDict:
    __dict__ = property(forbidden)


class WrongDict:
    __dict__ = vars(types.FunctionType)["__dict__"]


def test_a_class_that_replaces_its_dictionary_is_shown_by_name():
    assert represent(OwnDict()) == f"<{HERE}.OwnDict>"
    assert represent(WrongDict()) == f"<{HERE}.WrongDict>"


def test_a_dict_that_another_thread_changes_meanwhile_does_no_harm():
    shared: dict[int, int] = {0: 0}
    stop = threading.Event()

    def churn() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            shared[n] = n
            shared.pop(n - 20, None)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        shown = [represent(shared) for _ in range(2000)]
    finally:
        stop.set()
        thread.join()
    assert all(isinstance(each, dict) or each == "<dict>" for each in shown)


def test_near_the_end_of_the_stack_it_still_does_not_raise():
    def fall(value: object) -> None:
        try:
            fall(value)
        except RecursionError:
            shown.append(represent(value))

    shown: list[object] = []
    fall({"a": [1, {"b": 2}]})
    assert shown
    json.dumps(shown[-1])


def test_pickled_bytes_are_not_loaded():
    assert represent(pickle.dumps(Line("a", 1))).startswith("<bytes: ")  # type: ignore[union-attr]


# Filter


def test_the_filter_sees_every_text_and_key_before_they_are_cut():
    def redact(text: str) -> str:
        return text.replace("SECRET", "***")

    secret_at_the_cut = "x" * 509 + "SECRET" + "y" * 2000
    shown = represent({"a": secret_at_the_cut, "the SECRET key": [b"SECRET", Plain(x="SECRET")]}, text=redact)
    assert "SECRET" not in json.dumps(shown)
    assert "SEC" not in json.dumps(shown)
    assert "the *** key" in json.dumps(shown)


@given(st.integers(0, 3000))
def test_no_part_of_a_secret_survives_the_cut(offset):
    secret = "S3CR3T-" * 8

    def redact(text: str) -> str:
        return text.replace(secret, "***")

    assert "S3C" not in json.dumps(represent("x" * offset + secret + "y" * 3000, text=redact))
