"""`huoyan schedules`: list schedules."""

from typing import Annotated, Any

import typer

from huoyan.cli.options import DEFAULT_URL, Json, Token, Url

_COLUMNS = ("state", "schedule", "service", "task", "due", "zone", "next", "last run", "missed")


def schedules(
    state: Annotated[
        list[str] | None, typer.Option(help="In this state: dead, missed, doubled, late, ok, …; repeatable.")
    ] = None,
    service: Annotated[list[str] | None, typer.Option(help="Of this service; repeatable.")] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List schedules, those that went wrong first."""
    from huoyan.cli.connection import Connection
    from huoyan.cli.terminal import console, print_json, table

    page = Connection(url, token).get("/schedules", state=state, service=service)
    if as_json:
        print_json(page)
    elif page["items"]:
        console().print(table(_COLUMNS, [_row(schedule) for schedule in page["items"]]))
    else:
        console().print("No schedule matches.")


def _row(schedule: dict[str, Any]) -> list[Any]:
    from huoyan.cli.terminal import coloured, local_time, plain

    state = "off" if not schedule["enabled"] else schedule["state"] or "-"
    expression = schedule["expression"]
    return [
        coloured(state),
        plain(schedule["id"]),
        plain(schedule["service"]),
        plain(schedule["task"]),
        plain(f"every {expression} s" if schedule["kind"] == "interval" else expression),
        plain(schedule["timezone"] or "UTC"),
        local_time(schedule["next_due_at"]),
        local_time(schedule["last_run_at"]),
        str(schedule["missed_count"] or ""),
    ]
