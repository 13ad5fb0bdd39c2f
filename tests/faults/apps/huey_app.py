"""Huey: `huey_consumer tests.faults.apps.huey_app.huey`; as a module it enqueues tasks: `… COUNT SECONDS`."""

import importlib
import json
import os
import sys
from typing import Any

from huey import RedisHuey

import huoyan
from tests.faults.diary import note, work

huey = RedisHuey("faults", url=os.environ["FAULTS_BROKER"], results=False)
huoyan.watch(huey, service="faults")
execute = huey._execute


def told(task: Any, timestamp: Any) -> Any:
    """Execute a task, and write down when all is said of it."""
    done = execute(task, timestamp)
    note(task.id, "told")
    return done


huey._execute = told


@huey.task(context=True)
def huey_work(seconds: float, task: Any = None) -> None:
    """Take a while."""
    work(task.id, seconds)


if __name__ == "__main__":
    # Under its own name, which is part of the name of the task.
    module = importlib.import_module("tests.faults.apps.huey_app")
    for _ in range(int(sys.argv[1])):
        task = module.huey_work.s(float(sys.argv[2]))
        module.huey.enqueue(task)
        sys.stdout.write(json.dumps(task.id) + "\n")
