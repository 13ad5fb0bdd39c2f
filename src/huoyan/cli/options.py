"""Options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from huoyan.errors import ConfigurationError

DEFAULT_URL = "http://127.0.0.1:8650"


def _server_nearby(context: typer.Context, url: str) -> str:
    """Look where `HUOYAN_PORT` has put the server of this machine, unless somebody named an address."""
    source = context.get_parameter_source("url")
    port = os.environ.get("HUOYAN_PORT", "")
    if source is not None and source.name == "DEFAULT" and port:
        if not port.isdecimal():
            raise ConfigurationError("HUOYAN_PORT", "a port from 0 to 65535", port)
        return f"http://127.0.0.1:{port}"
    return url


Host = Annotated[str | None, typer.Option(metavar="HOST", help="Address to listen on. Default: 127.0.0.1.")]
Port = Annotated[str | None, typer.Option(metavar="PORT", help="Port to listen on. Default: 8650.")]
DataDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder for everything kept on disk. Default: ./huoyan-data.")
]
DatabaseUrl = Annotated[
    str | None, typer.Option(metavar="URL", help="postgresql://… instead of SQLite in the data directory.")
]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Settings file. Default: ./huoyan.toml, else huoyan.toml in the data directory."),
]
Celery = Annotated[
    list[str] | None,
    typer.Option(metavar="URL", help="Watch the Celery deployment with this broker; repeatable."),
]
Rq = Annotated[
    list[str] | None,
    typer.Option(metavar="URL", help="Watch the RQ deployment in this Redis; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]
Url = Annotated[
    str,
    typer.Option(
        metavar="URL",
        envvar="HUOYAN_URL",
        help="Address of the server. HUOYAN_PORT alone names another port.",
        callback=_server_nearby,
    ),
]
Token = Annotated[
    str | None, typer.Option(metavar="TOKEN", envvar="HUOYAN_TOKEN", help="The server's token.", show_envvar=True)
]
