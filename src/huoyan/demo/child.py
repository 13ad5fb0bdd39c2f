"""One process of the demonstration: how it is started, when it is ready, what became of it."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

TAIL_LINES = 15
_TAIL_BYTES = 16_384


class State(StrEnum):
    """What a process is doing."""

    STARTING = "starting"
    UP = "up"
    RESTARTING = "restarting"
    """It ended, and will be started again."""
    GIVEN_UP = "given up"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Role:
    """A part in the demonstration that one process plays.

    Attributes:
        name: Short and unique; the name of its log file.
        title: What it is, for people.
        command: The program and its arguments.
        ready: Asked again and again with the child until it answers True.
        env: Additions to the environment.
        stop_signal: Asks it to end in good order.
        stop_rank: Lower ranks are stopped first.
        vital: Without it the demonstration makes no sense.
    """

    name: str
    title: str
    command: tuple[str, ...]
    ready: Callable[["Child"], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_rank: int = 1
    vital: bool = False


class Child:
    """A process that plays a role, in a process group of its own, with its output in a log file.

    Args:
        role: What it does.
        env: The environment, to which the role's additions come.
        folder: Where it runs.
        log_dir: Where its log file goes.
    """

    def __init__(self, role: Role, env: Mapping[str, str], folder: Path, log_dir: Path) -> None:
        self.role = role
        self.state = State.STOPPED
        self.log_path = log_dir / f"{role.name}.log"
        self.started_at = 0.0
        self.ready_at: float | None = None
        self.restart_at: float | None = None
        self.restart_waits_s: float | None = None
        self.exits: list[float] = []
        self._env = {**env, **role.env}
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    @property
    def pid(self) -> int | None:
        """The process id, also the id of its group; None when it does not run."""
        return self._process.pid if self._process is not None else None

    def start(self, now: float) -> int:
        """Start the process and return its id.

        Args:
            now: Monotonic seconds.
        """
        self._log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.role.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=self._env,
                # Ctrl-C in the terminal reaches the demonstration alone, which ends its processes in order.
                start_new_session=True,
            )
        self.state = State.STARTING
        self.started_at = now
        self.ready_at = None
        self.restart_at = None
        return self._process.pid

    def exit_status(self) -> int | None:
        """Return the status of a process that has ended (negative: the signal that killed it), None while it runs."""
        return None if self._process is None else self._process.poll()

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill_group(self) -> None:
        """Kill the process and all that it started, at once."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def forget(self) -> None:
        """Let go of a process that has ended; what it left behind in its group is killed."""
        self.kill_group()
        if self._process is not None:
            self._process.wait()
        self._process = None

    def wrote(self, text: str) -> bool:
        """Tell whether the process has written a text since it was started."""
        return text.encode() in self._log()

    def log_tail(self, lines: int = TAIL_LINES) -> list[str]:
        """Return the last lines that the process wrote."""
        text = self._log()[-_TAIL_BYTES:].decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()][-lines:]

    def _log(self) -> bytes:
        try:
            with self.log_path.open("rb") as log:
                log.seek(self._log_from)
                return log.read()
        except OSError:
            return b""


def exit_text(status: int) -> str:
    """Say how a process ended.

    Args:
        status: As `Popen.returncode` has it: negative for a signal.
    """
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
