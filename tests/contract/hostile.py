"""Values that a task may be called with, return or raise, and that resist being looked at.

Every method of theirs that could tell, change or end something notes in `EXECUTED` that it was called while `ARMED` is
on; some raise besides. Before and after that they behave, so that tests can hold them.
"""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import strategies as st

from huoyan.client.payload import represent

EXECUTED: list[str] = []
_armed = False

HTML = "<script>window.hit=1</script><img src=x onerror='window.hit=1'>"
BIDI = "\u202egpj.tpircs\u202c\u2066\u2067"
HUGE = "huge \x00\ud83d<b>" * 300_000
LONG_LIST = list(range(300_000))


@contextmanager
def armed() -> Iterator[None]:
    """Let hostile methods bite inside the block."""
    global _armed
    EXECUTED.clear()
    _armed = True
    try:
        yield
    finally:
        _armed = False


def executed(name: str) -> str:
    """Note that code ran which nobody should have run; what a pickle of these tests calls."""
    EXECUTED.append(name)
    return name


def _biting(name: str, base: type) -> Any:
    plain = getattr(base, name, None)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _armed:
            executed(f"{base.__name__}.{name}")
            raise SystemExit(f"{name} of a hostile value")
        return plain(self, *args, **kwargs) if plain is not None else None

    return method


_METHODS = (
    *("__repr__", "__str__", "__format__", "__bytes__", "__len__", "__length_hint__", "__iter__", "__next__"),
    *("__getitem__", "__contains__", "__bool__", "__int__", "__float__", "__index__", "__call__", "__getattribute__"),
    *("__reduce__", "__reduce_ex__", "__getstate__", "__dir__", "__eq__", "__lt__", "__hash__", "__sizeof__"),
    *("__html__", "__json__", "__fspath__", "__await__", "__aiter__", "__enter__", "__buffer__"),
    *("items", "keys", "values", "get", "copy", "encode", "decode", "dict", "model_dump", "to_dict", "isoformat"),
)


class _Meta(type):
    """A class of classes that answers nothing about them while armed."""

    def __getattribute__(cls, name: str) -> Any:
        if _armed:
            executed(f"class.{name}")
            raise SystemExit(name)
        return super().__getattribute__(name)

    def __instancecheck__(cls, instance: object) -> bool:
        return executed("isinstance") == "" if _armed else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return executed("issubclass") == "" if _armed else super().__subclasscheck__(subclass)


def _hostile(base: type) -> Any:
    own = set(_METHODS) - {"__getattribute__"} if base is not object else set(_METHODS)
    members = {name: _biting(name, base) for name in own if base is object or hasattr(base, name)}
    members["__module__"] = __name__
    return _Meta(f"Hostile{base.__name__.title()}", (base,), members)


HostileObject = _hostile(object)
HostileText, HostileBytes = _hostile(str), _hostile(bytes)
HostileInt, HostileFloat = _hostile(int), _hostile(float)
HostileList, HostileTuple, HostileDict = _hostile(list), _hostile(tuple), _hostile(dict)


class Lying(dict[str, Any]):
    """A mapping that says it is something else, larger than the world, and endless."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return str

    def __len__(self) -> int:
        return 10**18

    def __iter__(self) -> Any:
        while True:
            yield "more"


def _bites(name: str) -> Any:
    def get(_self: object) -> Any:
        raise RuntimeError(executed(name))

    return property(get, lambda _self, _value: None)


def _says_nothing(_self: object) -> str:
    raise RuntimeError("no text")


HostileError: Any = type(
    "HostileError",
    (Exception,),
    {
        "__doc__": "An exception that bites; its own text it may be asked for, as every traceback asks for it.",
        "__module__": __name__,
        "__str__": _says_nothing,
        **{name: _bites(name) for name in ("args", "__cause__", "__context__", "__traceback__", "__notes__")},
    },
)


class Bomb:
    """What is unpickled from it is a call."""

    def __reduce__(self) -> Any:
        return executed, ("unpickled",)


PICKLED = pickle.dumps(Bomb())


def cyclic() -> Any:
    """Return containers that hold themselves and each other."""
    outer: list[Any] = ["cycle"]
    inner: dict[str, Any] = {"outer": outer}
    inner["self"] = inner
    outer += [inner, outer]
    return outer


def deep(levels: int = 20_000) -> Any:
    """Return a list in a list in a list."""
    value: Any = "bottom"
    for _ in range(levels):
        value = [value]
    return value


def generator() -> Any:
    """Yield what nobody but the host may take."""
    yield executed("generator") if _armed else "taken"


texts = st.one_of(
    st.text(st.characters(exclude_categories=())),
    st.sampled_from([HTML, BIDI, "a\x00b", "\ud83d", "\udc00\ud800", "{{7*7}}", "${jndi:x}", "'; DROP TABLE runs;--"]),
)
"""Texts of every character there is, halves of pairs among them."""


class Held:
    """A value that Hypothesis may write down without looking into it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Held({represent(self.value)!a})"


