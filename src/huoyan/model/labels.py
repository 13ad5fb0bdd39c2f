"""Label names and values that Prometheus accepts, and a bound on how many combinations of them a metric may have.

The rules are those of the Prometheus data model (https://prometheus.io/docs/concepts/data_model/) and of its text
format (https://prometheus.io/docs/instrumenting/exposition_formats/). Every combination of values is a time series for
as long as the process lives: an id in a label is the classic way to take a monitoring system down, so a `Budget` folds
what is too much into one value.
"""

import logging
import os
import re
import threading
import uuid
import weakref
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import pairwise

logger = logging.getLogger("huoyan.labels")

MAX_VALUE_CHARS = 128
MAX_NAME_CHARS = 100
DEFAULT_COMBINATIONS = 1_000
DEFAULT_VALUES_PER_LABEL = 500

OTHER = "other"
"""The value that stands for all values beyond a budget."""

_SAMPLES_KEPT = 5
_LONGEST_INT_BITS = 128

# Prometheus gives these to the buckets of histograms and to summaries.
_RESERVED_NAMES = frozenset({"le", "quantile"})
_INVALID_IN_NAME = re.compile(r"[^a-zA-Z0-9_]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ESCAPED = {"\\": r"\\", '"': r"\"", "\n": r"\n"}
_NEEDS_ESCAPE = re.compile(r'[\\"\n]')

# A class may override what its name looks like; the slot of `type` itself does not run its code.
_class_name: Callable[[type], str] = type.__dict__["__name__"].__get__

# Whole values that no bounded set contains. Each pattern reads its text once.
_IDENTIFIERS = (
    ("a UUID", re.compile(r"(?:urn:uuid:)?\{?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?")),
    # Numbers of up to three digits are status codes and small enumerations.
    ("a number", re.compile(r"[-+#]?(?:\d(?:[ _]?\d){3,}|\d+[.,]\d+)(?:[eE][-+]?\d+)?")),
    ("a time", re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}[\d:.,Z+-]*)?")),
    ("an e-mail address", re.compile(r"(?:[^@<>]*<)?[^@\s<>]+@[^@\s.<>]+(?:\.[^@\s.<>]+)+>?")),
    ("an IP address", re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:]+")),
    ("a URL", re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://.*", re.DOTALL)),
    ("a hexadecimal id", re.compile(r"(?:0[xX]|(?:md5|sha\d{1,3}):)?(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}")),
    # https://www.rfc-editor.org/rfc/rfc7519: the header is JSON, so it begins with `{"` in Base64.
    ("a token", re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*…?")),
)
_ID_IN_PATH = re.compile(r"/(?:\d+|[0-9a-fA-F-]{16,})(?=/|\Z)")
_LONG_NUMBER_AT_END = re.compile(r"\d{5,}\Z")
_TOKEN = re.compile(r"[A-Za-z0-9_+/=-]{16,}")
_TOKEN_CHANGES = 4
_LONGEST_EXAMINED_CHARS = 256


def clean_label_name(name: object) -> str:
    """Return a valid label name made from `name`: ASCII letters, digits and `_`, not beginning with a digit or `__`.

    Other ASCII characters become `_`; characters of other scripts become their code point (`区` → `u533a`), or all
    names of one language would be the same. `le` and `quantile`, which belong to histograms, get a `_` behind them.
    """
    text = clean_label_value(name, 2 * MAX_NAME_CHARS)
    clean = _INVALID_IN_NAME.sub(lambda match: "_" if match[0].isascii() else f"u{ord(match[0]):x}", text)
    if clean.startswith("__"):
        clean = f"_{clean.lstrip('_')}"
    if clean in _RESERVED_NAMES:
        clean = f"{clean}_"
    if clean[:1].isdigit():
        clean = f"_{clean}"
    return clean[:MAX_NAME_CHARS] or "unnamed"


def clean_label_value(value: object, max_length: int = MAX_VALUE_CHARS) -> str:
    """Return `value` as a valid, printable, bounded label value; never raises, never runs code of unknown classes.

    None is the empty value (to Prometheus: no label). An enum member is its value, a bool `true` or `false`; control
    characters become spaces, lone surrogates `�`. Anything but text, numbers, UUIDs and enums is the name of its class.

    Args:
        value: Anything.
        max_length: Characters kept, default 128; a longer value ends in `…`.
    """
    if type(value) is not str:
        value = _value_text(value)
    if len(value) > max_length:
        value = f"{value[: max_length - 1]}…"
    if value.isascii() and value.isprintable():
        return value
    return _SURROGATE.sub("�", _CONTROL.sub(" ", value))


def _value_text(value: object) -> str:
    kind = type(value)
    if value is None:
        return ""
    if kind is bool:
        return "true" if value else "false"
    if issubclass(kind, Enum):
        return _enum_text(value)
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        number = int.__index__(value)  # type: ignore[arg-type]
        return str(number) if number.bit_length() <= _LONGEST_INT_BITS else "int"
    if issubclass(kind, float):
        return float.__repr__(value)
    if issubclass(kind, bytes):
        return bytes.decode(value, "utf-8", "replace")  # type: ignore[arg-type]
    if kind is uuid.UUID:
        return str(value)
    return _class_name(kind)


def _enum_text(member: object) -> str:
    """Return the value of an enum member when it is a text or number, else its name."""
    try:
        inner = object.__getattribute__(member, "_value_")
        if issubclass(type(inner), (str, int, float)):
            return _value_text(inner)
        return _value_text(object.__getattribute__(member, "_name_"))
    except Exception:  # noqa: BLE001 - a class may put its own code behind any attribute
        return _class_name(type(member))


def looks_like_identifier(value: str) -> str | None:
    """Return what kind of id a label value looks like (`a UUID`, `a number`, …), or None when it looks like a name.

    A value that differs from run to run has no place in a label. Numbers of up to three digits pass: status codes are
    labels.
    """
    text = value.strip()[:_LONGEST_EXAMINED_CHARS]
    for kind, pattern in _IDENTIFIERS:
        if pattern.fullmatch(text):
            return kind
    if _ID_IN_PATH.search(text):
        return "a path with an id"
    if _LONG_NUMBER_AT_END.search(text):
        return "a name with a number"
    if _TOKEN.fullmatch(text):
        changes = sum(before.isdigit() != after.isdigit() for before, after in pairwise(text))
        if changes >= _TOKEN_CHANGES:
            return "a random token"
    return None


def escape_label_value(value: str) -> str:
    r"""Return `value` as it stands between the quotes of the text format: `\`, `"` and line ends escaped."""
    if _NEEDS_ESCAPE.search(value) is None:
        return value
    return _NEEDS_ESCAPE.sub(lambda match: _ESCAPED[match[0]], value)


class Budget:
    """A bounded set of label combinations for one metric. Combinations beyond it are folded into `other`.

    Safe for concurrent use, and in children after a fork. A combination already admitted costs one set lookup.

    Args:
        metric: Name of the metric, for the warning.
        labels: Names of its labels, in the order of the values.
        limit: Combinations admitted, default 1,000; the folded ones share one more.
        per_label: Different values admitted for each label, default 500: one bad label does not use up the budget.

    Attributes:
        samples: The first few combinations that were folded.
    """

    __slots__ = (
        "__weakref__",
        "_admitted",
        "_folded",
        "_lock",
        "_seen",
        "labels",
        "limit",
        "metric",
        "per_label",
        "samples",
    )

    def __init__(
        self,
        metric: str,
        labels: Sequence[str],
        *,
        limit: int = DEFAULT_COMBINATIONS,
        per_label: int = DEFAULT_VALUES_PER_LABEL,
    ) -> None:
        if limit < 1 or per_label < 1:
            raise ValueError(f"{metric}: expected limits of 1 or more, got limit={limit!r}, per_label={per_label!r}")
        self.metric = metric
        self.labels = tuple(labels)
        self.limit = limit
        self.per_label = per_label
        self.samples: list[tuple[str, ...]] = []
        self._admitted: set[tuple[str, ...]] = set()
        self._seen: tuple[dict[str, int], ...] = tuple({} for _ in self.labels)
        self._folded = 0
        self._lock = threading.Lock()
        _budgets.add(self)

    def admit(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """Return `values`, or what stands for them when the budget is used up.

        A value beyond `per_label` becomes `other` alone; a combination beyond `limit` becomes `other` throughout.
        """
        if values in self._admitted:
            return values
        with self._lock:
            return self._admit_new(values)

    def _admit_new(self, values: tuple[str, ...]) -> tuple[str, ...]:
        candidate = tuple(
            value if value in seen or value == OTHER or len(seen) < self.per_label else OTHER
            for value, seen in zip(values, self._seen, strict=True)
        )
        if candidate not in self._admitted:
            if len(self._admitted) < self.limit:
                self._admitted.add(candidate)
                for value, seen in zip(candidate, self._seen, strict=True):
                    seen[value] = seen.get(value, 0) + 1
            else:
                candidate = (OTHER,) * len(values)
        if candidate != values:
            self._fold(values)
        return candidate

    def _fold(self, values: tuple[str, ...]) -> None:
        self._folded += 1
        if len(self.samples) < _SAMPLES_KEPT:
            self.samples.append(values)
        if self._folded == 1:
            suspects = [
                f"{name}={value!r} looks like {kind}"
                for name, value in zip(self.labels, values, strict=True)
                if (kind := looks_like_identifier(value))
            ]
            logger.warning(
                "%s: expected at most %d label combinations and %d values per label, got more; "
                "further ones count as %r. First folded: %s%s",
                self.metric,
                self.limit,
                self.per_label,
                OTHER,
                dict(zip(self.labels, values, strict=True)),
                f" ({'; '.join(suspects)})" if suspects else "",
            )

    def refuse(self, values: tuple[str, ...]) -> None:
        """Count a combination that is not taken as it is, because an id stands in it; whoever refuses it warns."""
        with self._lock:
            self._folded += 1
            if len(self.samples) < _SAMPLES_KEPT:
                self.samples.append(values)

    def discard(self, values: tuple[str, ...]) -> None:
        """Give the place of a combination back, when its series is removed."""
        with self._lock:
            if values not in self._admitted:
                return
            self._admitted.remove(values)
            for value, seen in zip(values, self._seen, strict=True):
                seen[value] -= 1
                if not seen[value]:
                    del seen[value]

    @property
    def folded(self) -> int:
        """Return how many times a combination was folded."""
        return self._folded

    def __len__(self) -> int:
        return len(self._admitted)


_budgets: weakref.WeakSet[Budget] = weakref.WeakSet()


def _renew_locks() -> None:
    """Give every budget a free lock: another thread of the parent may have held it at the moment of the fork."""
    for budget in _budgets:
        budget._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
