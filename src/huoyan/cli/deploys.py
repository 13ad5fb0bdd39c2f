"""`huoyan deploys`: list when services began to run which version, and mark it."""

import getpass
from typing import Annotated, Any

import typer

from huoyan.cli.options import DEFAULT_URL, Json, Token, Url

app = typer.Typer(help="List and mark deploys.", rich_markup_mode=None)

_COLUMNS = ("at", "service", "version", "before", "origin", "by", "note")


@app.callback(invoke_without_command=True)
def deploys(
    context: typer.Context,
    service: Annotated[str | None, typer.Option(help="Of this service.")] = None,
    since: Annotated[str | None, typer.Option(help="Not before this time, e.g. -7d.")] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List deploys, newest first, or do what the command says."""
    if context.invoked_subcommand is not None:
        return
    from huoyan.cli.connection import Connection
    from huoyan.cli.terminal import console, print_json, table

    page = Connection(url, token).get("/deploys", service=service, since=since)
    if as_json:
        print_json(page)
    elif page["items"]:
        console().print(table(_COLUMNS, [_row(deploy) for deploy in page["items"]]))
    else:
        console().print("No deploy is known. Set HUOYAN_VERSION, or mark one: huoyan deploys mark SERVICE VERSION")


@app.command("mark")
def mark(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="The service; '' stands for all.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="What it runs from now on.")],
    note: Annotated[str, typer.Option("--note", "-m", metavar="TEXT", help="What there is to say about it.")] = "",
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who does it. Default: the user name.")] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Mark that a service runs another version from now on, for example from a pipeline."""
    from huoyan.cli.connection import Connection
    from huoyan.cli.terminal import console, print_json, table

    body = {"service": service, "version": version, "note": note, "by": by or getpass.getuser()}
    deploy = Connection(url, token).post("/deploys", body)
    if as_json:
        print_json(deploy)
    else:
        console().print(table(_COLUMNS, [_row(deploy)]))


def _row(deploy: dict[str, Any]) -> list[Any]:
    from huoyan.cli.terminal import local_time, plain

    return [
        local_time(deploy["at"]),
        plain(deploy["service"] or "(all)"),
        *(plain(deploy[name]) for name in _COLUMNS[2:]),
    ]
