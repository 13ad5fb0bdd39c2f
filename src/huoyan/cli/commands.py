"""Every command by its name. Commands import what is heavy when they run, so that `huoyan --help` answers at once."""

import os
import sys

import typer

from huoyan.cli import demo, deploy, deploys, incidents
from huoyan.cli.buckets import buckets
from huoyan.cli.causes import causes
from huoyan.cli.check import check
from huoyan.cli.run import run as show_run
from huoyan.cli.runs import runs
from huoyan.cli.schedules import schedules
from huoyan.cli.serve import serve
from huoyan.cli.version import version
from huoyan.errors import AlreadyRunning, ConfigurationError, HuoyanError

EXIT_FAILED = 1
"""The command could not do what was asked."""
EXIT_WRONG = 2
"""A setting or argument is wrong, or what it names is taken."""

app = typer.Typer(
    name="huoyan",
    help="Watch every task that Python services run, and say within seconds which one goes wrong and why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.command("serve")(serve)
app.add_typer(demo.app, name="demo")
app.command("check")(check)
app.command("runs")(runs)
app.command("run")(show_run)
app.command("schedules")(schedules)
app.command("buckets")(buckets)
app.command("causes")(causes)
app.add_typer(incidents.app, name="incidents")
app.add_typer(deploys.app, name="deploys")
app.add_typer(deploy.app, name="deploy")
app.command("version")(version)


def run() -> None:
    """Run the command line; errors on purpose become one message and an exit status."""
    try:
        app()
    except HuoyanError as error:
        sys.stderr.write(f"huoyan: {error.message}\n")
        sys.exit(EXIT_WRONG if isinstance(error, ConfigurationError | AlreadyRunning) else EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # `huoyan runs | head` closes the pipe; the interpreter must not complain about it when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
