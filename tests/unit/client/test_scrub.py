"""Secrets in payloads: by key, by parameter, by look, in any nesting."""

import copy
import dataclasses
import functools
import json
import string
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huoyan.client.payload import DEFAULT_LIMITS, PayloadLimits, represent
from huoyan.client.scrub import REPLACEMENT, Scrubber, parameter_names
from huoyan.errors import ConfigurationError

SCRUBBER = Scrubber()


@dataclasses.dataclass
class Login:
    user: str
    password: str


# Values


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ({"user": "bob", "password": "x"}, {"user": "bob", "password": REPLACEMENT}),
        ({"a": [{"Api-Key": ["x", {"y": 1}]}]}, {"a": [{"Api-Key": REPLACEMENT}]}),
        ({"pin": 1234, "cvv": 123}, {"pin": REPLACEMENT, "cvv": REPLACEMENT}),
        ({"password": None, "token": "", "secret": False}, {"password": None, "token": "", "secret": False}),
        ({"token_count": 5, "max_tokens": 100}, {"token_count": 5, "max_tokens": 100}),
        (["authorization", "x"], ["authorization", REPLACEMENT]),
        ([["cookie", "x"], ["accept", "y"]], [["cookie", REPLACEMENT], ["accept", "y"]]),
        (["token", 5, "x"], ["token", 5, "x"]),
        ({"name": "password", "value": "x"}, {"name": "password", "value": REPLACEMENT}),
        ({"key": "DB_PASSWORD", "value": "x", "n": 1}, {"key": "DB_PASSWORD", "value": REPLACEMENT, "n": 1}),
        ({"name": "bob", "value": "x"}, {"name": "bob", "value": "x"}),
        ("password=x1", "password=[scrubbed]"),
        ({"note": "card 4111 1111 1111 1111"}, {"note": "card [scrubbed]"}),
        ({"n": 4111111111111111}, {"n": REPLACEMENT}),
        ({"n": 4111111111111111.0}, {"n": REPLACEMENT}),
        ({"n": 4111111111111112, "at_ms": 1763673303124}, {"n": 4111111111111112, "at_ms": 1763673303124}),
        ({"ghp_16C7e42F292c6912E7710c838347Ae178B4a": 1}, {REPLACEMENT: 1}),
        ({"n": 1.5, "t": True, "z": None}, {"n": 1.5, "t": True, "z": None}),
    ],
)
def test_a_json_value_loses_its_secrets_and_nothing_else(value, clean):
    before = copy.deepcopy(value)
    assert SCRUBBER.scrub_value(value) == clean
    assert SCRUBBER.represent(value) == clean
    assert value == before


def test_objects_lose_the_attributes_with_secret_names():
    clean = {"__class__": f"{__name__}.Login", "user": "bob", "password": REPLACEMENT}
    assert SCRUBBER.represent(Login("bob", "hunter2")) == clean
    assert SCRUBBER.scrub_value(Login("bob", "hunter2")) == clean
    assert SCRUBBER.scrub_value({"login": (Login("bob", "hunter2"), b"token=abc")}) == {
        "login": [clean, "b'token=[scrubbed]'"]
    }


def test_a_result_and_the_arguments_of_an_exception_are_scrubbed():
    assert SCRUBBER.represent(ValueError("bad password=hunter2")) == {
        "__class__": "ValueError",
        "args": ["bad password=[scrubbed]"],
    }


# Calls


def login(user: str, password: str, attempt: int = 1, *rest: object, token: str = "") -> None:
    """Stands for a task."""


@functools.wraps(login)
def wrapped(*args: Any, **kwargs: Any) -> None:
    """Stands for a decorated task."""


class Task:
    def run(self, user: str, api_key: str) -> None:
        """Stands for a bound method."""


@pytest.mark.parametrize("function", [login, wrapped, ["user", "password", "attempt"], ("user", "password")])
def test_a_positional_argument_is_hidden_by_the_name_of_its_parameter(function):
    args, kwargs = SCRUBBER.scrub_call(function, ("bob", "hunter2", 3, "rest"), {"token": "x", "n": 1})
    assert args == ["bob", REPLACEMENT, 3, "rest"]
    assert kwargs == {"token": REPLACEMENT, "n": 1}


def test_bound_methods_and_partials_know_their_parameters():
    assert parameter_names(Task().run) == ("user", "api_key")
    assert parameter_names(Task.run) == ("self", "user", "api_key")
    assert parameter_names(functools.partial(login, "bob")) == ("password", "attempt")
    assert parameter_names(functools.partial(login, attempt=2)) == ("user", "password")
    assert parameter_names(lambda token: None) == ("token",)
    assert SCRUBBER.scrub_call(Task().run, ("bob", "hunter2"), {})[0] == ["bob", REPLACEMENT]


class Rude:
    def __getattr__(self, name):
        raise RuntimeError(name)


def test_of_what_cannot_be_known_no_parameters_are_told():
    things: list[Any] = [None, len, dict, 5, Rude(), object()]
    for thing in things:
        assert parameter_names(thing) == ()
        assert SCRUBBER.scrub_call(thing, (1,), {"a": 2}) == ([1], {"a": 2})


def test_a_wrapper_that_wraps_itself_does_not_hang():
    def endless() -> None: ...

    endless.__wrapped__ = endless  # type: ignore[attr-defined]
    assert parameter_names(endless) == ()


