"""Runs: the list with its filters and counts, and one run with every attempt."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from huoyan.errors import InvalidQuery, NotFound
from huoyan.model.run import Run as ModelRun
from huoyan.model.run import RunState, view
from huoyan.model.workflow import graph_of
from huoyan.server.api.context import Context, Here
from huoyan.server.api.parameters import (
    STUCK,
    Cursor,
    Frameworks,
    Limit,
    Queues,
    Search,
    Services,
    Since,
    States,
    Tasks,
    Until,
    Workers,
    period,
)
from huoyan.server.api.schemas.run import Run, RunCounts, RunPage, run_document
from huoyan.server.api.schemas.workflow import Workflow, workflow_document
from huoyan.server.collect.liveness import IN_MEMORY
from huoyan.server.collect.registry import ALIVE
from huoyan.server.store.runs import RunFilters

router = APIRouter(tags=["runs"])

Failure = Annotated[str | None, Query(description="Fingerprint of a failure group.", max_length=200)]
ActiveOnly = Annotated[bool, Query(description="Only runs that are not finished.")]


def _filters(
    here: Here,
    state: States = [],
    task: Tasks = [],
    queue: Queues = [],
    worker: Workers = [],
    service: Services = [],
    framework: Frameworks = [],
    failure: Failure = None,
    since: Since = None,
    until: Until = None,
    q: Search = None,
    active_only: ActiveOnly = False,
) -> RunFilters:
    start, end = period(since, until, here.clock.now())
    stuck = STUCK in state
    if stuck and len(state) > 1:
        raise InvalidQuery(f"state: expected stuck alone or states of runs, got {','.join(state)}")
    return RunFilters(
        state=("started",) if stuck else tuple(s.value for s in state if isinstance(s, RunState)),
        stuck=stuck,
        task=tuple(task),
        queue=tuple(queue),
        worker=tuple(worker),
        service=tuple(service),
        framework=tuple(framework),
        failure=failure or None,
        since=start,
        until=end,
        q=(q or "").strip() or None,
        active_only=active_only,
    )


Filters = Annotated[RunFilters, Depends(_filters)]


@router.get("/runs", operation_id="listRuns", summary="List runs, newest first")
def list_runs(here: Here, filters: Filters, limit: Limit = 50, cursor: Cursor = None) -> RunPage:
    """List runs that match every filter given. The page after is asked for with `cursor`."""
    page = here.store.runs.page(filters, limit, cursor)
    return RunPage(items=_documents(here, page.items), next=page.next)


@router.get("/runs/counts", operation_id="countRuns", summary="Count runs per value of each facet")
def count_runs(here: Here, filters: Filters) -> RunCounts:
    """Count the runs behind each choice of a filter; every facet ignores its own filter, so that it can be widened."""
    counts = here.store.runs.counts(filters)
    stuck = len(here.store.truth.stuck())
    return RunCounts(stuck=stuck, total=counts.total, exact=counts.exact, **counts)


@router.get("/runs/{run_id:path}/children", operation_id="listRunChildren", summary="List the runs that a run started")
def list_run_children(here: Here, run_id: str) -> RunPage:
    """List the runs whose `parent_id` is this run, oldest first."""
    return RunPage(items=_documents(here, here.store.runs.children(run_id)), next=None)


@router.get(
    "/runs/{run_id:path}/workflow", operation_id="getRunWorkflow", summary="Get the workflow that a run belongs to"
)
def get_run_workflow(here: Here, run_id: str) -> Workflow:
    """Return the runs that belong together with this one as a graph, large groups as one node each."""
    members, complete = here.store.workflows.members(run_id)
    if not members:
        raise _unknown(run_id)
    return workflow_document(members, graph_of(members), complete)


@router.get("/runs/{run_id:path}", operation_id="getRun", summary="Get one run")
def get_run(here: Here, run_id: str) -> Run:
    """Return one run with every attempt at it."""
    run = here.store.runs.get(run_id)
    if run is None:
        raise _unknown(run_id)
    truth = here.store.truth
    return run_document(run, truth.stuck([run_id]).get(run_id), truth.history(run_id), _redelivery(here, run))


def _redelivery(here: Context, run: ModelRun) -> Literal["expected", "none", "unknown"] | None:
    seen = view(run)
    if seen.state not in (RunState.QUEUED, RunState.SCHEDULED, RunState.LOST) or not seen.worker:
        return None
    worker = here.store.workers.get(seen.worker)
    if worker is not None and worker.state in ALIVE:
        return None
    if seen.framework in IN_MEMORY:
        return "none"
    held = here.ledger.holds(seen.framework, run.id)
    return "unknown" if held is None else "expected" if held else "none"


def _documents(here: Context, runs: list[ModelRun]) -> list[Run]:
    stuck = here.store.truth.stuck([run.id for run in runs if run.executions])
    return [run_document(run, stuck.get(run.id)) for run in runs]


def _unknown(run_id: str) -> NotFound:
    return NotFound(f"expected the id of a stored run, got {run_id[:200]!r}")
