"""How long a service was observed: what a rate over a window divides by when the service is younger than the window."""

from math import ceil

from huoyan.signals.metrics.process import PROCESS_RSS
from huoyan.signals.source import Conditions, Source

LEAST_S = 60.0
"""What happened within less says little of a minute."""

_BY_SERVICE = ("service",)
_STEP_S = 15.0
_MOST_STEPS = 1440


def observed_s(source: Source, counter: str, where: Conditions, now: float, window_s: float) -> dict[str, float]:
    """Return for how many seconds of the window each service was observed, a minute at least.

    A service is observed from when something was counted of it, or from when one of its processes told of itself, which
    they do while there is nothing to do, too. One of which something was counted in the window before was observed all
    the time, however quiet this one began.

    Args:
        source: What the signals read.
        counter: What is counted.
        where: The services that are meant.
        now: End of the window, seconds since 1970 UTC.
        window_s: Its length in seconds.
    """
    start = now - window_s
    steps = max(1, min(_MOST_STEPS, ceil(window_s / _STEP_S)))
    step_s = window_s / steps
    known = source.increase(counter, where, _BY_SERVICE, start - window_s, start)
    begun: dict[str, int] = {service: 0 for (service,), count in known.items() if count}
    counted = source.increase_range(counter, where, _BY_SERVICE, start, now, step_s)
    told = source.gauge_range(PROCESS_RSS.name, where, _BY_SERVICE, start, now, step_s, "sum")
    for rows in (counted, told):
        for (service,), values in rows.items():
            first = next((number for number, value in enumerate(values) if value), None)
            if first is not None:
                begun[service] = min(begun.get(service, first), first)
    return {service: min(window_s, max(LEAST_S, (steps - first) * step_s)) for service, first in begun.items()}
