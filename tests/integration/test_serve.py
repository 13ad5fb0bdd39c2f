"""A real `huoyan serve`: ingest, live stream, restart, orderly end, and what it refuses to start with."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.servers import HuoyanServer, RedisServer, SmtpServer, free_port, wait_until

HUOYAN = Path(sys.executable).with_name("huoyan")
Start = Callable[..., HuoyanServer]


def event(run_id: str, kind: str = "succeeded", ago_s: float = 5.0, **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "run_id": run_id,
        "at": time.time() - ago_s,
        "task": "orders.pay",
        "service": "orders",
        "worker": "w",
        **more,
    }


def command(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that has to end by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HUOYAN_")}
    return subprocess.run(
        [HUOYAN, *arguments], cwd=cwd, env={**clean, **(env or {})}, capture_output=True, text=True, timeout=60
    )


class Stream:
    """An open live stream, read in a thread."""

    def __init__(self, server: HuoyanServer, headers: dict[str, str] | None = None) -> None:
        self.events: list[tuple[str, Any]] = []
        self.comments = 0
        self.ended = threading.Event()
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._connection.request("GET", "/api/v1/stream", headers=headers or {})
        self._socket = self._connection.sock
        self.response = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        name = ""
        try:
            for raw in self.response:
                line = raw.decode().rstrip("\n")
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    self.events.append((name, json.loads(line[6:])))
                elif line.startswith(":"):
                    self.comments += 1
        except OSError:
            pass
        self.ended.set()

    def topics(self) -> list[str]:
        return [name for name, _ in self.events]

    def close(self) -> None:
        # Not closed before the reader has seen the end: closing waits for it.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._connection.close()


@contextmanager
def streams(server: HuoyanServer, count: int) -> Iterator[Sequence[Stream]]:
    opened = [Stream(server) for _ in range(count)]
    try:
        wait_until(lambda: all("hello" in stream.topics() for stream in opened), message="hello on every stream")
        yield opened
    finally:
        for stream in opened:
            stream.close()


class TestRunning:
    def test_events_become_runs_figures_and_metrics(self, huoyan_server: Start) -> None:
        server = huoyan_server()
        batch = [event(f"r{n}", duration_s=0.1) for n in range(50)] + [
            event("bad", "failed", exception={"type": "E", "message": "m"})
        ]
        assert server.post("/events", {"events": batch, "sent_at": time.time()}) == {"accepted": 51, "rejected": []}
        assert len(server.runs()) == 51
        assert server.get("/runs/counts")["state"] == {"succeeded": 50, "failed": 1}
        assert server.get("/overview")["totals"]["failure_ratio"] == pytest.approx(1 / 51)
        (task,) = server.get("/tasks")["items"]
        assert (task["runs"], task["failed"]) == (51, 1)
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        assert 'huoyan_task_runs_total{service="orders",task="orders.pay",queue="",state="succeeded"} 50' in text

    def test_it_says_where_it_is_and_where_data_is_kept(self, huoyan_server: Start) -> None:
        server = huoyan_server()
        log = server.process.log_path.read_text()
        assert f" at {server.url} · data in {server.data_dir}\n" in log
        assert len(log.splitlines()) == 1

    def test_a_token_is_asked_for(self, huoyan_server: Start) -> None:
        server = huoyan_server(token="a-token-for-tests")
        assert server.get("/runs")["items"] == []
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{server.url}/api/v1/runs", timeout=10)
        assert refused.value.code == 401
        refused.value.close()
        assert "a-token-for-tests" not in server.process.log_path.read_text()
        with closing(Stream(server)) as stream:
            assert stream.response.status == 401

    def test_many_clients_at_once_lose_nothing(self, huoyan_server: Start) -> None:
        server = huoyan_server()
        failures: list[BaseException] = []

        def client(number: int) -> None:
            try:
                for batch in range(10):
                    events = [event(f"c{number}-{batch}-{n}") for n in range(20)]
                    assert server.post("/events", events)["accepted"] == 20
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=client, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []
        assert server.get("/runs/counts")["total"] == 2400

    def test_a_rule_fires_and_the_incident_is_acknowledged_from_the_command_line(
        self, huoyan_server: Start, tmp_path: Path
    ) -> None:
        rule = (
            '[[rules]]\nname = "failing"\nsignal = "task_failures"\nthreshold = 2\nlevel = "critical"\nwindow = "1m"\n'
        )
        server = huoyan_server(config=rule)
        server.post("/events", [event(f"bad{n}", "failed", 1, exception={"type": "E"}) for n in range(3)])
        wait_until(lambda: server.get("/incidents")["items"], timeout_s=15, message="an incident")
        (incident,) = server.get("/incidents")["items"]
        assert (incident["rule"], incident["level"], incident["state"]) == ("failing", "critical", "open")
        assert server.get("/overview")["verdict"]["level"] == "critical"
        env = {"HUOYAN_URL": server.url}
        assert incident["title"] in command("incidents", cwd=tmp_path, env=env).stdout
        done = command("incidents", "ack", str(incident["id"]), "--by", "lin", "--json", cwd=tmp_path, env=env)
        assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "acknowledged")
        again = command("incidents", "ack", str(incident["id"]), cwd=tmp_path, env=env)
        assert (again.returncode, again.stdout) == (1, "")
        assert "lin" in again.stderr
        detail = server.get(f"/incidents/{incident['id']}")
        assert {run["id"] for run in detail["runs"]} == {"bad0", "bad1", "bad2"}
        listed = command("runs", "--state", "failed", cwd=tmp_path, env=env)
        assert "bad0" in listed.stdout

    def test_runs_are_followed_from_the_command_line(self, huoyan_server: Start, tmp_path: Path) -> None:
        server = huoyan_server()
        server.post("/events", event("early", "started"))
        following = subprocess.Popen(
            [HUOYAN, "runs", "--follow", "--json", "--url", server.url],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            # Whoever started the tests in the background may have had it ignored, which children inherit.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        lines: list[tuple[str, str]] = []
        assert following.stdout is not None

        def read(source: Any) -> None:
            for line in source:
                run = json.loads(line)
                lines.append((run["id"], run["state"]))

        reader = threading.Thread(target=read, args=(following.stdout,), daemon=True)
        reader.start()
        try:
            wait_until(lambda: ("early", "started") in lines, timeout_s=15, message="the run that is there")
            server.post("/events", [event("early"), event("late", "failed")])
            wait_until(lambda: {("early", "succeeded"), ("late", "failed")} <= set(lines), message="what came then")
            assert lines.count(("early", "started")) == 1
        finally:
            following.send_signal(signal.SIGINT)
            assert following.wait(10) == 130
            reader.join(10)
            following.stdout.close()


class TestStream:
    def test_what_changes_arrives_by_itself(self, huoyan_server: Start) -> None:
        server = huoyan_server()
        with streams(server, 3) as opened:
            assert opened[0].response.getheader("content-type") == "text/event-stream; charset=utf-8"
            server.post("/events", event("live", "failed", exception={"type": "E", "message": "m"}))

            def seen(stream: Stream) -> bool:
                items = [item for name, data in stream.events if name == "runs" for item in data["items"]]
                return any(item["id"] == "live" and item["state"] == "failed" for item in items)

            wait_until(lambda: all(seen(stream) for stream in opened), timeout_s=10, message="the run on each stream")

    def test_a_quiet_stream_is_kept_alive(self, huoyan_server: Start) -> None:
        server = huoyan_server()
        with streams(server, 1) as (stream,):
            wait_until(lambda: stream.comments >= 1, timeout_s=25, message="a comment as heartbeat")

    def test_streams_that_left_make_room_for_others(self, huoyan_server: Start) -> None:
        server = huoyan_server()
        for _ in range(3):
            with streams(server, 90):
                pass
        with streams(server, 1):
            assert server.get("/overview")["verdict"]["level"] == "ok"


class TestEnd:
    def test_it_ends_at_once_and_in_order_with_streams_open(self, huoyan_server: Start) -> None:
        server = huoyan_server()
        process = server.process._process
        assert process is not None
        with streams(server, 5) as opened:
            server.post("/events", [event(f"r{n}") for n in range(100)])
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            assert time.monotonic() - began < 5
            wait_until(lambda: all(stream.ended.is_set() for stream in opened), timeout_s=5, message="ended streams")
        assert "Traceback" not in server.process.log_path.read_text()

    def test_history_outlives_a_restart(self, huoyan_server: Start) -> None:
        server = huoyan_server()
        server.post("/events", [event(f"r{n}") for n in range(100)])
        server.stop()
        server.start()
        assert server.get("/runs/counts")["state"] == {"succeeded": 100}
        assert server.get("/tasks")["items"][0]["runs"] == 100

    def test_what_was_answered_outlives_a_power_cut(self, huoyan_server: Start) -> None:
        server = huoyan_server()
        for batch in range(5):
            assert server.post("/events", [event(f"r{batch}-{n}") for n in range(40)])["accepted"] == 40
        server.kill()
        server.start()
        assert server.get("/runs/counts")["total"] == 200

    def test_ctrl_c_is_an_orderly_end(self, huoyan_server: Start) -> None:
        server = huoyan_server()
        process = server.process._process
        assert process is not None
        process.send_signal(signal.SIGINT)
        assert process.wait(10) in (0, 130)
        assert "Traceback" not in server.process.log_path.read_text()


class TestRefusals:
    def test_wrong_settings_are_refused_by_their_names(self, tmp_path: Path) -> None:
        (tmp_path / "huoyan.toml").write_text(
            '[server]\nprot = 1\n[[rules]]\nname = "a"\nsignal = "task_joy"\n[[receivers]]\nname = "x"\nkind = "fax"\n'
        )
        done = command("serve", "--port", "many", "--host", "0.0.0.0", cwd=tmp_path)
        assert done.returncode == 2
        told = [line.partition(": expected")[0] for line in done.stderr.removeprefix("huoyan: ").splitlines()]
        assert told == ["--port", "server.prot", "server.token", "rules[0].signal", "receivers[0].kind"]
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "huoyan-data").exists()

    def test_a_busy_port_is_reported_with_the_way_to_choose_another(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", free_port())) as other:
            port = other.getsockname()[1]
            done = command("serve", cwd=tmp_path, env={"HUOYAN_PORT": str(port)})
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert f"HUOYAN_PORT={port + 1} or --port {port + 1}" in done.stderr

    def test_a_data_directory_in_use_is_reported(self, huoyan_server: Start, tmp_path: Path) -> None:
        server = huoyan_server()
        done = command("serve", "--port", "0", "--data-dir", str(server.data_dir), cwd=tmp_path)
        assert done.returncode == 2
        assert f"process {server.process.pid} uses" in done.stderr
        assert server.get("/overview")["verdict"]["level"] == "ok"

    def test_a_database_that_does_not_answer_is_reported(self, tmp_path: Path) -> None:
        url = f"postgresql://huoyan:geheim@127.0.0.1:{free_port()}/huoyan"
        done = command("serve", "--port", "0", "--database-url", url, cwd=tmp_path)
        assert done.returncode == 1
        assert "geheim" not in done.stderr
        assert "Traceback" not in done.stderr


class TestCelery:
    def test_a_broker_that_goes_away_is_one_blindness_until_it_is_back(
        self, huoyan_server: Start, fresh_redis: RedisServer
    ) -> None:
        def let_in() -> None:
            fresh_redis.command("ACL", "SETUSER", "watcher", "on", ">geheim", "+@all", "~*", "&*")

        def blindness() -> list[dict[str, Any]]:
            return [alert for alert in server.get("/alerts")["items"] if alert["rule"] == "ingest-cut"]

        def verdict() -> dict[str, Any]:
            found: dict[str, Any] = server.get("/overview")["verdict"]
            return found

        let_in()
        server = huoyan_server("--celery", f"redis://watcher:geheim@127.0.0.1:{fresh_redis.port}/0")
        wait_until(lambda: verdict()["level"] == "ok", 30, lambda: str(verdict()))
        fresh_redis.kill()
        wait_until(lambda: verdict()["level"] == "blind", 30, lambda: str(verdict()))
        assert "redis://watcher@127.0.0.1" in verdict()["text"] or "redis://127.0.0.1" in verdict()["text"]
        wait_until(lambda: [alert["state"] for alert in blindness()] == ["firing"], 60, lambda: str(blindness()))

        fresh_redis.start()
        let_in()
        wait_until(lambda: not [alert for alert in blindness() if alert["state"] == "firing"], 60)
        wait_until(lambda: verdict()["level"] == "ok", 30, lambda: str(verdict()))
        gaps = [gap for gap in server.get("/gaps")["items"] if "redis://" in gap["source"]]
        assert gaps
        assert all(gap["ended_at"] for gap in gaps)
        assert len(server.get("/incidents")["items"]) == 1
        assert "geheim" not in server.process.log_path.read_text()

    def test_check_tries_what_serve_would_use(
        self, redis_server: RedisServer, smtp_server: SmtpServer, tmp_path: Path
    ) -> None:
        receiver = f"""
            [[receivers]]
            name = "ops"
            kind = "email"
            host = "{smtp_server.host}"
            port = {smtp_server.port}
            username = "{smtp_server.username}"
            password = "${{MAIL_PASSWORD}}"
            verify = false
            from = "huoyan@example.com"
            to = "ops@example.com"
        """
        (tmp_path / "huoyan.toml").write_text(receiver)
        arguments = ("check", "--celery", redis_server.url, "--json")
        right = command(*arguments, cwd=tmp_path, env={"MAIL_PASSWORD": smtp_server.password})
        assert (right.returncode, json.loads(right.stdout)["ok"]) == (0, True), right.stdout
        wrong = command(*arguments, cwd=tmp_path, env={"MAIL_PASSWORD": "another-password"})
        assert wrong.returncode == 1
        assert [f["name"] for f in json.loads(wrong.stdout)["findings"] if not f["ok"]] == ["receiver ops"]
        assert "another-password" not in wrong.stdout + wrong.stderr
        assert smtp_server.messages == []
