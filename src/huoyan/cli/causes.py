"""`huoyan causes`: say what the slowest requests or runs do differently."""

from typing import Annotated, Any

import typer

from huoyan.cli.options import DEFAULT_URL, Json, Token, Url

_VERDICTS = {
    "few": "too few were seen to say what the slow ones do differently",
    "even": "the slowest are hardly slower than the typical ones",
    "alike": "everything takes longer alike in the slowest: as on a machine or process that is short of CPU",
    "unclear": "the slowest are slower, and nothing that was measured explains it",
}


def causes(
    service: Annotated[str | None, typer.Option(help="Of this service.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="'GET /PATH'", help="Of this method and route template.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Of this task.")] = None,
    since: Annotated[str, typer.Option(help="Not before this time.")] = "-15m",
    until: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Say where the time of the slowest requests or runs went: of one endpoint or task, or of each endpoint."""
    from rich.text import Text

    from huoyan.cli.connection import Connection
    from huoyan.cli.terminal import console, plain, print_json

    answer = Connection(url, token).get(
        "/causes", service=service, endpoint=endpoint, task=task, since=since, until=until
    )
    if as_json:
        print_json(answer)
        return
    out = console()
    for compared in answer["compared"]:
        out.print(Text(plain(_title(compared)), style="bold"), soft_wrap=True)
        found = [cause for cause in answer["items"] if _title(cause) == _title(compared)]
        lines = [cause["sentence"] for cause in found] or [_VERDICTS.get(compared["verdict"], compared["verdict"])]
        for line in [*lines, *(standout["sentence"] for standout in compared["standouts"])]:
            out.print(Text(f"  {plain(line)}"), soft_wrap=True)
    if not answer["compared"]:
        out.print("Nothing was seen in this time.")


def _title(of: dict[str, Any]) -> str:
    return " ".join(part for part in (of["service"], of["endpoint"] or of["task"]) if part)
