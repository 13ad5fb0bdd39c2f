"""What the slowest requests of an endpoint, or runs of a task, do differently: from kept examples, runs and rollups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from huoyan.model.causes import LEAST_SLOW, Case, Cause, Findings, case_of, causes_of
from huoyan.model.example import SAMPLED_KEPT, Example
from huoyan.model.histogram import Histogram
from huoyan.model.run import BAD_STATES, RunState, RunView, view
from huoyan.server.collect.standouts import Seen, Standouts, of_requests, of_runs, weight
from huoyan.server.store import RunFilters, Store
from huoyan.signals.metric import Metric
from huoyan.signals.metrics.application import (
    DB_QUERY_DURATION,
    HTTP_CLIENT_REQUEST_DURATION,
    HTTP_REQUEST_DURATION,
    REDIS_COMMAND_DURATION,
)
from huoyan.signals.source import Moments

MOST_RUNS = 3000
"""Newest runs of a task that are looked at."""
MOST_ENDPOINTS = 20
MOST_SERVICES = 20
"""Services with a task of one name that are looked at, those with most runs first."""
STALE_SHARE = 0.5
"""A P99 of all calls below this share of the longest call in the slow ones is not told: examples arrive seconds before
the figures of a process do, and what it says is of the time before."""
_PAGE = 500
_SLOW_SHARES = (0.99, 0.95, 0.9)
"""The slowest 1 %; where those are too few to compare, the slowest 5 or 10 %."""
_EXACT_TO = 0.98
"""The histogram knows a duration to 2 % only."""

_MEASURED: dict[str, tuple[Metric, str, str]] = {
    "database": (DB_QUERY_DURATION, "operation", "table"),
    "redis": (REDIS_COMMAND_DURATION, "command", "target"),
    "http": (HTTP_CLIENT_REQUEST_DURATION, "", "host"),
}
"""Component → where its calls are measured apart: the metric, and its labels for operation and target."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found of one endpoint or task.

    Args:
        cutoff_s: From this duration on a request or run counts as slow, in seconds.
        evidence: The examples that the causes name, by id.
        standouts: Hosts, versions, arguments, … that more of the slow or of the failing ones have than of the others.
    """

    service: str
    endpoint: str
    task: str
    findings: Findings
    cutoff_s: float | None
    evidence: Mapping[str, Example]
    standouts: Standouts = field(default_factory=Standouts)


def of_endpoint(store: Store, source: Moments, service: str, endpoint: str, since: float, until: float) -> Answer:
    """Work out what makes an endpoint slow.

    Args:
        store: Where examples are.
        source: Where distributions are.
        service: The service.
        endpoint: Method and route template, `GET /orders/{id}`.
        since: Begin of the window, seconds since 1970 UTC.
        until: Its end.
    """
    every = store.examples.of(service, endpoint, since, until)
    kept = [one for one in every if one.kind != "failed"]
    sampled = [one for one in kept if one.kind == "sampled"]
    method, _, path = endpoint.partition(" ")
    where = {"service": (service,), "method": (method,), "endpoint": (path,)}
    seen = source.distribution(HTTP_REQUEST_DURATION.name, where, (), since, until).get(())
    cutoffs_s = _cutoffs(seen, kept)
    cutoff_s = cutoffs_s[0] if cutoffs_s else None
    slow = [] if cutoff_s is None else [one for one in kept if one.duration_s >= cutoff_s]
    cases = [
        *(_case(one, slow=True) for one in slow),
        *(_case(one, slow=False) for one in sampled if cutoff_s is None or one.duration_s < cutoff_s),
    ]
    # The figures of a process arrive seconds after its examples.
    population = max(0 if seen is None else seen.count, round(sum(weight(one, SAMPLED_KEPT) for one in sampled)))
    findings = _with_percentiles(causes_of(cases, population), source, service, since, until)
    named = {case_id for cause in findings.causes for case_id in cause.evidence}
    evidence = {str(one.id): one for one in kept if str(one.id) in named}
    return Answer(service, endpoint, "", findings, cutoff_s, evidence, of_requests(every, cutoffs_s))


def of_named(store: Store, source: Moments, service: str | None, name: str, since: float, until: float) -> list[Answer]:
    """Work out the same for an endpoint of any service, or for a route template alone, whatever the method; what loses
    most time comes first."""
    found = [
        of_endpoint(store, source, owner, endpoint, since, until)
        for owner, endpoint in store.examples.endpoints(since, until, service)
        if name in (endpoint, endpoint.rpartition(" ")[2])
    ]
    return sorted(found[:MOST_ENDPOINTS], key=lambda answer: -_excess_s(answer.findings))


def of_task(
    store: Store,
    source: Moments,
    service: str,
    task: str,
    since: float,
    until: float,
    most_runs: int = MOST_RUNS,
) -> Answer:
    """Work out what makes runs of a task slow, the time in the queue included.

    Args:
        store: Where runs are.
        source: Where distributions are.
        service: The service: a task of the same name in another one is another task.
        task: The task.
        since: Begin of the window, seconds since 1970 UTC.
        until: Its end.
        most_runs: Newest runs that are looked at, default 3000.
    """
    filters = RunFilters(task=(task,), state=(RunState.SUCCEEDED.value,), service=(service,), since=since, until=until)
    ended_well = _ended(store, filters, most_runs)
    cases = [_case_of_run(seen) for _, seen in ended_well]
    durations = sorted(case.duration_s for case in cases)
    cutoffs_s = [
        durations[int(share * len(durations))] for share in _SLOW_SHARES if (1 - share) * len(durations) >= LEAST_SLOW
    ]
    cutoff_s = cutoffs_s[0] if cutoffs_s else None
    marked = [replace(case, slow=cutoff_s is not None and case.duration_s >= cutoff_s) for case in cases]
    findings = _with_percentiles(causes_of(marked), source, service, since, until)
    named = {case_id for cause in findings.causes for case_id in cause.evidence}
    evidence = {seen.id: _example_of_run(seen) for _, seen in ended_well if seen.id in named}
    bad = store.runs.page(replace(filters, state=tuple(state.value for state in BAD_STATES)), _PAGE).items
    stand_out = of_runs(ended_well, [(run, view(run)) for run in bad], cutoffs_s)
    return Answer(service, "", task, findings, cutoff_s, evidence, stand_out)


def of_named_task(
    store: Store,
    source: Moments,
    service: str | None,
    task: str,
    since: float,
    until: float,
    most_runs: int = MOST_RUNS,
) -> list[Answer]:
    """Work out the same for a task of this name in each service that has one; what loses most time comes first."""
    services = [service] if service is not None else []
    if service is None:
        states = tuple(state.value for state in (RunState.SUCCEEDED, *BAD_STATES))
        seen = store.runs.counts(RunFilters(task=(task,), state=states, since=since, until=until))["service"]
        services = sorted(seen, key=lambda name: -seen[name])[:MOST_SERVICES]
    found = [of_task(store, source, name, task, since, until, most_runs) for name in services]
    return sorted(found, key=lambda answer: -_excess_s(answer.findings))


def of_service(store: Store, source: Moments, service: str | None, since: float, until: float) -> list[Answer]:
    """Work out the same for every endpoint of a service, or of all services; those that lose most time come first."""
    found = [
        of_endpoint(store, source, name, endpoint, since, until)
        for name, endpoint in store.examples.endpoints(since, until, service)[:MOST_ENDPOINTS]
    ]
    return sorted(found, key=lambda answer: -_excess_s(answer.findings))


def _excess_s(findings: Findings) -> float:
    return (findings.slow_mean_s or 0.0) - (findings.typical_mean_s or 0.0) if findings.causes else 0.0


def _cutoffs(seen: Histogram | None, kept: Sequence[Example]) -> list[float]:
    """Return from which durations on there are enough slow ones, the longest first."""
    found = []
    for share in _SLOW_SHARES:
        quantile = seen.quantile(share) if seen is not None else _quantile(kept, share)
        if quantile is not None:
            cutoff_s = _EXACT_TO * quantile
            if sum(one.duration_s >= cutoff_s for one in kept) >= LEAST_SLOW:
                found.append(cutoff_s)
    return found


def _quantile(kept: Sequence[Example], share: float) -> float | None:
    durations = sorted(one.duration_s for one in kept if one.kind == "sampled")
    return durations[int(share * len(durations))] if durations else None


def _case(example: Example, *, slow: bool) -> Case:
    return replace(case_of(str(example.id), example.duration_s, example.breakdown), slow=slow)


def _ended(store: Store, filters: RunFilters, most: int) -> list[Seen]:
    """Return the newest runs that meet the filters and of which is known how long they took."""
    found: list[Seen] = []
    cursor: str | None = None
    while len(found) < most:
        page = store.runs.page(filters, _PAGE, cursor)
        found += [(run, seen) for run in page.items if (seen := view(run)).duration_s is not None]
        cursor = page.next
        if cursor is None:
            break
    return found


def _case_of_run(seen: RunView) -> Case:
    return case_of(seen.id, seen.duration_s or 0.0, _breakdown(seen), _wait_s(seen))


def _example_of_run(seen: RunView) -> Example:
    breakdown, wait_s = _breakdown(seen), _wait_s(seen)
    return Example(
        endpoint=seen.task,
        at=seen.started_at or seen.first_at,
        duration_s=(seen.duration_s or 0.0) + wait_s,
        breakdown=breakdown if isinstance(breakdown, dict) else None,
        labels={"worker": seen.worker},
        service=seen.service,
        wait_s=wait_s,
    )


def _breakdown(seen: RunView) -> Any:
    return next((each.breakdown for each in reversed(seen.attempts) if each.breakdown is not None), None)


def _wait_s(seen: RunView) -> float:
    return max(0.0, seen.wait_s or 0.0)


def _with_percentiles(findings: Findings, source: Moments, service: str, since: float, until: float) -> Findings:
    measured: dict[str, Mapping[tuple[str, ...], Histogram]] = {}
    causes: list[Cause] = []
    for cause in findings.causes:
        known = _MEASURED.get(cause.component)
        if known is None:
            causes.append(cause)
            continue
        metric, operation, target = known
        labels = tuple(label for label in (operation, target) if label)
        if cause.component not in measured:
            measured[cause.component] = source.distribution(metric.name, {"service": (service,)}, labels, since, until)
        own = tuple(value for label, value in ((operation, cause.operation), (target, cause.target)) if label)
        theirs = [histogram for key, histogram in measured[cause.component].items() if key != own]
        others: Histogram | None = None
        for histogram in theirs:
            if others is None:
                others = histogram.copy()
            else:
                others.merge(histogram)
        mine = measured[cause.component].get(own)
        p99_s = None if mine is None else mine.quantile(0.99)
        if p99_s is not None and p99_s >= STALE_SHARE * cause.longest_s:
            others_p99_s = None if others is None else others.quantile(0.99)
            cause = replace(cause, p99_s=p99_s, measured=True, others_p99_s=others_p99_s)
        causes.append(cause)
    return replace(findings, causes=tuple(causes))
