"""What the demonstration shows in the terminal: a block that stays up to date, or plain lines where nobody looks."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

REFRESH_PER_S = 2
_STATE_STYLES = {"up": "green", "starting": "yellow", "restarting": "red", "given up": "bold red", "stopped": "dim"}


@dataclass(frozen=True)
class Part:
    """How it is with one process; `seconds` from its start until it was ready, or until now."""

    title: str
    state: str
    seconds: float


@dataclass(frozen=True)
class Picture:
    """All that the block shows.

    Attributes:
        parts: The processes.
        addresses: Names and addresses.
        notes: Names and texts: faults, what comes next, where logs are.
        up: Whether everything is ready.
    """

    parts: Sequence[Part]
    addresses: Sequence[tuple[str, str]]
    notes: Sequence[tuple[str, str]]
    up: bool


class Terminal(Protocol):
    """Shows what goes on."""

    def open(self, picture: Callable[[], Picture]) -> None:
        """Begin to show; `picture` is asked for the state whenever it is drawn."""
        ...

    def ready(self) -> None:
        """Say that everything is up and where it is."""
        ...

    def progress(self, text: str) -> None:
        """Say that the start has got one step further."""
        ...

    def say(self, text: str, style: str = "") -> None:
        """Say that something happened."""
        ...

    def close(self) -> None:
        """Stop showing; what `say` said stays."""
        ...


def terminal() -> Terminal:
    """Return what fits: a block for a person at a terminal, plain lines for a file or a pipe."""
    console = Console(highlight=False)
    return Block(console) if console.is_terminal and not console.is_dumb_terminal else Lines()


class Block:
    """A block at the bottom of the terminal; what happens is written above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._spinner = Spinner("dots")

    def open(self, picture: Callable[[], Picture]) -> None:
        """Begin to show."""
        self._live = Live(
            get_renderable=lambda: self._draw(picture()),
            console=self._console,
            refresh_per_second=REFRESH_PER_S * 2,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def ready(self) -> None:
        """Say nothing: the block shows it."""

    def progress(self, text: str) -> None:
        """Say nothing: the block shows it."""

    def say(self, text: str, style: str = "") -> None:
        """Write above the block."""
        clock = time.strftime("%H:%M:%S")
        self._console.print(Text.assemble((f"{clock} ", "dim"), (text, style)))

    def close(self) -> None:
        """Take the block away."""
        if self._live is not None:
            live, self._live = self._live, None
            live.transient = True
            live.stop()

    def _draw(self, picture: Picture) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        if picture.up:
            for name, url in picture.addresses:
                table.add_row(name, f"[link={url}]{escape(url)}[/link]")
            table.add_row("Running", Text(", ").join(_coloured(part) for part in picture.parts))
            for name, text in picture.notes:
                table.add_row(name, Text(text))
            return Group(Text(), table)
        for part in picture.parts:
            done = part.state == "up"
            mark: RenderableType = Text("✓", style="green") if done else self._spinner
            table.add_row(mark, Text(part.title, style="" if done else "dim"), Text(f"{part.seconds:.0f} s", "dim"))
        count = sum(part.state == "up" for part in picture.parts)
        return Group(Text(f"Starting the demonstration: {count} of {len(picture.parts)}", style="bold"), table)


class Lines:
    """One line for each thing that happens."""

    def __init__(self) -> None:
        self._picture: Callable[[], Picture] | None = None

    def open(self, picture: Callable[[], Picture]) -> None:
        """Remember where the state is to be had."""
        self._picture = picture
        self.say("Starting the demonstration")

    def ready(self) -> None:
        """Write where everything is."""
        if self._picture is not None:
            picture = self._picture()
            for name, text in (*picture.addresses, *picture.notes):
                self.say(f"{name}: {text}")

    def progress(self, text: str) -> None:
        """Write a line."""
        self.say(text)

    def say(self, text: str, style: str = "") -> None:  # noqa: ARG002
        """Write a line."""
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def close(self) -> None:
        """Do nothing."""


def _coloured(part: Part) -> Text:
    title = part.title if part.state == "up" else f"{part.title} ({part.state})"
    return Text(title, style=_STATE_STYLES.get(part.state, ""))
