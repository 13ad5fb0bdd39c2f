"""Probes and metrics, at the root and outside the API's version."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from huoyan.server.api.context import Here

router = APIRouter(tags=["operation"])


@router.get("/healthz", operation_id="getHealth", summary="Ask whether the process is alive", include_in_schema=False)
async def get_health() -> dict[str, str]:
    """Answer as long as the process does."""
    return {"status": "ok"}


@router.get("/readyz", operation_id="getReadiness", summary="Ask whether it can serve", include_in_schema=False)
def get_readiness(here: Here) -> Response:
    """Answer 200 when the store answers and the collector runs, else 503 with the reasons."""
    reasons = here.readiness()
    status = "ready" if not reasons else "not ready"
    return JSONResponse({"status": status, "reasons": reasons}, status_code=503 if reasons else 200)


@router.get("/metrics", operation_id="getMetrics", summary="Metrics for Prometheus", include_in_schema=False)
def get_metrics(here: Here, request: Request) -> Response:
    """Render every metric in a format that the scraper accepts."""
    body, media_type = here.render_metrics(request.headers.get("accept", ""))
    return Response(body, headers={"content-type": media_type, "cache-control": "no-store"})
