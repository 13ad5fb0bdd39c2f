"""The deployment of each framework that can be driven through faults."""

import sys
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tests.faults.deployment import PROGRAMS, Deployment, ProgramDeployment
from tests.servers import HuoyanServer, free_port, wait_until
from tests.servers.process import accepts_connections


class CeleryDeployment(Deployment):
    """One prefork worker of Celery with four children, which acknowledges early, as is Celery's default."""

    framework = "celery"
    prefork = True

    def __init__(self, server: HuoyanServer, broker: str = "", *, hooks: bool = True) -> None:
        super().__init__(server, broker, hooks=hooks)
        if not hooks:
            # Celery's own events leave from its main process, some time after the child was done.
            self.unheard_s, self.tells = 1.0, False
            port = urllib.parse.urlsplit(broker).port
            self.env["FAULTS_WORKER_BROKER"] = broker.replace(f":{port}/", f":{self.network.port}/")

    def submit(self, count: int, seconds: float) -> None:
        """Send them from a process of its own."""
        self._produce("tests.faults.apps.celery_app", count, seconds)

    def start(self) -> None:
        """Start the worker."""
        ready = self._ready_count()
        command: Sequence[str | Path] = [PROGRAMS / "celery", "-A", "tests.faults.apps.celery_app", "worker"]
        # With -E: the first events of a worker that has to be asked for them are not heard.
        options = ["-c", "4", "-n", f"w{len(self.kills)}@faults", "-l", "INFO", "-E"]
        env = {**self.env, "FAULTS_BROKER": self.env.get("FAULTS_WORKER_BROKER", self.env["FAULTS_BROKER"])}
        self.worker.run([*command, *options], lambda: self._ready_count() > ready, env=env, timeout_s=60)

    def _ready_count(self) -> int:
        log = self.worker.log_path
        return log.read_text(errors="replace").count("ready.") if log.exists() else 0


class LateCeleryDeployment(CeleryDeployment):
    """One that acknowledges late: what a killed worker had is executed again by the next one."""

    variant: Mapping[str, str] = {"FAULTS_ACKS_LATE": "1"}


class RqDeployment(Deployment):
    """A pool of RQ workers, each of which has a work horse execute one job at a time."""

    framework = "rq"
    prefork = True
    workers = 4

    def submit(self, count: int, seconds: float) -> None:
        """Enqueue them from a process of its own."""
        self._produce("tests.faults.apps.rq_app", count, seconds)

    def start(self) -> None:
        """Start the workers."""
        before = self._ready_count()
        options = ["--url", self.env["FAULTS_BROKER"], "-n", str(self.workers)]
        # It writes down when all is said of a job, and reports by hooks where a server is named.
        kind = ["-w", "tests.faults.apps.rq_worker.TellingWorker"]
        self.worker.run(
            [PROGRAMS / "rq", "worker-pool", *options, *kind, "faults"],
            lambda: self._ready_count() >= before + self.workers,
            env=self.env,
            timeout_s=60,
        )

    def _ready_count(self) -> int:
        log = self.worker.log_path
        return log.read_text(errors="replace").count("Listening on") if log.exists() else 0


class DramatiqDeployment(ProgramDeployment):
    """One process of Dramatiq with four threads; a broker hands on what a killed one had."""

    framework = "dramatiq"
    application = "dramatiq_app"
    command = ("dramatiq", "tests.faults.apps.dramatiq_app", "--processes", "1", "--threads", "4")
    ready = " works"


class HueyDeployment(ProgramDeployment):
    """A consumer of Huey with four threads; what a killed one had is gone."""

    framework = "huey"
    application = "huey_app"
    command = ("huey_consumer", "tests.faults.apps.huey_app.huey", "-w", "4")
    ready = "tests.faults.apps.huey_app.huey_work"


class ArqDeployment(ProgramDeployment):
    """A worker of arq with four jobs at a time, which are taken up again when it was killed."""

    framework = "arq"
    application = "arq_app"
    command = ("arq", "tests.faults.apps.arq_app.WorkerSettings")
    ready = "Starting worker"


