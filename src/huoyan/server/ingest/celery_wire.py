"""Celery's events as brokers carry them: Kombu's envelope on Redis, the bare body on RabbitMQ.

Only JSON is read. A worker may be configured to send pickle or YAML; such a message is refused unread, because
unpickling runs whatever its sender wants. Formats: Kombu's virtual transports (envelope with a base64 body) and
Celery's message protocol for events, https://docs.celeryq.dev/en/stable/userguide/monitoring.html#event-reference.
"""

from binascii import a2b_base64
from typing import Any

import msgspec

from huoyan.errors import InvalidEvent

JSON = "application/json"


class CeleryEvent(msgspec.Struct, gc=False):
    """One event of a worker or producer; fields it does not have keep their defaults.

    `timestamp` and `runtime` are seconds. Fields that applications fill with objects of their own are `Any`.
    """

    type: str = ""
    timestamp: float = 0.0
    hostname: str = ""
    pid: int | None = None
    uuid: str = ""
    name: str | None = None
    args: Any = None
    kwargs: Any = None
    retries: int | None = None
    root_id: str | None = None
    parent_id: str | None = None
    eta: str | float | None = None
    expires: str | float | None = None
    queue: str | None = None
    routing_key: str | None = None
    result: Any = None
    runtime: float | None = None
    exception: Any = None
    traceback: Any = None
    terminated: bool | None = None
    signum: Any = None
    expired: bool | None = None
    requeue: bool | None = None
    freq: float | None = None
    active: int | None = None
    processed: int | None = None
    sw_ver: str | None = None


class _Properties(msgspec.Struct, gc=False):
    body_encoding: str | None = None


class _Envelope(msgspec.Struct, gc=False, rename={"content_type": "content-type"}):
    body: str
    content_type: str | None = None
    properties: _Properties | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_events = msgspec.json.Decoder(list[CeleryEvent] | CeleryEvent)
_anything = msgspec.json.Decoder()


def decode_envelope(data: bytes) -> tuple[list[CeleryEvent], int]:
    """Read a message as Kombu publishes it on Redis.

    Returns:
        Its events, and how many of its task and worker events were malformed.

    Raises:
        InvalidEvent: It is no envelope, or its content is not JSON.
    """
    try:
        envelope = _envelope.decode(data)
    except msgspec.DecodeError as error:
        raise InvalidEvent("message", "an envelope of Kombu", f"{error}: {data[:80]!r}") from None
    body: str | bytes = envelope.body
    properties = envelope.properties
    if properties is not None and properties.body_encoding == "base64":
        try:
            body = a2b_base64(body)
        except ValueError as error:
            raise InvalidEvent("body", "base64", f"{error}: {body[:80]!r}") from None
    return decode_body(body, envelope.content_type)


def decode_body(body: bytes | str, content_type: str | None) -> tuple[list[CeleryEvent], int]:
    """Read the body of an event message: one event, or the list that a busy worker sends at once.

    Returns:
        Its events, and how many of its task and worker events were malformed.

    Raises:
        InvalidEvent: The content is not JSON.
    """
    if content_type != JSON:
        raise InvalidEvent("content-type", JSON, content_type)
    try:
        found = _events.decode(body)
    except msgspec.ValidationError:
        return _salvage(body)
    except msgspec.DecodeError as error:
        raise InvalidEvent("body", "JSON", f"{error}: {body[:80]!r}") from None
    return (found, 0) if type(found) is list else ([found], 0)


def _salvage(body: bytes | str) -> tuple[list[CeleryEvent], int]:
    """Read one by one the events of a body in which at least one has a field of another type than Celery sends."""
    content = _anything.decode(body)
    events: list[CeleryEvent] = []
    malformed = 0
    for item in content if isinstance(content, list) else [content]:
        try:
            events.append(msgspec.convert(item, CeleryEvent))
        except msgspec.ValidationError:
            # Applications send events of their own with fields of their own; those are nobody's fault.
            kind = item.get("type") if isinstance(item, dict) else None
            malformed += not isinstance(kind, str) or kind.startswith(("task-", "worker-"))
    return events, malformed
