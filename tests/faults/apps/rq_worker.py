"""The RQ worker: `rq worker -w tests.faults.apps.rq_worker.TellingWorker`. By hooks where a server is named."""

import os
from typing import Any

import rq

from tests.faults.diary import note

if os.environ.get("HUOYAN_URL"):
    import huoyan

    huoyan.watch(rq.Worker, service="faults")


class TellingWorker(rq.Worker):
    """A worker that writes down when all is said of a job."""

    def perform_job(self, job: Any, queue: Any, *more: Any) -> bool:
        """Perform it."""
        done = super().perform_job(job, queue, *more)
        note(job.id, "told")
        return done