class TaskiqDeployment(ProgramDeployment):
    """A Taskiq worker over a list in Redis, with one child that executes four tasks at a time.

    The list hands a message over for good: what a killed child had is gone.
    """

    framework = "taskiq"
    application = "taskiq_app"
    command = ("taskiq", "worker", "tests.faults.apps.taskiq_app:broker", "--workers", "1", "--max-async-tasks", "4")
    prefork = True
    ready = "Listening started"


class TaskiqStreamDeployment(TaskiqDeployment):
    """One over a stream in Redis, which hands on what a killed child had."""

    variant: Mapping[str, str] = {"FAULTS_STREAM": "1"}


class FunctionDeployment(Deployment):
    """Plain functions in the threads of one process; what was not begun when it is killed never was."""

    framework = "python"
    module = "tests.faults.apps.functions"
    """What runs the functions: `… COUNT SECONDS`."""

    def __init__(self, server: HuoyanServer, broker: str = "", *, hooks: bool = True) -> None:
        super().__init__(server, broker, hooks=hooks)
        self._wanted = (0, 0.0)

    def submit(self, count: int, seconds: float) -> None:
        """Remember how many; the process runs them itself."""
        self._wanted = (count, seconds)

    def start(self) -> None:
        """Start a process that runs what is left."""
        count, seconds = self._wanted
        # One at least: a process that runs nothing has nothing to say, and nobody else speaks for the one before it.
        left = max(1, count - len(self.diary.read().last))
        self.worker.run([sys.executable, "-m", self.module, str(left), str(seconds)], lambda: True, env=self.env)


class ApschedulerDeployment(FunctionDeployment):
    """A scheduler of APScheduler with sixty jobs, each due every second, in the threads of one process."""

    framework = "apscheduler"
    module = "tests.faults.apps.apscheduler_app"


class WebDeployment(Deployment):
    """Background tasks of a FastAPI application under uvicorn."""

    framework = "fastapi"

    def __init__(self, server: HuoyanServer, broker: str = "", *, hooks: bool = True) -> None:
        super().__init__(server, broker, hooks=hooks)
        self.port = free_port()
        self._pool = ThreadPoolExecutor(4)
        self._asked: list[Future[None]] = []
        self._closing = False

    def submit(self, count: int, seconds: float) -> None:
        """Send requests while the application lives; one that is refused is sent again."""
        self._asked = [self._pool.submit(self._request, seconds) for _ in range(count)]

    @property
    def asked_all(self) -> bool:  # type: ignore[override]
        """Whether every request was answered: a background task that had not begun when its process was killed never
        will."""
        return all(future.done() for future in self._asked)

    def start(self) -> None:
        """Start the application."""
        command = [sys.executable, "-m", "uvicorn", "tests.faults.apps.web:app", "--port", str(self.port)]
        self.worker.run(command, lambda: accepts_connections(self.port), env=self.env)

    def close(self) -> None:
        """End everything."""
        self._closing = True
        self._pool.shutdown(cancel_futures=True)
        super().close()

    def _request(self, seconds: float) -> None:
        url = f"http://127.0.0.1:{self.port}/later?seconds={seconds}"

        def sent() -> bool:
            if self._closing:
                return True
            with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=30):
                return True

        wait_until(lambda: _quietly(sent), 60, "a request to be answered")


def _quietly(call: object) -> bool:
    try:
        return bool(call())  # type: ignore[operator]
    except OSError:
        return False


KINDS: Mapping[str, type[Deployment]] = {
    "celery": CeleryDeployment,
    "celery-late": LateCeleryDeployment,
    "celery-redis": CeleryDeployment,
    "celery-redis-late": LateCeleryDeployment,
    "dramatiq": DramatiqDeployment,
    "dramatiq-rabbitmq": DramatiqDeployment,
    "huey": HueyDeployment,
    "arq": ArqDeployment,
    "rq": RqDeployment,
    "taskiq": TaskiqDeployment,
    "taskiq-stream": TaskiqStreamDeployment,
    "apscheduler": ApschedulerDeployment,
    "function": FunctionDeployment,
    "background": WebDeployment,
}
"""Frameworks that can be driven through faults."""
