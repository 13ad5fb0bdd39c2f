"""The reference page of the settings: `python -m huoyan.server.reference docs/reference` writes it.

Settings of the server are described where they are declared; rules and receivers, which are read by other parts, are
described here. A test compares every name with what those parts read.
"""

import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from huoyan.server.config_sources import SERVER_VARIABLES
from huoyan.server.deployment_settings import CelerySettings, RqSettings
from huoyan.server.prometheus_settings import PrometheusSettings
from huoyan.server.server_settings import ServerSettings
from huoyan.server.truth_settings import TruthSettings

RULE_SETTINGS: dict[str, tuple[str, str]] = {
    "name": ("required", "Name of the rule, unique; up to 80 letters of any script, digits, spaces and `. _ : -`."),
    "signal": ("required", "Id of the [signal](signals.md) whose value is judged."),
    "op": ("the signal's", "`>`, `>=`, `<` or `<=`: the rule holds while `value op threshold`."),
    "threshold": ("the signal's for the level", "The value to compare with, in the signal's unit."),
    "level": ('`"warning"`', "`warning` or `critical`."),
    "for": ("`0`", "How long it must hold before the alert fires."),
    "window": ("the signal's", "Window over which the value is computed, at least 5 seconds."),
    "where": ("`{}`", 'Labels the value must carry: `{ service = "orders" }`.'),
    "by": ("the signal's", "Labels that make an alert of its own: one alert for each combination."),
    "min_samples": ("the signal's", "With fewer samples in the window there is no value."),
    "keep_firing": ("`15s`", "How long the value must stay good before the alert resolves."),
    "stale": ("`60s`", "How long the value may be missing before the alert resolves."),
    "group": ("the rule's name", "Rules of one group share an incident for the same service and task."),
    "annotations": ("`{}`", 'Free texts that messages carry: `{ runbook = "https://…" }`.'),
    "receivers": ("all", "Names of the receivers that are told."),
}
"""Default and meaning of everything in `[[rules]]`."""

RECEIVER_SETTINGS: dict[str, tuple[str, str]] = {
    "name": ("required", "Name of the receiver, unique; rules name it."),
    "kind": ("required", "`email`, `webhook` or `apprise`."),
    "language": ('`"en"`', "Language of the messages: `en` or `zh`."),
    "level": ('`"warning"`', "Told of incidents of this level and worse."),
}
"""Default and meaning of what every `[[receivers]]` has."""

CHANNEL_SETTINGS: dict[str, dict[str, tuple[str, str]]] = {
    "email": {
        "host": ("required", "Name of the SMTP server."),
        "security": ('`"starttls"`', "`starttls`, `tls` or `plain`."),
        "port": ("`587`, `465`, `25`", "Port of the SMTP server; the default follows `security`."),
        "username": ("none", "Name to log in with."),
        "password": ("none", "Password to log in with. Never shown."),
        "from": ("required", "Sender: `huoyan@example.com` or `Huoyan <huoyan@example.com>`."),
        "to": ("required", "One mail address or a list of them."),
        "verify": ("`true`", "Whether the server's certificate has to be valid."),
        "timeout": ("`10`", "How long the server may take to answer, in seconds."),
    },
    "webhook": {
        "url": ("required", "Address that the JSON is posted to. Never shown whole."),
        "headers": ("`{}`", "Headers of the request; their values are never shown."),
        "verify": ("`true`", "Whether the server's certificate has to be valid."),
        "timeout": ("`10`", "How long the server may take to answer, in seconds."),
    },
    "apprise": {
        "url": ("required", "Address of a service as [Apprise](https://appriseit.com) takes it. Never shown whole."),
    },
}
"""Default and meaning of what each kind of receiver has besides."""

