"""A Celery deployment with a Huoyan server beside it: real broker, real worker, real producer."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any, Self

import celery

from tests.servers import HuoyanServer, ServerProcess, wait_until

ROOT = Path(__file__).parents[3]
NODE = "w1@test"


class Deployment:
    """One worker, watched by the event stream (`stream`), by hooks (`hooks`), or by both.

    Args:
        broker: Address of the broker.
        mode: How it is watched.
        pool: Pool of the worker: prefork, threads, gevent, solo.
        concurrency: How many tasks it executes at once.
    """

    def __init__(self, broker: str, mode: str, *, pool: str = "prefork", concurrency: int = 2) -> None:
        arguments = ("--celery", broker) if mode in {"stream", "both"} else ()
        self.server = HuoyanServer(*arguments)
        self.worker = ServerProcess("celery")
        self._pool = pool
        self._concurrency = concurrency
        self.env = {
            "TEST_BROKER": broker,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            **({"TEST_WATCH": "1", "HUOYAN_URL": self.server.url} if mode in {"hooks", "both"} else {}),
        }
        self.worker_env: dict[str, str] = {}
        """What is otherwise in the environment of the worker."""

    def __enter__(self) -> Self:
        try:
            self.server.start()
            self.worker.run(self._command(), self._is_ready, env={**self.env, **self.worker_env})
            self._warm_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End worker and server."""
        self.worker.close()
        self.server.close()

    def publish(self, prefix: str, number: int, *more: str) -> None:
        """Send tasks from a process of its own and wait until they are sent."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.integration.celery.publish", prefix, str(number), *more],
            env={**os.environ, **self.env},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def runs(self, ids: set[str], timeout_s: float = 60.0) -> dict[str, dict[str, Any]]:
        """Return these runs as the API lists them, as soon as all have ended; each must be listed once."""
        final = {"succeeded", "failed", "revoked", "rejected", "dead", "lost"}

        def missing() -> list[str]:
            counts = self.server.get("/runs/counts")["state"]
            if sum(counts.get(state, 0) for state in final) < len(ids):
                return [f"only {counts}"]
            ended = {run["id"] for run in self.server.runs(state=sorted(final))}
            return sorted(ids - ended)

        wait_until(lambda: not missing(), timeout_s, lambda: f"every run to end: {missing()[:10]}", interval_s=0.5)
        listed = [run for run in self.server.runs() if run["id"] in ids]
        assert len(listed) == len(ids), "a run is listed twice"
        return {run["id"]: run for run in listed}

    def _is_ready(self) -> bool:
        return "ready." in self.worker.log_path.read_text()

    def _warm_up(self) -> None:
        """Wait until what the worker does is heard: it has to be asked for its events first."""

        numbers = count()
        with celery.Celery("warm", broker=self.env["TEST_BROKER"], set_as_current=False) as app:

            def heard() -> bool:
                app.send_task("orders.work", ("ok", 0), task_id=f"warm-{next(numbers)}")
                return bool(self.server.get("/runs", state="succeeded")["items"])

            wait_until(heard, 40.0, lambda: f"the worker to be heard; {self.worker.log_tail()}", interval_s=0.5)

    def _command(self) -> list[str | Path]:
        return [
            Path(sys.executable).with_name("celery"),
            *("-A", "tests.integration.celery.app"),
            "worker",
            *("-P", self._pool),
            *("-c", str(self._concurrency)),
            *("-n", NODE),
            *("-l", "INFO"),
        ]
