"""Events over HTTP: read the body within bounds, decode it, hand it to the collector, answer when it is stored."""

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
from sqlalchemy.exc import SQLAlchemyError

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.errors import HuoyanError, Unreachable
from huoyan.server.collect import Collector, Receipt
from huoyan.server.collect.deploys import Deploys
from huoyan.server.ingest.batch import Decoded, decode
from huoyan.server.ingest.refusals import Rejected

MAX_BODY_BYTES = 8 << 20
"""Longest body as it is sent."""
MAX_UNPACKED_BYTES = 32 << 20
"""Longest body after unpacking."""


class BodyTooLarge(HuoyanError):
    """A body is longer than accepted."""


class EncodingUnknown(HuoyanError):
    """A body is packed in a way that is not understood, or is not what it says it is."""


class StoreTooSlow(Unreachable):
    """Events could not be stored in time; the client keeps them and sends them again after `retry_after_s`."""

    retry_after_s: int = 5


@dataclass(slots=True)
class Accepted:
    """What became of a batch: how many of its events are stored, and what was not accepted."""

    accepted: int
    rejected: list[Rejected] = field(default_factory=list)
    nothing_valid: bool = False


class HttpIngest:
    """The door for batches of events.

    Args:
        collector: Who stores them.
        clock: Tells when they were received.
        timeout_s: How long a client may wait for its events to be stored, default 10 seconds.
        concurrency: How many batches may be decoded or wait for room at once; more are answered 503. Default 16.
    """

    def __init__(
        self, collector: Collector, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 10.0, concurrency: int = 16
    ) -> None:
        self.deploys = Deploys(collector.store.deploys, clock)
        self._collector = collector
        self._clock = clock
        self._timeout_s = timeout_s
        self._concurrency = concurrency
        # Threads of its own: when the collector has no room, the threads that serve pages must not wait with it.
        self._limiter: anyio.CapacityLimiter | None = None

    async def accept(self, chunks: AsyncIterator[bytes], encoding: str = "", length: str = "") -> Accepted:
        """Take a batch and return when it is stored.

        Args:
            chunks: The body as it arrives.
            encoding: Its `Content-Encoding`.
            length: Its `Content-Length`, empty when unknown.

        Returns:
            What was accepted and what was not.

        Raises:
            BodyTooLarge: It is over 8 MiB, or over 32 MiB unpacked.
            EncodingUnknown: It is packed otherwise than with gzip, or badly.
            StoreTooSlow: It was not stored in time.
        """
        received_at = self._clock.now()
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._concurrency)
        packed = _packing(encoding)
        body = await _read(chunks, length)
        if self._limiter.statistics().tasks_waiting >= self._concurrency:
            raise StoreTooSlow("expected room for more events, got none: events arrive faster than they can be stored")
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        decoded, stored = await anyio.to_thread.run_sync(self._submit, body, packed, received_at, limiter=self._limiter)
        answer = Accepted(0, decoded.rejected)
        if stored is None:
            answer.nothing_valid = bool(decoded.rejected) and not decoded.measurements
            return answer
        try:
            receipt = await asyncio.wait_for(
                asyncio.wrap_future(stored), max(0.05, deadline - asyncio.get_running_loop().time())
            )
        except (TimeoutError, asyncio.CancelledError, Unreachable) as error:
            if isinstance(error, asyncio.CancelledError) and not stored.cancelled():
                raise
            raise StoreTooSlow(
                f"expected the events to be stored within {self._timeout_s:g} s, got no answer from the store. "
                "Send them again"
            ) from error
        answer.accepted = int(receipt)
        for refused in receipt.rejected:
            index = decoded.positions[refused.index]
            field_name = f"events[{index}]"
            answer.rejected.append(
                Rejected(index, refused.run_id, field_name, "an event that can be merged", refused.reason)
            )
        answer.nothing_valid = bool(answer.rejected) and answer.accepted == 0 and decoded.process is None
        return answer

    def _submit(self, body: bytes, packed: bool, received_at: float) -> tuple[Decoded, Future[Receipt] | None]:
        decoded = decode(unpack(body) if packed else body, received_at)
        self._keep(decoded, received_at)
        if decoded.measurements or decoded.process is not None:
            self._measure(decoded, received_at)
        self._keep_examples(decoded, received_at)
        if decoded.process is not None:
            self.deploys.heard(decoded.process, received_at, decoded.sent_at)
        if not any((decoded.events, decoded.process, decoded.queues, decoded.gaps, decoded.gone)):
            return decoded, None
        try:
            stored = self._collector.submit(
                decoded.events,
                process=decoded.process,
                queues=decoded.queues,
                received_at=received_at,
                sent_at=decoded.sent_at,
                source="http",
                gaps=decoded.gaps,
                gone=decoded.gone,
            )
        except Unreachable as error:
            raise StoreTooSlow(error.message) from error
        return decoded, stored

    def _measure(self, decoded: Decoded, received_at: float) -> None:
        """Keep what was measured, before anything is acknowledged."""
        measured = self._collector.measured
        try:
            measured.take(decoded.measurements, received_at, decoded.sent_at)
        except SQLAlchemyError as error:
            raise StoreTooSlow(
                "expected the measurements to be stored, got no answer from the store. Send them again"
            ) from error
        if decoded.process is not None and decoded.process.closing:
            measured.closed(decoded.process.worker)

    def _keep_examples(self, decoded: Decoded, received_at: float) -> None:
        """Keep examples by our own clock. Losing some costs nothing but detail, so nobody has to send them again."""
        if not decoded.examples:
            return
        skew_s = 0.0 if decoded.sent_at is None else decoded.sent_at - received_at
        service = decoded.process.service if decoded.process is not None else ""
        for example in decoded.examples:
            example.at -= skew_s
            example.service = example.service or service
        try:
            self._collector.store.examples.add(decoded.examples)
        except SQLAlchemyError as error:
            logging.getLogger(__name__).warning("%d examples were not kept: %s", len(decoded.examples), error)

    def _keep(self, decoded: Decoded, received_at: float) -> None:
        """Keep what is told of schedules, before anything is acknowledged."""
        if not decoded.schedules:
            return
        process = decoded.process
        for report in decoded.schedules:
            # A program that is not Python names itself once, in its process report.
            if process is not None:
                report.source = report.source or process.worker
                report.service = report.service or process.service
                report.framework = report.framework or process.framework
        try:
            self._collector.store.schedules.report(decoded.schedules, received_at)
        except SQLAlchemyError as error:
            raise StoreTooSlow(
                "expected the schedules to be stored, got no answer from the store. Send them again"
            ) from error


