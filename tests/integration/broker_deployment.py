"""A worker on a broker, watched by a Huoyan server, whose tasks note for themselves who executed them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.servers import HuoyanServer, ServerProcess

ROOT = Path(__file__).parents[2]
FINAL = {"succeeded", "failed", "revoked", "rejected", "dead", "lost"}


class BrokerDeployment:
    """What every framework's deployment has.

    Args:
        name: Of the worker's process, for its folder and log.
        server: Watches it.
        broker: Address of the broker.
        env: More variables for its programs.
    """

    def __init__(self, name: str, server: HuoyanServer, broker: str, **env: str) -> None:
        self.server = server
        self.worker = ServerProcess(name)
        self.record = self.worker.folder / "record"
        self.gate = self.worker.folder / "gate"
        self.env = {
            "TEST_BROKER": broker,
            "TEST_RECORD": str(self.record),
            "HUOYAN_URL": server.url,
            "HUOYAN_REPORT_INTERVAL_S": "0.5",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            **env,
        }

    def python(self, *words: str) -> None:
        """Run a program with the application in reach."""
        done = subprocess.run(
            [sys.executable, *words],
            env={**os.environ, **self.env},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def executions(self) -> dict[str, list[int]]:
        """Return the processes that executed each task, as the tasks themselves noted it."""
        found: dict[str, list[int]] = {}
        for line in self.record.read_text().splitlines() if self.record.exists() else []:
            run_id, pid = line.split()
            found.setdefault(run_id, []).append(int(pid))
        return found

    def run(self, run_id: str) -> dict[str, Any]:
        """Return one run."""
        found: dict[str, Any] = self.server.get(f"/runs/{run_id}")
        return found

    def close(self) -> None:
        """End the worker at once."""
        self.worker.kill()
        self.worker.close()
