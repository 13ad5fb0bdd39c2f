"""The command line, one command in each file."""

import sys


def main() -> None:
    """Run `huoyan`."""
    try:
        import typer  # noqa: F401
    except ModuleNotFoundError:
        sys.exit("huoyan: the commands need the server's packages. Install them: pip install 'huoyan[server]'")
    from huoyan.cli.commands import run

    run()
