"""One Grafana dashboard, a panel for each signal that has one of its own."""

import json
from collections.abc import Sequence
from typing import Literal

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    statushistory,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.promql import Buckets, promql
from huoyan.signals.spec import Op, PanelKind, Signal, Unit

Language = Literal["en", "zh"]

VARIABLES = ("service", "task", "queue")
"""Labels that the dashboard can be narrowed by, each depending on those before it."""

_UNITS = {
    Unit.COUNT: "short",
    Unit.PER_MINUTE: "cpm",
    Unit.RATIO: "percentunit",
    Unit.SECONDS: "s",
    Unit.BYTES: "bytes",
    Unit.BOOLEAN: "short",
}
_TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Huoyan: tasks, queues, workers", "火眼：任务、队列、进程"),
    "description": (
        "Written by `huoyan deploy grafana` from the signals of Huoyan.",
        "由 `huoyan deploy grafana` 根据火眼的信号生成。",
    ),
    "tasks": ("Tasks", "任务"),
    "queues": ("Queues", "队列"),
    "workers": ("Workers", "工作进程"),
    "schedules": ("Schedules", "定时任务"),
    "http": ("Web requests", "网页请求"),
    "dependencies": ("Dependencies", "依赖"),
    "business": ("Business", "业务"),
    "processes": ("Processes and hosts", "进程与主机"),
    "self": ("Huoyan itself", "火眼自身"),
    "datasource": ("Data source", "数据源"),
    "service": ("Service", "服务"),
    "task": ("Task", "任务"),
    "queue": ("Queue", "队列"),
    "up": ("up", "在线"),
    "down": ("down", "失联"),
}
_GREEN, _ORANGE, _RED = "green", "orange", "red"
_SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

Drawing = timeseries.Panel | stat.Panel | statetimeline.Panel | statushistory.Panel


def grafana(
    signals: Sequence[Signal] = tuple(CATALOGUE.values()),
    language: Language = "en",
    refresh_s: int = 15,
    buckets: Buckets = Buckets.CLASSIC,
) -> str:
    """Write the dashboard as JSON, to be imported or provisioned.

    Args:
        signals: What to draw.
        language: Language of titles and descriptions, `en` or `zh`.
        refresh_s: How often an open dashboard reads anew, in seconds.
        buckets: How Prometheus keeps distributions; classic buckets by default.

    Returns:
        The text of a dashboard file.
    """
    board = (
        dashboard.Dashboard(_say("title", language))
        .uid(f"huoyan-signals-{language}")
        .description(_say("description", language))
        .tags(["huoyan"])
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .refresh(f"{refresh_s}s")
        .time("now-1h", "now")
        .with_variable(
            dashboard.DatasourceVariable("datasource").label(_say("datasource", language)).type("prometheus")
        )
    )
    for index, label in enumerate(VARIABLES):
        board = board.with_variable(_variable(label, VARIABLES[:index], language))
    number = 0
    for section in dict.fromkeys(signal.panel.section for signal in signals):
        number += 1
        board = board.with_row(dashboard.Row(_say(section, language)).id(number))
        hosts = [signal for signal in signals if signal.panel.section == section and not signal.panel.joins]
        for host in hosts:
            number += 1
            guests = [signal for signal in signals if signal.panel.joins == host.id]
            drawn = [signal for signal in signals if signal is host or signal in guests]
            board = board.with_panel(_panel(host, drawn, number, language, buckets))
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _variable(label: str, before: Sequence[str], language: Language) -> dashboard.QueryVariable:
    matchers = ", ".join(['__name__=~"huoyan_.+"', *(f'{other}=~"${other}"' for other in before)])
    return (
        dashboard.QueryVariable(label)
        .label(_say(label, language))
        .datasource(_SOURCE)
        .query(f"label_values({{{matchers}}}, {label})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        # Not "each of the listed ones": what has no queue has to stay.
        .all_value(".*")
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _panel(host: Signal, drawn: Sequence[Signal], number: int, language: Language, buckets: Buckets) -> Drawing:
    title = host.panel.title_zh if language == "zh" else host.panel.title
    panel = (
        _drawing(host, language)
        .id(number)
        .title(title or _title(host, language))
        .description(" ".join(signal.help_zh if language == "zh" else signal.help for signal in drawn))
        .datasource(_SOURCE)
        .unit(_UNITS[host.unit])
        .height(8)
        .span(8)
    )
    if host.unit is not Unit.BOOLEAN:
        panel = panel.min(0).thresholds(_steps(host))
    for position, signal in enumerate(drawn):
        patterns = {label: f"${label}" for label in VARIABLES if label in signal.labels}
        legend = " ".join(f"{{{{{label}}}}}" for label in signal.by)
        if len(drawn) > 1 or not legend:
            legend = f"{_title(signal, language)} {legend}".rstrip()
        panel = panel.with_target(
            prometheus.Dataquery()
            .ref_id(chr(ord("A") + position))
            .datasource(_SOURCE)
            .expr(promql(signal, patterns=patterns, buckets=buckets))
            .legend_format(legend)
            .range()
        )
    return panel


def _drawing(signal: Signal, language: Language) -> Drawing:
    if signal.panel.kind is PanelKind.STAT:
        return (
            stat.Panel()
            .graph_mode(common_models.BigValueGraphMode.AREA)
            .color_mode(common_models.BigValueColorMode.VALUE)
            .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        )
    if signal.panel.kind is PanelKind.STATUS:
        states = {
            "0": models.ValueMappingResult(text=_say("down", language), color=_RED, index=0),
            "1": models.ValueMappingResult(text=_say("up", language), color=_GREEN, index=1),
        }
        return statetimeline.Panel().mappings([models.ValueMap(options=states)])
    if signal.panel.kind is PanelKind.HEAT:
        return (
            statushistory.Panel()
            .show_value(common_models.VisibilityMode.NEVER)
            .row_height(0.9)
            .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.CONTINUOUS_GR_YL_RD))
        )
    drawing = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(10)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
    )
    if signal.thresholds is not None:
        drawing = drawing.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.DASHED)
        )
    return drawing


def _steps(signal: Signal) -> dashboard.ThresholdsConfig:
    """Return the colours from the default thresholds."""
    steps = [models.Threshold(value=None, color=_GREEN)]
    limits = signal.thresholds
    if limits is not None and limits.op in (Op.ABOVE, Op.AT_LEAST):
        for value, color in ((limits.warning, _ORANGE), (limits.critical, _RED)):
            if value is not None:
                # A limit of "more than none" begins with the first, not with none.
                first = value if value or limits.op is Op.AT_LEAST else 1.0
                steps.append(models.Threshold(value=first, color=color))
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _title(signal: Signal, language: Language) -> str:
    return signal.title_zh if language == "zh" else signal.title


def _say(text: str, language: Language) -> str:
    return _TEXTS[text][1 if language == "zh" else 0]
