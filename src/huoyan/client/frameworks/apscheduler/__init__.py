"""APScheduler 3: each execution of a job is a run, due at its scheduled time, and each job a schedule."""

from huoyan.client.frameworks.apscheduler.executing import integration

__all__ = ["integration"]
