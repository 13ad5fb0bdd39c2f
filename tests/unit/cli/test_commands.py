"""The command line: help, versions, what commands print of a server's answers, and what they say when it is away."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from huoyan import __version__
from huoyan.cli import commands
from huoyan.cli.connection import Connection
from huoyan.cli.terminal import duration, plain
from huoyan.errors import ConfigurationError
from huoyan.server.api.schemas.incident import DETAIL_EXAMPLE
from huoyan.server.api.schemas.incident import EXAMPLE as INCIDENT
from huoyan.server.api.schemas.run import EXAMPLE as RUN
from huoyan.server.api.schemas.schedule import EXAMPLE as SCHEDULE
from tests.servers import free_port

BOUNDS = {"bounds": [2.0**n for n in range(60)], "p50": 0.4, "p95": 0.2, "p99": 0.1}
BUCKETS = {"observed": 50, "present": BOUNDS, "proposed": BOUNDS}
COMPARED = {"service": "shop", "endpoint": "GET /[x]", "task": "", "verdict": "found", "standouts": []}
CAUSES = {"items": [{**COMPARED, "sentence": "97 % is SELECT on [bold]orders."}], "compared": [COMPARED], "next": None}
COMMANDS = {"serve", "demo", "check", "runs", "run", "schedules", "buckets", "incidents", "deploy", "version"}


class Answers(BaseHTTPRequestHandler):
    """A server that answers with the examples of the API and keeps what it was asked."""

    asked: ClassVar[list[tuple[str, str, dict[str, list[str]], Any]]] = []
    run: ClassVar[dict[str, Any]] = RUN

    def do_GET(self) -> None:
        if self.path.startswith("/elsewhere/"):
            self._answer(404, {"detail": "Not Found"})
            return
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        self.asked.append(("GET", parts.path, query, self.headers.get("Authorization")))
        path = parts.path.removeprefix("/api/v1")
        if path == "/runs":
            known = query.get("q", [""])[0] in ("", "0b9e", "timeout")
            self._answer(200, {"items": [self.run] if known else [], "next": None})
        elif path == f"/runs/{RUN['id']}":
            self._answer(200, self.run)
        elif path == "/schedules":
            self._answer(200, {"items": [SCHEDULE] if query.get("service") != ["nobody"] else [], "next": None})
        elif path == "/incidents":
            self._answer(200, {"items": [INCIDENT], "next": None})
        elif path == "/buckets":
            self._answer(200, BUCKETS)
        elif path == "/causes":
            self._answer(200, CAUSES)
        else:
            detail = "expected the id of a stored run, got something else"
            self._answer(404, {"type": "urn:huoyan:problem:not-found", "detail": detail, "status": 404})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(("POST", self.path, {}, body))
        if "/5/" in self.path:
            detail = "expected an open incident, got one that lin acknowledged"
            self._answer(409, {"type": "urn:huoyan:problem:conflict", "detail": detail, "status": 409})
        else:
            self._answer(200, DETAIL_EXAMPLE)

    def _answer(self, status: int, body: Any) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    Answers.asked.clear()
    Answers.run = RUN
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{httpd.server_port}"
    monkeypatch.setenv("HUOYAN_URL", url)
    monkeypatch.delenv("HUOYAN_TOKEN", raising=False)
    yield url
    httpd.shutdown()
    httpd.server_close()


def huoyan(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process and return its status, output and errors."""
    sys.argv = ["huoyan", *arguments]
    with pytest.raises(SystemExit) as ended:
        commands.run()
    out, err = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), out, err


@pytest.fixture(autouse=True)
def _argv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["huoyan"])


