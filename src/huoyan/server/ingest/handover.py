"""Hands what a reading thread reads to the thread that works on it, and never makes the reader wait.

Up to a bound it stays in memory; beyond that a thread of its own appends it to a file, so that a burst costs disk and
not events. The order is kept: what the consumer has, then the file, then what was read last.
"""

import os
import struct
import threading
from collections import deque
from pathlib import Path

_HEADER = struct.Struct("<dIB")
_READ_BYTES = 4 * 1024 * 1024
_WRITE_BYTES = 1024 * 1024

Item = tuple[float, bytes, bool]
"""(when it was read, in seconds since 1970 UTC; the bytes; whether a new connection begins here)."""


class Handover:
    """A queue of bytes with one producer that never waits and one consumer.

    Args:
        spool: The file behind it; None keeps everything in memory. It exists only while it is needed.
        memory_bytes: How much the consumer's side holds before the file is used (default 32 MiB).
        tail_bytes: How much may wait for the disk before `put` refuses (default 128 MiB).
        spool_bytes: How large the file may grow (default 4 GiB).
    """

    def __init__(
        self,
        spool: Path | None = None,
        *,
        memory_bytes: int = 32 * 1024 * 1024,
        tail_bytes: int = 128 * 1024 * 1024,
        spool_bytes: int = 4 * 1024 * 1024 * 1024,
    ) -> None:
        self._path = spool
        self._memory_bytes = memory_bytes
        self._tail_bytes = tail_bytes
        self._spool_bytes = spool_bytes
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._to_spool = threading.Condition(self._lock)
        self._head: deque[Item] = deque()
        self._head_size = 0
        self._tail: deque[Item] = deque()
        self._tail_size = 0
        self._written = 0
        self._read = 0
        self._moving = False
        self._moving_size = 0
        self._closed = False
        self._file: int | None = None
        self._spooler: threading.Thread | None = None
        self._failed = False
        self._used = False
        self.spooled_bytes_total = 0

    def put(self, at: float, data: bytes, begins: bool = False) -> bool:
        """Take what was read.

        Args:
            at: When it was read, in seconds since 1970 UTC.
            data: The bytes.
            begins: Whether they are the first of a new connection.

        Returns:
            False when there is no room left in memory or on disk; the bytes were not taken.
        """
        size = len(data)
        with self._lock:
            if not self._spilling() and (self._head_size + size <= self._memory_bytes or not self._head):
                self._head.append((at, data, begins))
                self._head_size += size
                self._arrived.notify()
                return True
            if self._path is None or self._failed or self._closed:
                room = self._memory_bytes + self._tail_bytes - self._head_size
            else:
                room = self._tail_bytes
                if self._written - self._read + self._moving_size + self._tail_size + size > self._spool_bytes:
                    room = 0
            if self._tail_size + size > room:
                return False
            self._tail.append((at, data, begins))
            self._tail_size += size
            if self._path is not None and not self._failed:
                if self._spooler is None:
                    self._spooler = threading.Thread(target=self._spool, name="huoyan-spool", daemon=True)
                    self._spooler.start()
                self._to_spool.notify()
            else:
                self._arrived.notify()
            return True

    def get(self, timeout_s: float) -> Item | None:
        """Return the oldest bytes; None when there are none for `timeout_s` seconds, or it was closed and is empty."""
        while True:
            with self._lock:
                while not self._head and self._written == self._read:
                    if self._tail and not self._moving:
                        self._head, self._tail = self._tail, self._head
                        self._head_size, self._tail_size = self._tail_size, 0
                    elif (self._closed and not self._moving) or not self._arrived.wait(timeout_s):
                        return None
                if self._head:
                    item = self._head.popleft()
                    self._head_size -= len(item[1])
                    return item
                position, end = self._read, self._written
            # Reading the file takes time, during which the producer must be able to go on: no lock.
            items, position = self._read_spool(position, end)
            with self._lock:
                self._head.extend(items)
                self._head_size += sum(len(item[1]) for item in items)
                self._read = position
                if position == self._written and not self._moving:
                    self._read = self._written = 0
                    self._to_spool.notify()

    @property
    def backlog_bytes(self) -> int:
        """How many bytes were read and not yet worked on."""
        with self._lock:
            return self._head_size + self._tail_size + self._moving_size + self._written - self._read

    def close(self) -> None:
        """Take nothing more to disk; `get` gives what is left and then None."""
        with self._lock:
            self._closed = True
            self._to_spool.notify_all()
            self._arrived.notify_all()
        if self._spooler is not None:
            self._spooler.join(10.0)

    def discard(self) -> None:
        """Close it and remove the file, with whatever was not read."""
        self.close()
        with self._lock:
            self._head.clear()
            self._tail.clear()
            self._head_size = self._tail_size = self._read = self._written = 0
            if self._file is not None:
                os.close(self._file)
                self._file = None
                if self._path is not None:
                    self._path.unlink(missing_ok=True)

    def _spilling(self) -> bool:
        return self._moving or bool(self._tail) or self._written > self._read

    def _read_spool(self, position: int, end: int) -> tuple[list[Item], int]:
        """Read the next piece of the file; return what was in it and where the rest begins."""
        assert self._file is not None
        items: list[Item] = []
        data = os.pread(self._file, min(_READ_BYTES, end - position), position)
        size = _HEADER.unpack_from(data)[1]
        if _HEADER.size + size > len(data):
            data = os.pread(self._file, _HEADER.size + size, position)
        offset = 0
        while offset + _HEADER.size <= len(data):
            at, size, begins = _HEADER.unpack_from(data, offset)
            after = offset + _HEADER.size + size
            if after > len(data):
                break
            items.append((at, data[offset + _HEADER.size : after], bool(begins)))
            offset = after
        return items, position + offset

    def _spool(self) -> None:
        """Move to the file what the consumer's side has no room for, until closed."""
        while True:
            batch: list[Item] = []
            size = 0
            with self._lock:
                while not self._tail and not self._closed and not (self._used and not self._written):
                    self._to_spool.wait()
                if self._closed or self._failed:
                    return
                while self._tail and size < _WRITE_BYTES:
                    item = self._tail.popleft()
                    batch.append(item)
                    size += len(item[1])
                self._tail_size -= size
                self._moving, self._moving_size = True, size
                position = self._written
            written = self._write(position, batch) if batch else self._shrink()
            with self._lock:
                self._moving, self._moving_size = False, 0
                if written is not None:
                    self._written += written
                    self.spooled_bytes_total += written
                else:
                    # The disk is full or gone: back to the front of what waits, and memory is all there is.
                    self._failed = True
                    self._tail.extendleft(reversed(batch))
                    self._tail_size += size
                self._arrived.notify()

    def _write(self, position: int, batch: list[Item]) -> int | None:
        """Append to the file; return how many bytes it took, None when the disk refused."""
        blob = b"".join(part for at, data, begins in batch for part in (_HEADER.pack(at, len(data), begins), data))
        try:
            if self._file is None:
                assert self._path is not None
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            self._used = True
            done = 0
            while done < len(blob):
                done += os.pwrite(self._file, memoryview(blob)[done:], position + done)
        except OSError:
            return None
        return done

    def _shrink(self) -> int:
        """Give the disk back what the consumer has read."""
        assert self._file is not None
        self._used = False
        os.ftruncate(self._file, 0)
        return 0
