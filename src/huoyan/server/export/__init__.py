"""Show what is known in the formats of other monitoring systems."""

from huoyan.server.export.prometheus import Exposition, Reading, Sample

__all__ = ["Exposition", "Reading", "Sample"]
