"""A process speaks for the children that it forked, also after they are gone, and cleans up after itself."""

import subprocess
import sys
from pathlib import Path

from huoyan.client import snapshot
from huoyan.client.measurements import Distribution, Measurements
from huoyan.signals.exposition import Exemplar, Family, Key
from huoyan.signals.metric import Across, Endpoint, Metric, MetricKind
from huoyan.signals.metrics.application import BACKLOG, DB_POOL_IN_USE, HTTP_REQUEST_DURATION, HTTP_REQUESTS
from huoyan.signals.metrics.process import PROCESS_CPU

PROGRAM = """
import os, sys
import huoyan
from huoyan.client import process, totals
from huoyan.client.exposition import register
from huoyan.signals.metrics.application import DB_POOL_IN_USE, HTTP_REQUESTS

huoyan.configure(service="shop")
register()

def count(n):
    measurements = process.client().measurements
    measurements.counter(HTTP_REQUESTS).child(("GET", "/a", "200")).add(n)
    measurements.gauge(DB_POOL_IN_USE).child(("main",)).set(n)

def totals_now():
    found = {family.metric.name: list(family.numbers) for family in totals.families()}
    return found["http_requests_total"], found["db_pool_connections_in_use"]

count(2)
for _ in range(3):
    child = os.fork()
    if not child:
        count(10)
        sys.exit(0)
    os.waitpid(child, 0)
assert totals_now() == ([32.0], [2.0]), totals_now()
assert totals_now() == ([32.0], [2.0]), totals_now()
print(totals._children.folder)
"""


def test_a_process_speaks_for_the_children_that_it_forked() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert folder.name
    assert not folder.exists()


POOLS = """
import multiprocessing, os
import huoyan
from huoyan.client import pool, process, totals
from huoyan.client.exposition import register
from huoyan.signals.metrics.application import HTTP_REQUESTS

huoyan.configure(service="shop")
register()
# Nobody writes in the background here: the children are gone before.
totals.start_thread = lambda thread: None
parent = os.getpid()
huoyan.backlog("mails", lambda: os.getpid() == parent or print("read in a child", flush=True))

def job():
    process.client().measurements.counter(HTTP_REQUESTS).child(("GET", "/a", "200")).add()

for _ in range(90):
    child = os.fork()
    if not child:
        job()
        huoyan.flush()
        os._exit(0)
    os.waitpid(child, 0)
print(len(os.listdir(pool.folder(os.getpid()))) < 150)
ended = multiprocessing.get_context("fork").Process(target=job)
ended.start()
ended.join()
print(*(family.numbers for family in totals.families() if family.metric is HTTP_REQUESTS))
"""


def test_children_that_end_at_once_are_counted_and_leave_few_files_though_nobody_scrapes() -> None:
    # As those of Celery's and RQ's pools, which flush and end by os._exit, and those of multiprocessing.
    done = subprocess.run([sys.executable, "-c", POOLS], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True\n[91.0]\n", "")


KILLED = """
import os, signal
import huoyan
from huoyan.client import process, totals
from huoyan.client.exposition import register
from huoyan.signals.metrics.application import HTTP_REQUESTS

huoyan.configure(service="shop")
register()
# Nobody writes in the background here, so that what is written is written by the scrape.
totals.start_thread = lambda thread: None

def answer():
    process.client().measurements.counter(HTTP_REQUESTS).child(("GET", "/a", "200")).add(10)
    for family in totals.families():
        if family.metric is HTTP_REQUESTS:
            print(*family.numbers, flush=True)

for _ in range(2):
    child = os.fork()
    if not child:
        answer()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
answer()
"""


def test_a_sum_that_was_told_does_not_fall_when_the_process_that_told_it_is_killed() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("10.0\n20.0\n30.0\n", "")


SHORT_LIVED = """
import os
import huoyan
from huoyan.client import process, totals
from huoyan.client.exposition import register
from huoyan.signals.metrics.application import HTTP_REQUESTS

huoyan.configure(service="shop")
register()
process.client().measurements.counter(HTTP_REQUESTS).child(("GET", "/a", "200")).add(2)

def counted_by_then(thread):
    for family in totals._own(process.client()):
        if family.metric is HTTP_REQUESTS:
            print("counted", family.numbers, flush=True)
    print("started", flush=True)

totals.start_thread = counted_by_then
child = os.fork()
if not child:
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_child_that_is_gone_at_once_has_not_counted_what_its_parent_had() -> None:
    # Such as those that subprocess makes for a `preexec_fn`: what they had written would be added up for ever.
    done = subprocess.run([sys.executable, "-c", SHORT_LIVED], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("started\n", "")


def test_a_backlog_that_several_processes_read_is_there_once() -> None:
    process = [Family(BACKLOG, [("mails",)], [7.0]), Family(DB_POOL_IN_USE, [("main",)], [2.0])]
    written = snapshot.decode(snapshot.encode(process))
    assert [family.numbers for family in snapshot.add_up([process, written])] == [[7.0], [4.0]]


def test_the_traces_of_all_processes_that_live_are_exemplars_the_latest_last() -> None:
    key: Key = ("GET", "/orders")

    def counted(trace: str, at: float) -> Family:
        distribution = Distribution()
        distribution.observe(0.2)
        named = {key: [Exemplar(0.2, trace, at)]}
        return Family(HTTP_REQUEST_DURATION, [key], distributions=[distribution.histogram()], exemplars=named)

    one, two, gone = (
        snapshot.decode(snapshot.encode([counted(trace, at)])) for trace, at in (("b", 2.0), ("a", 1.0), ("c", 3.0))
    )
    (family,) = snapshot.add_up([one, two], over=[gone])
    assert [exemplar.trace_id for exemplar in family.exemplars[key]] == ["a", "b"]
    assert family.distributions[0].count == 3


def test_a_process_that_is_gone_leaves_no_series_with_its_name() -> None:
    counted = [Family(PROCESS_CPU, [("shop@host:7",)], [1.5]), Family(HTTP_REQUESTS, [("GET", "/", "200")], [3.0])]
    written = snapshot.decode(snapshot.encode(counted))
    assert [family.metric for family in snapshot.add_up((), over=[written])] == [HTTP_REQUESTS]
    assert [family.metric for family in snapshot.add_up([written])] == [PROCESS_CPU, HTTP_REQUESTS]


def test_a_gauge_of_several_processes_is_what_its_declaration_says() -> None:
    declared = {
        across: Metric(f"g_{across}", MetricKind.GAUGE, "G.", (), "", Endpoint.APPLICATION, across=across)
        for across in Across
    }
    processes = []
    for value, set_at in ((3.0, 20.0), (8.0, 10.0), (5.0, 5.0)):
        measurements = Measurements()
        for metric in declared.values():
            child = measurements.gauge(metric).child()
            child.set(value)
            child.set_at = set_at
        processes.append(snapshot.decode(snapshot.encode(snapshot.measured(measurements))))
    # In a pool, sums are added to further ones.
    added = snapshot.add_up([snapshot.add_up(processes[:2]), processes[2]])
    assert {family.metric.across: list(family.numbers) for family in added} == {
        Across.SUM: [16.0],
        Across.MAX: [8.0],
        Across.MIN: [3.0],
        Across.LAST: [3.0],
    }
