"""A Grafana dashboard of the mail service: python -m examples.mail.dashboard > mail-dashboard.json"""

import json

from grafana_foundation_sdk.builders import common, dashboard, gauge, heatmap, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

WINDOW = "$__rate_interval"
SENT = f"sum by (client, status) (rate(mails_sent_total[{WINDOW}])) * 60"
SUCCESS = (
    f'sum by (client) (rate(mails_sent_total{{status="success"}}[{WINDOW}]))'
    f" / sum by (client) (rate(mails_sent_total[{WINDOW}]))"
)
DURATION = f"sum by (le) (increase(mail_send_seconds_bucket[{WINDOW}]))"
P95 = f"histogram_quantile(0.95, sum by (client, le) (rate(mail_send_seconds_bucket[{WINDOW}])))"
BACKLOG = "max by (backlog) (huoyan_backlog)"
KINDS = f"sum by (region, template, priority) (rate(mails_sent_total[{WINDOW}])) * 60"

_SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")


def text() -> str:
    """Return the dashboard as JSON."""
    board = (
        dashboard.Dashboard("Mail")
        .uid("huoyan-mail")
        .tags(["huoyan"])
        .refresh("15s")
        .time("now-1h", "now")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_panel(_lines("Sent per minute", SENT, "{{client}} {{status}}", "cpm"))
        .with_panel(
            gauge.Panel()
            .title("Success by client")
            .datasource(_SOURCE)
            .unit("percentunit")
            .min(0)
            .max(1)
            .thresholds(_success_colors())
            .with_target(_query(SUCCESS, "{{client}}"))
            .height(8)
            .span(12)
        )
        .with_panel(
            heatmap.Panel()
            .title("Time to send")
            .datasource(_SOURCE)
            .calculate(False)
            .y_axis(heatmap.YAxisConfig().unit("s"))
            .with_target(_query(DURATION, "{{le}}").format(prometheus_models.PromQueryFormat.HEATMAP))
            .height(8)
            .span(12)
        )
        .with_panel(_lines("Waiting", BACKLOG, "{{backlog}}", "short"))
        .with_panel(_lines("P95 time to send by client", P95, "{{client}}", "s"))
        .with_panel(
            _lines("Sent by region, template and priority", KINDS, "{{region}} {{template}} {{priority}}", "cpm")
        )
    )
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True)


def _lines(title: str, expression: str, legend: str, unit: str) -> timeseries.Panel:
    return (
        timeseries.Panel()
        .title(title)
        .datasource(_SOURCE)
        .unit(unit)
        .min(0)
        .fill_opacity(10)
        .legend(common.VizLegendOptions().show_legend(True).placement(common_models.LegendPlacement.BOTTOM))
        .with_target(_query(expression, legend))
        .height(8)
        .span(12)
    )


def _query(expression: str, legend: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id("A").datasource(_SOURCE).expr(expression).legend_format(legend).range()


def _success_colors() -> dashboard.ThresholdsConfig:
    steps = [(None, "red"), (0.95, "orange"), (0.99, "green")]
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=color) for value, color in steps])
    )


if __name__ == "__main__":
    print(text())
