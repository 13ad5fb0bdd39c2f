"""What waits for the server, in bounded memory: a few events as they came, the older ones packed.

Events of one process look alike, so a hundred of them packed take an eighth of their room, and an outage of minutes
loses nothing. What is too much even then is given up by its worth: first signs of life, and what a later event of the
same run says better; then beginnings; the ends of runs last. An end that was given up would leave its run open, and
what was open when its process died would be taken for lost.
"""

import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from huoyan.client.wire import glance, happened_at
from huoyan.model.event import EventKind

PACK_EVENTS = 128
"""So many are packed at once: half a millisecond's work for whoever puts the last one in."""
_PACK_BYTES = 64 * 1024
_LOOSE_BYTES = 1024 * 1024
_PACKS_THINNED = 4
_LEVEL = 1

ENDS = frozenset(
    kind.value
    for kind in (
        EventKind.SUCCEEDED,
        EventKind.FAILED,
        EventKind.RETRYING,
        EventKind.REVOKED,
        EventKind.REJECTED,
        EventKind.LOST,
        EventKind.DEAD,
    )
)
_PROGRESS = EventKind.PROGRESS.value
_STARTED = EventKind.STARTED.value


@dataclass(frozen=True, slots=True)
class Pack:
    """Some events, packed."""

    count: int
    data: bytes

    def events(self) -> list[bytes]:
        """Return them."""
        # An encoded event has no line breaks: JSON escapes them.
        return zlib.decompress(self.data).split(b"\n")


@dataclass(slots=True)
class Given:
    """What was given up to make room.

    Args:
        lost: Events that nothing else tells.
        first_at: When the first of these happened, seconds since 1970 UTC by this process.
        last_at: When the last did.
        thinned: Events that were of no consequence: signs of life, and what a later event says better.
    """

    lost: int = 0
    first_at: float = float("inf")
    last_at: float = float("-inf")
    thinned: int = 0

    def lose(self, events: Iterable[bytes]) -> None:
        """Count events as lost."""
        for encoded in events:
            self.lost += 1
            at = happened_at(encoded)
            if at is not None:
                self.first_at, self.last_at = min(self.first_at, at), max(self.last_at, at)


