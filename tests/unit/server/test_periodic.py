"""Periodic services are called in time, apart from each other, and again after a failure."""

import threading

from huoyan.server.periodic import Schedule


class Counted:
    """A service that counts its calls and tells when there were enough."""

    def __init__(self, name: str, interval_s: float, enough: int, error: Exception | None = None) -> None:
        self.name = name
        self.interval_s = interval_s
        self.calls = 0
        self.enough = threading.Event()
        self._wanted = enough
        self._error = error

    def run_once(self) -> None:
        self.calls += 1
        if self.calls >= self._wanted:
            self.enough.set()
        if self._error is not None and self.calls < 3:
            raise self._error


class Stuck:
    """A service that does not return before it is told to."""

    name = "stuck"
    interval_s = 0.001

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()

    def run_once(self) -> None:
        self.entered.set()
        self.release.wait(20)


def test_a_service_is_called_at_once_and_again_at_its_interval() -> None:
    often, rarely = Counted("often", 0.005, 5), Counted("rarely", 3600.0, 1)
    schedule = Schedule([often, rarely])
    schedule.start()
    assert often.enough.wait(10)
    assert rarely.enough.wait(10)
    schedule.stop()
    assert rarely.calls == 1


def test_one_that_hangs_keeps_no_other_waiting() -> None:
    stuck, other = Stuck(), Counted("other", 0.005, 3)
    schedule = Schedule([stuck, other])
    schedule.start()
    assert stuck.entered.wait(10)
    assert other.enough.wait(10)
    stuck.release.set()
    schedule.stop()


def test_one_that_fails_is_called_again_and_is_named_while_it_fails() -> None:
    service = Counted("flaky", 0.005, 2, ValueError("no"))
    schedule = Schedule([service])
    schedule.start()
    assert service.enough.wait(10)
    service.enough.clear()
    service._wanted = 5
    assert service.enough.wait(10)
    schedule.stop()
    assert schedule.failing() == {}


def test_a_failure_is_named_with_its_reason() -> None:
    service = Counted("broken", 3600.0, 1, ValueError("no"))
    schedule = Schedule([service])
    schedule.start()
    assert service.enough.wait(10)
    schedule.stop()
    assert schedule.failing() == {"broken": "ValueError: no"}


def test_stopping_before_starting_is_fine() -> None:
    Schedule([Counted("never", 1.0, 1)]).stop()
