"""What processes measure: label budgets, resources over time, funnels."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from fastapi import APIRouter, Query

from huoyan.errors import InvalidQuery
from huoyan.model.labels import looks_like_identifier
from huoyan.server.api.context import Here
from huoyan.server.api.parameters import Services, Since, Until, WindowS, period
from huoyan.server.api.schemas.measured import (
    Funnel,
    FunnelList,
    FunnelStep,
    HostNode,
    HostResources,
    HostSource,
    HostSources,
    LabelBudget,
    LabelBudgetList,
    NodeExporters,
    ProcessResources,
    Resources,
)
from huoyan.server.collect.nodes import Nodes
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.evaluate import evaluate_range
from huoyan.signals.metric import MetricKind
from huoyan.signals.metrics.application import FUNNEL_ENTERED, FUNNEL_REACHED

router = APIRouter(tags=["measurements"])

_PROCESS = {
    "cpu": "process_cpu",
    "memory_bytes": "process_memory",
    "open_files": "process_open_files",
    "threads": "process_threads",
    "event_loop_lag_s": "event_loop_lag_p99",
    "gc_pause_s": "gc_pause_p99",
}
_HOST = {"cpu": "host_cpu", "memory": "host_memory", "disk": "host_disk"}
_MOST_POINTS = 500
_FUNNEL_WINDOW_S = 3600.0


@router.get("/cardinality", operation_id="listCardinality", summary="List measured metrics and their label budgets")
def list_cardinality(here: Here, service: Services = []) -> LabelBudgetList:
    """List every metric that processes measure, those first whose labels go over the budget or hold ids."""
    counts = here.store.measured.series_counts()
    now = here.clock.now()
    items = []
    for known in here.store.measured.metrics():
        if service and known.service not in service:
            continue
        samples = [dict(zip(known.labels, values, strict=False)) for values in known.samples]
        series = counts.get((known.name, known.service), 0)
        if known.kind == MetricKind.GAUGE:
            # Gauges are not stored as series: there are those that are known now.
            where = {"service": (known.service,)}
            series = len(here.source.gauge(known.name, where, known.labels, now, "max"))
        items.append(
            LabelBudget(
                metric=known.name,
                service=known.service,
                kind=known.kind,
                labels=list(known.labels),
                series=series,
                folded=known.folded,
                samples=samples,
                advice=_advice(samples),
                last_at=known.last_at,
            )
        )
    return LabelBudgetList(items=sorted(items, key=lambda one: (-one.folded, -one.series, one.metric)), next=None)


def _advice(samples: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return label and kind of the ids that samples hold."""
    advice: dict[str, str] = {}
    for sample in samples:
        found = {label: kind for label, value in sample.items() if (kind := looks_like_identifier(value)) is not None}
        # A small number is one where nothing else in the sample is: ids that count from 1 go over the budget, too.
        advice |= found or {label: "a number" for label, value in sample.items() if value.isdecimal()}
    return advice


