"""Arguments and results of tasks as bounded JSON values, safe to make of anything.

A task's arguments may be huge, binary, cyclic, changed by another thread meanwhile, or of classes whose methods raise,
block or lie. So no method of an unknown class is called, not even `__repr__`, `__len__`, `__iter__` or a property that
stands in for `__class__`: containers are read by the methods of the built-in types, objects by what they store
(`huoyan.client.attributes`). Nothing is ever evaluated or unpickled.
"""

import datetime
import decimal
import enum
import ipaddress
import math
import pathlib
import re
import sys
import types
import uuid
import zoneinfo
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from json.encoder import encode_basestring
from typing import Any, TypeAlias

from huoyan.client.attributes import class_name, inherited, instance_dict, public_attributes
from huoyan.errors import ConfigurationError

JsonValue: TypeAlias = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None

CLASS_KEY = "__class__"
"""The key under which an object shown by its attributes names its class."""

_LEAST = {"max_bytes": 256, "max_nodes": 1, "max_depth": 1, "max_items": 2, "max_string": 32}


@dataclass(frozen=True, slots=True)
class PayloadLimits:
    """How much of a payload is kept.

    Args:
        max_bytes: Size as compact UTF-8 JSON, default 4,096; never exceeded.
        max_nodes: Values of any kind, default 256.
        max_depth: Containers inside each other, default 6.
        max_items: Items kept of each container, default 32.
        max_string: Characters kept of each text, default 512.

    Raises:
        ConfigurationError: When a limit is so small that nothing could be shown.
    """

    max_bytes: int = 4096
    max_nodes: int = 256
    max_depth: int = 6
    max_items: int = 32
    max_string: int = 512

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ConfigurationError(f"PayloadLimits.{name}", f"a whole number of {least} or more", value)


DEFAULT_LIMITS = PayloadLimits()

# What the end of a container needs to say how much of it was left out, and what a further item needs at least.
_OMISSION_BYTES = 40
_LEAST_ITEM_BYTES = 64
_MAX_NAME_CHARS = 80
_SHORT_KEY_CHARS = 12
_MAX_ATTRIBUTES_READ = 256
# A text filter sees so much more than is kept: what it looks for must not slip through because it was cut in two.
_LOOKAHEAD_CHARS = 1024
_LOOKAHEAD_DROPPED_CHARS = 64
# JavaScript holds whole numbers up to here.
_LARGEST_INT = 2**53 - 1
_LONGEST_INT_BITS = 512
_LARGEST_DECIMAL_BYTES = 512
# PostgreSQL stores no NUL, UTF-8 no lone surrogate.
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_BINARY = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

_exception_args: Callable[[object], Any] = vars(BaseException)["args"].__get__

# Attributes of classes that are records: those are shown even where they stand inside another object.
_RECORD_MARKS = ("__dataclass_fields__", "__pydantic_fields__", "__fields__", "__attrs_attrs__", "__struct_fields__")


def represent(
    value: object, limits: PayloadLimits = DEFAULT_LIMITS, text: Callable[[str], str] | None = None
) -> JsonValue:
    """Return `value` as JSON values within `limits`; never raises.

    Texts cut off say how long they were (`abc… [2000 characters]`), containers how much is missing (`… 12 more`). Sets
    and tuples become lists. Numbers that JSON or JavaScript cannot hold become texts, and so do bytes (`b'abc'`,
    `<bytes: 20>`). An object becomes its public attributes beside its class (`{"__class__": "shop.Order", "id": 5}`);
    one without any, or inside another and no record (dataclass, named tuple, pydantic, attrs, msgspec), `<shop.Order>`.

    Args:
        value: Anything.
        limits: Default 4 KiB, see `PayloadLimits`.
        text: Filter for every text, applied before the text is cut; must not raise.
    """
    try:
        return _Walk(limits, text).value(value, 0)
    except Exception:  # noqa: BLE001 - whatever a hostile value managed to do, the host must not notice
        return f"<{class_name(type(value))}>"


