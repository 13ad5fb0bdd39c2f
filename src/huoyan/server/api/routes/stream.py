"""The live stream: what changed, as server-sent events."""

from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter
from sse_starlette import EventSourceResponse, JSONServerSentEvent, ServerSentEvent
from starlette.responses import Response

from huoyan import __version__
from huoyan.server.api.context import Context, Here
from huoyan.server.api.problems import problem
from huoyan.server.api.schemas.base import rfc3339
from huoyan.server.collect import Message

router = APIRouter(tags=["stream"])

HEARTBEAT_S = 10
SEND_TIMEOUT_S = 20.0
"""A browser that takes nothing for this long is cut off; it comes back by itself."""

_WRITTEN_MESSAGES = 64

_EXAMPLE = 'event: hello\nid: 0\ndata: {"version":"0.1.0","now":"2026-11-20T21:15:03.123456Z"}\n\n'


@router.get(
    "/stream",
    operation_id="openStream",
    summary="Follow what changes",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": (
                "Server-sent events with JSON in `data`: first `hello` {version, now}; then `runs` {items: the newest "
                "runs that changed, with the fields of a run that lists need}, `alerts` {items}, `failures` "
                "{fingerprints}, `counts`, `incidents`, `workers` and `queues` as things change; `resync` when the "
                "reader was too slow and has to fetch again. A comment comes every 10 seconds."
            ),
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        503: {"description": "Too many streams are open."},
    },
)
async def open_stream(here: Here) -> Response:
    """Send what changes until the reader leaves or the server stops."""
    if here.streams >= here.stream_limit:
        return problem(
            503,
            "too-many-streams",
            "Too many streams",
            f"expected at most {here.stream_limit} open streams, got one more. Close a page or try again",
            headers={"Retry-After": "5"},
        )
    # Counted here and not in the generator, which starts later: a burst of requests must not slip through.
    here.streams += 1
    return EventSourceResponse(
        messages(here),
        ping=HEARTBEAT_S,
        ping_message_factory=lambda: ServerSentEvent(comment="alive", sep="\n"),
        sep="\n",
        send_timeout=SEND_TIMEOUT_S,
    )


async def messages(here: Context) -> AsyncGenerator[bytes]:
    """Yield `hello` and then what the bus says, until the reader leaves or the bus closes; then one stream is less."""
    try:
        with here.bus.subscribe() as subscription:
            yield _encoded("hello", 0, {"version": __version__, "now": rfc3339(here.clock.now())})
            async for message in subscription:
                yield _shared(here, message)
    finally:
        here.streams -= 1


def _shared(here: Context, message: Message) -> bytes:
    """Return a message as it is sent, written once for all the streams it goes to."""
    key = (message.id, message.topic)
    written = here.written.get(key)
    if written is None:
        written = here.written[key] = _encoded(message.topic, message.id, timestamped(message.data))
        if len(here.written) > _WRITTEN_MESSAGES:
            here.written.pop(next(iter(here.written)))
    return written


def _encoded(topic: str, number: int, data: Any) -> bytes:
    return JSONServerSentEvent(data, event=topic, id=str(number), sep="\n").encode()


def timestamped(data: Any) -> Any:
    """Return the data with its times, the numbers under `…_at` and `eta`, as RFC 3339 like everywhere in the API."""
    if isinstance(data, dict):
        return {
            key: rfc3339(value)
            if isinstance(value, float) and (key.endswith("_at") or key == "eta")
            else timestamped(value)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [timestamped(item) for item in data]
    return data
