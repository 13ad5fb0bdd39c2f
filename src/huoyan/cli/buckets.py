"""`huoyan buckets`: how far off classic buckets are, and better bounds."""

from typing import Annotated, Any

import typer

from huoyan.cli.options import DEFAULT_URL, Json, Token, Url


def buckets(
    task: Annotated[str | None, typer.Option(help="Of this task; all tasks when nothing is named.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Of this endpoint: `GET /orders/{id}`.")] = None,
    service: Annotated[str | None, typer.Option(help="Of this service.")] = None,
    bounds: Annotated[str | None, typer.Option(help="Bounds used now, in seconds, comma separated.")] = None,
    count: Annotated[int | None, typer.Option(help="How many bounds to propose; as many as now by default.")] = None,
    since: Annotated[str, typer.Option(help="From when on: -24h, -7d, a time.")] = "-24h",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """State the error that classic buckets cause at P50, P95 and P99, and propose bounds that cause less."""
    from huoyan.cli.connection import Connection
    from huoyan.cli.terminal import console, print_json, table

    asked = {"task": task, "endpoint": endpoint, "service": service, "bounds": bounds, "count": count, "since": since}
    answer = Connection(url, token).get("/buckets", **asked)
    if as_json:
        print_json(answer)
    elif not answer["observed"]:
        console().print("Nothing was observed.")
    else:
        rows = [_row(name, answer[name]) for name in ("present", "proposed")]
        console().print(table(("bounds", "number", "P50 off by", "P95 off by", "P99 off by"), rows))
        # One line, however long: it is there to be copied.
        print("HUOYAN_BUCKETS=" + ",".join(f"{bound:.6g}" for bound in answer["proposed"]["bounds"]))


def _row(name: str, given: dict[str, Any]) -> list[Any]:
    return [name, str(len(given["bounds"])), *(f"{given[q]:.1%}" for q in ("p50", "p95", "p99"))]
