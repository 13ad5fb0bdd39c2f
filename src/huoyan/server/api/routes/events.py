"""Events: clients report what their tasks do."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from huoyan.server.api.context import Here
from huoyan.server.api.problems import problem
from huoyan.server.api.schemas.events import BatchProblem, Receipt
from huoyan.server.ingest.http import BodyTooLarge, EncodingUnknown, StoreTooSlow
from huoyan.server.ingest.wire import BATCH_EXAMPLE, batch_schema

router = APIRouter(tags=["events"])

_BODY = {
    "requestBody": {
        "required": True,
        "description": (
            "An `EventBatch`, a list of `TaskEvent` or one `TaskEvent`, at most 8 MiB; `Content-Encoding: gzip` is "
            "understood. Events that cannot be accepted do not keep the others out."
        ),
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/EventBatch"},
                        {"type": "array", "items": {"$ref": "#/components/schemas/TaskEvent"}},
                        {"$ref": "#/components/schemas/TaskEvent"},
                    ]
                },
                "example": BATCH_EXAMPLE,
            }
        },
    }
}


@router.post(
    "/events",
    operation_id="postEvents",
    summary="Report events",
    response_model=Receipt,
    openapi_extra=_BODY,
    responses={
        413: {"description": "The body is over 8 MiB, or over 32 MiB when unpacked."},
        415: {"description": "The body's content encoding is not gzip."},
        422: {"model": BatchProblem, "description": "Nothing in the batch can be accepted."},
        503: {"description": "The events cannot be stored in time; send them again after `Retry-After` seconds."},
    },
)
async def post_events(here: Here, request: Request) -> Response:
    """Store a batch of events. The answer is sent after they are stored; sending a batch twice changes nothing."""
    path = request.url.path
    try:
        receipt = await here.ingest.accept(
            request.stream(), request.headers.get("content-encoding", ""), request.headers.get("content-length", "")
        )
    except BodyTooLarge as error:
        return problem(413, "body-too-large", "Body too large", error.message, instance=path)
    except EncodingUnknown as error:
        return problem(
            415,
            "unsupported-encoding",
            "Unsupported encoding",
            error.message,
            instance=path,
            headers={"Accept-Encoding": "gzip"},
        )
    except StoreTooSlow as error:
        return problem(
            503,
            "overloaded",
            "Overloaded",
            error.message,
            instance=path,
            headers={"Retry-After": str(error.retry_after_s)},
        )
    rejected = [
        {"index": r.index, "run_id": r.run_id, "field": r.field, "expected": r.expected, "got": r.got}
        for r in receipt.rejected
    ]
    if receipt.nothing_valid:
        first = receipt.rejected[0]
        return problem(
            422,
            "invalid-events",
            "Invalid events",
            f"{first.field}: expected {first.expected}, got {first.got}",
            instance=path,
            rejected=rejected,
        )
    return JSONResponse({"accepted": receipt.accepted, "rejected": rejected})


@router.get("/events/schema", operation_id="getEventSchema", summary="Get the JSON Schema of a batch")
async def get_event_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of what `POST /events` accepts, for clients in other languages."""
    return batch_schema()
