"""`huoyan check --notify`: real test messages through a real mail server and a real web server."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers import HttpSink, SmtpServer, free_port

SECRET_PATH = "/hook/geheim-4711"


@pytest.fixture
def folder(tmp_path: Path, smtp_server: SmtpServer, http_sink: HttpSink) -> Path:
    """Give a folder with settings that name a mail receiver, a webhook and a mail server that is away."""
    mail = f"""
        host = "{smtp_server.host}"
        security = "starttls"
        verify = false
        username = "{smtp_server.username}"
        password = "{smtp_server.password}"
        from = "Huoyan <huoyan@example.com>"
    """
    (tmp_path / "huoyan.toml").write_text(
        f"""
        [server]
        public_url = "https://huoyan.example.com"
        [[receivers]]
        name = "值班"
        kind = "email"
        language = "zh"
        port = {smtp_server.port}
        to = ["ops@example.com", "lead@example.com"]
        {mail}
        [[receivers]]
        name = "tickets"
        kind = "webhook"
        url = "{http_sink.url}{SECRET_PATH}"
        [[receivers]]
        name = "away"
        kind = "email"
        port = {free_port()}
        to = ["nobody@example.com"]
        {mail}
        """,
        encoding="utf-8",
    )
    return tmp_path


def check(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the command in a folder and return its status and all that it wrote."""
    command = [str(Path(sys.executable).with_name("huoyan")), "check", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def findings(text: str) -> dict[str, dict[str, Any]]:
    """Return what --json wrote about receivers, by name."""
    found = json.loads(text)["findings"]
    return {item["name"]: item for item in found if item["name"].startswith("receiver")}


def test_everybody_is_sent_a_message_and_one_that_does_not_arrive_is_a_status(
    folder: Path, smtp_server: SmtpServer, http_sink: HttpSink
) -> None:
    status, out = check(folder, "--notify")
    assert status == 1
    lines = [line for line in out.splitlines() if "receiver " in line]
    assert len(lines) == 3
    assert lines[0].startswith("ok     receiver 值班: test message sent: ops@example.com, lead@example.com through ")
    assert lines[1].startswith("ok     receiver tickets: test message sent: http://127.0.0.1")
    assert lines[2].startswith("wrong  receiver away: expected a test message to be taken, got: nobody@example.com: ")
    assert sorted(mail.recipients for mail in smtp_server.messages) == [("lead@example.com",), ("ops@example.com",)]
    assert smtp_server.messages[0].subject == "[测试] Huoyan：用于确认通知能否送达"
    assert "https://huoyan.example.com" in smtp_server.messages[0].text
    (request,) = http_sink.requests
    assert (request.path, request.json()["event"], request.json()["incident"]) == (SECRET_PATH, "test", None)
    assert smtp_server.password not in out
    assert SECRET_PATH not in out
    assert not (folder / "huoyan-data").exists()


def test_one_receiver_alone_can_be_named(folder: Path, smtp_server: SmtpServer, http_sink: HttpSink) -> None:
    status, out = check(folder, "--notify", "tickets", "--json")
    assert status == 1, "the mail server of another receiver is still away"
    found = findings(out)
    assert found["receiver tickets"]["ok"] is True
    assert found["receiver tickets"]["detail"].startswith("test message sent: ")
    assert found["receiver 值班"]["ok"] is True
    assert "sent" not in found["receiver 值班"]["detail"]
    assert found["receiver away"]["ok"] is False
    assert (len(http_sink.requests), smtp_server.messages) == (1, [])


def test_a_refusal_is_told_with_what_the_other_side_said(
    folder: Path, smtp_server: SmtpServer, http_sink: HttpSink
) -> None:
    http_sink.status = 500
    smtp_server.refusal = "550 5.7.1 no such mailbox here"
    status, out = check(folder, "--notify", "tickets", "值班", "--json")
    assert status == 1
    found = findings(out)
    assert "500" in found["receiver tickets"]["detail"]
    assert "550 5.7.1 no such mailbox here" in found["receiver 值班"]["detail"]
    assert json.loads(out)["ok"] is False
    assert smtp_server.password not in out
    assert SECRET_PATH not in out


def test_without_the_option_nothing_is_sent(folder: Path, smtp_server: SmtpServer, http_sink: HttpSink) -> None:
    check(folder)
    assert (http_sink.requests, smtp_server.messages) == ([], [])


def test_all_is_well_when_every_message_is_taken(folder: Path, smtp_server: SmtpServer) -> None:
    text = (folder / "huoyan.toml").read_text(encoding="utf-8")
    (folder / "huoyan.toml").write_text(text[: text.rindex("[[receivers]]")], encoding="utf-8")
    status, out = check(folder, "--notify", "--json")
    assert status == 0
    assert json.loads(out)["ok"] is True
    assert len(smtp_server.messages) == 2
