"""Declare each quantity once; values, rules, panels and documentation come from the declaration."""

from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.evaluate import Series, Value, evaluate, evaluate_range
from huoyan.signals.metric import Metric, MetricKind
from huoyan.signals.metrics import METRICS
from huoyan.signals.source import Moments, Source
from huoyan.signals.spec import Signal, Thresholds, Unit

__all__ = [
    "CATALOGUE",
    "METRICS",
    "Metric",
    "MetricKind",
    "Moments",
    "Series",
    "Signal",
    "Source",
    "Thresholds",
    "Unit",
    "Value",
    "evaluate",
    "evaluate_range",
]
