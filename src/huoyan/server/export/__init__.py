"""Show what is known in the formats of other monitoring systems."""

from huoyan.server.export.prometheus import Exposition, Reading, Sample, alert_readings

__all__ = ["Exposition", "Reading", "Sample", "alert_readings"]
