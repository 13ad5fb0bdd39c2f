"""What makes a fault real. The applications know nothing of faults: what they depend on breaks."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Switch(Protocol):
    """Turns one fault on and off. Doing either twice is harmless."""

    def on(self) -> None:
        """Begin the fault."""
        ...

    def off(self) -> None:
        """End it."""
        ...

    def is_on(self) -> bool:
        """Tell whether it lasts at this moment."""
        ...


class FileSwitch:
    """A file that is there as long as the fault lasts; whoever plays the broken part looks for it.

    A file, because it is still there when that process is started again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def on(self) -> None:
        """Make the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch()

    def off(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)

    def is_on(self) -> bool:
        """Look whether it is there."""
        return self._path.exists()


class LockSwitch:
    """Somebody else holds the write lock of an SQLite database, most of the time.

    Args:
        path: The database.
        held_s: How long the lock is held at a time, in seconds (default 1.1).
        free_s: The pause in between, in which those who wait get their turn, in seconds (default 0.12).
    """

    def __init__(self, path: Path, held_s: float = 1.1, free_s: float = 0.12) -> None:
        self._path = path
        self._held_s = held_s
        self._free_s = free_s
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def on(self) -> None:
        """Begin to take the lock."""
        with self._lock:
            if self._thread is None:
                self._ended.clear()
                self._thread = threading.Thread(target=self._run, name="huoyan-demo-lock", daemon=True)
                self._thread.start()

    def off(self) -> None:
        """Let go of it."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._ended.set()
        if thread is not None:
            thread.join()

    def is_on(self) -> bool:
        """Tell whether it is taken again and again."""
        return self._thread is not None

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                connection = sqlite3.connect(self._path, timeout=0.2, isolation_level=None)
            except sqlite3.Error:
                self._ended.wait(self._free_s)
                continue
            try:
                connection.execute("BEGIN IMMEDIATE")
                self._ended.wait(self._held_s)
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                pass  # It is busy right now; the next turn will do.
            finally:
                connection.close()
            self._ended.wait(self._free_s)


class KillSwitch:
    """A process is killed, and stays away for a while.

    Args:
        kill: Kills it.
        bring_back: Starts it again at once.
        is_away: Tells whether it is not there.
    """

    def __init__(self, kill: Callable[[], None], bring_back: Callable[[], None], is_away: Callable[[], bool]) -> None:
        self._kill = kill
        self._bring_back = bring_back
        self._is_away = is_away

    def on(self) -> None:
        """Kill it."""
        self._kill()

    def off(self) -> None:
        """Do not wait any longer until it is started again."""
        self._bring_back()

    def is_on(self) -> bool:
        """Tell whether it is away."""
        return self._is_away()
