"""What runs and executions are called for frameworks in which programs name jobs themselves.

RQ and arq let a program give a job its id, and the same id again when the job is done: `nightly-report` every night.
Each of these is a run of its own, so the time at which the job was made belongs to the name of its run. Whoever watches
a job knows that time: producer, worker, and whoever reads Redis.
"""

import re

_UNIQUE = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


def is_unique(job_id: str) -> bool:
    """Return whether an id was made so that there is no second one: a UUID."""
    return _UNIQUE.fullmatch(job_id) is not None


def run_id_of(job_id: str, made_at_ms: int | None = None, repetitions_left: int | None = None) -> str:
    """Return the identity of the run of a job.

    Args:
        job_id: As the framework calls it.
        made_at_ms: When the job was made, milliseconds since 1970 UTC, as the framework keeps it; None when that is not
            known. It counts only where the id alone says too little.
        repetitions_left: How often the same job will be executed again after this time (`rq.Repeat`); None for jobs
            that are executed once. Each repetition is a run.
    """
    name = job_id if made_at_ms is None or is_unique(job_id) else f"{job_id}@{made_at_ms}"
    return name if repetitions_left is None else f"{name}.{repetitions_left}"


def job_id_of(run_id: str) -> str:
    """Return the id of the job that a run belongs to, for ids that hold no `@` and no dot (those of RQ)."""
    return run_id.partition(".")[0].partition("@")[0]


def execution_of(execution_id: str, worker: str) -> str:
    """Return the identity of one execution of an RQ job.

    Args:
        execution_id: RQ's own, new for each execution.
        worker: Name of the worker.
    """
    return f"{execution_id}@{worker}"


RQ_EXECUTION_FIELD = "huoyan_execution"
"""Field of an RQ job's hash in which hooks leave the identity of the last execution, for whoever reads Redis when RQ
has deleted its own record of it: a try that is followed by a retry."""
