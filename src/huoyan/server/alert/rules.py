"""Rules: which value of which signal is too much, for how long, and who hears of it."""

import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from huoyan.errors import ConfigurationError
from huoyan.model.alert import Level
from huoyan.signals import declared
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.spec import Op, Signal

OPS = (Op.ABOVE, Op.AT_LEAST, Op.BELOW, Op.AT_MOST)
"""How a value may be compared with the threshold."""

KEEP_FIRING_S = 15.0
"""How long a value must stay good before its alert resolves, unless the rule says otherwise."""

STALE_S = 60.0
"""How long a value may be missing before its alert resolves, unless the rule says otherwise."""

LONGEST_S = 7 * 86400.0
"""The longest duration a rule may name: a week."""

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST_NAME = 80
"""The longest name of a rule or group, in characters."""

_MARKS = " ._:-"
_KEYS = (
    "name",
    "signal",
    "op",
    "threshold",
    "level",
    "for",
    "window",
    "where",
    "by",
    "min_samples",
    "keep_firing",
    "stale",
    "group",
    "annotations",
    "receivers",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition on a signal. Durations are seconds.

    Attributes:
        name: Unique among the rules; the `rule` label of `huoyan_alerts_firing`. Letters of any script, such as
            "支付 失败率".
        signal: The id of the signal whose value is judged.
        op: The rule holds while `value op threshold`.
        for_s: How long it must hold before the alert fires, default 0: at once.
        window_s: The window the value is computed over; None: the signal's own.
        where: Labels the value must carry, e.g. `{"service": "orders"}`.
        by: Labels that make an alert of its own; None: the signal's own.
        min_samples: With fewer samples in the window there is no value; None: the signal's own number.
        keep_firing_s: How long the value must stay good before the alert resolves, so that flapping tells people once.
        stale_s: How long the value may be missing before the alert resolves (the queue or worker is gone).
        group: Rules of one group share an incident for the same service and task; the rule's own name by default.
        annotations: Free text carried into messages (`runbook`, `summary`, …).
        receivers: Names of those who are told; empty: all.
    """

    name: str
    signal: str
    op: Op
    threshold: float
    level: Level = Level.WARNING
    for_s: float = 0.0
    window_s: float | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    by: tuple[str, ...] | None = None
    min_samples: int | None = None
    keep_firing_s: float = KEEP_FIRING_S
    stale_s: float = STALE_S
    group: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    receivers: tuple[str, ...] = ()

    @property
    def judged_s(self) -> float:
        """Return the window that the value is computed over in seconds, 0 for what has a value at each moment."""
        if self.window_s is not None:
            return self.window_s
        signal = declared.find(self.signal)
        return (signal.window_s or 0.0) if signal is not None else 0.0

    def holds(self, value: float) -> bool:
        """Return whether the value meets the condition; NaN meets none."""
        return self.op.holds(value, self.threshold)

    def worse(self, value: float, than: float | None) -> bool:
        """Return whether the value is farther past the threshold than another one."""
        if than is None:
            return True
        return value > than if self.op in (Op.ABOVE, Op.AT_LEAST) else value < than


def parse_rules(
    items: Iterable[Any], setting: str = "rules", catalogue: Mapping[str, Signal] = CATALOGUE
) -> tuple[Rule, ...]:
    """Read the `[[rules]]` tables of the configuration.

    Args:
        items: One mapping per rule.
        setting: How the list is called in error messages.
        catalogue: The signals that rules may name.

    Returns:
        The rules in order.

    Raises:
        ConfigurationError: One of them is wrong, or two carry the same name.
    """
    rules: list[Rule] = []
    positions: dict[str, int] = {}
    for index, item in enumerate(items):
        rule = parse_rule(item, f"{setting}[{index}]", catalogue)
        if rule.name in positions:
            raise ConfigurationError(
                f"{setting}[{index}].name",
                "a name that no other rule carries",
                rule.name,
                f"{setting}[{positions[rule.name]}] has it already; give one of them another name",
            )
        positions[rule.name] = index
        rules.append(rule)
    return tuple(rules)


def parse_rule(mapping: Any, position: str | int, catalogue: Mapping[str, Signal] = CATALOGUE) -> Rule:
    """Read one rule and check it whole.

    Args:
        mapping: The table as written: `name`, `signal`, and optionally `op`, `threshold`, `level`, `for`, `window`,
            `where`, `by`, `min_samples`, `keep_firing`, `stale`, `group`, `annotations`, `receivers`. Durations are
            numbers of seconds or texts such as "30s", "5m". Without `threshold` the signal's own for the level applies,
            with the time it has to hold.
        position: Where it stands, for error messages: "rules[2]", or 2 for the same.
        catalogue: The signals that it may name.

    Returns:
        The rule.

    Raises:
        ConfigurationError: Something is wrong; the error names the setting, what was expected and what came.
    """
    at = f"rules[{position}]" if isinstance(position, int) else position
    if not isinstance(mapping, Mapping):
        raise ConfigurationError(at, "a table with name, signal, threshold, …", mapping)
    _refuse_unknown(mapping, at)
    name = _name(mapping, at)
    signal = _signal(mapping, at, catalogue)
    level = _level(mapping, at)
    op, threshold, for_s = _condition(mapping, at, signal, level)
    return Rule(
        name=name,
        signal=signal.id,
        op=op,
        threshold=threshold,
        level=level,
        for_s=_duration(mapping, "for", at, for_s),
        window_s=_window(mapping, at, signal),
        where=_where(mapping, at, signal),
        by=_by(mapping, at, signal),
        min_samples=_min_samples(mapping, at),
        keep_firing_s=_duration(mapping, "keep_firing", at, KEEP_FIRING_S),
        stale_s=_duration(mapping, "stale", at, STALE_S),
        group=_name(mapping, at, "group") if "group" in mapping else "",
        annotations=_texts(mapping, "annotations", at),
        receivers=_list(mapping, "receivers", at),
    )


def parse_duration(value: Any, setting: str) -> float:
    """Read a duration: a number of seconds, or a text such as "500ms", "30s", "5m", "1h", "1d".

    Returns:
        Seconds.

    Raises:
        ConfigurationError: It is neither, is negative, or is longer than a week.
    """
    seconds: float | None = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        seconds = float(match[1]) * _UNIT_S[match[2] or "s"]
    if seconds is None or not 0 <= seconds <= LONGEST_S:
        raise ConfigurationError(
            setting, 'a duration such as "30s", "5m" or a number of seconds, at most a week', value
        )
    return seconds


def nearest(name: str, known: Iterable[str]) -> str:
    """Return advice that names the known words most like `name`, or all of them when none is."""
    words = sorted(known)
    close = difflib.get_close_matches(name, words, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(words)}"


def _refuse_unknown(mapping: Mapping[Any, Any], at: str) -> None:
    for key in mapping:
        if key not in _KEYS:
            raise ConfigurationError(f"{at}.{key}", "a setting of a rule", key, nearest(str(key), _KEYS))


def _name(mapping: Mapping[str, Any], at: str, key: str = "name") -> str:
    value = mapping.get(key)
    # Composed, so that an accent written in either way makes the same name.
    name = unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else ""
    if not 0 < len(name) <= LONGEST_NAME or not _is_name(name):
        raise ConfigurationError(
            f"{at}.{key}",
            f"a name of at most {LONGEST_NAME} letters, digits, spaces and . _ : -",
            value,
            f'write {key} = "payment-failures"',
        )
    return name


def _is_name(text: str) -> bool:
    """Return whether a text is made of letters and digits of any script and a few marks, and not of marks alone.

    Nothing invisible gets through but the plain space: two names that differ look different.
    """
    kinds = [unicodedata.category(character)[0] for character in text]
    allowed = all(kind in "LMN" or character in _MARKS for character, kind in zip(text, kinds, strict=True))
    return allowed and any(kind in "LN" for kind in kinds)


def _signal(mapping: Mapping[str, Any], at: str, catalogue: Mapping[str, Signal]) -> Signal:
    value = mapping.get("signal")
    if isinstance(value, str) and value not in catalogue:
        # What an application declares itself is known once it is sent; its labels are those that the rule names.
        own = declared.find(value, _named_labels(mapping))
        if own is not None:
            return own
    if not isinstance(value, str) or value not in catalogue:
        advice = nearest(value, catalogue) if isinstance(value, str) else f"known are {', '.join(sorted(catalogue))}"
        raise ConfigurationError(f"{at}.signal", "the id of a signal", value, advice)
    return catalogue[value]


def _named_labels(mapping: Mapping[str, Any]) -> list[str]:
    where, by = mapping.get("where"), mapping.get("by")
    named = [*(where if isinstance(where, Mapping) else ()), *(by if isinstance(by, (list, tuple)) else ())]
    return [label for label in named if isinstance(label, str)]


def _level(mapping: Mapping[str, Any], at: str) -> Level:
    value = mapping.get("level", Level.WARNING.value)
    if value not in tuple(Level):
        raise ConfigurationError(f"{at}.level", '"warning" or "critical"', value)
    return Level(value)


def _condition(mapping: Mapping[str, Any], at: str, signal: Signal, level: Level) -> tuple[Op, float, float]:
    """Return the comparison, the threshold, and how long it has to hold unless the rule says so itself."""
    defaults = signal.thresholds
    written = mapping.get("op", defaults.op if defaults is not None else Op.ABOVE)
    if written not in OPS:
        raise ConfigurationError(f"{at}.op", "one of >, >=, <, <=", written)
    op = Op(written)
    if "threshold" in mapping:
        value = mapping["threshold"]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ConfigurationError(f"{at}.threshold", "a finite number", value)
        return op, float(value), 0.0
    default = None
    if defaults is not None and op is defaults.op:
        default = defaults.warning if level is Level.WARNING else defaults.critical
    if default is None or defaults is None:
        raise ConfigurationError(
            f"{at}.threshold",
            "a finite number",
            None,
            f"signal {signal.id} has no default for {op} at level {level.value}",
        )
    return op, float(default), defaults.for_s


def _duration(mapping: Mapping[str, Any], key: str, at: str, default: float) -> float:
    return parse_duration(mapping[key], f"{at}.{key}") if key in mapping else default


def _window(mapping: Mapping[str, Any], at: str, signal: Signal) -> float | None:
    if "window" not in mapping:
        return None
    if signal.window_s is None:
        raise ConfigurationError(
            f"{at}.window", "no window", mapping["window"], f"signal {signal.id} has a value at each moment; use for"
        )
    window_s = parse_duration(mapping["window"], f"{at}.window")
    if window_s < 5:
        raise ConfigurationError(f"{at}.window", "a duration of at least 5 seconds", mapping["window"])
    return window_s


def _where(mapping: Mapping[str, Any], at: str, signal: Signal) -> dict[str, str]:
    where = _texts(mapping, "where", at)
    for label in where:
        if label not in signal.labels:
            raise ConfigurationError(
                f"{at}.where.{label}", f"a label of signal {signal.id}", label, nearest(label, signal.labels)
            )
    return where


def _by(mapping: Mapping[str, Any], at: str, signal: Signal) -> tuple[str, ...] | None:
    if "by" not in mapping:
        return None
    labels = _list(mapping, "by", at)
    for index, label in enumerate(labels):
        if label not in signal.labels:
            raise ConfigurationError(
                f"{at}.by[{index}]", f"a label of signal {signal.id}", label, nearest(label, signal.labels)
            )
    return labels


def _min_samples(mapping: Mapping[str, Any], at: str) -> int | None:
    value = mapping.get("min_samples")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"{at}.min_samples", "a whole number, 0 or more", value)
    return value


def _texts(mapping: Mapping[str, Any], key: str, at: str) -> dict[str, str]:
    value = mapping.get(key, {})
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for pair in value.items() for item in pair):
        raise ConfigurationError(f"{at}.{key}", "a table of names and texts", value)
    return dict(value)


def _list(mapping: Mapping[str, Any], key: str, at: str) -> tuple[str, ...]:
    value = mapping.get(key, ())
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ConfigurationError(f"{at}.{key}", "a list of texts", value, f'write {key} = ["…"]')
    return tuple(value)
