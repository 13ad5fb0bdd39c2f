"""Recording and alerting rules for Prometheus, from the signals and whatever thresholds are wanted.

Each group records the signals of one section and then judges them: rules of a group run in order, so an alert sees the
values recorded a moment before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import yaml

from huoyan.deploy.settings import Monitoring
from huoyan.signals import declared
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.promql import Buckets, duration, number, promql, quoted, recording_rule_name
from huoyan.signals.spec import Signal, Unit

_HEAD = """\
# Rules for Prometheus, written by `huoyan deploy rules` from the signals of Huoyan.
# Edit the signals' thresholds in huoyan.toml rather than this file, and write it anew.
"""

_VALUE = {
    Unit.RATIO: "{{ $value | humanizePercentage }}",
    Unit.SECONDS: "{{ $value | humanizeDuration }}",
    Unit.BYTES: "{{ $value | humanize1024 }}B",
}


class Condition(Protocol):
    """A threshold on a signal. The rules of `huoyan.toml` are such."""

    @property
    def name(self) -> str:
        """Name of the alert."""
        ...

    @property
    def signal(self) -> str:
        """Id of the signal that is judged."""
        ...

    @property
    def op(self) -> str:
        """It holds while `value op threshold`."""
        ...

    @property
    def threshold(self) -> float:
        """In the signal's unit."""
        ...

    @property
    def level(self) -> str:
        """`warning` or `critical`."""
        ...

    @property
    def for_s(self) -> float:
        """How long it has to hold, in seconds."""
        ...

    @property
    def window_s(self) -> float | None:
        """Window in seconds; None for the signal's own."""
        ...

    @property
    def where(self) -> Mapping[str, str]:
        """Labels the value has to carry."""
        ...

    @property
    def by(self) -> tuple[str, ...] | None:
        """Labels that make an alert of its own; None for the signal's own."""
        ...

    @property
    def min_samples(self) -> int | None:
        """Fewest samples for which there is a value; None for the signal's own."""
        ...

    @property
    def keep_firing_s(self) -> float:
        """How long the value has to stay good before the alert ends, in seconds."""
        ...

    @property
    def annotations(self) -> Mapping[str, str]:
        """Free text for the message."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultCondition:
    """A condition that a signal brings with it."""

    name: str
    signal: str
    op: str
    threshold: float
    level: str
    for_s: float
    window_s: float | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    by: tuple[str, ...] | None = None
    min_samples: int | None = None
    keep_firing_s: float = 15.0
    annotations: Mapping[str, str] = field(default_factory=dict)


def default_conditions(signals: Iterable[Signal] = tuple(CATALOGUE.values())) -> list[DefaultCondition]:
    """Return the default thresholds of signals as conditions, named like `HuoyanTaskFailureRatio`."""
    conditions = []
    for signal in signals:
        defaults = signal.thresholds
        if defaults is None:
            continue
        for level, threshold in (("warning", defaults.warning), ("critical", defaults.critical)):
            if threshold is not None:
                conditions.append(
                    DefaultCondition(
                        name="Huoyan" + "".join(word.capitalize() for word in signal.id.split("_")),
                        signal=signal.id,
                        op=defaults.op.value,
                        threshold=threshold,
                        level=level,
                        for_s=defaults.for_s,
                    )
                )
    return conditions


def rules(
    conditions: Sequence[Condition] | None = None,
    signals: Sequence[Signal] = tuple(CATALOGUE.values()),
    monitoring: Monitoring | None = None,
    buckets: Buckets = Buckets.CLASSIC,
) -> str:
    """Write recording rules for every signal and alerting rules for every condition.

    Args:
        conditions: What to alert on; the default thresholds of the signals where None.
        signals: The signals to record.
        monitoring: Names the job whose absence is an alert as well.
        buckets: How Prometheus keeps distributions; classic buckets by default.

    Returns:
        The text of a rule file, YAML.
    """
    if conditions is None:
        conditions = default_conditions(signals)
    known = {signal.id: signal for signal in signals}
    groups: dict[str, list[dict[str, Any]]] = {}
    for signal in signals:
        recording = {"record": recording_rule_name(signal), "expr": promql(signal, buckets=buckets)}
        groups.setdefault(signal.panel.section, []).append(recording)
    for condition in conditions:
        judged = known.get(condition.signal) or declared.find(
            condition.signal, (*condition.where, *(condition.by or ()))
        )
        if judged is None:
            raise ValueError(f"{condition.name}: expected the id of a signal, got {condition.signal!r}")
        groups.setdefault(judged.panel.section, []).append(_alert(condition, judged, buckets))
    groups.setdefault("self", []).append(_absence((monitoring or Monitoring()).job))
    document = {"groups": [{"name": f"huoyan-{section}", "rules": found} for section, found in groups.items()]}
    return _HEAD + yaml.dump(document, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=120)


def _alert(condition: Condition, signal: Signal, buckets: Buckets) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "alert": condition.name,
        "expr": f"{_left_side(condition, signal, buckets)} {condition.op} {number(condition.threshold)}",
    }
    if condition.for_s > 0:
        rule["for"] = duration(condition.for_s)
    if condition.keep_firing_s > 0:
        rule["keep_firing_for"] = duration(condition.keep_firing_s)
    rule["labels"] = {"severity": str(condition.level), "signal": signal.id}
    by = signal.by if condition.by is None else condition.by
    subject = ", ".join(f"{label} {{{{ $labels.{label} }}}}" for label in by)
    value = _VALUE.get(signal.unit, "{{ $value | humanize }}")
    rule["annotations"] = {
        "summary": f"{signal.title}: {value}" + (f" ({subject})" if subject else ""),
        "description": f"{signal.help} The limit is {condition.op} {_limit(condition.threshold, signal.unit)}.",
        "value": value,
        **{name: _plain(text) for name, text in condition.annotations.items()},
    }
    return rule


def _left_side(condition: Condition, signal: Signal, buckets: Buckets) -> str:
    """Return the recorded series where it is what the condition asks for, else the whole expression."""
    by = signal.by if condition.by is None else condition.by
    window_s = signal.window_s if condition.window_s is None else condition.window_s
    fewest = signal.min_samples if condition.min_samples is None else condition.min_samples
    recorded = (by, window_s, fewest) == (signal.by, signal.window_s, signal.min_samples)
    if recorded and signal.id in CATALOGUE and not condition.where:
        return recording_rule_name(signal)
    return f"({promql(signal, window_s, condition.where, by, min_samples=fewest, buckets=buckets)})"


def _absence(job: str) -> dict[str, Any]:
    """Return the alert that says that nothing else can be said."""
    return {
        "alert": "HuoyanDown",
        "expr": f"up{{job={quoted(job)}}} == 0 or absent(up{{job={quoted(job)}}})",
        "for": "1m",
        "labels": {"severity": "critical", "signal": "up"},
        "annotations": {
            "summary": "Huoyan does not answer on {{ $labels.instance }}",
            "description": "Prometheus cannot read the metrics of huoyan serve, so no other alert of Huoyan can fire.",
        },
    }


def _limit(threshold: float, unit: Unit) -> str:
    if unit is Unit.RATIO:
        return f"{number(round(threshold * 100, 6))} %"
    return f"{number(threshold)} s" if unit is Unit.SECONDS else number(threshold)


def _plain(text: str) -> str:
    """Keep braces in free text from being read as a template."""
    return text.replace("{{", '{{ "{{" }}')


class _Readable(yaml.SafeDumper):
    """Writes long texts as folded blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = ">" if len(text) > 100 and "\n" not in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Readable.add_representer(str, _text)
