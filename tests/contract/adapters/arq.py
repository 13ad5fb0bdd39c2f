"""arq over a real Redis."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import arq
import pytest
from arq import Retry, cron
from arq.connections import RedisSettings
from arq.worker import Worker, func

import huoyan
from tests.contract.adapters.contract import AdapterUnderTest, Base, Carries, Function, new_queue
from tests.servers import RedisServer


class ArqAdapter(Base):
    """arq; jobs are enqueued and worked off inside `work`, each in an event loop of its own."""

    framework = "arq"
    carries: Carries = "pickle"

    def __init__(self, redis: RedisServer, queue: str = "") -> None:
        # A connection that a busy machine does not make within the second of the default ends the worker.
        self.settings = RedisSettings(port=redis.port, conn_timeout=60)
        self.queue = queue or new_queue()
        self.functions: dict[Any, Any] = {}
        self.enqueue: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []
        self.aborted: list[int] = []
        self.watched = True
        self.careful = False
        self.options: dict[str, Any] = {}

    def watch_again(self) -> None: ...

    def _function(self, function: Function, **options: Any) -> Any:
        if function not in self.functions:

            async def call(ctx: Any, *args: Any, **kwargs: Any) -> Any:
                if self.careful:
                    # The event loop goes on and reads the queue.
                    return await asyncio.to_thread(function, *args, **kwargs)
                return function(*args, **kwargs)

            retries = options.pop("retries", None)

            async def again(ctx: Any, *args: Any, **kwargs: Any) -> Any:
                try:
                    return function(*args, **kwargs)
                except ValueError as error:
                    if ctx["job_try"] > retries:
                        raise
                    raise RetryOf(error) from error

            coroutine: Any = call if retries is None else again
            # The names of the parameters are what secrets are known by.
            coroutine.__wrapped__ = _with_context(function)
            name = f"{function.__name__}_{len(self.functions)}"
            self.functions[function] = func(coroutine, name=name, **options)
        return self.functions[function]

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        self.enqueue.append((self._function(function), args, kwargs))
        return len(self.enqueue) - 1

    def retrying(self, function: Function, retries: int) -> None:
        self.enqueue.append((self._function(function, retries=retries), (), {}))

    def delayed(self, function: Function, delay_s: float) -> None:
        self.enqueue.append((self._function(function), (), {"_defer_by": delay_s}))

    def limited(self, step: Function, limit_s: float) -> None:
        async def patient(ctx: Any) -> None:
            while True:
                step()
                await asyncio.sleep(0.005)

        self.functions[step] = func(patient, name="patient", timeout=limit_s, max_tries=1)
        self.enqueue.append((self.functions[step], (), {}))

    def revoke(self, handle: Any) -> None:
        self.aborted.append(handle)

    def declare(self, function: Function) -> None:
        self._function(function)

    def carefully(self, redeliver_after_s: float) -> None:
        self.careful = True

    def twice(self, function: Function) -> None:
        self.enqueue.append((self._function(function), (), {"_job_id": "twice"}))
        kept: list[tuple[Any, Any]] = []

        async def keep(ctx: Any) -> None:
            if ctx["job_id"] == "twice":
                kept.append((await ctx["redis"].get("arq:job:twice"), ctx["score"]))

        async def put_back(ctx: Any) -> None:
            # What is there again when a worker dies between the success and the end of the job.
            if ctx["job_id"] == "twice" and len(kept) == 1:
                job, score = kept[0]
                await ctx["redis"].set("arq:job:twice", job)
                await ctx["redis"].set("arq:retry:twice", 1)
                await ctx["redis"].zadd(self.queue, {"twice": score})

        self.options |= {"on_job_start": keep, "after_job_end": put_back}

    def schedule(self, function: Function) -> None:
        async def hourly(ctx: Any) -> None: ...

        self.options["cron_jobs"] = [cron(hourly, minute=0)]
        self.serve()

    def serve(self) -> None:
        self.options["burst"] = False
        self.work()

    def work(self) -> None:
        asyncio.run(self._work())

    async def _work(self) -> None:
        pool = await arq.create_pool(self.settings, default_queue_name=self.queue)
        worker = Worker(
            list(self.functions.values()),
            queue_name=self.queue,
            redis_settings=self.settings,
            handle_signals=False,
            poll_delay=0.02,
            max_jobs=1,
            allow_abort_jobs=True,
            **{"burst": True, **self.options},
        )
        if self.careful:
            # It is ten seconds more than the longest job may take otherwise.
            worker.in_progress_timeout_s = 3
        if self.watched:
            # Twice each, which changes nothing.
            for thing in (worker, pool, worker, pool):
                huoyan.watch(thing)
        for number, (function, args, kwargs) in enumerate(self.enqueue):
            job = await pool.enqueue_job(function.name, *args, **kwargs)
            assert job is not None
            if number in self.aborted:
                await pool.zadd("arq:abort", {job.job_id: int(time.time() * 1000)})
        self.enqueue.clear()
        await worker.async_run()
        await worker.close()
        for thing in (worker, pool):
            huoyan.unwatch(thing)
        await pool.aclose()

    def unwatch(self) -> None:
        self.watched = False


class RetryOf(Retry):
    """Says by its text why the job is tried again."""

    def __init__(self, error: Exception) -> None:
        super().__init__(defer=0.01)
        self.error = error

    def __str__(self) -> str:
        return str(self.error)


def _with_context(function: Function) -> Any:
    code = function.__code__
    names = ", ".join(("ctx", *code.co_varnames[: code.co_argcount]))
    return eval(f"lambda {names}: None")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """arq logs the traceback of every job that fails."""
    logger = logging.getLogger("arq")
    before, logger.level = logger.level, logging.CRITICAL + 1
    yield
    logger.level = before


ADAPTERS: dict[str, Callable[[pytest.FixtureRequest], AdapterUnderTest]] = {
    "arq": lambda request: ArqAdapter(request.getfixturevalue("redis_server"), new_queue(request)),
}
"""How to make them."""
