"""Celery events as real workers send them, for tests."""

import json
from base64 import b64encode
from typing import Any

WORKER = "celery@host-1"
PID = 4711
TASK_ID = "0b9ee1a1-4a0a-4a3c-a6d6-8f4a2f1d7c55"
AT = 1_795_000_000.0


def event(kind: str, at: float = AT, **fields: Any) -> dict[str, Any]:
    """Return one event of a worker, `at` seconds since 1970 UTC."""
    made = {
        "type": kind,
        "timestamp": at,
        "hostname": WORKER,
        "pid": PID,
        "utcoffset": 0,
        "clock": 7,
        **({"uuid": TASK_ID} if kind.startswith("task-") else {}),
    }
    return {**made, **fields}


def received(at: float = AT, retries: int = 0, **fields: Any) -> dict[str, Any]:
    """Return the event by which a worker says that it got a task."""
    return event(
        "task-received",
        at,
        **{
            "name": "orders.pay",
            "args": "('order-1',)",
            "kwargs": "{'amount': 5}",
            "root_id": TASK_ID,
            "parent_id": None,
            "retries": retries,
            "eta": None,
            "expires": None,
            **fields,
        },
    )


def envelope(body: Any, content_type: str = "application/json") -> bytes:
    """Return a message as Kombu publishes it on Redis."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return json.dumps(
        {
            "body": b64encode(text).decode(),
            "content-encoding": "utf-8",
            "content-type": content_type,
            "headers": {"hostname": WORKER},
            "properties": {
                "delivery_mode": 1,
                "delivery_info": {"exchange": "celeryev", "routing_key": "task.multi"},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": "5f2b1a34-5a2d-4a4e-8a58-0d1a2f1d7c55",
            },
        }
    ).encode()