class TestHelp:
    def test_it_names_every_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, _ = huoyan(capsys, "--help")
        assert status == 0
        listed = {line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line.strip()}
        assert listed >= COMMANDS

    def test_it_imports_nothing_heavy(self) -> None:
        program = (
            "import sys, json\nfrom huoyan.cli import commands\nsys.argv = ['huoyan', '--help']\n"
            "try:\n    commands.run()\nexcept SystemExit:\n    pass\n"
            "sys.stderr.write(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        heavy = {"fastapi", "sqlalchemy", "uvicorn", "httpx", "pydantic", "kombu", "apprise", "rich", "numpy"}
        assert heavy & set(json.loads(done.stderr)) == set()

    @pytest.mark.parametrize("command", sorted(COMMANDS - {"demo", "deploy"}))
    def test_every_option_is_described(self, capsys: pytest.CaptureFixture[str], command: str) -> None:
        status, out, _ = huoyan(capsys, command, "--help")
        assert status == 0
        options = [line for line in out.splitlines() if line.strip().startswith("--")]
        assert all(len(line.split()) > 2 or line.strip().endswith("]") for line in options)

    def test_the_version_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert huoyan(capsys, "version")[1] == f"huoyan {__version__}\n"
        assert json.loads(huoyan(capsys, "version", "--json")[1]) == {"version": __version__}

    def test_an_unknown_command_is_a_mistake(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert huoyan(capsys, "rnus")[0] == 2


class TestRuns:
    def test_the_list_for_people(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        status, out, _ = huoyan(capsys, "runs")
        assert status == 0
        for part in (RUN["id"], "failed", "orders.take_payment", "payments", "5.01 s", "PaymentDeclined: card issuer"):
            assert part in out

    def test_the_list_for_scripts_is_the_answer_of_the_api(
        self, capsys: pytest.CaptureFixture[str], server: str
    ) -> None:
        assert json.loads(huoyan(capsys, "runs", "--json")[1]) == {"items": [RUN], "next": None}

    def test_filters_reach_the_server(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        arguments = ["--state", "failed", "--state", "lost", "--task", "a,b", "--since", "-1h", "-q", "timeout"]
        huoyan(capsys, "runs", *arguments, "--limit", "7", "--token", "t")
        ((_, path, query, authorization),) = Answers.asked
        assert path == "/api/v1/runs"
        assert query == {
            "state": ["failed", "lost"],
            "task": ["a,b"],
            "since": ["-1h"],
            "q": ["timeout"],
            "limit": ["7"],
        }
        assert authorization == "Bearer t"

    def test_no_run_is_said_in_words(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        assert huoyan(capsys, "runs", "-q", "nothing")[1] == "No run matches.\n"

    def test_one_run_is_shown_whole(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        status, out, _ = huoyan(capsys, "run", RUN["id"])
        assert status == 0
        for part in (RUN["id"], '["order-1042"]', "celery@host-1", "Traceback (most recent call last)", "[scrubbed]"):
            assert part in out
        assert json.loads(huoyan(capsys, "run", RUN["id"], "--json")[1]) == RUN

    def test_the_beginning_of_an_id_will_do(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        assert RUN["id"] in huoyan(capsys, "run", "0b9e")[1]

    def test_an_unknown_run_is_one_line_and_a_status(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        status, out, err = huoyan(capsys, "run", "ffff")
        assert (status, out) == (1, "")
        assert err == "huoyan: expected the id of a stored run, got something else\n"

    def test_what_tasks_say_cannot_steer_the_terminal(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        nasty = {"type": "E", "message": "\x1b]0;owned\x07[red]x", "traceback": "a\x1b[2Jb\r[bold]c", "fingerprint": ""}
        Answers.run = {**RUN, "task": "t\x1b[31m", "exception": nasty}
        listed, shown = huoyan(capsys, "runs")[1], huoyan(capsys, "run", RUN["id"])[1]
        for out in (listed, shown):
            assert "\x1b]0" not in out
            assert "\x1b[2J" not in out
            assert "\r" not in out
        assert "[bold]c" in shown


class TestIncidents:
    def test_those_not_over_are_listed(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        out = huoyan(capsys, "incidents")[1]
        assert INCIDENT["title"] in out
        assert Answers.asked[0][2]["state"] == ["open", "acknowledged"]
        assert json.loads(huoyan(capsys, "incidents", "--json")[1])["items"] == [INCIDENT]
        huoyan(capsys, "incidents", "list", "--all")
        assert "state" not in Answers.asked[-1][2]

    @pytest.mark.parametrize(("command", "step"), [("ack", "acknowledge"), ("resolve", "resolve")])
    def test_steps_carry_who_and_why(
        self, capsys: pytest.CaptureFixture[str], server: str, command: str, step: str
    ) -> None:
        status, out, _ = huoyan(capsys, "incidents", command, "4", "--by", "lin", "-m", "on it")
        assert status == 0
        assert out.startswith("Incident 4 is acknowledged")
        assert Answers.asked == [("POST", f"/api/v1/incidents/4/{step}", {}, {"by": "lin", "note": "on it"})]

    def test_a_conflict_is_one_line_and_a_status(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        status, _, err = huoyan(capsys, "incidents", "ack", "5", "--by", "mei")
        assert status == 1
        assert err == "huoyan: expected an open incident, got one that lin acknowledged\n"


class TestApplications:
    def test_proposed_bounds_are_one_line_to_copy(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        lines = huoyan(capsys, "buckets")[1].splitlines()
        assert lines[-1].count(",") == 59
        assert lines[-1].startswith("HUOYAN_BUCKETS=1,2,4,")

    def test_a_zero_is_asked_for_and_not_left_out(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        huoyan(capsys, "buckets", "--count", "0")
        assert Answers.asked[-1][2]["count"] == ["0"]

    def test_causes_are_printed_as_they_are_written(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        out = huoyan(capsys, "causes")[1]
        assert out == "shop GET /[x]\n  97 % is SELECT on [bold]orders.\n"


class TestAway:
    def test_the_port_of_this_machine_is_where_the_server_is_looked_for(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HUOYAN_URL", raising=False)
        port = str(free_port())
        monkeypatch.setenv("HUOYAN_PORT", port)
        assert f"http://127.0.0.1:{port}," in huoyan(capsys, "runs")[2]
        other = f"http://127.0.0.1:{free_port()}"
        assert f"{other}," in huoyan(capsys, "runs", "--url", other)[2]
        monkeypatch.setenv("HUOYAN_PORT", "http")
        status, _, err = huoyan(capsys, "runs")
        assert (status, err) == (2, "huoyan: HUOYAN_PORT: expected a port from 0 to 65535, got 'http'\n")

    @pytest.mark.parametrize("command", [("runs",), ("run", "x"), ("incidents",), ("incidents", "ack", "1")])
    def test_a_server_that_is_away_is_one_line_and_a_status(
        self, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
    ) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        status, out, err = huoyan(capsys, *command, "--url", url)
        assert (status, out) == (1, "")
        assert err.startswith(f"huoyan: expected a Huoyan server at {url}, got no connection.")
        assert err.count("\n") == 1

    def test_something_else_that_answers_is_not_taken_for_huoyan(
        self, capsys: pytest.CaptureFixture[str], server: str
    ) -> None:
        url = f"{server}/elsewhere"
        status, _, err = huoyan(capsys, "runs", "--url", url)
        assert status == 1
        assert err.startswith(f"huoyan: expected a Huoyan server at {url}, got status 404 from something else. Name")

    def test_an_address_that_is_none_is_a_mistake(self) -> None:
        with pytest.raises(ConfigurationError, match=r"^--url: expected an address"):
            Connection("127.0.0.1:8650", None)


class TestCheck:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("HUOYAN_PORT", "HUOYAN_TOKEN", "HUOYAN_DATA_DIR", "HUOYAN_DATABASE_URL", "HUOYAN_CONFIG"):
            monkeypatch.delenv(name, raising=False)

    def test_all_is_well_with_the_defaults_and_nothing_is_made(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        status, out, _ = huoyan(capsys, "check", "--json")
        assert status == 0
        answer = json.loads(out)
        assert answer["ok"] is True
        assert [finding["name"] for finding in answer["findings"]] == ["settings", "data directory", "database"]
        assert list(tmp_path.iterdir()) == []

    def test_every_wrong_setting_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, _ = huoyan(capsys, "check", "--port", "x", "--host", "0.0.0.0", "--celery", "gopher://x")
        assert status == 2
        for setting in ("--port: expected", "server.token: expected", "--celery: expected"):
            assert setting in out

    def test_what_does_not_answer_is_told_without_its_password(self, capsys: pytest.CaptureFixture[str]) -> None:
        port = free_port()
        Path("huoyan.toml").write_text(
            f"""
            [server]
            database_url = "postgresql://huoyan:geheim@127.0.0.1:{port}/huoyan"
            [[celery]]
            url = "redis://:geheim@127.0.0.1:{port}/0"
            [[celery]]
            url = "amqp://huoyan:geheim@127.0.0.1:{port}//"
            [[receivers]]
            name = "ops"
            kind = "email"
            host = "127.0.0.1"
            port = {port}
            username = "huoyan"
            password = "geheim"
            from = "a@example.com"
            to = "b@example.com"
            [[receivers]]
            name = "chat"
            kind = "webhook"
            url = "https://example.com/geheim"
            """
        )
        status, out, err = huoyan(capsys, "check", "--json")
        assert status == 1
        assert "geheim" not in out + err
        found = [(finding["name"], finding["ok"]) for finding in json.loads(out)["findings"]]
        assert found == [
            ("settings", True),
            ("data directory", True),
            ("database", False),
            ("celery", False),
            ("celery", False),
            ("receiver ops", False),
            ("receiver chat", None),
        ]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["ops"], "RECEIVER: expected --notify with the name of a receiver, got 'ops'. Add --notify"),
            (["--notify", "osp"], "RECEIVER: expected the name of a receiver, got 'osp'. did you mean ops?"),
        ],
    )
    def test_whom_to_send_a_test_to_has_to_be_a_receiver(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
    ) -> None:
        Path("huoyan.toml").write_text('[[receivers]]\nname = "ops"\nkind = "webhook"\nurl = "http://127.0.0.1:9/x"')
        status, out, _ = huoyan(capsys, "check", *arguments, "--json")
        assert status == 2
        answer = json.loads(out)
        assert answer["ok"] is False
        assert [(finding["name"], finding["ok"]) for finding in answer["findings"]] == [("settings", False)]
        assert answer["findings"][0]["detail"] == words

    def test_a_test_message_for_nobody_is_a_mistake(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, _ = huoyan(capsys, "check", "--notify")
        assert status == 1
        assert "wrong  receivers: expected somebody to send a test message to, got no [[receivers]]" in out


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.0124, "12 ms"), (1.239, "1.24 s"), (59.99, "59.99 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_short(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_text_keeps_lines_and_loses_control_characters() -> None:
    assert plain("a\nb\tc\x1b[0m\x00火") == "a\nb\tc\ufffd[0m\ufffd火"


class TestSchedules:
    def test_the_list_for_people(self, capsys: pytest.CaptureFixture[str], server: str) -> None:
        status, out, _ = huoyan(capsys, "schedules", "--state", "ok")
        assert status == 0
        for part in ("ok", "daily-report", "orders", "orders.reports.daily_report", "30 2 * * *", "Europe/Berlin"):
            assert part in out
        assert Answers.asked[-1][2] == {"state": ["ok"]}
        assert "No schedule" in huoyan(capsys, "schedules", "--service", "nobody")[1]

    def test_the_list_for_scripts_is_the_answer_of_the_api(
        self, capsys: pytest.CaptureFixture[str], server: str
    ) -> None:
        assert json.loads(huoyan(capsys, "schedules", "--json")[1]) == {"items": [SCHEDULE], "next": None}
