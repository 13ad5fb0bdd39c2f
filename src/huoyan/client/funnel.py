"""`huoyan.funnel`: ordered steps that keys pass, each key once at each step."""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from hashlib import blake2b
from time import monotonic

from huoyan.client import process
from huoyan.client.business import MOST_DECLARED, measurements_now
from huoyan.client.guard import guard, warn
from huoyan.model.labels import clean_label_value
from huoyan.signals.measured import Step
from huoyan.signals.metrics.application import FUNNEL_ENTERED, FUNNEL_REACHED

_MAX_KEYS = 100_000
_WINDOW_S = 86_400.0


class Funnel:
    """Ordered steps that keys (orders, visitors) pass; each key counts once at each step.

    Args:
        name: Name of the funnel.
        steps: Names of its steps, the first one is where keys enter.
        window_s: How long a key is remembered after its last step, in seconds. Default a day.
    """

    def __init__(self, name: str, steps: Sequence[str], window_s: float = _WINDOW_S) -> None:
        self.name = clean_label_value(name)
        self.steps = _named(self.name, steps)
        self._window_s = _window(self.name, window_s)
        self._lock = threading.Lock()
        self._keys: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def step(self, name: str, key: Hashable) -> None:
        """Say that a key reached a step. The key itself never leaves the process, a hash of it does. Never raises.

        Args:
            name: One of the steps.
            key: What passes the funnel: an order number, a visitor. It is told by its text, so that 1042 in one process
                is "1042" in another; the server counts the same key at the same step once, whoever says so.
        """
        with guard("funnel"):
            name = clean_label_value(name)
            if name not in self.steps:
                warn(
                    f"funnel-{self.name}",
                    "huoyan: funnel %s: expected one of the steps %s, got %r",
                    self.name,
                    self.steps,
                    name,
                )
                return
            place = self.steps.index(name)
            measurements = measurements_now()
            if measurements is None:
                return
            told = blake2b(str(key).encode("utf-8", "replace"), digest_size=8).hexdigest()
            if not self._first(told, 1 << place):
                return
            step = Step(self.name, name, place + 1, self._window_s)
            with measurements.reaching:
                if place == 0:
                    entered = measurements.counter(FUNNEL_ENTERED)
                    for number, each in enumerate(self.steps, 1):
                        entered.child((self.name, each, str(number))).add()
                measurements.counter(FUNNEL_REACHED).child((self.name, name, str(place + 1))).add()
                measurements.reach(step, told)

    def _first(self, key: str, bit: int) -> bool:
        """Return whether a key is at a step for the first time, and remember it."""
        now = monotonic()
        with self._lock:
            while self._keys and (
                len(self._keys) > _MAX_KEYS or next(iter(self._keys.values()))[0] < now - self._window_s
            ):
                self._keys.popitem(last=False)
            reached = self._keys.get(key, (0.0, 0))[1]
            self._keys[key] = (now, reached | bit)
            self._keys.move_to_end(key)
            return not reached & bit


def _named(funnel: str, steps: object) -> tuple[str, ...]:
    if isinstance(steps, str) or not isinstance(steps, Iterable):
        warn(f"funnel-{funnel}", "huoyan: funnel %s: expected the names of its steps, got %r", funnel, steps)
        steps = (steps,) if isinstance(steps, str) else ()
    return tuple(dict.fromkeys(map(clean_label_value, steps)))[:50]


def _window(funnel: str, window_s: object) -> float:
    if isinstance(window_s, int | float) and 0 < window_s < float("inf"):
        return float(window_s)
    warn(f"funnel-{funnel}", "huoyan: funnel %s: window_s: expected seconds above 0, got %r", funnel, window_s)
    return _WINDOW_S


_lock = threading.Lock()
_funnels: dict[str, Funnel] = {}


def funnel(name: str, steps: Sequence[str], window_s: float = _WINDOW_S) -> Funnel:
    """Declare a funnel, again harmlessly: `huoyan.funnel("checkout", steps=["cart", "paid", "shipped"])`.

    Args:
        name: Name of the funnel.
        steps: Names of its steps in order.
        window_s: How long a key is remembered after its last step, in seconds. Default a day.
    """
    made = Funnel(name, steps, window_s)
    with _lock:
        known = _funnels.get(made.name)
        if known is not None and known.steps == made.steps:
            return known
        if len(_funnels) < MOST_DECLARED:
            _funnels[made.name] = made
    return made


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    for each in _funnels.values():
        each._lock = threading.Lock()


process.after_fork(_after_fork)
