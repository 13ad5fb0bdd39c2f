"""`huoyan demo`: show it at work, and break things on purpose."""

from enum import StrEnum
from typing import Annotated, Any

import typer

app = typer.Typer(name="demo", invoke_without_command=True, rich_markup_mode=None)

_DEFAULT_PORT = 8650


class OnOff(StrEnum):
    """The two positions of a switch."""

    ON = "on"
    OFF = "off"


Port = Annotated[
    int, typer.Option(envvar="HUOYAN_PORT", min=1, max=65000, help="Port of the page; the next ones are used too.")
]


@app.callback()
def demo(
    context: typer.Context,
    port: Port = _DEFAULT_PORT,
    faults: Annotated[OnOff, typer.Option(help="Whether a first fault comes by itself.")] = OnOff.ON,
    duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=1, help="End by itself after this time. Default: at Ctrl-C.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser, where there is a screen.")] = True,
) -> None:
    """Show Huoyan at work: two applications under load, faults on demand, alerts by mail.

    Everything runs on this machine and ends with Ctrl-C. About 20 seconds after the start the payment provider breaks
    down for 40 seconds, so that an incident opens and resolves. A Celery worker joins when a Redis is found.
    """
    if context.invoked_subcommand is not None:
        return
    from huoyan.demo.session import Options, demonstrate

    demonstrate(Options(port=port, faults=faults is OnOff.ON, duration_s=duration, browser=browser))


@app.command("fault")
def fault(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Which fault; all are listed without it.")
    ] = None,
    position: Annotated[OnOff | None, typer.Argument(metavar="[on|off]", help="Begin it or end it.")] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--for", metavar="SECONDS", min=1, max=3600, help="End it by itself after this time."),
    ] = None,
    panel: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of the fault panel. Default: the port after --port.")
    ] = None,
    port: Port = _DEFAULT_PORT,
) -> None:
    """Turn a fault of a running demonstration on or off, or list the faults."""
    address = (panel or f"http://127.0.0.1:{port + 1}").rstrip("/")
    if name is None:
        for state in _ask(f"{address}/api/faults")["faults"]:
            print(f"{_position(state)}  {state['name']:<16} {state['title']}")
        return
    if position is None:
        raise typer.BadParameter("expected on or off", param_hint="[on|off]")
    body: dict[str, Any] = {"on": position is OnOff.ON}
    if seconds is not None:
        body["for_s"] = seconds
    state = _ask(f"{address}/api/faults/{name}", body)
    print(f"{_position(state)}  {name:<16} {state['shows']}" if state["active"] else f"{_position(state)}  {name}")


def _position(state: dict[str, Any]) -> str:
    return "on " if state["active"] else "off"


def _ask(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    import httpx

    from huoyan.errors import NotFound, Unreachable

    address = url.partition("/api/")[0]
    try:
        answer = httpx.get(url, timeout=10) if body is None else httpx.post(url, json=body, timeout=10)
        found = answer.json()
    except (httpx.HTTPError, ValueError):
        found, answer = None, None
    if answer is None or not isinstance(found, dict):
        raise Unreachable(
            f"expected the fault panel of a demonstration at {address}, nothing of the kind answers. "
            "Start one with `huoyan demo`, or give the address that it shows: --panel URL"
        )
    if not answer.is_success:
        raise NotFound(str(found.get("error", f"the panel answered {answer.status_code}")))
    return found
