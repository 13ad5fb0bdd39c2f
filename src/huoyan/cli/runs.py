"""`huoyan runs`: list runs."""

from typing import Annotated, Any

import typer

from huoyan.cli.options import DEFAULT_URL, Json, Token, Url

Texts = list[str] | None
_POLL_S = 1.0
_COLUMNS = ("updated", "state", "task", "service", "queue", "duration", "id", "exception")


def runs(
    state: Annotated[Texts, typer.Option(help="Of this state: failed, started, …; repeatable.")] = None,
    task: Annotated[Texts, typer.Option(help="Of this task; repeatable.")] = None,
    queue: Annotated[Texts, typer.Option(help="Of this queue; repeatable.")] = None,
    worker: Annotated[Texts, typer.Option(help="Of this worker; repeatable.")] = None,
    service: Annotated[Texts, typer.Option(help="Of this service; repeatable.")] = None,
    framework: Annotated[Texts, typer.Option(help="Of this framework; repeatable.")] = None,
    failure: Annotated[str | None, typer.Option(help="Of the failure group with this fingerprint.")] = None,
    since: Annotated[str | None, typer.Option(help="Not before: 2026-11-20T21:00:00Z, -1h, …")] = None,
    until: Annotated[str | None, typer.Option(help="Before: the same forms.")] = None,
    search: Annotated[
        str | None, typer.Option("--search", "-q", help="With this text in id, task, arguments or exception.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with runs as they change.")] = False,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List runs, newest first; with --follow, go on as they change."""
    from huoyan.cli.connection import Connection
    from huoyan.cli.terminal import console, print_json, table

    connection = Connection(url, token)
    query: dict[str, Any] = {
        "state": state,
        "task": task,
        "queue": queue,
        "worker": worker,
        "service": service,
        "framework": framework,
        "failure": failure,
        "since": since,
        "until": until,
        "q": search,
    }
    page = connection.get("/runs", limit=limit, **query)
    if follow:
        _follow(connection, query, page["items"], as_json)
    elif as_json:
        print_json(page)
    elif page["items"]:
        console().print(table(_COLUMNS, [_row(run) for run in page["items"]]))
        if page["next"] is not None:
            console().print(f"These are the newest {limit}; there are more.", style="dim")
    else:
        console().print("No run matches.")


def _follow(connection: Any, query: dict[str, Any], first: list[dict[str, Any]], as_json: bool) -> None:
    import json
    import time

    from huoyan.cli.terminal import console

    seen: dict[str, str] = {}
    items = first
    out = console()
    while True:
        changed = [run for run in reversed(items) if seen.get(run["id"]) != run["updated_at"]]
        for run in changed:
            seen[run["id"]] = run["updated_at"]
            if as_json:
                print(json.dumps(run, ensure_ascii=False), flush=True)
            else:
                out.print(_line(run))
        # What left the window of the newest is not asked for again.
        known = {run["id"] for run in items}
        seen = {run_id: at for run_id, at in seen.items() if run_id in known}
        time.sleep(_POLL_S)
        items = connection.get("/runs", limit=500, **query)["items"]


def _line(run: dict[str, Any]) -> Any:
    from rich.text import Text

    line = Text()
    for cell, width in zip(_row(run), (20, 10, 30, 14, 12, 12, 37, 0), strict=True):
        text = cell if isinstance(cell, Text) else Text(cell)
        text.truncate(max(width - 1, 60 if width == 0 else 1), overflow="ellipsis")
        if width:
            text.pad_right(max(0, width - text.cell_len))
        line.append_text(text)
    return line


def _row(run: dict[str, Any]) -> list[Any]:
    from huoyan.cli.terminal import coloured, duration, local_time, plain

    exception = run["exception"]
    told = f"{exception['type']}: {exception['message']}" if exception is not None else run["reason"]
    lines = plain(told).splitlines()
    return [
        local_time(run["updated_at"]),
        coloured(run["state"]),
        plain(run["task"]),
        plain(run["service"]),
        plain(run["queue"]),
        duration(run["duration_s"]),
        plain(run["id"]),
        lines[0][:100] if lines else "",
    ]
