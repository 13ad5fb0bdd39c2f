"""`huoyan deploy`: write configuration for Prometheus and Grafana from the signals and the server's settings."""

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from huoyan.cli.options import DEFAULT_URL, Token, Url
from huoyan.errors import ConfigurationError

if TYPE_CHECKING:
    from huoyan.signals.promql import Buckets
    from huoyan.signals.spec import Signal

app = typer.Typer(
    name="deploy",
    help="Write configuration for Prometheus and Grafana.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(\d{1,5})")

Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="File to write; standard output by default.", dir_okay=False),
]
Native = Annotated[
    bool,
    typer.Option("--native-histograms", help="For a Prometheus that keeps native histograms; percentiles are finer."),
]


class DashboardLanguage(StrEnum):
    """Languages of the dashboard."""

    EN = "en"
    ZH = "zh"


@app.command("prometheus")
def write_prometheus(
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="Address of huoyan serve, repeatable. Default: 127.0.0.1:8650."),
    ] = None,
    application: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="Address of an application with its own /metrics, repeatable."),
    ] = None,
    node_exporter: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="Address of a node exporter, usually port 9100, repeatable."),
    ] = None,
    alertmanager: Annotated[
        list[str] | None, typer.Option(metavar="HOST:PORT", help="Address of an Alertmanager, repeatable.")
    ] = None,
    rules_file: Annotated[
        str, typer.Option(metavar="FILE", help="The rules that `huoyan deploy rules` wrote, seen from Prometheus.")
    ] = "huoyan-rules.yml",
    token_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File with the token of huoyan serve, seen from Prometheus."),
    ] = None,
    https: Annotated[bool, typer.Option("--https", help="Read huoyan serve over HTTPS.")] = False,
    out: Out = None,
) -> None:
    """Write prometheus.yml: read Huoyan, applications and node exporters each 15 s, evaluate the rules."""
    from huoyan.deploy.prometheus import prometheus
    from huoyan.deploy.settings import Monitoring

    monitoring = Monitoring(
        servers=_addresses("--target", target) or Monitoring().servers,
        applications=_addresses("--application", application),
        node_exporters=_addresses("--node-exporter", node_exporter),
        alertmanagers=_addresses("--alertmanager", alertmanager),
        rule_files=(rules_file,),
        token_file=token_file,
        scheme="https" if https else "http",
    )
    _write(prometheus(monitoring), out)


@app.command("rules")
def write_rules(
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Settings of the server; found as by huoyan serve by default.", dir_okay=False
        ),
    ] = None,
    thresholds: Annotated[
        bool,
        typer.Option(
            "--thresholds", help="Also alert at the default thresholds of signals that no rule of the server judges."
        ),
    ] = False,
    native_histograms: Native = False,
    out: Out = None,
) -> None:
    """Write recording rules for every signal, and alerting rules for what the server itself judges."""
    from huoyan.deploy.rules import Condition, default_conditions, rules
    from huoyan.server.config import load
    from huoyan.signals.catalogue import CATALOGUE

    conditions: list[Condition] = list(load(config=config).alert_rules())
    if thresholds:
        judged = {condition.signal for condition in conditions}
        others = [signal for signal in CATALOGUE.values() if signal.id not in judged]
        conditions += default_conditions(others)
    _write(rules(conditions, buckets=_buckets(native_histograms)), out)


@app.command("grafana")
def write_grafana(
    language: Annotated[
        DashboardLanguage, typer.Option(help="Language of titles and descriptions.")
    ] = DashboardLanguage.EN,
    native_histograms: Native = False,
    declared: Annotated[
        bool,
        typer.Option(
            "--declared", help="Also draw the metrics that applications declare, as the server heard of them."
        ),
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    out: Out = None,
) -> None:
    """Write a Grafana dashboard with a panel for each signal, as JSON."""
    from huoyan.deploy.grafana import grafana
    from huoyan.signals.catalogue import CATALOGUE

    chosen: Literal["en", "zh"] = "zh" if language is DashboardLanguage.ZH else "en"
    signals = [*CATALOGUE.values(), *(_declared(url, token) if declared else ())]
    _write(grafana(signals, chosen, buckets=_buckets(native_histograms)), out)


def _declared(url: str, token: str | None) -> "list[Signal]":
    """Return the signals of metrics that applications declare, as a server lists them."""
    from huoyan.cli.connection import Connection
    from huoyan.signals.catalogue import CATALOGUE
    from huoyan.signals.declared import find
    from huoyan.signals.metric import Across

    listed = (item for item in Connection(url, token).get("/signals")["items"] if item["id"] not in CATALOGUE)
    found = (
        find(item["id"], item["labels"], item["help"], Across(item["combine"] or Across.SUM.value)) for item in listed
    )
    return [signal for signal in found if signal is not None]


def _buckets(native_histograms: bool) -> "Buckets":
    from huoyan.signals.promql import Buckets

    return Buckets.NATIVE if native_histograms else Buckets.CLASSIC


def _addresses(option: str, given: Sequence[str] | None) -> tuple[str, ...]:
    for address in given or ():
        match = _ADDRESS.fullmatch(address)
        if match is None or not 0 < int(match[2]) < 65536:
            raise ConfigurationError(option, "host:port, for example 127.0.0.1:8650", address)
    return tuple(given or ())


def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError("--out", "a file that can be written", str(out), str(error)) from error
    typer.echo(f"Wrote {out}", err=True)
