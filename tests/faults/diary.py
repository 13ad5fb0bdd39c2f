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
from typing import Any

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


def read(path: Path) -> list[dict[str, Any]]:
    """Return all lines; a process killed in the middle of its last line leaves that one out."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]
