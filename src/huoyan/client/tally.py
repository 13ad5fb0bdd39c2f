"""What forked children count for the one process that speaks for all of them."""

import mmap
import struct

_SLOTS = 4096
_NUMBER = struct.Struct("=Q")
_ALL = struct.Struct(f"={_SLOTS}Q")


class Tally:
    """A sum over a process and its children, in memory that they share.

    Each child writes to a place of its own. Places are given out in turn; a child that gets one used before goes on
    from what the earlier child left there, so nothing that was counted is lost with the child that counted it.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _ALL.size)
        self._place = 0
        self._next = 1
        self._base = 0

    def before_fork(self) -> None:
        """Choose the place of the next child, in the parent."""
        self._next = self._next % (_SLOTS - 1) + 1

    def forked(self) -> None:
        """Take the chosen place, in the child."""
        self._place = self._next
        (self._base,) = _NUMBER.unpack_from(self._memory, self._place * _NUMBER.size)

    def write(self, count: int) -> None:
        """Say how much this process has counted so far."""
        _NUMBER.pack_into(self._memory, self._place * _NUMBER.size, self._base + count)

    def total(self) -> int:
        """Return how much all processes have counted together."""
        return sum(_ALL.unpack(self._memory[:]))
