"""Starting a server program, waiting until it answers, and being sure that it ends."""

import ctypes
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# Below the range from which the kernel takes the ports of outgoing connections, so that none of those gets in between.
PORT_RANGE = (15000, 32000)
LOG_TAIL_LINES = 40

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_ports_given: set[int] = set()


class MissingProgramError(RuntimeError):
    """A server program is not installed; the text names the Debian package."""


class StartError(RuntimeError):
    """A server did not answer in time or ended at once; the text shows the end of its log."""


def find_program(name: str, package: str, *, folders: Sequence[str | Path] = ()) -> Path:
    """Return the path of a program.

    Args:
        name: The program.
        package: The Debian package that brings it, for the failure.
        folders: Where to look before PATH; the system's sbin folders are looked into after it.

    Raises:
        MissingProgramError: It is in none of these places.
    """
    search = [*map(str, folders), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
    found = shutil.which(name, path=os.pathsep.join(search))
    if found is None:
        raise MissingProgramError(
            f"expected the program {name!r}, it is not installed; "
            f"install the Debian package {package}: apt-get install --no-install-recommends {package}"
        )
    return Path(found)


def free_port() -> int:
    """Return a loopback TCP port that nothing uses and that this process has not given out before."""
    for _ in range(200):
        port = random.randint(*PORT_RANGE)
        if port in _ports_given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _ports_given.add(port)
        return port
    raise StartError(f"expected a free port between {PORT_RANGE[0]} and {PORT_RANGE[1]}, found none in 200 tries")


def accepts_connections(port: int) -> bool:
    """Tell whether something listens on this loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


class ServerProcess:
    """One server program, in the foreground, with its output in a file of a folder of its own.

    The program gets its own process group, which is ended as a whole, and the kernel kills it when the process that
    started it dies; nothing stays behind when a test run is killed.
    """

    def __init__(self, name: str, *, user: str | None = None) -> None:
        """Make the folder.

        Args:
            name: What it is, for file names and failures.
            user: Who runs it when root runs the tests (default: root); ignored for other users.
        """
        self.name = name
        self.user = user if user is not None and os.geteuid() == 0 else None
        # Not pytest's temporary folder: that one is closed to other users, and its path is too long for Unix sockets.
        self.folder = Path(tempfile.mkdtemp(prefix=f"huoyan-{name}-"))
        self.log_path = self.folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        if self.user is not None:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self.running and self._process is not None else None

    @property
    def running(self) -> bool:
        """Whether the program runs at this moment."""
        return self._process is not None and self._process.poll() is None

    def run(
        self,
        command: Sequence[str | Path],
        ready: Callable[[], bool],
        *,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        """Start the program and wait until it answers.

        Args:
            command: The program and its arguments.
            ready: Asked every 50 ms; may raise OSError for "not yet".
            env: Additions to the environment.
            timeout_s: How long it may take, in seconds (default 30).

        Raises:
            StartError: It ended, or did not answer in time.
        """
        if self.running:
            raise StartError(f"expected {self.name} to be stopped, it runs with process id {self.pid}")
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder), **(env or {})},
                start_new_session=True,
                preexec_fn=die_with_parent,
                **self._credentials(),
            )
        deadline = time.monotonic() + timeout_s
        while not _answers(ready):
            code = self._process.poll()
            if code is not None:
                raise StartError(f"expected {self.name} to start, it ended with status {code}; {self.log_tail()}")
            if time.monotonic() >= deadline:
                self.kill()
                raise StartError(f"expected {self.name} to answer within {timeout_s:g} s; {self.log_tail()}")
            time.sleep(0.05)

    def once(
        self, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, timeout_s: float = 60
    ) -> str:
        """Run a program that ends by itself, as the same user in the same folder, and return what it wrote."""
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder), **(env or {})},
            timeout=timeout_s,
            text=True,
            check=False,
            **self._credentials(),
        )
        if done.returncode != 0:
            raise StartError(f"expected {command[0]} to succeed, got status {done.returncode}:\n{done.stdout}")
        return done.stdout

    def stop(self, *, stop_signal: signal.Signals = signal.SIGTERM, timeout_s: float = 15.0) -> None:
        """Ask the program to end, and kill it when it has not done so in time. Does nothing when it does not run."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(stop_signal)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def kill(self) -> None:
        """End the program and its children at once, without a chance to save anything."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(10)
        self._process = None

    def close(self) -> None:
        """Stop the program and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self) -> str:
        """Return the end of the program's log, for a failure."""
        try:
            lines = self.log_path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        except OSError:
            lines = []
        return "the end of its log:\n" + "\n".join(f"    {line}" for line in lines or ["(empty)"])

    def _credentials(self) -> dict[str, Any]:
        if self.user is None:
            return {}
        account = pwd.getpwnam(self.user)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


class Server:
    """What every server of the tests can do: start, stop, be killed, be started again on the same port."""

    process: ServerProcess

    def start(self) -> Self:
        """Start the server and return it when it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it in an orderly way; `start` brings it back on the same port with what it had kept."""
        self.process.stop()

    def kill(self) -> None:
        """End it the hard way, as a power cut would."""
        self.process.kill()

    def close(self) -> None:
        """Stop it and remove everything it wrote."""
        self.process.close()

    @property
    def running(self) -> bool:
        """Whether it runs at this moment."""
        return self.process.running

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _answers(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except OSError:
        return False


def die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