@router.get("/resources", operation_id="getResources", summary="Get what processes and hosts use over a period")
def get_resources(
    here: Here,
    since: Since = None,
    until: Until = None,
    step_s: Annotated[float | None, Query(gt=0, le=86400.0, description="Distance of the points, in seconds.")] = None,
    service: Services = [],
) -> Resources:
    """Return what every process uses (CPU, memory, files, threads, pauses), and how every host is loaded.

    A host is described by its node exporter where a Prometheus that is asked has one, else by the processes on it.
    """
    now = here.clock.now()
    start, end = period(since, until, now)
    end = now if end is None else end
    start = end - 3600.0 if start is None else start
    step = step_s if step_s is not None else max(10.0, (end - start) / 60)
    if start >= end or (end - start) / step > _MOST_POINTS:
        raise InvalidQuery(f"step_s: expected 1 to {_MOST_POINTS} points, got {(end - start) / step:.0f}")
    where = {"service": tuple(service)} if service else {}
    times: list[float] = []

    def read(signals: dict[str, str], by: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, list[float | None]]]:
        rows: dict[tuple[str, ...], dict[str, list[float | None]]] = {}
        for name, signal_id in signals.items():
            found = evaluate_range(
                CATALOGUE[signal_id], here.source, start, end, step_s=step, where=where, by=by, min_samples=0
            )
            for series in found:
                times[:] = [at for at, _ in series.points]
                key = tuple(series.labels.values())
                values = [value for _, value in series.points]
                if signals is _PROCESS and name == "cpu":
                    # A process that tells of itself has used some: exactly nothing means that nothing was heard.
                    values = [value or None for value in values]
                rows.setdefault(key, {})[name] = values
        return rows

    processes = read(_PROCESS, ("service", "worker"))
    hosts = read(_HOST, ("host",))
    empty: list[float | None] = [None] * len(times)
    return Resources(
        times=times,
        step_s=step,
        processes=[
            ProcessResources(service=key[0], worker=key[1], **{name: row.get(name, empty) for name in _PROCESS})
            for key, row in sorted(processes.items())
        ],
        hosts=[
            _host(here.nodes, key[0], {name: row.get(name, empty) for name in _HOST})
            for key, row in sorted(hosts.items())
        ],
        node_exporters=_node_exporters(here.nodes),
    )


def _host(nodes: Nodes | None, host: str, shares: dict[str, list[float | None]]) -> HostResources:
    node = None if nodes is None else nodes.of(host)

    def source(name: str) -> HostSource | None:
        if node is not None and getattr(node, name) is not None:
            return "node-exporter"
        values = shares[name]
        return "psutil" if values and values[-1] is not None else None

    return HostResources(
        host=host,
        **shares,
        sources=HostSources(cpu=source("cpu"), memory=source("memory"), disk=source("disk")),
        node=None
        if node is None
        else HostNode(
            instance=node.instance,
            sampled_at=node.sampled_at,
            disk_mount=node.disk_mount,
            load1=node.load1,
            processors=node.processors,
            received_bytes_per_s=node.received_bytes_per_s,
            sent_bytes_per_s=node.sent_bytes_per_s,
        ),
    )


def _node_exporters(nodes: Nodes | None) -> NodeExporters | None:
    if nodes is None:
        return None
    status = nodes.status
    return NodeExporters(
        url=status.url, state=status.state, problem=status.problem, known=status.nodes, read_at=status.read_at
    )


@router.get("/funnels", operation_id="listFunnels", summary="List funnels with conversion and drop-off by step")
def list_funnels(here: Here, window_s: WindowS = None, service: Services = []) -> FunnelList:
    """List every funnel: how many keys reached each step within the window (default: the last hour)."""
    now = here.clock.now()
    since = now - (_FUNNEL_WINDOW_S if window_s is None else window_s)
    where = {"service": tuple(service)} if service else {}
    by = ("service", "funnel", "position", "step")
    found: dict[tuple[str, str], dict[tuple[int, str], float]] = {}
    # Who enters is counted at every step, so that one which nobody reached is known too.
    for metric in (FUNNEL_ENTERED, FUNNEL_REACHED):
        for key, count in here.source.increase(metric.name, where, by, since, now).items():
            owner, funnel, position, step = key
            if position.isdecimal():
                reached = found.setdefault((owner, funnel), {})
                reached[int(position), step] = count if metric is FUNNEL_REACHED else 0.0
    return FunnelList(
        items=[
            Funnel(
                service=owner,
                funnel=funnel,
                steps=_steps(sorted((*place, count) for place, count in steps.items())),
            )
            for (owner, funnel), steps in sorted(found.items())
        ],
        next=None,
    )


def _steps(steps: list[tuple[int, str, float]]) -> list[FunnelStep]:
    entered = next((count for position, _, count in steps if position == 1), 0.0)
    made = []
    before: float | None = None
    for position, step, count in steps:
        made.append(
            FunnelStep(
                step=step,
                position=position,
                reached=round(count),
                conversion=count / entered if entered else None,
                from_previous=count / before if before else None,
                dropped=0 if before is None else max(0, round(before - count)),
            )
        )
        before = count
    return made
