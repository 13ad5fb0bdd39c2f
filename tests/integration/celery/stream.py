"""A stream of Celery events, byte for byte as workers publish it on Redis: one message holds one event."""

import json
import random
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

OVERLAP = 200
"""Runs that are under way at a time."""
WORKERS = [(f"celery@worker-{number}", 1000 + number) for number in range(8)]
TASKS = [f"orders.tasks.step_{number}" for number in range(20)]
TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "/usr/lib/python3/site-packages/celery/app/trace.py", line 585, in trace_task\n'
    "    R = retval = fun(*args, **kwargs)\n"
    '  File "/srv/orders/tasks.py", line 42, in take_payment\n    gateway.charge(order)\n'
    '  File "/srv/orders/gateway.py", line 17, in charge\n    raise Declined(order)\n'
    "orders.gateway.Declined: card declined for order {order}\n"
)


def events(count: int, seed: int) -> list[tuple[str, Any]]:
    """Return (routing key, body) of each message, in the order in which they are sent."""
    rng = random.Random(seed)
    now = time.time()
    sent: list[tuple[float, str, Any]] = []
    for number in range(count // 4 + 1):
        at = float(number)
        for routing_key, body in _run(rng, number):
            sent.append((at, routing_key, body))
            at += rng.uniform(0.2, 1.8) * OVERLAP / 3
    sent.sort(key=lambda item: item[0])
    messages = []
    for number, (_, routing_key, body) in enumerate(sent[:count]):
        for event in body if isinstance(body, list) else [body]:
            event["timestamp"] = now + number / 20_000
            event["clock"] = number
        messages.append((routing_key, body))
    return messages


def _run(rng: random.Random, number: int) -> Iterator[tuple[str, Any]]:
    """Yield the four events of a run: sent, received, started, and how it ended (5 % failed)."""
    run_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    hostname, pid = rng.choice(WORKERS)
    order = rng.randrange(1_000_000)
    call = {
        "uuid": run_id,
        "root_id": run_id,
        "parent_id": None,
        "name": TASKS[min(int(rng.expovariate(0.3)), len(TASKS) - 1)],
        "args": f"('order-{order}', {number})",
        "kwargs": "{'amount': 49.9, 'currency': 'EUR'}",
        "retries": 0,
        "eta": None,
        "expires": None,
    }
    producer = {"hostname": "gen77@web-1", "utcoffset": 0, "pid": 77}
    worker = {"hostname": hostname, "utcoffset": 0, "pid": pid}
    route = {"queue": "payments", "exchange": "", "routing_key": "payments"}
    yield "task.sent", {**producer, **call, **route, "type": "task-sent"}
    yield "task.multi", [{**worker, **call, "type": "task-received"}]
    yield "task.multi", [{**worker, "uuid": run_id, "type": "task-started"}]
    if rng.random() < 0.05:
        failure = {
            "exception": f"Declined('card declined for order {order}')",
            "traceback": TRACEBACK.format(order=order),
        }
        yield "task.multi", [{**worker, "uuid": run_id, **failure, "type": "task-failed"}]
    else:
        success = {"result": f"{{'paid': True, 'order': {order}}}", "runtime": rng.lognormvariate(-2.0, 0.8)}
        yield "task.multi", [{**worker, "uuid": run_id, **success, "type": "task-succeeded"}]


def command(routing_key: str, body: Any) -> bytes:
    """Return the PUBLISH command for a message in Kombu's envelope."""
    first = body[0] if isinstance(body, list) else body
    message = json.dumps(
        {
            "body": b64encode(json.dumps(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"hostname": first["hostname"]},
            "properties": {
                "delivery_mode": 1,
                "delivery_info": {"exchange": "celeryev", "routing_key": routing_key},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    ).encode()
    parts = (b"PUBLISH", f"/0.celeryev/{routing_key}".encode(), message)
    return b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
