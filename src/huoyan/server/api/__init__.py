"""Serve runs, signals, alerts and incidents over HTTP."""
