"""How commands write: tables and times for people, JSON for scripts."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STATE_STYLES = {
    "succeeded": "green",
    "failed": "red",
    "rejected": "red",
    "lost": "red",
    "dead": "red",
    "retrying": "yellow",
    "started": "cyan",
    "revoked": "dim",
    "missed": "red",
    "doubled": "red",
    "repeated": "red",
    "late": "yellow",
    "overlapping": "yellow",
    "ok": "green",
    "open": "red",
    "acknowledged": "yellow",
    "resolved": "green",
    "critical": "red",
    "warning": "yellow",
}
_PIPE_WIDTH = 200


def console() -> Console:
    """Return where to write; a pipe gets long lines instead of wrapped ones."""
    return Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH)


def print_json(value: Any) -> None:
    """Write a value as JSON."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Table:
    """Return a table without lines; the first columns keep their width, texts are cut at the end."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", expand=False)
    for column in columns:
        made.add_column(column, overflow="ellipsis", no_wrap=True)
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    return made


def coloured(word: str) -> Text:
    """Return a state or level in its colour."""
    return Text(word, style=STATE_STYLES.get(word, ""))


def plain(text: str) -> str:
    """Return text without control characters, which could move a terminal's cursor or change its title."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def local_time(text: str | None) -> str:
    """Return an RFC 3339 time as local time to the second; empty for None."""
    if text is None:
        return ""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float | None) -> str:
    """Return a duration for people: `12 ms`, `1.24 s`, `3 min 20 s`; empty for None."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
