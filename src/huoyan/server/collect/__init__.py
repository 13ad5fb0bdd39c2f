"""From events to runs, rollups and what is happening now."""

from huoyan.server.collect.live import Bus, Message, Subscription
from huoyan.server.collect.pipeline import Collector, Service
from huoyan.server.collect.settings import CollectorSettings
from huoyan.server.collect.submission import Receipt, Rejection

__all__ = [
    "Bus",
    "Collector",
    "CollectorSettings",
    "Message",
    "Receipt",
    "Rejection",
    "Service",
    "Subscription",
]
