"""Workers, children and the server are killed and stopped in the middle of work: what Huoyan says is what happened.

Each task writes down for itself when it starts and ends. Small here; `bench/faults.py` runs ten thousand.
"""

from collections.abc import Iterator

import pytest

from tests.faults.deployments import KINDS, Deployment
from tests.faults.scenario import run
from tests.servers import HuoyanServer, RedisServer

CASES = {
    "celery-hooks": ("celery", True),
    "celery-stream": ("celery", False),
    "rq-hooks": ("rq", True),
    "rq-poll": ("rq", False),
    "function": ("function", True),
    "background": ("background", True),
}
COUNTS = {"celery": (240, 0.03), "rq": (40, 0.05), "function": (240, 0.03), "background": (200, 0.03)}


@pytest.fixture(params=list(CASES))
def deployment(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """Give work of each framework, watched in each way there is, with a server of its own."""
    framework, hooks = CASES[request.param]
    broker = ""
    if framework == "celery":
        broker = request.getfixturevalue("rabbitmq_vhost")
    elif framework == "rq":
        store: RedisServer = request.getfixturevalue("fresh_redis")
        broker = store.url
    watched = () if hooks else (f"--{framework}", broker)
    with HuoyanServer(*watched) as server:
        made = KINDS[framework](server, broker, hooks=hooks)
        try:
            yield made
        finally:
            made.close()


def test_no_loss_is_missed_and_none_invented(deployment: Deployment, request: pytest.FixtureRequest) -> None:
    framework, hooks = CASES[request.node.callspec.params["deployment"]]
    count, seconds = COUNTS[framework]
    # A broker's stream that nobody reads is gone: with the server dead, only hooks keep what they have to say.
    outcome = run(deployment, count, seconds, server_too=hooks, network=hooks)
    account = outcome.account
    assert account.runs >= 0.9 * count
    assert account.died, "expected runs to die with their workers"
    assert account.faults == {}
    assert account.recall == 1.0
