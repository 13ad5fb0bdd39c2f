"""What waits to be sent, kept where it outlives this process.

An event waits a quarter of a second for company, longer while the server is away. When the process is killed meanwhile,
what it had to say would be gone: runs that ended well would stay open for ever. So each event is also appended to a
file, in memory-backed storage where there is one. Whatever process reports to the same server from the same machine
next finds the file of one that is gone, sends what is in it, and removes it. An event that had been sent already is
merged a second time, which changes nothing.

A line is an event, or events that were packed (`z`), or a time of which some are missing (`!`), or the name of a
process that is gone and whose events this one has taken over (`-`).

A file belongs to whoever holds its lock, and the kernel releases that with the process (flock(2)): there is no process
id to mistake.
"""

import fcntl
import hashlib
import os
import re
import time
import uuid
import zlib
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from huoyan.client.buffer import Buffer, Pack
from huoyan.client.guard import warn
from huoyan.client.losses import Losses
from huoyan.client.ownership import is_held, is_own, own_folder
from huoyan.client.wire import decode_gap, encode_gap
from huoyan.model.event import EventGap

OFF = frozenset({"", "0", "off", "false", "no"})
AUTO = "auto"
_SUFFIX = ".spool"
_FORGOTTEN_S = 3 * 86_400.0
_MOST_ORPHANS = 64
_WORTH_BYTES = 128 * 1024
_WORTH_RATIO = 4
"""A file is written anew when it holds so much, and so many times what still waits."""
_WORKER = re.compile(rb'"worker":"([^"\\]+)"')
_ESCAPED = re.compile(rb"\\([n\\])")

Piece = bytes | Pack | EventGap
"""What a line holds."""


@dataclass(slots=True)
class Orphan:
    """What the file of a process that is gone holds: pieces in their order, how many events that is, and the names of
    the process and of those that it had taken over."""

    pieces: list[Piece] = field(default_factory=list)
    count: int = 0
    gone: list[str] = field(default_factory=list)

    def find_name(self, pid: int) -> None:
        """Look for the name under which the process reported for itself: it ends with its number."""
        loose = [piece for piece in self.pieces if isinstance(piece, bytes)]
        packs = [piece for piece in self.pieces if isinstance(piece, Pack)]
        for encoded in chain(reversed(loose), packs[-1].events() if packs else ()):
            match = _WORKER.search(encoded)
            if match is not None and match[1].endswith(b":%d" % pid):
                self.gone.append(match[1].decode("utf-8", "replace"))
                return

    def hand_over(self, buffer: Buffer, losses: Losses, now: float) -> int:
        """Give everything to this process.

        Args:
            buffer: Takes the events.
            losses: Takes the gaps and the names.
            now: Wall time, in seconds since 1970 UTC.

        Returns:
            How many events the buffer took.
        """
        count = 0
        for piece in self.pieces:
            if isinstance(piece, EventGap):
                losses.inherit(piece, now)
            elif isinstance(piece, Pack):
                count += piece.count
                buffer.adopt(piece)
            else:
                count += 1
                buffer.append(piece)
        losses.lament(self.gone)
        return count


