"""Requests that were kept as examples."""

from typing import Annotated

from fastapi import APIRouter, Path

from huoyan.errors import NotFound
from huoyan.server.api.context import Here
from huoyan.server.api.schemas.request import KeptRequest, request_document

router = APIRouter(tags=["causes"])

Number = Annotated[int, Path(ge=1, le=2**53, description="Its number, from `evidence` of a cause.")]


@router.get("/requests/{number}", operation_id="getRequest", summary="Get one kept request with its breakdown")
def get_request(here: Here, number: Number) -> KeptRequest:
    """Get a request that was kept as an example. Examples are thinned out with age, and gone after three days."""
    kept = here.store.examples.get(number)
    if kept is None:
        raise NotFound(f"expected the number of a kept request, got {number}. Examples are kept for three days")
    return request_document(kept)
