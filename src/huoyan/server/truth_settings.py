"""`[truth]`: when a worker is down or wedged, a run stuck or lost, and how long gone workers are shown."""

from pydantic import BaseModel, ConfigDict, Field


class TruthSettings(BaseModel):
    """When silence means something."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    missed_reports: int = Field(default=3, ge=2, le=100)
    """So many reports overdue, and a worker is down: Celery workers report every 2 seconds, RQ's are looked at every 3,
    clients report every 10."""
    closed_kept_s: float = Field(default=3600.0, ge=0, le=31_536_000)
    """How long a worker that ended in order, or was replaced, stays in the list, in seconds. Its series end at once."""
    down_kept_s: float = Field(default=86_400.0, ge=0, le=31_536_000)
    """How long a worker that fell silent and was not replaced stays in the list and in the series, in seconds."""
    wedged_after_s: float = Field(default=60.0, ge=5, le=86_400)
    """A worker that reports but started nothing of what waits for so long is wedged, in seconds."""
    missed_heartbeats: int = Field(default=3, ge=1, le=100)
    """So many promised signs of life overdue, and a run is stuck."""
    heartbeats: dict[str, float] = Field(default_factory=dict)
    """Task → how often its runs promise a sign of life, in seconds, for tasks that do not say so in their code:
    `{ "orders.import" = 30 }`."""
    ledger_every_s: float = Field(default=15.0, ge=1, le=3600)
    """How often brokers and workers are asked what they hold, in seconds."""
    ledger_settle_s: float = Field(default=30.0, ge=1, le=86_400)
    """How long a run must have been waiting before anybody asks where it is, in seconds."""
