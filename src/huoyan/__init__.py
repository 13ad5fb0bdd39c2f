"""Watch every task that Python services run, and say within seconds which one goes wrong and why."""

__version__ = "0.1.0"
