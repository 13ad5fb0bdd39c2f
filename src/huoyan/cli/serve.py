"""`huoyan serve`: run the server."""

from huoyan.cli.options import Celery, Config, DatabaseUrl, DataDir, Host, Port, Rq


def serve(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    config: Config = None,
    celery: Celery = None,
    rq: Rq = None,
) -> None:
    """Collect, keep, decide and show: run the server until it is stopped.

    Settings come from huoyan.toml, HUOYAN_* variables over it, these options over both.
    """
    from huoyan.server import app
    from huoyan.server.config import load

    flags = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "database_url": database_url,
        "celery": celery or [],
        "rq": rq or [],
    }
    app.serve(load(flags, config), say=lambda line: print(line, flush=True))
