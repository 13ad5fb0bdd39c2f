"""Deploys: the list, marks, and what became of the figures with one."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from huoyan.errors import InvalidQuery, NotFound
from huoyan.server.api.context import Here
from huoyan.server.api.parameters import OneService, OneTask, Since, Until, period
from huoyan.server.api.schemas.deploy import (
    Deploy,
    DeployEffect,
    DeployList,
    DeployMark,
    deploy_document,
    effect_document,
)
from huoyan.server.collect.deploys import sides

router = APIRouter(tags=["deploys"])

Number = Annotated[int, Path(ge=1, le=2**53, description="The deploy's number.")]
Endpoint = Annotated[
    str | None, Query(description="Method and route template, e.g. `GET /orders/{id}`.", max_length=600)
]
Around = Annotated[float, Query(gt=0, le=7 * 86400.0, description="How far before and after it, in seconds.")]


@router.get("/deploys", operation_id="listDeploys", summary="List deploys, newest first")
def list_deploys(here: Here, service: OneService = None, since: Since = None, until: Until = None) -> DeployList:
    """List when services began to run which version; of one service, those of all services too."""
    start, end = period(since, until, here.clock.now())
    return DeployList(items=[deploy_document(one) for one in here.store.deploys.list(service, start, end)], next=None)


@router.post("/deploys", operation_id="markDeploy", summary="Mark a deploy")
def mark_deploy(here: Here, mark: DeployMark) -> Deploy:
    """Mark that a service runs another version, for services that do not say so themselves (`HUOYAN_VERSION`)."""
    return deploy_document(here.ingest.deploys.mark(mark.service, mark.version, mark.at, mark.note, mark.by))


@router.get("/deploys/{deploy_id}/effect", operation_id="getDeployEffect", summary="Compare before and after a deploy")
def get_effect(
    here: Here,
    deploy_id: Number,
    service: OneService = None,
    endpoint: Endpoint = None,
    task: OneTask = None,
    window_s: Around = 900.0,
) -> DeployEffect:
    """Compare an endpoint, a task, or all requests of the service before and after, over 15 minutes each unless said
    otherwise; the time of another deploy is left out."""
    if endpoint is not None and task is not None:
        raise InvalidQuery("endpoint, task: expected one of both, got both. Ask twice")
    deploy = here.store.deploys.get(deploy_id)
    if deploy is None:
        raise NotFound(f"expected the number of a deploy, got {deploy_id}. GET /api/v1/deploys lists them")
    name = service if service is not None else deploy.service
    where = {"service": (name,)} if name else {}
    if endpoint is not None:
        method, _, path = endpoint.rpartition(" ")
        where |= {"endpoint": (path,)} | ({"method": (method,)} if method else {})
    if task is not None:
        where["task"] = (task,)
    found = sides(here.store.deploys, here.source, deploy, here.clock.now(), window_s, where, of_task=task is not None)
    return effect_document(deploy, found)
