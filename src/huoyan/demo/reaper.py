"""Ends the demonstration's processes when the demonstration itself was killed and could not do so.

Runs as a process of its own: `python reaper.py`. On its standard input come `+1234` for a process group to look after
and `-1234` for one that has ended. The end of the input means that whoever wrote it is gone: what is left is ended.
Uses nothing but the standard library, so that it starts at once and stays small.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_S = 2.0


def groups(lines: Iterable[str]) -> set[int]:
    """Follow the additions and removals to the end of the input, and return what is left."""
    left: set[int] = set()
    for line in lines:
        text = line.strip()
        if text[:1] == "+" and text[1:].isdigit():
            left.add(int(text[1:]))
        elif text[:1] == "-" and text[1:].isdigit():
            left.discard(int(text[1:]))
    return left


def end(left: set[int], grace_s: float = GRACE_S) -> None:
    """Ask process groups to end, and kill those that have not done so in time.

    Args:
        left: Process group ids.
        grace_s: How long they have, in seconds (default 2).
    """
    _tell(left, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and any(_exists(group) for group in left):
        time.sleep(0.05)
    _tell(left, signal.SIGKILL)


def _tell(left: set[int], number: int) -> None:
    for group in left:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            pass


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    # Ctrl-C and a closed terminal are for the demonstration; this one has to outlive it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end(groups(sys.stdin))
