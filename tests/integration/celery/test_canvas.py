"""Workflows of a real Celery worker: what comes later is planned, what holds a chord up is named."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.celery.deployment import ROOT
from tests.servers import HuoyanServer, RedisServer, ServerProcess, wait_until

SIZE = 40


def test_a_chain_and_a_chord_are_drawn_while_they_run_and_after(redis_server: RedisServer, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with HuoyanServer() as server:
        env = {
            "TEST_BROKER": redis_server.database_url(9),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
            "HUOYAN_URL": server.url,
        }
        worker = ServerProcess("celery")
        try:
            program = Path(sys.executable).with_name("celery")
            command: list[str | Path] = [program, "-A", "tests.integration.celery.canvas_app", "worker", "-c", "2"]
            worker.run([*command, "-l", "INFO"], lambda: "ready." in worker.log_path.read_text(), env=env)
            sent = subprocess.run(
                [sys.executable, "-m", "tests.integration.celery.canvas_app", str(SIZE), str(gate)],
                env={**os.environ, **env},
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert sent.returncode == 0, sent.stderr
            ids = json.loads(sent.stdout)
            _check_chain(server, ids["row"])
            _check_chord(server, ids["post"], gate)
        finally:
            worker.close()


def _check_chain(server: HuoyanServer, ids: list[str]) -> None:
    def graph() -> dict[str, Any]:
        found: dict[str, Any] = server.get(f"/runs/{ids[0]}/workflow")
        return found

    wait_until(lambda: len(server.runs(state="succeeded", task="canvas.post")) == 2, 30)
    seen = graph()
    assert [node["key"] for node in seen["nodes"]] == ids
    assert seen["edges"] == [
        {"source": ids[0], "target": ids[1], "kind": "then"},
        {"source": ids[1], "target": ids[2], "kind": "then"},
    ]
    # Asked from its end it is the same picture.
    assert server.get(f"/runs/{ids[2]}/workflow")["edges"] == seen["edges"]


def _check_chord(server: HuoyanServer, last: str, gate: Path) -> None:
    def pages() -> list[dict[str, Any]]:
        return [run for run in server.runs(task="canvas.page") if run["group_id"]]

    def waits() -> bool:
        found = [run["state"] for run in pages()]
        return found.count("succeeded") == SIZE - 1 and "started" in found

    wait_until(waits, 60, interval_s=0.2)
    header = pages()
    assert len({run["group_id"] for run in header}) == 1
    graph = server.get(f"/runs/{header[0]['id']}/workflow")
    kinds = {node["kind"]: node for node in graph["nodes"]}
    assert (kinds["group"]["total"], kinds["group"]["finished"]) == (SIZE, SIZE - 1)
    assert kinds["planned"]["task"] == "canvas.bind"
    waiting = next(run["id"] for run in header if run["state"] == "started")
    assert [(one["run"]["id"], one["waiting"]) for one in graph["blockers"]] == [(waiting, kinds["planned"]["key"])]

    gate.touch()
    wait_until(lambda: server.runs(state="succeeded", task="canvas.bind"), 30)
    wait_until(lambda: len(server.runs(state="succeeded", task="canvas.post")) == 3, 30)
    graph = server.get(f"/runs/{last}/workflow")
    assert [(node["kind"], node["task"]) for node in graph["nodes"]] == [
        ("group", "canvas.page"),
        ("run", "canvas.bind"),
        ("run", "canvas.post"),
    ]
    assert {edge["kind"] for edge in graph["edges"]} == {"then"}
    assert (graph["blockers"], graph["finished"], graph["planned"]) == ([], SIZE + 2, 0)
    rows = {row["group_id"]: row for row in server.get("/workflows")["items"]}
    assert rows[header[0]["group_id"]]["total"] == SIZE + 2
