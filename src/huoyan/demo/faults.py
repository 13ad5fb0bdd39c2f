"""The faults that people can have, and which of them last at this moment."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.demo.switches import Switch
from huoyan.errors import NotFound


@dataclass(frozen=True)
class Fault:
    """Something that can go wrong.

    Attributes:
        name: Short and unique, for the command and the address.
        title: What it is.
        title_zh: The same in Chinese.
        shows: What to expect in the page.
        shows_zh: The same in Chinese.
        switch: Makes it happen.
        lasts_s: It ends by itself after this time, in seconds; None: when it is turned off, or the switch says so.
    """

    name: str
    title: str
    title_zh: str
    shows: str
    shows_zh: str
    switch: Switch
    lasts_s: float | None = None


@dataclass(frozen=True)
class FaultState:
    """How it is with one fault. Times in seconds since 1970 UTC."""

    fault: Fault
    active: bool
    since_at: float | None
    until_at: float | None


class Faults:
    """Turns faults on and off, by hand and by time. Any thread may use it.

    Args:
        faults: The faults there are.
        clock: Wall time.
    """

    def __init__(self, faults: Iterable[Fault], clock: Clock = SYSTEM_CLOCK) -> None:
        self._faults = {fault.name: fault for fault in faults}
        self._clock = clock
        self._lock = threading.RLock()
        self._since: dict[str, float] = {}
        self._until: dict[str, float] = {}
        self._changes: list[FaultState] = []

    @property
    def names(self) -> list[str]:
        """The names, in order."""
        return list(self._faults)

    def states(self) -> list[FaultState]:
        """Return how it is with each fault."""
        with self._lock:
            return [self._state(fault) for fault in self._faults.values()]

    def state(self, name: str) -> FaultState:
        """Return how it is with one fault.

        Raises:
            NotFound: There is no such fault.
        """
        with self._lock:
            return self._state(self._fault(name))

    def turn_on(self, name: str, for_s: float | None = None) -> FaultState:
        """Begin a fault; one that lasts already goes on, with the new end.

        Args:
            name: Which.
            for_s: How long it lasts, in seconds; its own time by default.

        Raises:
            NotFound: There is no such fault.
        """
        with self._lock:
            fault = self._fault(name)
            now = self._clock.now()
            if not fault.switch.is_on():
                fault.switch.on()
            begins = name not in self._since
            self._since.setdefault(name, now)
            lasts_s = fault.lasts_s if for_s is None else for_s
            if lasts_s is None:
                self._until.pop(name, None)
            else:
                self._until[name] = now + lasts_s
            state = FaultState(fault, True, self._since[name], self._until.get(name))
            if begins:
                self._changes.append(state)
            return state

    def turn_off(self, name: str) -> FaultState:
        """End a fault; one that does not last is left alone.

        Raises:
            NotFound: There is no such fault.
        """
        with self._lock:
            fault = self._fault(name)
            fault.switch.off()
            return self._ended(fault)

    def poll(self) -> list[FaultState]:
        """End the faults whose time has come, and return those that began or ended since the last call."""
        with self._lock:
            now = self._clock.now()
            for name in list(self._since):
                fault = self._faults[name]
                if name in self._until and now >= self._until[name]:
                    fault.switch.off()
                elif fault.switch.is_on():
                    continue
                self._ended(fault)
            changes, self._changes = self._changes, []
            return changes

    def end(self) -> None:
        """End every fault."""
        with self._lock:
            for fault in self._faults.values():
                fault.switch.off()
                self._ended(fault)

    def _fault(self, name: str) -> Fault:
        fault = self._faults.get(name)
        if fault is None:
            raise NotFound(f"expected one of the faults {', '.join(self._faults)}, got {name!r}")
        return fault

    def _state(self, fault: Fault) -> FaultState:
        active = fault.switch.is_on()
        since, until = self._since.get(fault.name), self._until.get(fault.name)
        return FaultState(fault, active, since if active else None, until if active else None)

    def _ended(self, fault: Fault) -> FaultState:
        state = FaultState(fault, False, None, None)
        self._until.pop(fault.name, None)
        if self._since.pop(fault.name, None) is not None:
            self._changes.append(state)
        return state
