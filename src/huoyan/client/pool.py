"""The processes of one service on one machine: a folder with a file for each, so that any of them can tell the sum.

A file belongs to whoever holds the lock beside it, and the kernel releases that with the process (flock(2)). What a
process that is gone had counted moves into one file for all of them, so that workers that come and go leave nothing
behind that grows.
"""

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from huoyan.client.ownership import is_held, is_own, own_folder

_LOCK = ".lock"
_DATA = ".json"
_ALL = "all"
_GONE = "gone"
_MANY = 64
"""Processes that are in the folder before one more adds up those that are gone."""


class Pool:
    """One process' place in the folder. The caller serialises the calls.

    Args:
        folder: The folder of all; made when it is missing.
        add: Adds up what processes wrote that are gone, and what was added up before.
    """

    def __init__(self, folder: Path, add: Callable[[Sequence[bytes]], bytes]) -> None:
        self.folder = folder
        self._add = add
        self._name = ""
        self._descriptor: int | None = None

    def write(self, data: bytes) -> None:
        """Say what this process has counted so far.

        Raises:
            OSError: There is no room, or no permission.
        """
        if self._descriptor is None or not self.folder.exists():
            self._enter()
        _replace(self.folder / f"{self._name}{_DATA}", data)

    def others(self) -> tuple[list[bytes], bytes]:
        """Return what each other process that lives has written, and the sum of those that are gone, empty without any.

        Raises:
            OSError: The folder cannot be read.
        """
        if not self.folder.is_dir():
            return [], b""
        with self._alone():
            return self._add_up()

    def _add_up(self) -> tuple[list[bytes], bytes]:
        """Do what `others` does, alone in the folder."""
        living: list[bytes] = []
        dead: dict[str, bytes] = {}
        included, total = self._gone()
        for path in sorted(self.folder.glob(f"*{_LOCK}")):
            name = path.name.removesuffix(_LOCK)
            if name in (self._name, _ALL):
                continue
            data = _read(self.folder / f"{name}{_DATA}")
            if is_held(path):
                living.append(data)
            else:
                dead[name] = data
        fresh = [data for name, data in dead.items() if data and name not in included]
        if fresh:
            total = self._add([total, *fresh] if total else fresh)
            # Named with the sum: a process killed between this and the next step must not make them count twice.
            _replace(self.folder / f"{_GONE}{_DATA}", json.dumps(sorted(dead)).encode() + b"\n" + total)
        for name in dead:
            for path in self.folder.glob(f"{name}.*"):
                path.unlink(missing_ok=True)
        return [data for data in living if data], total

    def forked(self) -> None:
        """Leave the place to the parent: its lock holds as long as any process has it open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._name = None, ""

    def close(self) -> None:
        """Leave; what was written is added up with that of others that are gone."""
        self.forked()

    def _enter(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.forked()
        with self._alone():
            if sum(1 for _ in self.folder.glob(f"*{_LOCK}")) > _MANY:
                # Nobody scrapes, and there is a process for each job.
                self._add_up()
            self._name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(self.folder / f"{self._name}{_LOCK}", flags, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _gone(self) -> tuple[list[str], bytes]:
        names, _, total = _read(self.folder / f"{_GONE}{_DATA}").partition(b"\n")
        return (json.loads(names), total) if names else ([], b"")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        descriptor = os.open(self.folder / f"{_ALL}{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def folder(root_pid: int) -> Path | None:
    """Return the folder of the processes that `root_pid` started; None where this user cannot have one alone.

    Folders of processes that are gone are removed at the same time.
    """
    base = own_folder()
    base.mkdir(mode=0o700, exist_ok=True)
    if not is_own(base):
        return None
    pools = base / "metrics"
    pools.mkdir(mode=0o700, exist_ok=True)
    for other in pools.iterdir():
        pid, _, began = other.name.partition("-")
        if pid.isdigit() and _began(int(pid)) != began and not any(map(is_held, other.glob(f"*{_LOCK}"))):
            shutil.rmtree(other, ignore_errors=True)
    return pools / f"{root_pid}-{_began(root_pid)}"


def _began(pid: int) -> str:
    """Return when a process began, in whatever unit tells it from a later one of the same id; empty when it is gone."""
    try:
        # The name, in parentheses, may hold anything; field 22 is the start (proc_pid_stat(5)).
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        pass
    return "0"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _replace(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
    new.replace(path)
