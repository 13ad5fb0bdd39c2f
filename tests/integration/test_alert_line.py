"""A whole server: failures are posted, mail arrives, somebody acknowledges over the API, the end is told."""

import json
import time
from typing import Any

from tests.servers.waiting import wait_until

WITHIN_S = 5.0
TASK = "orders.take_payment"


def _config(smtp_server, http_sink) -> str:
    receivers = {
        "email": {
            "host": smtp_server.host,
            "port": smtp_server.port,
            "security": "starttls",
            "verify": False,
            "username": smtp_server.username,
            "password": smtp_server.password,
            "from": "Huoyan <huoyan@example.com>",
            "to": ["ops@example.com"],
        },
        "webhook": {"url": f"{http_sink.url}/hook"},
    }
    lines = [
        "[[rules]]",
        'name = "payments"',
        'signal = "task_failure_ratio"',
        'op = ">"',
        "threshold = 0.5",
        'window = "1m"',
        "min_samples = 5",
        'level = "critical"',
        'keep_firing = "1s"',
    ]
    for kind, settings in receivers.items():
        lines += ["[[receivers]]", f'name = "{kind}"', f'kind = "{kind}"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    return "\n".join(lines)


def _events(first: int, count: int, kind: str) -> list[dict[str, Any]]:
    error = {"type": "PaymentError", "message": "provider down", "traceback": "", "fingerprint": ""}
    events = []
    for number in range(first, first + count):
        run = {"run_id": f"run-{number}", "task": TASK, "service": "orders", "framework": "task", "worker": "w@a:1"}
        now = time.time()
        events.append({**run, "kind": "started", "at": now - 0.2, "execution": f"1@{number}", "attempt": 1})
        ended = {**run, "kind": kind, "at": now - 0.1, "execution": f"1@{number}", "attempt": 1, "duration_s": 0.1}
        events.append({**ended, "exception": error} if kind == "failed" else ended)
    return events


def test_failures_are_told_within_seconds_acknowledged_over_the_api_and_their_end_is_told(
    huoyan_server, smtp_server, http_sink
):
    server = huoyan_server(config=_config(smtp_server, http_sink))
    answer = server.post("/events", {"sent_at": time.time(), "events": _events(0, 10, "failed")})
    posted = time.monotonic()
    assert answer == {"accepted": 20, "rejected": []}
    mail = smtp_server.wait_for(lambda mail: "[critical]" in mail.subject, WITHIN_S)
    assert time.monotonic() - posted <= WITHIN_S
    assert mail.subject == f"[critical] {TASK}: failure ratio 100 % (> 50 %)"
    assert "Top failure: PaymentError: provider down (10 of 10)" in mail.text

    (incident,) = server.get("/incidents", state="open")["items"]
    assert f"{server.url}/incidents/{incident['id']}" in mail.text
    assert http_sink.wait_for(timeout_s=WITHIN_S).json()["incident"]["id"] == incident["id"]
    taken = server.post(f"/incidents/{incident['id']}/acknowledge", {"by": "Ann", "note": "on it"})
    assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", "Ann")

    server.post("/events", {"sent_at": time.time(), "events": _events(100, 50, "succeeded")})
    over = smtp_server.wait_for(lambda mail: "[resolved]" in mail.subject, 1 + WITHIN_S)
    assert over.message["References"] == mail.message["References"]

    def told() -> bool:
        notifications = server.get(f"/incidents/{incident['id']}")["notifications"]
        return [item["state"] for item in notifications] == ["sent"] * 4

    wait_until(told, 10, "two messages to two receivers, all sent")
    ended = server.get(f"/incidents/{incident['id']}")
    assert ended["state"] == "resolved"
    assert [entry["kind"] for entry in ended["timeline"]] == ["opened", "acknowledged", "alert_resolved", "resolved"]
    assert len(smtp_server.messages) == 2