class Spool:
    """One file of this process, and those of processes that are gone.

    Args:
        folder: Where they lie; made when it is missing.
        destination: The server's address and token: only events meant for the same server are adopted.
        most_bytes: What is kept at most; beyond it new events are not, until some were sent.
    """

    def __init__(self, folder: Path, destination: str, most_bytes: int) -> None:
        self._folder = folder
        self._destination = destination
        self._mark = hashlib.sha256(destination.encode()).hexdigest()[:16]
        self._most_bytes = most_bytes
        self._path: Path | None = None
        self._descriptor: int | None = None
        self._size = 0
        self._broken = False
        self._overflowed = False

    def keep(self, event: bytes) -> bool:
        """Keep one encoded event; False when there is no room for it. Never raises: without permission it is kept in
        memory alone."""
        if self._broken or self._overflowed:
            return True
        if self._size + len(event) >= self._most_bytes:
            return False
        try:
            if self._descriptor is None:
                self._open()
            assert self._descriptor is not None
            self._size += os.write(self._descriptor, event + b"\n")
        except OSError as error:
            self._give_up(error)
        return True

    def keep_orphan(self, orphan: Orphan) -> None:
        """Keep what was taken over, as far as there is room."""
        for piece in orphan.pieces:
            self.keep(_line(piece))
        for name in orphan.gone:
            self.keep(b"-" + name.encode())

    def rewrite(self, size: int, pieces: Iterable[Piece]) -> bool:
        """Write anew what waits, if that makes much room; return whether it did.

        Args:
            size: How many bytes that is, about.
            pieces: All that waits.
        """
        if size > 3 * self._size // 4:
            return False
        self._overflowed = False
        return self._write_anew(pieces)

    def overflow(self, gap: EventGap) -> None:
        """Note that from now on not everything is kept."""
        if self._overflowed or self._descriptor is None:
            return
        self._overflowed = True
        try:
            self._size += os.write(self._descriptor, _line(gap) + b"\n")
        except OSError as error:
            self._give_up(error)

    def sent(self, count: int, size: int, left: Callable[[], Iterable[Piece]]) -> None:
        """Note that something was sent.

        Args:
            count: How many events still wait.
            size: How many bytes these are, about.
            left: Returns what does.
        """
        if self._descriptor is None or not self._size:
            return
        if not count:
            self._write_anew(())
        elif self._size >= min(self._most_bytes // 2, max(_WORTH_BYTES, _WORTH_RATIO * size)):
            # Otherwise what was sent goes with the next time; writing the rest anew costs more than keeping it. A
            # process that always has something waiting must not leave behind all that it ever said: whoever takes
            # that over would have no room for what is new.
            self.rewrite(size, left())

    def _write_anew(self, pieces: Iterable[Piece]) -> bool:
        assert self._descriptor is not None
        lines = [_line(piece) for piece in pieces]
        try:
            if lines:
                # Into a file of its own: between emptying this one and filling it again the process may be killed.
                before, descriptor = self._path, self._descriptor
                self._open()
                self._size = os.write(self._descriptor, b"\n".join(lines) + b"\n")
                if before is not None:
                    before.unlink(missing_ok=True)
                os.close(descriptor)
            else:
                os.ftruncate(self._descriptor, 0)
                self._size = 0
                self._overflowed = False
        except OSError as error:
            self._give_up(error)
        return True

    def orphans(self) -> Generator[Orphan, None, None]:
        """Yield what waits of each process that is gone. Its file is removed once the next one is asked for, and
        stays when the generator is closed instead."""
        try:
            paths = sorted(self._folder.glob(f"*{_SUFFIX}"))
        except OSError:
            return
        for path in [path for path in paths if path != self._path][:_MOST_ORPHANS]:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                about = os.fstat(descriptor)
                ours = path.name.startswith(self._mark)
                if about.st_nlink and (ours or time.time() - about.st_mtime > _FORGOTTEN_S):
                    if ours and about.st_size:
                        # The last line may have been cut by the end of its process.
                        orphan = _read(os.pread(descriptor, 2 * self._most_bytes, 0).split(b"\n")[:-1])
                        pid = path.name.split("-")[1]
                        if pid.isdecimal():
                            orphan.find_name(int(pid))
                        yield orphan
                    path.unlink(missing_ok=True)
            except OSError:
                continue  # Its process lives, or another one adopts it at this moment.
            finally:
                os.close(descriptor)

    def abandoned(self) -> bool:
        """Return whether a process that is gone has left something for this server. Never raises."""
        try:
            for path in self._folder.glob(f"{self._mark}-*{_SUFFIX}"):
                if path != self._path and path.stat().st_size and not is_held(path):
                    return True
        except OSError:
            pass
        return False

    def forked(self) -> None:
        """Leave the file to the parent: its lock holds as long as any process has it open."""
        if self._descriptor is not None:
            try:
                os.close(self._descriptor)
            except OSError:
                pass
        self._descriptor, self._path, self._size, self._overflowed = None, None, 0, False

    def close(self) -> None:
        """Remove the file when nothing waits in it; otherwise leave it for the next process."""
        if self._descriptor is None:
            return
        try:
            if not self._size and self._path is not None:
                self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
        except OSError:
            pass
        self._descriptor, self._path, self._broken = None, None, True

    def shared(self) -> "SharedSpool":
        """Return one of the same folder and server, for this process and the children it will fork."""
        return SharedSpool(self._folder, self._destination, self._most_bytes)

    @property
    def keeping(self) -> bool:
        """Whether what waits is in the file too."""
        return self._descriptor is not None and not self._broken

    def _open(self) -> None:
        path = self._folder / f"{self._mark}-{os.getpid()}-{uuid.uuid4().hex[:8]}{_SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._path, self._descriptor = path, descriptor

    def _give_up(self, error: OSError) -> None:
        self._broken = True
        warn("spool", "huoyan: events are not kept for the case that this process is killed: %s", error)


class SharedSpool(Spool):
    """One file that a process and the children it forks write to; an orphan only when all of them are gone.

    The descriptor and its lock go over to the children with the fork, and appended lines of several processes do not
    mix (POSIX, write(2)).
    """

    def open(self) -> None:
        """Make the file, before the first fork. Never raises."""
        try:
            self._open()
        except OSError as error:
            self._give_up(error)

    def keep(self, event: bytes) -> bool:
        """Keep one encoded event, in any of the processes. Never raises."""
        if self._descriptor is None or self._broken:
            return True
        try:
            if os.fstat(self._descriptor).st_size + len(event) >= self._most_bytes:
                return False
            os.write(self._descriptor, event + b"\n")
        except OSError as error:
            self._give_up(error)
        return True

    def forget(self) -> None:
        """Empty the file: everything in it is safe elsewhere."""
        if self._descriptor is not None and not self._broken:
            try:
                os.ftruncate(self._descriptor, 0)
            except OSError as error:
                self._give_up(error)


def spool(setting: str, destination: str, most_bytes: int) -> Spool | None:
    """Return the spool that a setting asks for.

    Args:
        setting: `auto`, a folder, or `off`.
        destination: The server's address and token.
        most_bytes: What is kept at most.

    Returns:
        None when it is turned off, or the folder cannot be one of this user alone.
    """
    if setting.lower() in OFF:
        return None
    folder = own_folder() if setting == AUTO else Path(setting)
    try:
        folder.mkdir(mode=0o700, parents=setting != AUTO, exist_ok=True)
        if not is_own(folder):
            warn("spool", "huoyan: expected %s to be a folder that only this user writes to; nothing is kept", folder)
            return None
    except OSError as error:
        warn("spool", "huoyan: events are not kept for the case that this process is killed: %s", error)
        return None
    return Spool(folder, destination, most_bytes)


def _line(piece: Piece) -> bytes:
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, EventGap):
        return b"!" + encode_gap(piece)
    return b"z%d:" % piece.count + piece.data.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")


def _read(lines: Iterable[bytes]) -> Orphan:
    orphan = Orphan()
    for line in lines:
        try:
            if line.startswith(b"z"):
                count, _, escaped = line[1:].partition(b":")
                data = _ESCAPED.sub(lambda match: b"\n" if match[1] == b"n" else match[1], escaped)
                zlib.decompress(data)
                orphan.pieces.append(Pack(int(count), data))
                orphan.count += int(count)
            elif line.startswith(b"-"):
                orphan.gone.append(line[1:].decode())
            elif line.startswith(b"!"):
                orphan.pieces.append(decode_gap(line[1:]))
            elif line.endswith(b"}"):
                orphan.pieces.append(line)
                orphan.count += 1
        except (ValueError, zlib.error):
            continue  # It is not whole.
    return orphan
