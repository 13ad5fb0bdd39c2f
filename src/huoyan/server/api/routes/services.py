"""Services that answer HTTP, and their endpoints."""

from fastapi import APIRouter

from huoyan.server.api.context import Here
from huoyan.server.api.http_figures import endpoint_figures, service_figures
from huoyan.server.api.parameters import Services, WindowS
from huoyan.server.api.schemas.endpoint import EndpointList, ServiceList

router = APIRouter(tags=["services"])

_WINDOW_S = 3600.0


@router.get("/services", operation_id="listServices", summary="List services with their HTTP figures")
def list_services(here: Here, window_s: WindowS = _WINDOW_S, service: Services = []) -> ServiceList:
    """List every service that answered an HTTP request in the window: rate, shares of errors, percentiles."""
    window = _WINDOW_S if window_s is None else window_s
    items = service_figures(here.source, here.clock.now(), window, tuple(service))
    return ServiceList(items=items, next=None, window_s=window)


@router.get("/endpoints", operation_id="listEndpoints", summary="List endpoints with their figures")
def list_endpoints(here: Here, window_s: WindowS = _WINDOW_S, service: Services = []) -> EndpointList:
    """List every method and route template that was answered in the window, those that took most time first."""
    window = _WINDOW_S if window_s is None else window_s
    items = endpoint_figures(here.source, here.clock.now(), window, tuple(service))
    return EndpointList(items=items, next=None, window_s=window)
