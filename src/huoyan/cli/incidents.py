"""`huoyan incidents`: list incidents, acknowledge and resolve them."""

import getpass
from typing import Annotated, Any

import typer

from huoyan.cli.options import DEFAULT_URL, Json, Token, Url

app = typer.Typer(help="List incidents, acknowledge and resolve them.", rich_markup_mode=None)

Number = Annotated[int, typer.Argument(metavar="ID", min=1, help="The incident's number.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who does it. Default: the user name.")]
Note = Annotated[str, typer.Option("--note", "-m", metavar="TEXT", help="What there is to say about it.")]
_UNRESOLVED = ["open", "acknowledged"]


@app.callback(invoke_without_command=True)
def incidents(
    context: typer.Context,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List the incidents that are not over, or do what the command says."""
    if context.invoked_subcommand is None:
        _list(_UNRESOLVED, 50, as_json, url, token)


@app.command("list")
def list_incidents(
    state: Annotated[
        list[str] | None, typer.Option(help="open, acknowledged or resolved; repeatable. Default: those not over.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Of every state.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List incidents, newest first."""
    _list([] if every else state or _UNRESOLVED, limit, as_json, url, token)


@app.command("ack")
def acknowledge(
    number: Number,
    by: By = None,
    note: Note = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Say that somebody deals with an incident."""
    _step(number, "acknowledge", by, note, as_json, url, token)


@app.command("resolve")
def resolve(
    number: Number,
    by: By = None,
    note: Note = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Say that an incident is over."""
    _step(number, "resolve", by, note, as_json, url, token)


def _list(states: list[str], limit: int, as_json: bool, url: str, token: str | None) -> None:
    from huoyan.cli.connection import Connection
    from huoyan.cli.terminal import coloured, console, local_time, print_json, table

    page = Connection(url, token).get("/incidents", state=states, limit=limit)
    if as_json:
        print_json(page)
    elif not page["items"]:
        console().print("No incident is open." if states == _UNRESOLVED else "No incident matches.")
    else:
        rows = [
            (
                str(incident["id"]),
                coloured(incident["level"]),
                coloured(incident["state"]),
                local_time(incident["opened_at"]),
                incident["acknowledged_by"],
                incident["title"],
            )
            for incident in page["items"]
        ]
        console().print(table(("id", "level", "state", "opened", "taken by", "title"), rows))


def _step(number: int, step: str, by: str | None, note: str, as_json: bool, url: str, token: str | None) -> None:
    from huoyan.cli.connection import Connection
    from huoyan.cli.terminal import console, plain, print_json

    incident: dict[str, Any] = Connection(url, token).post(
        f"/incidents/{number}/{step}", {"by": by or _user(), "note": note}
    )
    if as_json:
        print_json(incident)
    else:
        console().print(plain(f"Incident {incident['id']} is {incident['state']}: {incident['title']}"), markup=False)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container's user may have a number and no name.
        return "cli"
