"""Fold events into runs, rollups, liveness and schedules."""
