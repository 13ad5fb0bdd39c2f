"""What a process uses, read as the system has it."""

import asyncio
import gc
import os
import time

import psutil
import pytest

import huoyan
from huoyan.client.figures import Figures
from huoyan.client.measurements import Measurements
from huoyan.client.process import Client
from huoyan.client.reporter import Reporter
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.event import EventKind, TaskEvent
from huoyan.signals.metrics.process import (
    EVENT_LOOP_LAG,
    GC_COLLECTIONS,
    GC_PAUSE,
    HOST_CPU,
    HOST_DISK,
    HOST_MEMORY,
    PROCESS_CPU,
    PROCESS_OPEN_FILES,
    PROCESS_RSS,
    PROCESS_VMS,
)
from tests.unit.client.conftest import installed


def _gauge(measurements: Measurements, metric) -> float:
    ((_, child),) = measurements.gauge(metric).series()
    assert child.value is not None
    return child.value


def test_memory_and_files_are_those_that_psutil_finds() -> None:
    measurements = Measurements()
    Figures("host").read(measurements, "w")
    found = psutil.Process().memory_info()
    assert _gauge(measurements, PROCESS_RSS) == pytest.approx(found.rss, rel=0.1)
    assert _gauge(measurements, PROCESS_VMS) == pytest.approx(found.vms, rel=0.1)
    before = _gauge(measurements, PROCESS_OPEN_FILES)
    reading, writing = os.pipe()
    Figures("host").read(measurements, "w")
    assert _gauge(measurements, PROCESS_OPEN_FILES) == before + 2
    os.close(reading)
    os.close(writing)


def test_cpu_and_collections_grow_by_what_was_used_in_between() -> None:
    measurements = Measurements()
    figures = Figures("host")
    figures.read(measurements, "w")
    began = time.process_time()
    while time.process_time() - began < 0.05:
        gc.collect(2)
    figures.read(measurements, "w")
    ((_, cpu),) = measurements.counter(PROCESS_CPU).series()
    assert 0.05 <= cpu.value <= 1.0
    collections = {values: child.value for values, child in measurements.counter(GC_COLLECTIONS).series()}
    assert collections[("w", "2")] >= 1


def test_each_garbage_collection_is_a_pause_that_was_timed() -> None:
    measurements = Measurements()
    figures = Figures("host")
    figures.read(measurements, "w")
    garbage = [[number] for number in range(100_000)]
    for _ in range(3):
        gc.collect()
    figures.read(measurements, "w")
    ((values, pauses),) = measurements.distribution(GC_PAUSE).series()
    assert values == ("w",)
    assert pauses.count >= 3
    assert pauses.total > 0.0
    assert garbage
    Figures("host").read(Measurements(), "w")
    assert [callback.__name__ for callback in gc.callbacks].count("_collected") == 1


def test_the_host_is_described_by_shares() -> None:
    measurements = Measurements()
    figures = Figures("host")
    figures.read(measurements, "w")
    began = time.process_time()
    while time.process_time() - began < 0.05:
        pass
    figures.read(measurements, "w")
    for metric in (HOST_CPU, HOST_MEMORY, HOST_DISK):
        assert 0.0 < _gauge(measurements, metric) <= 1.0
    assert _gauge(measurements, HOST_DISK) == pytest.approx(psutil.disk_usage(".").percent / 100, abs=0.05)
    assert _gauge(measurements, HOST_MEMORY) == pytest.approx(psutil.virtual_memory().percent / 100, abs=0.1)


async def test_a_blocked_event_loop_is_noticed(local_client: Client) -> None:
    local_client.loop_lag.watch()
    local_client.loop_lag.watch()
    family = local_client.measurements.distribution(EVENT_LOOP_LAG)
    while not list(family.series()):
        await asyncio.sleep(0.01)
    time.sleep(0.6)
    ((_, observed),) = family.series()
    known = observed.count
    while observed.count == known:
        await asyncio.sleep(0.01)
    worst = observed.histogram().quantile(1.0)
    assert worst is not None
    assert worst > 0.3


async def test_the_event_loop_of_a_run_is_watched_by_itself(local_client: Client) -> None:
    local_client.record(TaskEvent(EventKind.STARTED, "r1", 0.0, task="pay", service="shop"))
    family = local_client.measurements.distribution(EVENT_LOOP_LAG)
    while not list(family.series()):
        await asyncio.sleep(0.01)
    ((values, _),) = family.series()
    assert values == (local_client.process.name,)


def test_the_processes_of_a_pool_are_told_apart(local_client: Client) -> None:
    local_client.identify(Reporter(local_client, "celery"), "celery@host", queues=None, reports=True, children=True)
    reading, writing = os.pipe()
    huoyan.counter("beats").add()
    child = os.fork()
    if child == 0:
        told = [local_client.process.name]
        for age_s in (0.0, 11.0):
            local_client.process.started_at = local_client.clock.now() - age_s
            measured = local_client.outbox.read()
            told.append(str(len(list(measured.gauge(PROCESS_RSS).series()))))
        os.write(writing, " ".join(told).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert local_client.process.name == "celery@host"
    name, young, old = os.read(reading, 100).decode().split()
    # One that lives for a single job would be a series of its own for nothing.
    assert (name, young, old) == (f"celery@host/{child}", "0", "1")


def test_a_forked_worker_that_only_measures_begins_to_send(transport: MemoryTransport) -> None:
    """A server may load the application once and fork its workers, as gunicorn does with `--preload`."""
    with installed(Client(Settings(service="shop"), transport=transport)) as client:
        client.watched(Reporter(client, "flask"))
        assert client.emitter is not None
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            client.process.started_at -= 60
            client.outbox.read()
            began = [client.emitter._thread is not None]
            client.metrics.requests.open("GET", "/orders").status(200).add()
            began.append(client.emitter._thread is not None)
            os.write(writing, str(began).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reading, 100) == b"[False, True]"