# Hypothesis looks into what it draws, takes it apart and puts it elsewhere: it draws plain recipes, and what is made of
# them it gets to see in one piece only.
_MADE: dict[str, Callable[[Any], Any]] = {
    "plain": lambda value: value,
    "text": lambda text: HostileText(text),
    "int": lambda number: HostileInt(number),
    "float": lambda number: HostileFloat(number),
    "bytes": lambda data: HostileBytes(data),
    "error": lambda text: HostileError(text),
    "lying": lambda text: Lying(a=text),
}
_FIXED: dict[str, Callable[[], Any]] = {
    "object": lambda: HostileObject(),
    "class": lambda: HostileObject,
    "metaclass": lambda: _Meta,
    "bomb": Bomb,
    "pickled": lambda: PICKLED,
    "cyclic": cyclic,
    "deep": deep,
    "generator": generator,
    "huge int": lambda: -(10**5000),
    "huge text": lambda: HUGE,
    "long list": lambda: LONG_LIST,
}
_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "hostile list": lambda items: HostileList(items),
    "hostile tuple": lambda items: HostileTuple(items),
}
_MAPPINGS: dict[str, Callable[[dict[Any, Any]], Any]] = {"dict": dict, "hostile dict": lambda made: HostileDict(made)}


def made(recipe: Any) -> Any:
    """Make a value by its recipe."""
    kind, of = recipe
    if kind in _CONTAINERS:
        return _CONTAINERS[kind]([made(each) for each in of])
    if kind in _MAPPINGS:
        return _MAPPINGS[kind]({made(key): made(value) for key, value in of})
    return _FIXED[of]() if kind == "fixed" else _MADE[kind](of)


def _of(kind: str, strategy: Any) -> Any:
    return st.tuples(st.just(kind), strategy)


_keys = st.one_of(
    _of("plain", st.one_of(texts, st.integers(), st.none())), _of("text", texts), _of("fixed", st.just("object"))
)
_leaves = st.one_of(
    _of("plain", texts),
    _of("plain", st.one_of(st.integers(), st.floats(), st.binary(max_size=40), st.none(), st.booleans())),
    _of("plain", st.sampled_from([float("nan"), float("inf"), float("-inf"), 2**63, 1e308, 5e-324])),
    _of("text", texts),
    _of("int", st.integers()),
    _of("float", st.floats()),
    _of("bytes", st.binary(max_size=20)),
    _of("error", texts),
    _of("lying", texts),
    _of("fixed", st.sampled_from(sorted(_FIXED))),
)


def _containers(inner: Any) -> Any:
    few = st.lists(inner, max_size=4)
    pairs = st.lists(st.tuples(_keys, inner), max_size=4)
    return st.one_of(
        st.tuples(st.sampled_from(sorted(_CONTAINERS)), few), st.tuples(st.sampled_from(sorted(_MAPPINGS)), pairs)
    )


_recipes = st.recursive(_leaves, _containers, max_leaves=8)
values = _recipes.map(lambda recipe: Held(made(recipe)))
"""Whatever a task may be handed."""

_RAISED: dict[str, Callable[[Any], Exception]] = {
    "value": ValueError,
    "key": KeyError,
    "system": lambda value: OSError(5, value, value),
    "hostile": lambda value: HostileError(value),
    "group": lambda value: ExceptionGroup("several", [ValueError(value), HostileError(value)]),
}
errors = st.tuples(st.sampled_from(sorted(_RAISED)), _recipes).map(
    lambda drawn: Held(_RAISED[drawn[0]](made(drawn[1])))
)
"""Whatever a task may raise."""
