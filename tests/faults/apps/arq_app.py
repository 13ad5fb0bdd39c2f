"""arq: `arq tests.faults.apps.arq_app.WorkerSettings`; as a module it enqueues jobs: `… COUNT SECONDS`."""

import asyncio
import json
import os
import sys
from typing import Any, ClassVar

from arq.connections import RedisSettings, create_pool
from arq.worker import Worker

import huoyan
from tests.faults.diary import note

SETTINGS = RedisSettings.from_dsn(os.environ["FAULTS_BROKER"])


async def arq_work(ctx: dict[str, Any], seconds: float) -> None:
    """Take a while."""
    note(ctx["job_id"], "start")
    await asyncio.sleep(seconds)
    note(ctx["job_id"], "end")


class WorkerSettings:
    """What the worker runs; a job whose worker was killed is taken up again 11 s after it began."""

    functions: ClassVar = [arq_work]
    redis_settings = SETTINGS
    max_jobs = 4
    job_timeout = 1
    poll_delay = 0.05
    keep_result = 0


huoyan.watch(WorkerSettings, service="faults")
run_job = Worker.run_job


async def told(self: Worker, job_id: str, score: int) -> None:
    """Run a job, and write down when all is said of it."""
    await run_job(self, job_id, score)
    note(job_id, "told")


Worker.run_job = told  # type: ignore[method-assign]


async def produce(count: int, seconds: float) -> None:
    """Enqueue jobs."""
    pool = huoyan.watch(await create_pool(SETTINGS), service="faults")
    for _ in range(count):
        job = await pool.enqueue_job("arq_work", seconds)
        assert job is not None
        sys.stdout.write(json.dumps(job.job_id) + "\n")


if __name__ == "__main__":
    asyncio.run(produce(int(sys.argv[1]), float(sys.argv[2])))
