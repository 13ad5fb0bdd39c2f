"""The reference page of the commands: `python -m huoyan.cli.reference docs/reference` writes it."""

import sys
from pathlib import Path
from typing import Any

import typer.main

from huoyan.cli.commands import app

_HEAD = """\
<!-- Written by `python -m huoyan.cli.reference docs/reference`; edit the commands, not this page. -->
# Command line

`pip install 'huoyan[server]'` brings the command `huoyan`. Commands that ask a running server find it at `--url` or
`HUOYAN_URL` (default `http://127.0.0.1:8650`, or the port that `HUOYAN_PORT` names) and show `--token` or
`HUOYAN_TOKEN`. With `--json` they write what the [API](http-api.md) answered.

The exit status is 0 when all went well, 1 when something could not be done (the server is away, there is no such run),
2 when a setting or argument is wrong or a port or directory is taken.
"""


def render() -> str:
    """Return the page."""
    parts = [_HEAD]
    root: Any = typer.main.get_command(app)
    for path, command in _commands("huoyan", root):
        parts.append(_section(path, command))
    return "\n".join(parts)


def undescribed() -> list[str]:
    """Return the commands and options that say nothing about themselves."""
    root: Any = typer.main.get_command(app)
    found = []
    for path, command in _commands("huoyan", root):
        found += [] if command.help else [path]
        found += [f"{path} {parameter.name}" for parameter in command.params if not parameter.help]
    return found


def _commands(path: str, command: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, child in getattr(command, "commands", {}).items():
        if not hasattr(child, "commands") or child.invoke_without_command:
            found.append((f"{path} {name}", child))
        found += _commands(f"{path} {name}", child)
    return found


def _section(path: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join([path, *(_usage(argument) for argument in arguments)])
    text = (command.help or "").strip()
    rows = [
        f"| `{_escaped(_names(option))}` | {_escaped(_meaning(option))} |"
        for option in [*arguments, *_options(command)]
    ]
    table = "\n".join(["| option | meaning |", "| --- | --- |", *rows]) + "\n" if rows else ""
    return f"## `{usage}`\n\n{text}\n\n{table}"


def _usage(argument: Any) -> str:
    """Return an argument as it stands in a command line: `ID`, or `[RECEIVER]...` for any number of them."""
    name = str(argument.metavar or argument.name.upper())
    optional = not argument.required and not name.startswith("[")
    return (f"[{name}]" if optional else name) + ("..." if argument.nargs == -1 else "")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _options(command: Any) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "option" and "--help" not in p.opts]


def _names(option: Any) -> str:
    if option.param_type_name == "argument":
        return str(option.metavar or option.name.upper())
    names = ", ".join([*option.opts, *option.secondary_opts])
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    return names + value


def _meaning(option: Any) -> str:
    text = option.help or ""
    variable = option.envvar if option.param_type_name == "option" else None
    return f"{text} Variable: `{variable}`." if isinstance(variable, str) else text


if __name__ == "__main__":
    (Path(sys.argv[1]) / "cli.md").write_text(render(), encoding="utf-8")
