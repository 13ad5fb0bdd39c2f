"""Frameworks under faults: how each one's work is asked for, started, killed and stopped."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from tests.faults.account import Kill
from tests.faults.diary import DIARY, read
from tests.faults.proxy import Proxy
from tests.servers import HuoyanServer, ServerProcess, free_port, wait_until
from tests.servers.process import accepts_connections

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent


class Deployment:
    """Work of one framework, watched by one server.

    Args:
        server: The Huoyan server, not started.
        broker: Address of the broker, empty for none.
        hooks: Whether the processes report by themselves.
    """

    prefork = False
    """Whether there are children that can be killed while their worker goes on."""
    asked_all = False
    """Whether everything was asked for that will be, where what was accepted may vanish with its process."""
    unheard_s = 0.0
    """What a process says this shortly before it is killed may be on its way inside the machine, in seconds."""
    tells = True
    """Whether the diary says when what watches the tasks has had its turn."""

    def __init__(self, server: HuoyanServer, broker: str = "", *, hooks: bool = True) -> None:
        self.server = server
        self.worker = ServerProcess("faults")
        self.diary = self.worker.folder / "diary"
        self.kills: list[Kill] = []
        self.submitted: list[str] = []
        # Whatever the work is watched through can be broken: the way to the server, or the way to the broker.
        watched_through = server.url if hooks else broker
        self.network = Proxy(urllib.parse.urlsplit(watched_through).port or 0)
        url = f"http://127.0.0.1:{self.network.port}"
        self.env = {
            "FAULTS_BROKER": broker,
            DIARY: str(self.diary),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            **({"HUOYAN_URL": url, "HUOYAN_REPORT_INTERVAL_S": "1"} if hooks else {}),
        }

    def submit(self, count: int, seconds: float) -> None:
        """Ask for runs that take `seconds` each."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the worker."""
        raise NotImplementedError

    def close(self) -> None:
        """End everything."""
        self.thaw()
        self.worker.close()
        self.network.close()

    def processes(self) -> list[psutil.Process]:
        """Return the worker's process and all its children."""
        if self.worker.pid is None:
            return []
        first = psutil.Process(self.worker.pid)
        return [first, *first.children(recursive=True)]

    def kill(self) -> None:
        """Kill the worker with all its processes, and start another one."""
        pids = [each.pid for each in self.processes()]
        self.worker.kill()
        self.kills += [Kill(pid, time.time()) for pid in pids]
        self.start()

    def kill_child(self) -> None:
        """Kill one of the processes that execute, under its worker, in the middle of a task.

        It is made to stand still first, so that it is sure whether its task had ended.
        """

        def killed() -> bool:
            children = {each.pid: each for each in self.processes()[1:]}
            for pid in _executing(self._lines()) & set(children):
                with contextlib.suppress(psutil.NoSuchProcess):
                    children[pid].suspend()
                    if pid in _executing(self._lines()):
                        children[pid].kill()
                        self.kills.append(Kill(pid, time.time()))
                        return True
                    children[pid].resume()
            return False

        wait_until(killed, 60, "a child in the middle of a task")

    def freeze(self) -> None:
        """Stop the worker with all its processes, without ending them."""
        # The first one first: it forks no more once it stands still.
        for each in self.processes()[:1]:
            each.suspend()
        for each in self.processes()[1:]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.suspend()

    def thaw(self) -> None:
        """Let it go on."""
        for each in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.resume()

    def _lines(self) -> list[dict[str, Any]]:
        return read(self.diary)

    def _produce(self, module: str, count: int, seconds: float) -> None:
        done = subprocess.run(
            [sys.executable, "-m", module, str(count), str(seconds)],
            env={**os.environ, **self.env},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.submitted += [json.loads(line) for line in done.stdout.splitlines()]


class CeleryDeployment(Deployment):
    """One prefork worker of Celery with four children, which acknowledges early, as is Celery's default."""

    prefork = True
    variant: Mapping[str, str] = {}
    """Additions to the environment."""

    def __init__(self, server: HuoyanServer, broker: str = "", *, hooks: bool = True) -> None:
        super().__init__(server, broker, hooks=hooks)
        if not hooks:
            # Celery's own events leave from its main process, some time after the child was done.
            self.unheard_s, self.tells = 0.3, False
            port = urllib.parse.urlsplit(broker).port
            self.env["FAULTS_WORKER_BROKER"] = broker.replace(f":{port}/", f":{self.network.port}/")
        self.env |= self.variant

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
    """One RQ worker, whose work horse executes one job at a time."""

    prefork = True

    def submit(self, count: int, seconds: float) -> None:
        """Enqueue them from a process of its own."""
        self._produce("tests.faults.apps.rq_app", count, seconds)

    def start(self) -> None:
        """Start the worker; its heartbeats are shorter than the six minutes of RQ."""
        log = self.worker.log_path
        before = log.read_text().count("Listening on") if log.exists() else 0
        hooks = ["-w", "tests.faults.apps.rq_worker.TellingWorker"]
        name = ["--name", f"w{len(self.kills)}"]
        self.worker.run(
            [PROGRAMS / "rq", "worker", "--url", self.env["FAULTS_BROKER"], *name, *hooks, "faults"],
            lambda: log.read_text().count("Listening on") > before,
            env=self.env,
        )


class ProgramDeployment(Deployment):
    """One worker program that executes four tasks at a time in threads or coroutines of itself."""

    application = ""
    """Name of its module in `tests.faults.apps`."""
    command: Sequence[str] = ()
    ready = ""
    """What its log says when it works."""

    def submit(self, count: int, seconds: float) -> None:
        """Send them from a process of its own."""
        self._produce(f"tests.faults.apps.{self.application}", count, seconds)

    def start(self) -> None:
        """Start the worker."""
        before = self._ready_count()
        command: Sequence[str | Path] = [PROGRAMS / self.command[0], *self.command[1:]]
        self.worker.run(command, lambda: self._ready_count() > before, env=self.env, timeout_s=60)

    def _ready_count(self) -> int:
        log = self.worker.log_path
        return log.read_text(errors="replace").count(self.ready) if log.exists() else 0


class DramatiqDeployment(ProgramDeployment):
    """One process of Dramatiq with four threads; a broker hands on what a killed one had."""

    application = "dramatiq_app"
    command = ("dramatiq", "tests.faults.apps.dramatiq_app", "--processes", "1", "--threads", "4")
    ready = " works"


class HueyDeployment(ProgramDeployment):
    """A consumer of Huey with four threads; what a killed one had is gone."""

    application = "huey_app"
    command = ("huey_consumer", "tests.faults.apps.huey_app.huey", "-w", "4")
    ready = "tests.faults.apps.huey_app.huey_work"


class ArqDeployment(ProgramDeployment):
    """A worker of arq with four jobs at a time, which are taken up again when it was killed."""

    application = "arq_app"
    command = ("arq", "tests.faults.apps.arq_app.WorkerSettings")
    ready = "Starting worker"


class FunctionDeployment(Deployment):
    """Plain functions in the threads of one process; what was not begun when it is killed never was."""

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
        left = max(1, count - len({line["run"] for line in self._lines()}))
        command = [sys.executable, "-m", "tests.faults.apps.functions", str(left), str(seconds)]
        self.worker.run(command, lambda: True, env=self.env)


class WebDeployment(Deployment):
    """Background tasks of a FastAPI application under uvicorn."""

    def __init__(self, server: HuoyanServer, broker: str = "", *, hooks: bool = True) -> None:
        super().__init__(server, broker, hooks=hooks)
        self.port = free_port()
        # It answers faster than it works: all that happens while the server is away has to fit.
        self.env["HUOYAN_BUFFER_EVENTS"] = "100000"
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


def _executing(lines: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return the processes whose last line is a start."""
    last = {line["pid"]: line["what"] for line in lines}
    return {pid for pid, what in last.items() if what == "start"}


def _quietly(call: object) -> bool:
    try:
        return bool(call())  # type: ignore[operator]
    except OSError:
        return False


KINDS: Mapping[str, type[Deployment]] = {
    "celery": CeleryDeployment,
    "celery-late": LateCeleryDeployment,
    "celery-redis": CeleryDeployment,
    "dramatiq": DramatiqDeployment,
    "dramatiq-rabbitmq": DramatiqDeployment,
    "huey": HueyDeployment,
    "arq": ArqDeployment,
    "rq": RqDeployment,
    "function": FunctionDeployment,
    "background": WebDeployment,
}
"""Frameworks that can be driven through faults."""
