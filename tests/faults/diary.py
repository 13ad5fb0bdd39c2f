"""What really happened, written by the tasks themselves: a line for each start and end, one file for all processes.

A third line, `told`, is written when what watches the task has had its turn: a process killed between the end and that
line could not say how the run ended, and only then.

A line is one `write` to a file opened for appending, so lines of several processes do not mix (POSIX, write(2)),
and what was written stays when the process is killed.
"""

import json
import os
import time
from pathlib import Path
from typing import Any, Self

DIARY = "FAULTS_DIARY"
"""Environment variable with the path of the file."""


def note(run_id: str, what: str) -> None:
    """Write down that a run starts, ends or has been told of in this process."""
    line = json.dumps({"run": run_id, "what": what, "pid": os.getpid(), "at": time.time()}) + "\n"
    descriptor = os.open(os.environ[DIARY], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def work(run_id: str, seconds: float) -> None:
    """Be a task: take a while, and write down when it starts and when it ends."""
    note(run_id, "start")
    time.sleep(seconds)
    note(run_id, "end")


class Diary:
    """All lines so far. Each look reads only what was added, so that it costs no more after a hundred thousand lines.

    Args:
        path: The file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []
        self.begun: dict[str, dict[str, Any]] = {}
        """The latest start of each run."""
        self.ended: set[str] = set()
        self.last: dict[str, dict[str, Any]] = {}
        """The latest line of each run."""
        self._of_process: dict[int, str] = {}
        self._read_bytes = 0

    def read(self) -> Self:
        """Take up what was added; the rest of a line whose process was killed while it wrote is left out."""
        if not self.path.exists():
            return self
        with self.path.open("rb") as file:
            file.seek(self._read_bytes)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read_bytes += len(whole) + len(newline)
        for text in whole.splitlines():
            if text.endswith(b"}"):
                self._add(json.loads(text))
        return self

    @property
    def executing(self) -> set[int]:
        """Processes whose last line is a start."""
        return {pid for pid, what in self._of_process.items() if what == "start"}

    def _add(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        self.last[line["run"]] = line
        self._of_process[line["pid"]] = line["what"]
        if line["what"] == "start":
            self.begun[line["run"]] = line
        elif line["what"] == "end":
            self.ended.add(line["run"])
