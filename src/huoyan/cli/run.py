"""`huoyan run`: show one run."""

from typing import Annotated, Any

import typer

from huoyan.cli.options import DEFAULT_URL, Json, Token, Url

_FACTS = ("task", "service", "framework", "queue", "worker")


def run(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run's id, or the beginning of it.")],
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Show one run with its attempts, arguments and traceback."""
    from huoyan.cli.connection import Connection
    from huoyan.cli.terminal import print_json

    found = _find(Connection(url, token), run_id)
    if as_json:
        print_json(found)
    else:
        _show(found)


def _find(connection: Any, run_id: str) -> dict[str, Any]:
    from urllib.parse import quote

    from huoyan.errors import InvalidQuery, NotFound

    try:
        found: dict[str, Any] = connection.get(f"/runs/{quote(run_id, safe='')}")
        return found
    except NotFound:
        page = connection.get("/runs", q=run_id, limit=50)
        begun: list[dict[str, Any]] = [item for item in page["items"] if item["id"].startswith(run_id)]
        if len(begun) > 1:
            ids = ", ".join(item["id"] for item in begun[:3])
            raise InvalidQuery(f"expected the beginning of one run's id, got {run_id!r}: {ids}, …") from None
        if not begun:
            raise
        return begun[0]


def _show(found: dict[str, Any]) -> None:
    import json

    from rich.text import Text

    from huoyan.cli.terminal import coloured, console, duration, local_time, plain, table

    out = console()
    out.print(Text.assemble(plain(found["id"]), "  ", coloured(found["state"]), f"  ({found['evidence']})"))
    if found["reason"]:
        out.print(Text(plain(found["reason"])))
    rows = [(name, str(found[name])) for name in _FACTS if found[name]]
    rows += [
        (name.removesuffix("_at"), local_time(found[name]))
        for name in ("enqueued_at", "eta", "started_at", "finished_at")
        if found[name] is not None
    ]
    rows += [(name.removesuffix("_s"), duration(found[name])) for name in ("wait_s", "duration_s") if found[name]]
    rows += [(name.removesuffix("_id"), found[name]) for name in ("parent_id", "root_id", "group_id") if found[name]]
    rows += [
        (name, json.dumps(found[name], ensure_ascii=False))
        for name in ("args", "kwargs", "result", "labels", "progress")
        if found[name] not in (None, [], {})
    ]
    for name, value in rows:
        out.print(Text(f"  {name:<10}", style="dim") + Text(plain(value)), soft_wrap=True)
    if found["attempts"]:
        out.print()
        out.print(
            table(
                ("attempt", "state", "evidence", "worker", "started", "duration", "exception"),
                [
                    (
                        f"{attempt['number']}{' (duplicate)' if attempt['duplicate'] else ''}",
                        coloured(attempt["state"]),
                        attempt["evidence"],
                        attempt["worker"],
                        local_time(attempt["started_at"]),
                        duration(attempt["duration_s"]),
                        attempt["exception"]["type"] if attempt["exception"] is not None else attempt["reason"],
                    )
                    for attempt in found["attempts"]
                ],
            )
        )
    if found["exception"] is not None:
        exception = found["exception"]
        out.print()
        out.print(
            Text(plain(exception["traceback"] or f"{exception['type']}: {exception['message']}").rstrip()),
            soft_wrap=True,
        )
