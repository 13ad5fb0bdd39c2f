"""What receivers keep secret is shown nowhere: not by the settings, not in logs, not in answers."""

import io
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from huoyan.server.app import create_app
from huoyan.server.config import Settings, load
from tests.servers import free_port, wait_until

SECRETS = ("geheim-mail", "geheim-path", "geheim-query", "geheim-user", "geheim-header", "geheim-apprise")
RULE = {"name": "any", "signal": "task_failures", "op": ">", "threshold": 0, "window": "1m", "level": "critical"}


def receivers() -> list[dict[str, Any]]:
    """Return one receiver of each kind, full of secrets, none of which is there."""
    port = free_port()
    return [
        {
            "name": "mail",
            "kind": "email",
            "host": "127.0.0.1",
            "port": port,
            "username": "huoyan",
            "password": "geheim-mail",
            "from": "huoyan@example.com",
            "to": ["ops@example.com"],
            "timeout": 2,
        },
        {
            "name": "hook",
            "kind": "webhook",
            "url": f"http://geheim-user:geheim-query@127.0.0.1:{port}/geheim-path?token=geheim-query",
            "headers": {"Authorization": "Bearer geheim-header"},
            "timeout": 2,
        },
        {"name": "chat", "kind": "apprise", "url": f"json://127.0.0.1:{port}/geheim-apprise/?cto=2"},
    ]


def settings(folder: Path) -> Settings:
    """Return settings with these receivers and a rule that any failure breaks."""
    return Settings.model_validate(
        {"server": {"data_dir": folder, "log_level": "debug"}, "rules": [RULE], "receivers": receivers()}
    )


def assert_clean(text: str) -> None:
    """Check that none of the secrets stands in a text."""
    assert [secret for secret in SECRETS if secret in text] == []


def test_settings_and_receivers_print_without_secrets(tmp_path: Path) -> None:
    made = settings(tmp_path)
    told = made.notify_receivers()
    assert len(told) == 3
    for shown in (repr(made), str(made), f"{made!r}", repr(made.model_copy()), repr(told), str(told)):
        assert_clean(shown)
    for receiver in told:
        assert_clean(repr(receiver))
        assert_clean(repr(receiver.channel))
        assert_clean(receiver.describe())


def test_settings_read_from_a_file_print_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("huoyan.toml").write_text(
        '[[receivers]]\nname = "hook"\nkind = "webhook"\nurl = "https://example.com/${HOOK_PATH}"\n'
        'headers = { Authorization = "Bearer geheim-header" }'
    )
    made = load(environ={"HOOK_PATH": "geheim-path"})
    assert made.receivers[0]["url"] == "https://example.com/geheim-path"
    assert_clean(repr(made))
    assert_clean(repr(made.notify_receivers()))


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Give what a server at its most talkative writes: all that reaches the root logger."""
    text, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def test_messages_that_do_not_arrive_leave_no_secret_in_logs_and_answers(tmp_path: Path, log: io.StringIO) -> None:
    failed = {"kind": "failed", "run_id": "r1", "at": time.time(), "task": "t", "service": "s", "worker": "w"}
    with TestClient(create_app(settings(tmp_path)), base_url="http://127.0.0.1:8650") as client:
        client.post("/api/v1/events", json={**failed, "exception": {"type": "E", "message": "m"}})

        def tried() -> list[dict[str, Any]]:
            incidents = client.get("/api/v1/incidents").json()["items"]
            if not incidents:
                return []
            told = client.get(f"/api/v1/incidents/{incidents[0]['id']}").json()["notifications"]
            return told if len(told) == 3 and all(message["error"] for message in told) else []

        told = wait_until(tried, 30, "three messages that were tried")
        assert_clean(repr(told))
        for path in ("/api/v1/rules", "/api/v1/alerts", "/api/v1/overview", "/metrics"):
            assert_clean(client.get(path).text)
    assert {message["receiver"] for message in told} == {"mail", "hook", "chat"}
    assert log.getvalue().count("did not arrive") >= 3, "each failure has to be in the log for this to mean anything"
    assert_clean(log.getvalue())
