import sqlite3
from dataclasses import dataclass

import pytest

from huoyan.demo.faults import Fault, Faults
from huoyan.demo.switches import FileSwitch, KillSwitch, LockSwitch
from huoyan.errors import NotFound
from tests.servers import wait_until


@dataclass
class Clock:
    at: float = 1000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


class Lamp:
    """A switch that counts how often it was turned."""

    def __init__(self) -> None:
        self.lit = False
        self.turned_on = 0

    def on(self) -> None:
        self.lit = True
        self.turned_on += 1

    def off(self) -> None:
        self.lit = False

    def is_on(self) -> bool:
        return self.lit


def fault(name: str, switch, lasts_s: float | None = None) -> Fault:
    return Fault(name, name.title(), name, "shows", "shows", switch, lasts_s)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lamp():
    return Lamp()


def test_a_fault_ends_by_itself_when_its_time_has_come(clock, lamp):
    faults = Faults([fault("a", lamp)], clock)
    state = faults.turn_on("a", for_s=40)
    assert (state.active, state.since_at, state.until_at) == (True, 1000.0, 1040.0)
    assert [change.active for change in faults.poll()] == [True]
    clock.at = 1039.9
    assert faults.poll() == []
    assert lamp.lit
    clock.at = 1040.0
    assert [(change.fault.name, change.active) for change in faults.poll()] == [("a", False)]
    assert not lamp.lit
    assert faults.poll() == []


def test_a_fault_without_a_time_lasts_until_it_is_turned_off(clock, lamp):
    faults = Faults([fault("a", lamp)], clock)
    faults.turn_on("a")
    faults.poll()
    clock.at += 10_000
    assert faults.poll() == []
    assert not faults.turn_off("a").active
    assert not lamp.lit
    assert [change.active for change in faults.poll()] == [False]


def test_turning_on_a_fault_that_lasts_moves_its_end_and_does_not_begin_it_again(clock, lamp):
    faults = Faults([fault("a", lamp, lasts_s=20)], clock)
    faults.turn_on("a")
    clock.at += 15
    state = faults.turn_on("a", for_s=60)
    assert (state.since_at, state.until_at) == (1000.0, 1075.0)
    assert lamp.turned_on == 1


def test_a_fault_that_ended_without_being_turned_off_is_told_once(clock, lamp):
    faults = Faults([fault("a", lamp)], clock)
    faults.turn_on("a")
    faults.poll()
    lamp.lit = False
    assert [(change.fault.name, change.active) for change in faults.poll()] == [("a", False)]
    assert faults.poll() == []


def test_turning_off_what_does_not_last_tells_nothing(clock, lamp):
    faults = Faults([fault("a", lamp)], clock)
    faults.turn_off("a")
    assert faults.poll() == []


def test_an_unknown_fault_is_refused_with_the_names_of_the_known_ones(clock, lamp):
    faults = Faults([fault("payments-down", lamp)], clock)
    with pytest.raises(NotFound, match="payments-down, got 'payment'"):
        faults.turn_on("payment")


def test_the_end_of_the_demonstration_ends_every_fault(clock):
    lamps = [Lamp(), Lamp()]
    faults = Faults([fault("a", lamps[0]), fault("b", lamps[1])], clock)
    faults.turn_on("a")
    faults.turn_on("b")
    faults.end()
    assert not any(lamp.lit for lamp in lamps)
    assert not any(state.active for state in faults.states())


def test_a_file_switch_makes_and_removes_its_file(tmp_path):
    switch = FileSwitch(tmp_path / "faults" / "down")
    assert not switch.is_on()
    switch.on()
    switch.on()
    assert (tmp_path / "faults" / "down").exists()
    assert switch.is_on()
    switch.off()
    switch.off()
    assert not switch.is_on()


def test_a_lock_switch_keeps_writers_out_and_lets_them_in_again(tmp_path):
    path = tmp_path / "stock.sqlite3"
    writer = sqlite3.connect(path, timeout=0, isolation_level=None)
    writer.execute("CREATE TABLE products (sku TEXT)")
    switch = LockSwitch(path, held_s=30)
    switch.on()

    def is_locked() -> str | None:
        try:
            writer.execute("INSERT INTO products VALUES ('tea')")
        except sqlite3.OperationalError as error:
            return str(error)
        return None

    assert wait_until(is_locked, 5, "the database to be locked") == "database is locked"
    assert switch.is_on()
    switch.off()
    assert is_locked() is None
    assert not switch.is_on()
    writer.close()


def test_a_lock_switch_leaves_gaps_for_those_who_wait(tmp_path):
    path = tmp_path / "stock.sqlite3"
    writer = sqlite3.connect(path, timeout=5, isolation_level=None)
    writer.execute("CREATE TABLE products (sku TEXT)")
    switch = LockSwitch(path, held_s=0.2, free_s=0.1)
    switch.on()
    try:
        for _ in range(3):
            writer.execute("INSERT INTO products VALUES ('tea')")
    finally:
        switch.off()
    assert writer.execute("SELECT count(*) FROM products").fetchone() == (3,)
    writer.close()


def test_a_kill_switch_kills_brings_back_and_tells_whether_it_is_away():
    done = []
    switch = KillSwitch(lambda: done.append("kill"), lambda: done.append("back"), lambda: done[-1:] == ["kill"])
    switch.on()
    assert switch.is_on()
    switch.off()
    assert not switch.is_on()
    assert done == ["kill", "back"]
