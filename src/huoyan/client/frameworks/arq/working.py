"""The worker's side: it takes jobs, and settles them when they are done."""

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any

from huoyan.client.frameworks.arq.attempts import Attempt, current
from huoyan.client.frameworks.arq.watches import Watches
from huoyan.client.guard import guard
from huoyan.client.reporter import Reporter

_READING_INTERVAL_S = 5.0
_MAX_LOOKED_AT = 500


class Working:
    """Reports what workers do with jobs."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches

    async def main(self, original: Callable[..., Any], worker: Any, *args: Any, **kwargs: Any) -> Any:
        """Run `Worker.main`: this process is a worker from now on."""
        with guard("arq.main"):
            self._watches.worker(worker)
        return await original(worker, *args, **kwargs)

    async def run_job(self, original: Callable[..., Any], worker: Any, job_id: str, *args: Any, **kwargs: Any) -> Any:
        """Run `Worker.run_job`, everything that arq does with one job."""
        attempt = None
        with guard("arq.run_job"):
            known = self._watches.worker(worker)
            if known is not None:
                attempt = Attempt(known.reporter, worker, job_id)
        if attempt is None:
            return await original(worker, job_id, *args, **kwargs)
        token = current.set(attempt)
        failure: BaseException | None = None
        try:
            return await original(worker, job_id, *args, **kwargs)
        except BaseException as error:
            failure = error
            raise
        finally:
            current.reset(token)
            with guard("arq.abandon"):
                attempt.abandon(failure)

    def finish_job(
        self, original: Callable[..., Any], worker: Any, job_id: str, finish: bool, *args: Any, **kwargs: Any
    ) -> Any:
        """Run `Worker.finish_job`, which writes down what became of a job. It goes on when the worker is cancelled."""
        attempt = current.get()
        task = asyncio.current_task()
        cancelled = task is not None and task.cancelling() > 0
        if attempt is not None:
            attempt.decided = finish, cancelled

        async def finishing() -> Any:
            done = await original(worker, job_id, finish, *args, **kwargs)
            with guard("arq.finish"):
                if attempt is not None:
                    attempt.settle(finished=finish, cancelled=cancelled)
            return done

        return finishing()

    def serialize_result(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `serialize_result`, where arq says why it gives up a job that it has not executed."""
        with guard("arq.refused"):
            attempt = current.get()
            if attempt is not None and attempt.execution is None:
                said = _result_parameters(original).bind(*args, **kwargs).arguments
                if isinstance(said["result"], BaseException):
                    attempt.refuse(
                        str(said["function"]), int(said["job_try"]), int(said["enqueue_time_ms"]), said["result"]
                    )
        return original(*args, **kwargs)

    async def heart_beat(self, original: Callable[..., Any], worker: Any) -> Any:
        """Run `Worker.heart_beat`, and look at the queue every few seconds."""
        with guard("arq.reading"):
            known = self._watches.worker(worker)
            if known is not None:
                now = known.reporter.clock.monotonic()
                if now >= known.read_at:
                    known.read_at = now + _READING_INTERVAL_S
                    await _read(worker, known.reporter)
        return await original(worker)


async def _read(worker: Any, reporter: Reporter) -> None:
    """Report how many jobs are due and not being executed. Those that are stay in arq's queue until they are done."""
    now_ms = int(reporter.clock.now() * 1000)
    name = str(worker.queue_name)
    pipe = worker.pool.pipeline(transaction=False)
    pipe.zcount(name, "-inf", now_ms)
    pipe.zrangebyscore(name, "-inf", now_ms, start=0, num=_MAX_LOOKED_AT, withscores=True)
    due, first = await pipe.execute()
    oldest_ms = None
    executed = 0
    if first:
        marks = await worker.pool.mget([b"arq:in-progress:" + job_id for job_id, _ in first])
        executed = sum(mark is not None for mark in marks)
        oldest_ms = next((score for (_, score), mark in zip(first, marks, strict=True) if mark is None), None)
    age_s = None if oldest_ms is None else max(0.0, (now_ms - oldest_ms) / 1000)
    reporter.queue_reading(name, max(0, due - executed), age_s)


@functools.lru_cache(maxsize=4)
def _result_parameters(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)
