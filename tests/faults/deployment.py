"""Work under faults: how it is asked for, started, killed and stopped, whatever its framework."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.faults.account import Kill, Killed
from tests.faults.diary import DIARY, Diary
from tests.faults.proxy import Proxy
from tests.servers import HuoyanServer, ServerProcess, wait_until

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
_STILL = {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


class Deployment:
    """Work of one framework, watched by one server.

    Args:
        server: The Huoyan server, not started.
        broker: Address of the broker, empty for none.
        hooks: Whether the processes report by themselves.
    """

    prefork = False
    """Whether there are children that can be killed while their worker goes on."""
    framework = ""
    """As Huoyan calls it."""
    asked_all = False
    """Whether everything was asked for that will be, where what was accepted may vanish with its process."""
    unheard_s = 0.0
    """What a process says this shortly before it is killed may be on its way inside the machine, in seconds."""
    variant: Mapping[str, str] = {}
    """Additions to the environment."""
    tells = True
    """Whether the diary says when what watches the tasks has had its turn."""

    def __init__(self, server: HuoyanServer, broker: str = "", *, hooks: bool = True) -> None:
        self.server = server
        self.worker = ServerProcess("faults")
        self.diary = Diary(self.worker.folder / "diary")
        self.kills: list[Kill] = []
        self.submitted: list[str] = []
        # Whatever the work is watched through can be broken: the way to the server, or the way to the broker.
        watched_through = server.url if hooks else broker
        self.network = Proxy(urllib.parse.urlsplit(watched_through).port or 0)
        url = f"http://127.0.0.1:{self.network.port}"
        self.env = {
            "FAULTS_BROKER": broker,
            DIARY: str(self.diary.path),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            **({"HUOYAN_URL": url, "HUOYAN_REPORT_INTERVAL_S": "1"} if hooks else {}),
            **self.variant,
        }

    def submit(self, count: int, seconds: float) -> None:
        """Ask for runs that take `seconds` each."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the worker."""
        raise NotImplementedError

    def close(self) -> None:
        """End everything."""
        for each in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        self.worker.close()
        self.network.close()

    def processes(self) -> list[psutil.Process]:
        """Return the worker's process and all its children."""
        if self.worker.pid is None:
            return []
        first = psutil.Process(self.worker.pid)
        return [first, *first.children(recursive=True)]

    def kill(self) -> None:
        """Kill the worker with all its processes, and start another one.

        They are made to stand still first: a worker that goes on for a moment would say of its child that it died. It
        happens in the middle of a task, if there is one within a few seconds.
        """

        silent_at = 0.0

        def in_the_middle() -> bool:
            nonlocal silent_at
            silent_at = time.time()
            self.freeze()
            if self.diary.read().executing & {each.pid for each in self.processes()}:
                return True
            self.thaw()
            return False

        try:
            wait_until(in_the_middle, 5)
        except AssertionError:
            silent_at = time.time()
            self.freeze()
        doomed = self.processes()
        self.worker.kill()
        for each in doomed[1:]:
            # Some lead a group of their own, which the signal to that of the worker does not reach.
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(doomed, timeout=10)
        self.kills += [Kill(each.pid, time.time(), silent_at) for each in doomed]
        self.start()

    def look_after(self) -> None:
        """Do what a supervisor does: start a worker again that ended by itself, of a broker that went away for example.

        What a process executed that is gone died with it, as if it had been killed.
        """
        alive = {each.pid for each in self.processes()}
        diary, killed = self.diary.read(), Killed(self.kills)
        died = [line for run_id, line in diary.begun.items() if run_id not in diary.ended and line["pid"] not in alive]
        self.kills += [Kill(pid, time.time()) for pid in {line["pid"] for line in died if killed.after(line) is None}]
        if not self.worker.running:
            self.start()

    def kill_child(self) -> None:
        """Kill one of the processes that execute, under its worker, in the middle of a task.

        It is made to stand still first, so that it is sure whether its task had ended.
        """

        def killed() -> bool:
            children = {each.pid: each for each in self.processes()[1:]}
            for pid in self.diary.read().executing & set(children):
                with contextlib.suppress(psutil.NoSuchProcess):
                    children[pid].suspend()
                    _stand_still(children[pid])
                    if pid in self.diary.read().executing:
                        children[pid].kill()
                        self.kills.append(Kill(pid, time.time()))
                        return True
                    children[pid].resume()
            return False

        wait_until(killed, 60, "a child in the middle of a task")

    def freeze(self) -> None:
        """Stop the worker with all its processes, without ending them."""
        still: set[int] = set()
        # The first one first: it forks no more once it stands still. Its children may, until they do.
        while moving := [each for each in self.processes() if each.pid not in still]:
            # All of them before it is waited for one: a child would end its task meanwhile, and get no other.
            for each in moving:
                still.add(each.pid)
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.suspend()
            for each in moving:
                with contextlib.suppress(psutil.NoSuchProcess):
                    _stand_still(each)

    def thaw(self) -> None:
        """Let it go on."""
        for each in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.resume()

    def _produce(self, module: str, count: int, seconds: float) -> None:
        done = subprocess.run(
            [sys.executable, "-m", module, str(count), str(seconds)],
            env={**os.environ, **self.env},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=1200,  # Ten thousand, each written to disk, on a busy machine.
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.submitted += [json.loads(line) for line in done.stdout.splitlines()]


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


def _stand_still(process: psutil.Process) -> None:
    """Wait until a process stands still that was told to: the signal may reach it a moment later."""
    wait_until(lambda: process.status() in _STILL, 10, "a process to stand still", interval_s=0.001)
