"""How much the collector takes, and how long it keeps it."""

from dataclasses import dataclass


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
        retention_s: How long runs, rollups and gaps are kept, in seconds.
    """

    max_pending_events: int = 200_000
    max_batch_events: int = 20_000
    linger_s: float = 0.05
    submit_timeout_s: float = 10.0
    live_runs: int = 50_000
    series_budget: int = 10_000
    retention_s: float = 14 * 86_400.0
