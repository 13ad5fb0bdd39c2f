"""CPU time and peak memory of an execution: told where they are its own, absent where they are not."""

import asyncio
import importlib
import multiprocessing
import threading
import time
from multiprocessing.connection import Connection

import pytest

from huoyan.client.consumption import Consumption, Meter, Tenancy

_BUSY_S = 0.02


def _burn(seconds: float = _BUSY_S) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_thread_is_charged_what_it_computes_and_not_what_others_do() -> None:
    meter = Meter()
    other = threading.Thread(target=_burn, args=(5 * _BUSY_S,))
    other.start()
    other.join()
    waited = meter.read()
    busy = Meter()
    _burn()
    assert waited.cpu_s is not None
    assert waited.cpu_s < 3 * _BUSY_S
    assert busy.read().cpu_s == pytest.approx(_BUSY_S, abs=_BUSY_S / 2)


def test_what_passes_while_it_is_paused_is_not_its_own() -> None:
    meter = Meter()
    meter.pause()
    _burn()
    meter.resume()
    assert (meter.read().cpu_s or 0.0) < _BUSY_S / 2


def test_coroutines_take_turns_so_nothing_is_told() -> None:
    async def run() -> tuple[Consumption, Consumption]:
        return Meter().read(), Meter(blocking=True).read()

    coroutine, function = asyncio.run(run())
    assert coroutine.cpu_s is None
    assert function.cpu_s is not None


def test_an_end_told_by_another_thread_tells_no_cpu_time() -> None:
    meter, found = Meter(), list[Consumption]()
    thread = threading.Thread(target=lambda: found.append(meter.read()))
    thread.start()
    thread.join()
    assert found == [Consumption(None, None)]


def test_greenlets_take_turns_too() -> None:
    greenlet = importlib.import_module("greenlet")
    found = greenlet.greenlet(lambda: Meter().read()).switch()
    assert found.cpu_s is None


def _in_child(answer: Connection) -> None:
    first = Meter(Tenancy.IN_TURN)
    block = bytearray(64 << 20)
    block[::4096] = b"x" * len(block[::4096])
    grown = first.read()
    del block
    quiet = Meter(Tenancy.IN_TURN).read()
    whole = Meter(Tenancy.ALONE).read()
    answer.send((grown.peak_memory_bytes, quiet.peak_memory_bytes, whole.peak_memory_bytes))


def test_a_peak_is_told_of_the_run_that_caused_it() -> None:
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(theirs,))
    child.start()
    grown, quiet, whole = ours.recv()
    child.join()
    assert grown > 64 << 20
    assert quiet is None
    assert whole >= grown
    assert Meter(Tenancy.SHARED).read().peak_memory_bytes is None
