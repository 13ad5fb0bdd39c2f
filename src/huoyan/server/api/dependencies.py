"""How the databases, Redis, other services and mail servers of each service are, from what their callers measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from huoyan.model.histogram import Histogram
from huoyan.server.api.schemas.dependency import (
    Dependency,
    DependencyPart,
    DependencyPool,
    DependencyReason,
    Health,
    Kind,
)
from huoyan.signals.metric import Metric
from huoyan.signals.metrics.application import (
    DB_POOL_IN_USE,
    DB_POOL_SIZE,
    DB_POOL_WAIT,
    DB_QUERY_DURATION,
    DB_QUERY_ERRORS,
    DEPENDENCY_LAST_SUCCESS,
    HTTP_CLIENT_REQUEST_DURATION,
    REDIS_COMMAND_DURATION,
    REDIS_COMMAND_ERRORS,
    SMTP_SEND_DURATION,
    SMTP_SEND_ERRORS,
)
from huoyan.signals.source import Key, Moments

FAILING_RATIO = 0.5
FAILING_FEWEST = 2
"""One failure of one call is no outage."""
DEGRADED_RATIO = 0.05
SLOWER_TIMES = 3.0
SLOWER_S = 0.05
"""What is slower by less than this is noticed by nobody, however often it is multiplied."""
SLOWER_FEWEST = 20
POOL_WAIT_S = 0.1
POOL_WAIT_FEWEST = 5
BEFORE_S = 3600.0

_RANK: dict[Health, int] = {"failing": 0, "degraded": 1, "good": 2, "idle": 3}


@dataclass(frozen=True, slots=True)
class _Measured:
    """How a kind of dependency is measured.

    Args:
        target: Label that tells dependencies of one kind and service apart.
        parts: Labels that tell calls of one dependency apart.
        errors: Counts failures, with the same labels; None where the status says what failed.
    """

    duration: Metric
    errors: Metric | None
    target: str
    parts: tuple[str, ...] = ()


_KINDS: dict[Kind, _Measured] = {
    "database": _Measured(DB_QUERY_DURATION, DB_QUERY_ERRORS, "target", ("operation", "table")),
    "redis": _Measured(REDIS_COMMAND_DURATION, REDIS_COMMAND_ERRORS, "target", ("command",)),
    "http": _Measured(HTTP_CLIENT_REQUEST_DURATION, None, "host", ("method", "http_status")),
    "smtp": _Measured(SMTP_SEND_DURATION, SMTP_SEND_ERRORS, "host"),
}


@dataclass(slots=True)
class _Found:
    """What was found of one dependency."""

    parts: dict[Key, Histogram] = field(default_factory=dict)
    errors: dict[Key, int] = field(default_factory=dict)
    before: Histogram | None = None
    last_success_at: float | None = None


@dataclass(slots=True)
class _Pool:
    in_use: float | None = None
    most: float | None = None
    wait: Histogram | None = None


def judge(
    calls: int, errors: int, now: Histogram, before: Histogram | None, wait: Histogram | None
) -> tuple[Health, DependencyReason | None]:
    """Say how a dependency is, and why.

    - `failing`: at least half of the calls failed, and at least two.
    - `degraded`: more than 5 % failed; or P95 is at least three times that of the hour before and at least 50 ms more,
      with 20 calls in both; or P95 of the wait for a connection of a pool is 100 ms or more, with 5 waits.
    - `idle`: no call within the window.
    - `good`: anything else.

    Args:
        calls: Calls within the window.
        errors: How many of them failed.
        now: How long they took.
        before: How long those of the hour before took; None without any.
        wait: How long connections of its pool were waited for; None without a pool.
    """
    if not calls:
        return "idle", None
    ratio = errors / calls
    if ratio >= FAILING_RATIO and errors >= FAILING_FEWEST:
        return "failing", DependencyReason(kind="errors", value=ratio, limit=FAILING_RATIO)
    if ratio > DEGRADED_RATIO:
        return "degraded", DependencyReason(kind="errors", value=ratio, limit=DEGRADED_RATIO)
    if before is not None and before.count >= SLOWER_FEWEST and now.count >= SLOWER_FEWEST:
        p95, usual = now.quantile(0.95) or 0.0, before.quantile(0.95) or 0.0
        limit = max(SLOWER_TIMES * usual, usual + SLOWER_S)
        if p95 >= limit:
            return "degraded", DependencyReason(kind="slower", value=p95, limit=limit)
    if wait is not None and wait.count >= POOL_WAIT_FEWEST:
        waited = wait.quantile(0.95) or 0.0
        if waited >= POOL_WAIT_S:
            return "degraded", DependencyReason(kind="pool_wait", value=waited, limit=POOL_WAIT_S)
    return "good", None


def dependency_figures(source: Moments, now: float, window_s: float, services: tuple[str, ...]) -> list[Dependency]:
    """Return every dependency that was called within the window or the hour before it, or that is known to answer.

    Args:
        source: What the signals read.
        now: End of the window, seconds since 1970 UTC.
        window_s: Its length in seconds.
        services: Only these services; empty: all.
    """
    where = {"service": services} if services else {}
    pools = _pools(source, where, now, window_s)
    answered = source.gauge(DEPENDENCY_LAST_SUCCESS.name, where, ("service", "component", "target"), now, "max")
    made: list[Dependency] = []
    for kind, measured in _KINDS.items():
        found = _read(source, measured, where, now, window_s)
        for (service, component, target), at in answered.items():
            if component == kind:
                found.setdefault((service, target), _Found()).last_success_at = at or None
        made += [
            _document(kind, measured, key, each, pools.get(key) if kind == "database" else None, window_s)
            for key, each in found.items()
        ]
    made.sort(key=lambda one: (_RANK[one.health], -one.calls, one.service, one.kind, one.target))
    return made


def _read(
    source: Moments, measured: _Measured, where: Mapping[str, tuple[str, ...]], now: float, window_s: float
) -> dict[Key, _Found]:
    own = ("service", measured.target)
    since = now - window_s
    found: dict[Key, _Found] = {}
    by = (*own, *measured.parts)
    for key, histogram in source.distribution(measured.duration.name, where, by, since, now).items():
        each = found.setdefault(key[: len(own)], _Found())
        part = key[len(own) :]
        each.parts[part] = histogram
        if measured.errors is None and _no_answer(part[-1]):
            each.errors[part] = histogram.count
    if measured.errors is not None:
        for key, count in source.increase(measured.errors.name, where, by, since, now).items():
            found.setdefault(key[: len(own)], _Found()).errors[key[len(own) :]] = round(count)
    earlier = source.distribution(measured.duration.name, where, own, since - BEFORE_S, since)
    for key, histogram in earlier.items():
        found.setdefault(key, _Found()).before = histogram
    return found


def _no_answer(http_status: str) -> bool:
    """Tell whether a request failed by its status: there was no answer, or one of 500 and above."""
    return http_status == "error" or (http_status.isdecimal() and int(http_status) >= 500)


def _pools(source: Moments, where: Mapping[str, tuple[str, ...]], now: float, window_s: float) -> dict[Key, _Pool]:
    """Return the pools by service and what they are named after, the target of their statements."""
    pools: dict[Key, _Pool] = {}
    by = ("service", "pool")

    def of(key: Key) -> _Pool:
        return pools.setdefault(key, _Pool())

    for key, value in source.gauge(DB_POOL_IN_USE.name, where, by, now, "sum").items():
        of(key).in_use = value
    for key, value in source.gauge(DB_POOL_SIZE.name, where, by, now, "sum").items():
        of(key).most = value
    for key, histogram in source.distribution(DB_POOL_WAIT.name, where, by, now - window_s, now).items():
        of(key).wait = histogram
    return pools


def _document(
    kind: Kind, measured: _Measured, key: Key, found: _Found, pool: _Pool | None, window_s: float
) -> Dependency:
    whole = Histogram()
    for histogram in found.parts.values():
        whole.merge(histogram)
    # An error that was counted without a duration is a call all the same.
    errors = sum(found.errors.values())
    calls = max(whole.count, errors)
    health, reason = judge(calls, errors, whole, found.before, None if pool is None else pool.wait)
    parts = [
        _part(dict(zip(measured.parts, part, strict=True)), histogram, found.errors.get(part, 0), whole.sum, window_s)
        for part, histogram in found.parts.items()
    ]
    return Dependency(
        service=key[0],
        kind=kind,
        target=key[1],
        health=health,
        reason=reason,
        calls=calls,
        calls_per_s=calls / window_s,
        errors=errors,
        error_ratio=errors / calls if calls else None,
        p50_s=whole.quantile(0.5),
        p95_s=whole.quantile(0.95),
        p99_s=whole.quantile(0.99),
        p95_before_s=None if found.before is None else found.before.quantile(0.95),
        last_success_at=found.last_success_at,
        pool=None
        if pool is None
        else DependencyPool(
            in_use=None if pool.in_use is None else round(pool.in_use),
            most=None if pool.most is None else round(pool.most),
            wait_p95_s=None if pool.wait is None else pool.wait.quantile(0.95),
        ),
        parts=sorted(parts, key=lambda part: (-part.share, -part.calls, *part.labels.values())),
    )


def _part(labels: dict[str, str], histogram: Histogram, errors: int, whole_s: float, window_s: float) -> DependencyPart:
    count = histogram.count
    return DependencyPart(
        labels=labels,
        calls=count,
        calls_per_s=count / window_s,
        errors=errors,
        error_ratio=min(1.0, errors / count) if count else None,
        p50_s=histogram.quantile(0.5),
        p95_s=histogram.quantile(0.95),
        p99_s=histogram.quantile(0.99),
        share=histogram.sum / whole_s if whole_s > 0 else 0.0,
    )
