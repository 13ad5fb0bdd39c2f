"""The first screen at a glance."""

from fastapi import APIRouter

from huoyan.server.api.context import Here
from huoyan.server.api.schemas.overview import Overview
from huoyan.server.api.verdict import overview_document

router = APIRouter(tags=["overview"])


@router.get("/overview", operation_id="getOverview", summary="Get the verdict and the total figures")
def get_overview(here: Here) -> Overview:
    """Return whether all is well, what is open, and the figures over everything."""
    return overview_document(here)
