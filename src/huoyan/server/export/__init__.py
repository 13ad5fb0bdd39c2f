"""Show what is known in the formats of other monitoring systems."""

from huoyan.server.export.families import Reading, Sample
from huoyan.server.export.prometheus import Exposition

__all__ = ["Exposition", "Reading", "Sample"]