class _Walk:
    """One payload on its way to JSON: what is left of its limits, and the containers it is inside of."""

    __slots__ = ("limits", "nodes", "objects", "path", "room", "text_filter")

    def __init__(self, limits: PayloadLimits, text_filter: Callable[[str], str] | None) -> None:
        self.limits = limits
        self.text_filter = text_filter
        self.room = limits.max_bytes
        self.nodes = limits.max_nodes
        self.objects = 0
        self.path: set[int] = set()

    def value(self, value: Any, depth: int) -> JsonValue:
        self.nodes -= 1
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is int:
            if -_LARGEST_INT <= value <= _LARGEST_INT:
                self.room -= 4 if -100 < value < 1000 else 18
                return value  # type: ignore[no-any-return]
            return self.mark(_long_int(value))
        if value is None or kind is bool:
            self.room -= 6
            return value  # type: ignore[no-any-return]
        if kind is float:
            self.room -= 25
            return value if math.isfinite(value) else self.mark(_odd_float(value))
        try:
            if kind is dict:
                return self.mapping(value, dict.items(value), len(value), depth)
            if kind is list or kind is tuple:
                return self.sequence(value, iter(value), len(value), depth)
            return self.other(value, kind, depth)
        except Exception:  # noqa: BLE001 - e.g. a dict that another thread changes meanwhile
            return self.mark(f"<{class_name(kind)}>")

    def other(self, value: Any, kind: type, depth: int) -> JsonValue:
        """Represent what is of none of the commonest types: its subclass decides, never what it claims to be."""
        write = _TEXTS.get(kind)
        if write is not None:
            return self.text(write(value))
        if issubclass(kind, (bytes, bytearray)):
            return self.binary(value, bytes if issubclass(kind, bytes) else bytearray)
        if issubclass(kind, enum.Enum):
            members = instance_dict(value, kind)
            return self.mark(f"{class_name(kind).rpartition('.')[2]}.{members.get('_name_')}")
        for base, simple in _SIMPLE:
            if issubclass(kind, base):
                return self.value(simple(value), depth)
        if issubclass(kind, dict):
            return self.mapping(value, dict.items(value), dict.__len__(value), depth)
        for base in (list, tuple, set, frozenset, deque):
            if issubclass(kind, base):
                fields = inherited(kind, "_fields") if base is tuple else None
                if type(fields) is tuple:
                    return self.record(value, kind, zip(fields, tuple.__iter__(value), strict=False), depth)
                return self.sequence(value, base.__iter__(value), base.__len__(value), depth)
        if issubclass(kind, BaseException):
            return self.record(value, kind, [("args", _exception_args(value))], depth)
        if issubclass(kind, type):
            return self.mark(f"<class {class_name(value)}>")
        if kind in _NAMED:
            return self.mark(f"<{class_name(kind).rpartition('.')[2]} {_named(value)}>")
        scalar = _numpy_scalar(value, kind)
        if scalar is not None:
            return self.value(scalar, depth)
        if self.objects and not any(inherited(kind, mark) is not None for mark in _RECORD_MARKS):
            return self.mark(f"<{class_name(kind)}>")
        return self.record(value, kind, public_attributes(value, kind, _MAX_ATTRIBUTES_READ), depth)

    def sequence(self, owner: object, items: Iterable[object], length: int, depth: int) -> JsonValue:
        if id(owner) in self.path:
            return self.mark("<cycle>")
        if depth >= self.limits.max_depth:
            return self.mark(f"<{class_name(type(owner))}: {length}>")
        result: list[JsonValue] = []
        self.path.add(id(owner))
        self.room -= 2 + _OMISSION_BYTES
        for item in islice(items, self.kept(length)):
            if self.room < _LEAST_ITEM_BYTES or self.nodes <= 0:
                break
            self.room -= 1
            result.append(self.value(item, depth + 1))
        self.path.discard(id(owner))
        if len(result) < length:
            result.append(f"… {length - len(result)} more")
        else:
            self.room += _OMISSION_BYTES
        return result

    def mapping(
        self, owner: object, pairs: Iterable[tuple[Any, object]], length: int, depth: int, name: str = ""
    ) -> JsonValue:
        if id(owner) in self.path:
            return self.mark("<cycle>")
        if depth >= self.limits.max_depth:
            return self.mark(f"<{name}>" if name else f"<{class_name(type(owner))}: {length}>")
        result: dict[str, JsonValue] = {}
        self.room -= 2 + _OMISSION_BYTES
        if name:
            self.room -= len(CLASS_KEY) + 4
            result[CLASS_KEY] = self.mark(name)
        whole = len(result) + length
        self.path.add(id(owner))
        for key, item in islice(pairs, self.kept(length)):
            if self.room < _LEAST_ITEM_BYTES or self.nodes <= 0:
                break
            room = self.room
            text = self.key(key)
            if self.room < _LEAST_ITEM_BYTES:
                self.room = room
                break
            while text in result:
                text = f"{text[:_MAX_NAME_CHARS]}#{len(result)}"
                self.room -= 6
            result[text] = self.value(item, depth + 1)
        self.path.discard(id(owner))
        if len(result) < whole:
            result["…"] = f"{whole - len(result)} more"
        else:
            self.room += _OMISSION_BYTES
        return result

    def record(self, value: object, kind: type, pairs: Iterable[tuple[str, object]], depth: int) -> JsonValue:
        """Represent an object by the fields given; one without any by its class alone."""
        fields = list(islice(pairs, _MAX_ATTRIBUTES_READ))
        if not fields:
            return self.mark(f"<{class_name(kind)}>")
        self.objects += 1
        try:
            return self.mapping(value, fields, len(fields), depth, class_name(kind))
        finally:
            self.objects -= 1

    def kept(self, length: int) -> int:
        """Return how many items of a container of `length` are kept; one place is left for saying what is missing."""
        most = self.limits.max_items
        return length if length <= most else most - 1

    def key(self, key: Any) -> str:
        """Return a key as text, with quotes and separators counted."""
        if type(key) is str and len(key) < _SHORT_KEY_CHARS and key.isascii() and key.isidentifier():
            self.room -= len(key) + 4
            return key
        self.room -= 2
        if type(key) is not str:
            shown = self.value(key, self.limits.max_depth)
            return shown if type(shown) is str else _scalar_key(shown)
        if self.text_filter is not None:
            key = self.text_filter(key[:_LOOKAHEAD_CHARS])
        return self.mark(key)

    def binary(self, value: bytes | bytearray, base: Any) -> str:
        """Return bytes as text where they are text, else their number. Only the beginning is looked at."""
        length = base.__len__(value)
        head = bytes(base.__getitem__(value, slice(self.limits.max_string + _LOOKAHEAD_CHARS)))
        try:
            text = head.decode("utf-8")
        except UnicodeDecodeError as error:
            # Up to three bytes of a character that was cut in two may stand at the end.
            if len(head) == length or error.start < len(head) - 3:
                return self.mark(f"<bytes: {length}>")
            text = head[: error.start].decode("utf-8")
        if _BINARY.search(text):
            return self.mark(f"<bytes: {length}>")
        return self.text(f"b'{text}'") if len(head) == length else self.text(f"b'{text}", f"… [{length} bytes]")

    def text(self, text: str, ending: str = "") -> str:
        """Return `text` filtered, cut to what is left, and storable; with `ending` it is the beginning of more."""
        most, complete = self.limits.max_string, not ending
        ending = ending or f"… [{len(text)} characters]"
        if self.text_filter is not None:
            complete = complete and len(text) <= most + _LOOKAHEAD_CHARS
            text = self.text_filter(text[: most + _LOOKAHEAD_CHARS])
            if not complete:
                # What is cut in two at the end: the filter cannot have recognised it.
                text = text[:-_LOOKAHEAD_DROPPED_CHARS]
        if complete and len(text) <= most and text.isascii() and text.isprintable():
            # Two quotes around it; a quote or backslash inside takes one character more.
            room = self.room - 2 - len(text) - text.count('"') - text.count("\\")
            if room >= 0:
                self.room = room
                return text
        if not complete or len(text) > most:
            text = text[: max(0, most - len(ending))] + ending
        return self.fit(text, ending)

    def mark(self, text: str) -> str:
        """Return a name or text of our own making, counted like any other."""
        return self.fit(text if len(text) <= _MAX_NAME_CHARS else f"{text[: _MAX_NAME_CHARS - 1]}…", "…")

    def fit(self, text: str, ending: str) -> str:
        """Return `text` storable, and with `ending` when the room left is too small for all of it."""
        text = _UNSTORABLE.sub("�", text)
        room = self.room - 2
        while (cost := len(encode_basestring(text).encode()) - 2) > room and text:
            # Every round is shorter than the one before; a character takes 1 to 6 bytes.
            keep = min(len(text) * max(room, 0) // cost, len(text) - 1) - len(ending)
            text = text[:keep] + ending if keep > 0 else ""
        self.room = room - cost
        return text


def _long_int(value: int) -> str:
    bits = int.bit_length(value)
    return str(value) if bits <= _LONGEST_INT_BITS else f"<int: {bits} bits>"


def _odd_float(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _scalar_key(value: JsonValue) -> str:
    if value is None or type(value) is bool:
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _decimal(value: decimal.Decimal) -> str:
    return str(value) if decimal.Decimal.__sizeof__(value) <= _LARGEST_DECIMAL_BYTES else "<decimal.Decimal>"


def _moment(kind: type[datetime.datetime] | type[datetime.time]) -> Callable[[Any], str]:
    """Return how to write a time of day or a date with one, for `kind` and its subclasses."""
    zone_of = vars(kind)["tzinfo"].__get__

    def write(value: Any) -> str:
        if type(zone_of(value)) not in (types.NoneType, datetime.timezone, zoneinfo.ZoneInfo):
            # Any other class of time zones would compute the offset by its own code.
            value = kind.replace(value, tzinfo=None)
        return kind.isoformat(value)

    return write


def _named(value: Any) -> str:
    """Return the name of a function, method, module or generator."""
    function = value.__func__ if type(value) is types.MethodType else value
    if type(function) is types.ModuleType:
        return str(vars(function).get("__name__"))
    if type(function) not in _NAMED:
        return class_name(type(function))
    module = None if type(function) in (types.GeneratorType, types.CoroutineType) else function.__module__
    return (
        f"{module}.{function.__qualname__}" if type(module) is str and module != "builtins" else function.__qualname__
    )


def _numpy_scalar(value: Any, kind: type) -> Any:
    """Return the Python number of a numpy scalar, when the host has imported numpy and this is one."""
    numpy = sys.modules.get("numpy")
    generic = getattr(numpy, "generic", None)
    if type(generic) is not type or not issubclass(kind, generic):
        return None
    scalar = generic.item(value)  # type: ignore[attr-defined]
    return scalar if type(scalar) in (bool, int, float, str, bytes) else None


# Types whose text is short and made by the standard library alone. Exactly these: a subclass may have changed it.
_TEXTS: dict[type, Callable[[Any], str]] = {
    memoryview: lambda value: f"<memoryview: {value.nbytes}>",
    complex: repr,
    range: repr,
    decimal.Decimal: _decimal,
    uuid.UUID: str,
    datetime.timedelta: str,
    re.Pattern: lambda value: f"<pattern {value.pattern!r}>",
    types.EllipsisType: lambda _: "...",
    **dict.fromkeys((pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath), str),
    **dict.fromkeys((ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network), str),
}

# Subclasses of these are the value they hold, whatever their own methods say.
_SIMPLE: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__index__),
    (float, float.__float__),
    (datetime.datetime, _moment(datetime.datetime)),
    (datetime.date, datetime.date.isoformat),
    (datetime.time, _moment(datetime.time)),
)

_NAMED = frozenset(
    {
        types.FunctionType,
        types.BuiltinFunctionType,
        types.MethodType,
        types.ModuleType,
        types.GeneratorType,
        types.CoroutineType,
    }
)
