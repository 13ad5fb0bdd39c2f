"""One part of a breakdown: calls that are alike."""

from typing import Any

DIGITS = 9
"""Digits after the point that seconds are told with: nanoseconds, what the clock resolves."""

Key = tuple[str, str, str]
"""Component, operation and target of calls."""


class Part:
    """What is known of all calls with one component, operation and target."""

    __slots__ = ("calls", "covered_s", "errors", "max_s", "total_s")

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0
        self.total_s = 0.0
        self.covered_s = 0.0
        self.max_s = 0.0

    def add(self, other: "Part") -> None:
        """Count what `other` counted, too."""
        self.calls += other.calls
        self.errors += other.errors
        self.total_s += other.total_s
        self.covered_s += other.covered_s
        self.max_s = max(self.max_s, other.max_s)

    def json(self, key: Key) -> dict[str, Any]:
        """Return it as one of the `parts`."""
        component, operation, target = key
        return {
            "component": component,
            "operation": operation,
            "target": target,
            "calls": self.calls,
            "total_s": round(self.total_s, DIGITS),
            "covered_s": round(self.covered_s, DIGITS),
            "max_s": round(self.max_s, DIGITS),
            "errors": self.errors,
        }
