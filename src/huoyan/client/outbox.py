"""Measurements on their way to the server: what grew since the last frame, kept until its receipt is certain.

What was sent once is sent again unchanged, number and all, because the server may have it already; what has never been
sent is merged minute by minute while the server is away, so an outage costs no memory to speak of and loses nothing.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from huoyan.client.guard import guard, warn
from huoyan.client.measurements import Counter, Distribution, Family, Gauge, Measurements, histogram_of
from huoyan.client.wire import encode_frame
from huoyan.clock import Clock
from huoyan.signals.measured import Frame, Measured, Values
from huoyan.signals.metric import Across
from huoyan.signals.metrics.application import FUNNEL_ENTERED, FUNNEL_REACHED

_MAX_FRAMES = 60
_MERGED_WITHIN_S = 60.0
_MAX_SERIES = 5_000
_BATCH_BYTES = 1024 * 1024
_FUNNELS = (FUNNEL_ENTERED, FUNNEL_REACHED)

Reading = Callable[[Measurements], None]
"""Writes into the measurements what has to be read anew each time: memory, backlogs."""


@dataclass(slots=True)
class _Seen:
    """What of a distribution has been put into frames."""

    buckets: dict[int, int]
    zeros: int
    total: float


class Outbox:
    """Frames of one process.

    Args:
        clock: Times of frames.
        measurements: Returns what the process measures.
        identity: Returns the names of service and process.
    """

    def __init__(
        self, clock: Clock, measurements: Callable[[], Measurements], identity: Callable[[], tuple[str, str]]
    ) -> None:
        self._clock = clock
        self._measurements = measurements
        self._identity = identity
        self.readings: list[Reading] = []
        self.forked()

    def forked(self) -> None:
        """Start afresh in a child process: what waits here is sent by the parent."""
        self._lock = threading.RLock()
        self._source = os.urandom(8).hex()
        self._sequence = 0
        self._frames: list[Frame | tuple[int, bytes]] = []
        self._counted: dict[tuple[str, Values], float] = {}
        self._observed: dict[tuple[str, Values], _Seen] = {}
        self._folded: dict[str, int] = {}
        self._frozen_at = float("-inf")

    @property
    def waiting(self) -> bool:
        """Whether anything waits to be taken by the server."""
        return bool(self._frames)

    def due(self, interval_s: float) -> bool:
        """Return whether the last frame is about an interval old."""
        return self._clock.monotonic() - self._frozen_at >= 0.9 * interval_s

    def freeze(self) -> None:
        """Put into frames what was measured since the last time. Never raises."""
        with guard("measurements"), self._lock:
            self._frozen_at = self._clock.monotonic()
            measurements = self.read()
            frame = self._new()
            families = measurements.families()
            with measurements.reaching:
                frame.reached = measurements.take_reached()
                for family in families:
                    if family.metric in _FUNNELS:
                        self._add(frame, family)
            for family in families:
                if family.metric in _FUNNELS:
                    continue
                self._add(frame, family)
                if frame.size >= _MAX_SERIES:
                    self._keep(frame)
                    frame = self._new()
            if frame.metrics:
                self._keep(frame)

    def read(self) -> Measurements:
        """Read anew what has to be read each time, and return what the process measures. Never raises."""
        measurements = self._measurements()
        # What is read is nothing that the program measures, and no reason to begin to send in a child that it forked.
        begin, measurements.on_first = measurements.on_first, None
        for read in self.readings:
            with guard("measurement reading"):
                read(measurements)
        if begin is not None:
            measurements.on_first = begin
        return measurements

    def take(self) -> list[tuple[int, bytes]]:
        """Return what to send now, oldest first: number and encoded frame. It stays here until it is settled."""
        with self._lock:
            taken: list[tuple[int, bytes]] = []
            size = 0
            for place, frame in enumerate(self._frames):
                encoded = (frame.sequence, _encoded(frame)) if isinstance(frame, Frame) else frame
                if taken and size + len(encoded[1]) > _BATCH_BYTES:
                    break
                self._frames[place] = encoded
                taken.append(encoded)
                size += len(encoded[1])
            return taken

    def settle(self, sequence: int) -> None:
        """Forget the frames up to a number: the server has them, or never takes them."""
        with self._lock:
            self._frames = [
                frame for frame in self._frames if (frame.sequence if isinstance(frame, Frame) else frame[0]) > sequence
            ]

    def _new(self) -> Frame:
        service, worker = self._identity()
        return Frame(self._source, 0, self._clock.now(), service, worker)

    def _keep(self, frame: Frame) -> None:
        last = self._frames[-1] if self._frames else None
        if isinstance(last, Frame) and (
            (last.at // _MERGED_WITHIN_S == frame.at // _MERGED_WITHIN_S and last.size + frame.size <= _MAX_SERIES)
            or len(self._frames) >= _MAX_FRAMES
        ):
            last.merge(frame)
            return
        self._sequence += 1
        frame.sequence = self._sequence
        self._frames.append(frame)
        if len(self._frames) > _MAX_FRAMES:
            warn("measurement frames", "huoyan: measurements of the oldest minute are given up, the server is away")
            del self._frames[0]

    def _add(self, frame: Frame, family: "Family[Counter] | Family[Gauge] | Family[Distribution]") -> None:
        metric = family.metric
        measured = Measured(metric)
        for values, child in family.series():
            key = (metric.name, values)
            if isinstance(child, Gauge):
                # What is no finite number is not known; strict JSON has no word for it either.
                if child.value is not None and isfinite(child.value):
                    measured.series[values] = float(child.value)
                    if metric.across is Across.LAST:
                        measured.set_at[values] = child.set_at
            elif isinstance(child, Counter):
                value = child.value
                grown = value - self._counted.get(key, 0.0)
                if grown > 0:
                    self._counted[key] = value
                    measured.series[values] = grown
            else:
                self._add_distribution(measured, key, child)
        folded = family.budget.folded
        measured.folded = folded - self._folded.get(metric.name, 0)
        if measured.folded:
            self._folded[metric.name] = folded
            measured.samples = list(family.budget.samples)
        if measured.series or measured.folded:
            frame.metrics[metric.name] = measured

    def _add_distribution(self, measured: Measured, key: tuple[str, Values], child: Distribution) -> None:
        seen = self._observed.get(key)
        buckets, zeros, total = child.read()
        if seen is None:
            seen = _Seen({}, 0, 0.0)
        elif zeros == seen.zeros and total == seen.total:
            return
        grown = {index: more for index, count in buckets.items() if (more := count - seen.buckets.get(index, 0)) > 0}
        if not grown and zeros == seen.zeros:
            return
        measured.series[key[1]] = histogram_of(grown, zeros - seen.zeros, max(0.0, total - seen.total))
        self._observed[key] = _Seen(buckets, zeros, total)


def _encoded(frame: Frame) -> bytes:
    """Write a frame down; what cannot be written must not hold up the frames and events behind it for ever."""
    try:
        return encode_frame(frame)
    except Exception as error:  # noqa: BLE001 - whatever the program put in
        warn("measurement frame", "huoyan: measurements cannot be written down and are left out", error=error)
        frame.metrics.clear()
        frame.reached.clear()
        return encode_frame(frame)