class Buffer:
    """Encoded events in their order. The caller serialises the calls.

    Args:
        most_events: How many there may be at most, those taken out and not settled included.
        most_bytes: How many bytes they may take at most, packed as they are.
    """

    def __init__(self, most_events: int, most_bytes: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._loose_bytes_limit = min(_LOOSE_BYTES, most_bytes // 4)
        # What was unpacked last and not all taken. It takes no more than a batch does, and is not counted in bytes:
        # that something leaves must not cost anything else its place.
        self._front: deque[bytes] = deque()
        # From the oldest to the newest; each was given up more of than the ones behind it.
        self._ends: deque[Pack] = deque()
        self._thin: deque[Pack] = deque()
        self._full: deque[Pack] = deque()
        self._loose: deque[bytes] = deque()
        self._loose_bytes = 0
        self.count = 0
        """How many there are; `len` says the same more slowly."""
        self._bytes = 0
        self._out_count = 0
        self._out_bytes = 0

    def __len__(self) -> int:
        return self.count

    @property
    def size_bytes(self) -> int:
        """What they take, in bytes."""
        return self._bytes

    def append(self, encoded: bytes) -> bool:
        """Put an event in; return whether room has to be made."""
        self._loose.append(encoded)
        self.count += 1
        size = len(encoded)
        self._bytes += size
        self._loose_bytes += size
        return (
            self._loose_bytes > self._loose_bytes_limit
            or self.count + self._out_count > self._most_events
            or self._bytes + self._out_bytes > self._most_bytes
        )

    def make_room(self) -> Given:
        """Pack what is older, and give up what is too much all the same."""
        while self._loose_bytes > self._loose_bytes_limit:
            self._pack()
        given = Given()
        while self.count and self._is_full():
            if self._full:
                self._keep_the_last_word(given)
            elif self._thin:
                self._keep_ends(given)
            elif self._ends and len(self._loose) >= PACK_EVENTS:
                self._pack()  # The newest too have to give up what is worth less.
            elif self._ends:
                given.lose(self._out_of(self._ends).events())
            else:
                self._give_up_loose(given)
        return given

    def has_room(self, count: int) -> bool:
        """Return whether so many more fit, as far as their number goes."""
        return self.count + self._out_count + count <= self._most_events and self._bytes < self._most_bytes

    def take(self, count: int, most_bytes: int) -> list[bytes]:
        """Take out the oldest, at most `count`, and no more once they have `most_bytes`. They count until `settle`."""
        taken: list[bytes] = []
        size = loose = 0
        while len(taken) < count and size < most_bytes:
            if not self._front and (pile := self._ends or self._thin or self._full):
                unpacked = self._out_of(pile).events()
                self._front.extend(unpacked)
                self.count += len(unpacked)
            if self._front:
                encoded = self._front.popleft()
                size += len(encoded)
            elif self._loose:
                encoded = self._loose.popleft()
                size += len(encoded)
                loose += len(encoded)
            else:
                break
            taken.append(encoded)
        self.count -= len(taken)
        self._bytes -= loose
        self._loose_bytes -= loose
        self._out_count, self._out_bytes = len(taken), size
        return taken

    def put_back(self, events: list[bytes]) -> None:
        """Put back the last of those that were taken out."""
        self._front.extendleft(reversed(events))
        self.count += len(events)
        self._out_count -= len(events)
        self._out_bytes -= sum(map(len, events))

    def settle(self) -> None:
        """Forget what was taken out."""
        self._out_count = self._out_bytes = 0

    def clear(self) -> list[bytes]:
        """Take out everything."""
        left = list(self)
        for pile in (self._front, self._ends, self._thin, self._full, self._loose):
            pile.clear()
        self._loose_bytes = self.count = self._bytes = self._out_count = self._out_bytes = 0
        return left

    def __iter__(self) -> Iterator[bytes]:
        yield from self._front
        for pile in (self._ends, self._thin, self._full):
            for pack in pile:
                yield from pack.events()
        yield from self._loose

    def pieces(self) -> Iterator[bytes | Pack]:
        """Return everything as it is kept, oldest first."""
        yield from self._front
        yield from self._ends
        yield from self._thin
        yield from self._full
        yield from self._loose

    def adopt(self, pack: Pack) -> None:
        """Put in events that another process had packed."""
        self._into(self._full, pack)

    def _is_full(self) -> bool:
        return self.count + self._out_count > self._most_events or self._bytes + self._out_bytes > self._most_bytes

    def _pack(self) -> None:
        """Pack the oldest of those that are as they came."""
        chosen: list[bytes] = []
        size = 0
        while self._loose and len(chosen) < PACK_EVENTS and size < _PACK_BYTES:
            encoded = self._loose.popleft()
            size += len(encoded)
            chosen.append(encoded)
        self._loose_bytes -= size
        self.count -= len(chosen)
        self._bytes -= size
        self._into(self._full, _packed(chosen))

    def _into(self, pile: deque[Pack], pack: Pack) -> None:
        pile.append(pack)
        self.count += pack.count
        self._bytes += len(pack.data)

    def _out_of(self, pile: deque[Pack]) -> Pack:
        pack = pile.popleft()
        self.count -= pack.count
        self._bytes -= len(pack.data)
        return pack

    def _keep_the_last_word(self, given: Given) -> None:
        """Give up signs of life, and what is said better by what follows, among the oldest packs."""
        events: list[bytes] = []
        for _ in range(min(_PACKS_THINNED, len(self._full))):
            events += self._out_of(self._full).events()
        worth = _worth(events)
        kept = [encoded for encoded, value in zip(events, worth, strict=True) if value > _SAID_BETTER]
        given.thinned += len(events) - len(kept)
        if kept:
            self._into(self._thin, _packed(kept))

    def _keep_ends(self, given: Given) -> None:
        """Give up all but ends of the oldest pack that was thinned."""
        events = self._out_of(self._thin).events()
        kept = [encoded for encoded in events if glance(encoded)[0] in ENDS]
        given.lose(encoded for encoded in events if glance(encoded)[0] not in ENDS)
        if kept:
            self._into(self._ends, _packed(kept))

    def _give_up_loose(self, given: Given) -> None:
        """Give up the least worthy of the few that are not packed."""
        events = [*self._front, *self._loose]
        worth = _worth(events)
        # Many at once where there are many: to look at all of them for each would hold up whoever puts one in.
        spare = len(events) // 16 if len(events) >= PACK_EVENTS else 1
        excess = max(spare, self.count + self._out_count - self._most_events)
        chosen = sorted(range(len(events)), key=worth.__getitem__)[:excess]
        given.lose(events[place] for place in chosen if worth[place] > _SAID_BETTER)
        given.thinned += sum(worth[place] <= _SAID_BETTER for place in chosen)
        left = set(range(len(events))).difference(chosen)
        kept = [events[place] for place in sorted(left)]
        self._front.clear()
        self._loose = deque(kept)
        self._loose_bytes = self._bytes = sum(map(len, kept))
        self.count = len(kept)


_SIGN, _SAID_BETTER, _BEGINNING, _END = range(4)
"""What an event is worth."""


def _worth(events: list[bytes]) -> list[int]:
    """Return what each event is worth, given those that follow it."""
    worth = [_END] * len(events)
    told: set[bytes] = set()
    for place in range(len(events) - 1, -1, -1):
        kind, run_id = glance(events[place])
        if kind in ENDS:
            told.add(run_id)
        elif kind == _PROGRESS:
            worth[place] = _SIGN
        else:
            worth[place] = _SAID_BETTER if run_id in told else _BEGINNING
            if kind == _STARTED:
                told.add(run_id)
    return worth


def _packed(events: list[bytes]) -> Pack:
    return Pack(len(events), zlib.compress(b"\n".join(events), _LEVEL))