def test_long_calls_stay_within_the_limits_and_say_what_is_missing():
    args, kwargs = SCRUBBER.scrub_call(None, tuple(range(100)), {f"k{n}": "x" * 1000 for n in range(50)})
    assert args[-1] == "… 69 more"
    assert len(json.dumps(kwargs, ensure_ascii=False)) < 2 * DEFAULT_LIMITS.max_bytes


# Properties

secrets = st.text(string.ascii_letters + string.digits, min_size=6, max_size=20).map(lambda text: f"Zq7{text}")
names = st.sampled_from(
    ["password", "user_password2", "apiKey", "X-Auth-Token", "session_id", "cvv", "clientSecret", "pin"]
)
shells = st.recursive(
    st.just(None),
    lambda inner: st.one_of(
        st.tuples(st.just("list"), st.lists(st.integers(), max_size=3), inner),
        st.tuples(st.just("tuple"), st.lists(st.text(max_size=5), max_size=3), inner),
        st.tuples(st.just("dict"), st.sampled_from(["order", "data", "x"]), inner),
        st.tuples(st.just("object"), st.none(), inner),
    ),
    max_leaves=4,
)


class Holder:
    def __init__(self, held: object) -> None:
        self.held = held


def nest(shell: Any, core: object) -> object:
    """Wrap `core` in the containers that `shell` describes."""
    if shell is None:
        return core
    kind, extra, inner = shell
    held = nest(inner, core)
    if kind == "list":
        return [*extra, held]
    if kind == "tuple":
        return (held, *extra)
    return {extra: held, "n": 1} if kind == "dict" else Holder(held)


@given(secrets, names, shells, st.integers(0, 5))
def test_a_planted_secret_never_leaves_whatever_it_is_nested_in(secret, name, shell, form):
    core: object = [
        {name: secret},
        {name: {"deep": [secret]}},
        [(name, secret)],
        f"failed with {name}={secret}",
        f"https://bob:{secret}@host/",
        Login("bob", secret),
    ][form]
    value = nest(shell, core)
    for clean in (
        SCRUBBER.represent(value),
        SCRUBBER.scrub_value(value),
        SCRUBBER.scrub_value(represent(value)),
        SCRUBBER.scrub_call(None, (value,), {"x": value}),
        SCRUBBER.scrub_call([name], (secret, value), {name: value}),
    ):
        assert secret not in json.dumps(clean)


@given(
    secrets, st.integers(0, 2500), st.sampled_from(["password={}", "Bearer {}x1==", "://u:{}@h", "sk_live_{}aaaaaaaa"])
)
def test_no_part_of_a_secret_survives_where_a_long_text_is_cut(secret, offset, form):
    text = "x " * (offset // 2) + form.format(secret) + " y" * 2000
    assert "Zq7" not in json.dumps(SCRUBBER.represent({"text": text}))


plain_json = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.sampled_from(["a", "order 5", "x@example.com"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.sampled_from("abcdefgh"), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(plain_json)
def test_ordinary_payloads_are_left_as_they_are(value):
    assert SCRUBBER.scrub_value(value) == value
    assert SCRUBBER.represent(value, PayloadLimits(max_bytes=100_000, max_depth=100, max_nodes=10_000)) == value


any_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.one_of(st.text(), names), inner, max_size=5), st.sets(st.text())
    ),
    max_leaves=20,
)


@given(any_json)
def test_scrubbing_never_raises_and_gives_json_that_does_not_change_again(value):
    once = SCRUBBER.represent(value)
    json.dumps(once, allow_nan=False)
    assert SCRUBBER.scrub_value(once) == once
    json.dumps(SCRUBBER.scrub_value(value))


# Hostility


def test_cycles_depth_and_size_are_bounded():
    cyclic: list[object] = []
    cyclic.extend([cyclic, cyclic])
    json.dumps(SCRUBBER.scrub_value(cyclic))
    deep: object = {"password": "hunter2"}
    for _ in range(5_000):
        deep = [deep]
    assert "hunter2" not in json.dumps(SCRUBBER.scrub_value(deep))
    assert "hunter2" not in json.dumps(SCRUBBER.scrub_value([["x"] * 30_000, {"a": ["password=hunter2"]}]))
    assert SCRUBBER.scrub_value({1: "a", "password": "x"}) == {"1": "a", "password": REPLACEMENT}


def test_a_dict_that_another_thread_changes_meanwhile_does_no_harm():
    shared: dict[str, str] = {}
    stop = threading.Event()

    def churn() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            shared[f"password{n}"] = "hunter2"
            shared.pop(f"password{n - 20}", None)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        shown = [SCRUBBER.scrub_value(shared) for _ in range(500)] + [SCRUBBER.represent(shared) for _ in range(500)]
    finally:
        stop.set()
        thread.join()
    assert "hunter2" not in json.dumps(shown)


# Extension


def test_further_names_and_patterns_apply_to_payloads():
    scrubber = Scrubber(names=["iban"], patterns=[r"EMP-\d+"], replacement="***")
    assert scrubber.represent({"IBAN": "DE02", "who": "EMP-1", "password": "x"}) == {
        "IBAN": "***",
        "who": "***",
        "password": "***",
    }


def test_a_broken_pattern_is_refused_at_construction():
    with pytest.raises(ConfigurationError, match=r"patterns\[0\]: expected a regular expression"):
        Scrubber(patterns=["("])
