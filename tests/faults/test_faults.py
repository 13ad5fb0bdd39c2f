"""Workers, children and the server are killed and stopped in the middle of work: what Huoyan says is what happened.

Each task writes down for itself when it starts and ends. Small here; `bench/faults.py` runs ten thousand. Frameworks
are put through their faults three at a time, and all that report by themselves report to the same server.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.faults.account import Account
from tests.faults.deployment import Deployment
from tests.faults.deployments import KINDS
from tests.faults.scenario import evidence, restart, settle, work_through
from tests.servers import HuoyanServer, RabbitmqServer, RedisServer

LIMIT_S = 120.0
AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Case:
    """What is put through faults.

    Attributes:
        kind: Key of the table of deployments.
        count: How many runs.
        seconds: How long each takes.
        hooks: Whether the processes report by themselves.
        loses: Whether what a killed process executed is gone; other brokers hand it on.
    """

    kind: str
    count: int
    seconds: float
    hooks: bool = True
    loses: bool = True


CASES = {
    "celery-hooks": Case("celery", 240, 0.03),
    "celery-stream": Case("celery", 240, 0.03, hooks=False),
    "rq-hooks": Case("rq", 40, 0.05),
    "rq-poll": Case("rq", 40, 0.05, hooks=False),
    "taskiq": Case("taskiq", 240, 0.03),
    "huey": Case("huey", 240, 0.03),
    "arq": Case("arq", 240, 0.03, loses=False),
    "dramatiq": Case("dramatiq", 240, 0.03, loses=False),
    "apscheduler": Case("apscheduler", 240, 0.1),
    "function": Case("function", 240, 0.03),
    "background": Case("background", 200, 0.03),
}
NO_BROKER = frozenset({"apscheduler", "function", "background"})


class Restarts:
    """Kills the server and starts it again for whoever asks, once for all that are at work at that time."""

    def __init__(self, server: HuoyanServer) -> None:
        self._server = server
        self.undisturbed = threading.Lock()
        self._last = 0.0

    def since(self, began: float) -> None:
        """Do it, unless it happened since `began`, by the monotonic clock."""
        with self.undisturbed:
            if self._last < began:
                restart(self._server)
                self._last = time.monotonic()


@pytest.fixture(scope="module")
def account_of(rabbitmq_server: RabbitmqServer) -> Iterator[Callable[[str], tuple[Account, str]]]:
    """Give what returns the comparison of a case when that is over, and the evidence."""
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(durable=True))
        databases = [redis.database_url(number) for number in range(len(CASES))]
        brokers = {
            name: "" if case.kind in NO_BROKER else rabbitmq_server.url if case.kind == "celery" else databases.pop()
            for name, case in CASES.items()
        }
        # Whose stream is read must hear nothing of the other ones.
        brokers["celery-stream"] = rabbitmq_server.make_virtual_host("faults")
        told = stack.enter_context(HuoyanServer())
        looks = stack.enter_context(HuoyanServer("--celery", brokers["celery-stream"], "--rq", brokers["rq-poll"]))
        restarts = Restarts(told)
        # The system ends a program with the thread that started it, so the threads stay until the programs are closed.
        pool = stack.enter_context(ThreadPoolExecutor(AT_ONCE))
        deployments: dict[str, Deployment] = {}
        for name, case in CASES.items():
            deployments[name] = KINDS[case.kind](told if case.hooks else looks, brokers[name], hooks=case.hooks)
            stack.callback(deployments[name].close)

        def drive(name: str) -> None:
            case, began = CASES[name], time.monotonic()
            # What a broker's stream says while nobody reads is gone: with the server dead, only hooks keep it.
            further = [lambda: restarts.since(began)] if case.hooks else []
            deployment = deployments[name]
            work_through(deployment, case.count, case.seconds, network=case.hooks, further=further, limit_s=LIMIT_S)

        driven = {name: pool.submit(drive, name) for name in CASES}

        def answer(name: str) -> tuple[Account, str]:
            driven[name].result()
            account = settle(deployments[name], LIMIT_S, restarts.undisturbed)
            with restarts.undisturbed:
                text = evidence(deployments[name], account)
            deployments[name].close()
            return account, text

        yield answer
        for future in driven.values():
            future.cancel()


@pytest.mark.timeout(300)  # The first ones wait for the servers, and all of them for each other.
@pytest.mark.parametrize("name", CASES)
def test_no_loss_is_missed_and_none_invented(name: str, account_of: Callable[[str], tuple[Account, str]]) -> None:
    account, evidence = account_of(name)
    case = CASES[name]
    assert account.runs >= 0.9 * case.count
    assert account.died or not case.loses, "expected runs to die with their workers"
    assert account.faults == {}, evidence
    assert account.unsure == [], evidence
    assert account.recall == 1.0
