"""Dependencies: how what a service calls is."""

from fastapi import APIRouter

from huoyan.server.api.context import Here
from huoyan.server.api.dependencies import dependency_figures
from huoyan.server.api.figures import NOW_WINDOW_S
from huoyan.server.api.parameters import Services, WindowS
from huoyan.server.api.schemas.dependency import DependencyList

router = APIRouter(tags=["measurements"])


@router.get("/dependencies", operation_id="listDependencies", summary="List dependencies with their health")
def list_dependencies(here: Here, window_s: WindowS = None, service: Services = []) -> DependencyList:
    """List the databases, Redis, other services and mail servers that processes call: how often, how long, with how
    many errors within the window (default: 5 minutes), and how they are.

    `failing`: at least half of the calls failed, and at least two. `degraded`: more than 5 % failed; or P95 is at least
    three times that of the hour before and at least 50 ms more, with 20 calls in both; or P95 of the wait for a
    connection of a pool is 100 ms or more, with 5 waits. `idle`: not called within the window."""
    window = NOW_WINDOW_S if window_s is None else window_s
    return DependencyList(items=dependency_figures(here.source, here.clock.now(), window, tuple(service)), next=None)
