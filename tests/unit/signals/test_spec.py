"""A signal that makes no sense cannot be declared."""

import pytest

from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.metric import MetricKind
from huoyan.signals.metrics import METRICS
from huoyan.signals.metrics.work import QUEUE_DEPTH, TASK_DURATION, TASK_RUNS
from huoyan.signals.spec import (
    Expression,
    Increase,
    Latest,
    Op,
    Panel,
    Quantile,
    Ratio,
    Signal,
    Unit,
    leaves_of,
    where,
)


def _signal(expression: Expression, by: tuple[str, ...] = (), window_s: float | None = 300.0) -> Signal:
    return Signal(
        id="example",
        title="Example",
        title_zh="示例",
        help="An example.",
        help_zh="示例。",
        unit=Unit.COUNT,
        by=by,
        expression=expression,
        panel=Panel("tasks"),
        window_s=window_s,
    )


def test_an_expression_refuses_a_metric_of_the_wrong_kind():
    with pytest.raises(ValueError, match="huoyan_queue_depth: expected a counter, got a gauge"):
        Increase(QUEUE_DEPTH)


def test_an_expression_refuses_a_label_that_the_metric_does_not_have():
    with pytest.raises(ValueError, match="exception"):
        Increase(TASK_RUNS, where(exception="ValueError"))


def test_a_quantile_is_a_share():
    with pytest.raises(ValueError, match="expected a share from 0 to 1, got 95"):
        Quantile(95, TASK_DURATION)


def test_a_signal_refuses_to_be_told_apart_by_a_label_that_its_metrics_do_not_share():
    with pytest.raises(ValueError, match=r"example\.by"):
        _signal(Ratio(Increase(TASK_RUNS), Latest(QUEUE_DEPTH)), by=("task",))


def test_only_gauges_go_without_a_window():
    with pytest.raises(ValueError, match=r"example\.window_s"):
        _signal(Increase(TASK_RUNS), window_s=None)
    with pytest.raises(ValueError, match=r"example\.window_s"):
        _signal(Latest(QUEUE_DEPTH), window_s=300.0)


def test_a_label_that_the_expression_fixes_is_not_open_for_filters():
    signal = _signal(Increase(TASK_RUNS, where(state="failed")))
    assert signal.labels == ("service", "task", "queue")


@pytest.mark.parametrize(
    ("op", "left", "right", "holds"),
    [
        (">", 2, 1, True),
        (">", 1, 1, False),
        (">=", 1, 1, True),
        ("<", 1, 2, True),
        ("<", 1, 1, False),
        ("<=", 1, 1, True),
        ("==", 1, 1, True),
        ("==", 1, 2, False),
    ],
)
def test_an_operator_compares_as_it_is_written(op, left, right, holds):
    assert Op(op).holds(left, right) is holds


def test_every_signal_of_the_catalogue_says_what_it_is_in_both_languages():
    for signal in CATALOGUE.values():
        assert signal.title
        assert signal.help.endswith(".")
        assert signal.title_zh
        assert signal.help_zh.endswith("。")


def test_every_signal_that_joins_a_panel_names_a_signal_with_a_panel_of_its_own():
    for signal in CATALOGUE.values():
        if signal.panel.joins:
            host = CATALOGUE[signal.panel.joins]
            assert not host.panel.joins
            assert host.unit is signal.unit
            assert host.panel.title


def test_every_metric_name_follows_its_kind_and_unit():
    for metric in METRICS.values():
        assert (metric.kind is MetricKind.COUNTER) == metric.name.endswith("_total")
        assert (metric.unit == "seconds") == metric.name.endswith("_seconds")
        assert metric.help.endswith(".")


def test_every_metric_that_a_signal_reads_is_in_the_vocabulary():
    for signal in CATALOGUE.values():
        for leaf in leaves_of(signal.expression):
            assert METRICS[leaf.metric.name] is leaf.metric
