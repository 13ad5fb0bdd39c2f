"""RQ: the job of the workers; as a module it enqueues jobs: `… COUNT SECONDS`."""

import json
import os
import sys

import redis
import rq

from tests.faults.diary import work


def rq_work(seconds: float) -> None:
    """Take a while."""
    job = rq.get_current_job()
    assert job is not None
    work(job.id, seconds)


if __name__ == "__main__":
    if os.environ.get("HUOYAN_URL"):
        import huoyan

        huoyan.watch(rq.Queue, service="faults")
    queue = rq.Queue("faults", connection=redis.Redis.from_url(os.environ["FAULTS_BROKER"]))
    for _ in range(int(sys.argv[1])):
        sys.stdout.write(json.dumps(queue.enqueue("tests.faults.apps.rq_app.rq_work", float(sys.argv[2])).id) + "\n")