_HEAD = """\
<!-- Written by `python -m huoyan.server.reference docs/reference`; edit the declarations, not this page. -->
# Configuration

Settings of `huoyan serve` come from a file, from the environment over it, and from options of the command over both.
The file is the one named with `--config` or `HUOYAN_CONFIG`, else `./huoyan.toml`, else `huoyan.toml` in the data
directory. [huoyan.example.toml](huoyan.example.toml) has every section.

Everything is checked at once when the server starts. A wrong setting is refused with its name the way you wrote it,
what was expected and what came; `huoyan check` does the same without starting, and tries the database, the brokers and
the mail servers besides.

Texts in the file may name variables: `password = "${SMTP_PASSWORD}"`. Durations are numbers of seconds or texts such
as `"500ms"`, `"30s"`, `"5m"`, `"1h"`, `"1d"`. Tokens, passwords and addresses with passwords are never printed.
"""

_CELERY = """\
One table for each Celery deployment that is watched through its broker. `--celery URL` (repeatable) and
`HUOYAN_CELERY` (addresses separated by spaces) add to those of the file.
"""


_RQ = """\
One table for each RQ deployment that is watched through its Redis. `--rq URL` (repeatable) and `HUOYAN_RQ` (addresses
separated by spaces) add to those of the file.
"""


def render() -> str:
    """Return the page."""
    parts = [
        _HEAD,
        "## `[server]`",
        _table(
            ("setting", "variable", "option", "default", "meaning"),
            [
                (f"`{name}`", f"`HUOYAN_{name.upper()}`", _option(name), default, meaning)
                for name, default, meaning in _fields(ServerSettings)
            ],
        ),
        "A server that listens on anything but loopback is refused without a token of at least 8 characters.",
        "## `[[celery]]`",
        _CELERY,
        _table(("setting", "default", "meaning"), [(f"`{n}`", d, m) for n, d, m in _fields(CelerySettings)]),
        "## `[[rq]]`",
        _RQ,
        _table(("setting", "default", "meaning"), [(f"`{n}`", d, m) for n, d, m in _fields(RqSettings)]),
        "## `[prometheus]`",
        "A Prometheus whose [node exporters tell of hosts](../guides/prometheus.md#hosts-by-node-exporters).",
        _table(("setting", "default", "meaning"), [(f"`{n}`", d, m) for n, d, m in _fields(PrometheusSettings)]),
        "## `[truth]`",
        "When a worker is down or wedged, a run stuck or lost: see [the truth about runs](../guides/truth.md).",
        _table(("setting", "default", "meaning"), [(f"`{n}`", d, m) for n, d, m in _fields(TruthSettings)]),
        "## `[[rules]]`",
        "Conditions that raise alerts. Without any, the built-in rules apply; `rules = []` judges nothing.",
        _settings(RULE_SETTINGS),
        "## `[[receivers]]`",
        "Who is told when an incident opens, gets worse, opens again and ends.",
        _settings(RECEIVER_SETTINGS),
    ]
    for kind, settings in CHANNEL_SETTINGS.items():
        parts += [f'### `kind = "{kind}"`', _settings(settings)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def undocumented() -> list[str]:
    """Return the settings of the server that are not described where they are declared."""
    return [
        f"{kind.__name__}.{name}"
        for kind in (ServerSettings, CelerySettings, RqSettings, PrometheusSettings, TruthSettings)
        for name, field in kind.model_fields.items()
        if not field.description
    ]


def _fields(kind: type[BaseModel]) -> list[tuple[str, str, str]]:
    return [
        (
            name,
            "required" if field.is_required() else _shown(field.default),
            " ".join((field.description or "").split()),
        )
        for name, field in kind.model_fields.items()
    ]


def _shown(default: Any) -> str:
    if default is PydanticUndefined:
        return "`{}`"
    if default is None:
        return "none"
    if isinstance(default, str):
        return f'`"{default}"`'
    return f'`"./{default}"`' if isinstance(default, Path) else f"`{default}`"


def _option(name: str) -> str:
    return f"`--{name.replace('_', '-')}`" if name in ("host", "port", "data_dir", "database_url") else ""


def _settings(settings: dict[str, tuple[str, str]]) -> str:
    return _table(
        ("setting", "default", "meaning"),
        [(f"`{name}`", default, meaning) for name, (default, meaning) in settings.items()],
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main(folder: Path) -> None:
    """Write the page into a folder."""
    assert set(SERVER_VARIABLES) == set(ServerSettings.model_fields)
    (folder / "configuration.md").write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
