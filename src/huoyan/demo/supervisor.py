"""Starts the demonstration's processes, brings back those that die, and ends them all."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.demo import reaper
from huoyan.demo.child import Child, Role, State, exit_text
from huoyan.errors import HuoyanError

START_TIMEOUT_S = 90.0
"""How long a process may take until it is ready; slow machines compile every module first."""
STOP_TIMEOUT_S = 6.0
RESTART_S = 3.0
EXITS_TOLERATED = 3
EXITS_WINDOW_S = 60.0
AWAY_S = 600.0


class DemoFailed(HuoyanError):
    """A process that the demonstration needs did not start or did not stay; the text shows the end of its log."""


class NoticeKind(StrEnum):
    """What the supervisor tells about a process."""

    READY = "ready"
    DIED = "died"
    KILLED = "killed"
    """On purpose, by a fault."""
    RESTARTED = "restarted"
    GIVEN_UP = "given up"


@dataclass(frozen=True)
class Notice:
    """Something that happened to a process; `detail` holds the end of its log, where that explains it."""

    kind: NoticeKind
    child: Child
    text: str
    detail: tuple[str, ...] = ()


def restart_delay_s(exits: Iterable[float], now: float) -> float | None:
    """Decide how long to wait before a process that died is started again.

    Args:
        exits: When it died so far, this time included, in monotonic seconds.
        now: Monotonic seconds.

    Returns:
        Seconds, or None to give it up: it dies again and again.
    """
    recent = sum(1 for at in exits if now - at <= EXITS_WINDOW_S)
    return None if recent > EXITS_TOLERATED else RESTART_S * recent


class Supervisor:
    """Looks after the processes of the demonstration. `poll` is called over and over by one thread.

    Args:
        roles: Who takes part.
        env: The environment of them all.
        folder: Where they run.
        log_dir: Where their logs go.
        tell: Called with each notice.
        clock: Monotonic time.
    """

    def __init__(
        self,
        roles: Iterable[Role],
        env: Mapping[str, str],
        folder: Path,
        log_dir: Path,
        tell: Callable[[Notice], None],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.children = {role.name: Child(role, env, folder, log_dir) for role in roles}
        self._tell = tell
        self._clock = clock
        self._lock = threading.RLock()
        self._reaper: subprocess.Popen[str] | None = None

    @property
    def all_up(self) -> bool:
        """Whether every process is ready."""
        return all(child.state is State.UP for child in self.children.values())

    def start(self) -> None:
        """Start every process; `poll` tells when they are ready."""
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        for child in self.children.values():
            self._start(child)

    def poll(self) -> None:
        """Look at every process once: is it ready, has it died, is it time to start it again?

        Raises:
            DemoFailed: One did not become ready at the beginning, or a vital one cannot be kept.
        """
        with self._lock:
            now = self._clock.monotonic()
            for child in self.children.values():
                if child.state in (State.STARTING, State.UP):
                    status = child.exit_status()
                    if status is not None:
                        self._ended(child, status, now)
                    elif child.state is State.STARTING:
                        self._look_whether_ready(child, now)
                elif child.state is State.RESTARTING and child.restart_at is not None and now >= child.restart_at:
                    self._start(child)

    def kill(self, name: str, away_s: float = AWAY_S) -> None:
        """Kill a process at once, as a machine that runs out of memory does.

        Args:
            name: Which.
            away_s: When to start it again if `bring_back` is not called before, in seconds (default 600).
        """
        with self._lock:
            child = self.children[name]
            if child.state not in (State.STARTING, State.UP):
                return
            child.kill_group()
            child.restart_waits_s = away_s

    def bring_back(self, name: str) -> None:
        """Start a killed process again without waiting any longer."""
        with self._lock:
            child = self.children[name]
            child.restart_waits_s = None if child.restart_waits_s is None else 0.0
            if child.state is State.RESTARTING:
                child.restart_at = self._clock.monotonic()

    def is_away(self, name: str) -> bool:
        """Tell whether a process is not there, or not yet there again."""
        child = self.children[name]
        return child.state is not State.UP or child.restart_waits_s is not None

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """End every process, in order: those that make work first, those that are told of it last.

        Args:
            hurry: Asked meanwhile; True kills what is left at once.
        """
        with self._lock:
            for rank in sorted({child.role.stop_rank for child in self.children.values()}):
                members = [child for child in self.children.values() if child.role.stop_rank == rank]
                self._stop(members, hurry)
            if self._reaper is not None and self._reaper.stdin is not None:
                try:
                    self._reaper.stdin.close()
                except OSError:
                    pass
                self._reaper.wait()
                self._reaper = None

    def _stop(self, members: list[Child], hurry: Callable[[], bool]) -> None:
        for child in members:
            if child.exit_status() is None:
                child.tell(child.role.stop_signal)
        deadline = self._clock.monotonic() + STOP_TIMEOUT_S
        while any(child.pid is not None and child.exit_status() is None for child in members):
            if hurry() or self._clock.monotonic() >= deadline:
                break
            time.sleep(0.03)
        for child in members:
            self._let_go(child)
            child.state = State.STOPPED

    def _start(self, child: Child) -> None:
        pid = child.start(self._clock.monotonic())
        self._tell_reaper(f"+{pid}")

    def _let_go(self, child: Child) -> None:
        pid = child.pid
        if pid is None:
            return
        child.forget()
        self._tell_reaper(f"-{pid}")

    def _tell_reaper(self, line: str) -> None:
        if self._reaper is not None and self._reaper.stdin is not None:
            try:
                self._reaper.stdin.write(f"{line}\n")
                self._reaper.stdin.flush()
            except OSError:
                # Somebody killed it. Only the case that the demonstration is killed as well is not covered any more.
                self._reaper.stdin = None

    def _look_whether_ready(self, child: Child, now: float) -> None:
        if child.role.ready(child):
            again = bool(child.exits)
            child.state = State.UP
            child.ready_at = now
            kind = NoticeKind.RESTARTED if again else NoticeKind.READY
            self._tell(Notice(kind, child, f"{child.role.title}: {'back' if again else 'ready'}"))
        elif now - child.started_at > START_TIMEOUT_S:
            raise DemoFailed(
                f"expected {child.role.title} to be ready within {START_TIMEOUT_S:g} s, it is not. {log_end(child)}"
            )

    def _ended(self, child: Child, status: int, now: float) -> None:
        first_start = child.state is State.STARTING and not child.exits
        detail = tuple(child.log_tail())
        on_purpose, child.restart_waits_s = child.restart_waits_s, None
        how = exit_text(status)
        if first_start and on_purpose is None:
            raise DemoFailed(f"expected {child.role.title} to start, it {how}. {log_end(child)}")
        self._let_go(child)
        if on_purpose is not None:
            # Not counted as a crash, but the next start is not the first one either.
            child.exits.append(float("-inf"))
            delay: float | None = on_purpose
            self._tell(Notice(NoticeKind.KILLED, child, f"{child.role.title} {how}, as asked"))
        else:
            child.exits.append(now)
            delay = restart_delay_s(child.exits, now)
            after = "given up" if delay is None else f"started again in {delay:g} s"
            self._tell(Notice(NoticeKind.DIED, child, f"{child.role.title} {how}; {after}", detail))
        if delay is None:
            child.state = State.GIVEN_UP
            if child.role.vital:
                raise DemoFailed(f"expected {child.role.title} to stay, it {how} again and again. {log_end(child)}")
        else:
            child.state = State.RESTARTING
            child.restart_at = now + delay


def log_end(child: Child) -> str:
    """Return where a process's log is and how it ends, for people."""
    lines = child.log_tail() or ["(it wrote nothing)"]
    return f"The end of {child.log_path}:\n" + "\n".join(f"    {line}" for line in lines)
