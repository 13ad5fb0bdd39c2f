"""Metrics of what the server says of itself."""

from huoyan.signals.metric import Endpoint, Metric, MetricKind

ALERTS_FIRING = Metric("huoyan_alerts_firing", MetricKind.GAUGE, "Alerts firing now.", ("rule", "level"))
INCIDENTS_OPEN = Metric(
    "huoyan_incidents_open",
    MetricKind.GAUGE,
    "Incidents that are not resolved.",
    ("level",),
    closed=(("level", ("critical", "warning")),),
)
EVENTS_RECEIVED = Metric("huoyan_events_received_total", MetricKind.COUNTER, "Events received and stored.")
EVENTS_LOST = Metric(
    "huoyan_events_lost_total",
    MetricKind.COUNTER,
    "Events known to be lost: dropped by clients that could not send them, or by the server that could not store them.",
)
INGEST_LAG = Metric(
    "huoyan_ingest_lag_seconds",
    MetricKind.GAUGE,
    "Time from the receipt of the newest stored event to its being stored.",
    (),
    "seconds",
)
BLIND = Metric(
    "huoyan_blind",
    MetricKind.GAUGE,
    "1 while nothing can be heard from a source of events (a broker that is watched), 0 otherwise.",
    ("source",),
)
BUILD_INFO = Metric("huoyan_build_info", MetricKind.GAUGE, "Always 1; the version is the label.", ("version",))
HEAL_ACTIONS = Metric(
    "huoyan_heal_actions_total",
    MetricKind.COUNTER,
    "Repairs that were carried out, by outcome.",
    ("action", "outcome"),
    endpoint=Endpoint.RESERVED,
)
BREAKER_STATE = Metric(
    "huoyan_breaker_state",
    MetricKind.GAUGE,
    "State of the circuit breaker of a dependency: 0 closed, 1 half open, 2 open.",
    ("dependency",),
    endpoint=Endpoint.RESERVED,
)