def unpack(body: bytes, limit_bytes: int = MAX_UNPACKED_BYTES) -> bytes:
    """Unpack a gzip body, of one member or several.

    Raises:
        BodyTooLarge: It is longer than `limit_bytes` unpacked.
        EncodingUnknown: It is not gzip, or is cut off.
    """
    parts: list[bytes] = []
    room = limit_bytes
    rest = body
    while rest:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            part = member.decompress(rest, room + 1)
        except zlib.error as error:
            raise EncodingUnknown(f"expected a gzip body, got one that does not unpack ({error})") from None
        room -= len(part)
        if room < 0:
            raise BodyTooLarge(f"expected at most {limit_bytes} bytes unpacked, got more. Send smaller batches")
        if not member.eof:
            raise EncodingUnknown("expected a whole gzip body, got one that is cut off")
        parts.append(part)
        rest = member.unused_data
    return b"".join(parts)


def _packing(encoding: str) -> bool:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return False
    if name in ("gzip", "x-gzip"):
        return True
    raise EncodingUnknown(f"Content-Encoding: expected gzip or none, got {encoding[:64]!r}")


async def _read(chunks: AsyncIterator[bytes], length: str) -> bytes:
    refusal = f"expected a body of at most {MAX_BODY_BYTES} bytes, got a longer one. Send smaller batches"
    if length.isascii() and length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise BodyTooLarge(refusal)
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(refusal)
    return bytes(body)
