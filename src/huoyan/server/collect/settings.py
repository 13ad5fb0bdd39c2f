"""How much the collector takes, and how long it keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """Bounds of the collector.

    Attributes:
        max_pending_events: Events that may wait to be stored; beyond it `submit` blocks and `offer` refuses.
        max_batch_events: Events that are stored in one transaction at most, but for a single larger submission.
        linger_s: How long after a transaction the next one waits for company, in seconds, while little is waiting.
        submit_timeout_s: How long `submit` blocks before it gives up, in seconds.
        live_runs: Runs that have not ended kept in memory to spare reading them again.
        series_budget: Series (service, task, queue) counted apart; what is beyond is counted as `other`.
        measured_series: Series kept of each metric that a service measures; more are folded into `other`.
        retention_s: How long runs, rollups and gaps are kept, in seconds.
        missed_reports: So many reports overdue, and a worker is down.
        closed_kept_s: How long a worker that said goodbye stays in the lists, in seconds: pods come and go all day.
        down_kept_s: How long one that fell silent does when nothing took its place, in seconds.
        wedged_after_s: A worker that reports but started nothing of what waits for so long is wedged, in seconds.
        missed_heartbeats: So many signs of life overdue, and a run is stuck.
        heartbeats: Task → how often its runs promise a sign of life, in seconds, where they do not say so themselves.
    """

    max_pending_events: int = 200_000
    max_batch_events: int = 20_000
    linger_s: float = 0.05
    submit_timeout_s: float = 10.0
    live_runs: int = 50_000
    series_budget: int = 10_000
    measured_series: int = 2_000
    retention_s: float = 14 * 86_400.0
    missed_reports: int = 3
    closed_kept_s: float = 3600.0
    down_kept_s: float = 86_400.0
    wedged_after_s: float = 60.0
    missed_heartbeats: int = 3
    heartbeats: Mapping[str, float] = field(default_factory=dict)
