"""Publishes a stream of Celery events on Redis, byte for byte as workers do: one process of `bench/celery_ingest.py`.

    python bench/celery_stream.py PORT EVENTS {steady|burst} [SEED]

One message holds one event, as a worker that is not behind sends them. `steady` keeps what the subscriber has not read
below 4 MB, so that it gets all that it can take and is never cut off; `burst` publishes as fast as Redis takes it. Says
`ready`, waits for a line, publishes, and says how long that took.
"""

import json
import random
import socket
import sys
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

OVERLAP = 200
"""Runs that are under way at a time."""
WORKERS = [(f"celery@worker-{number}", 1000 + number) for number in range(8)]
TASKS = [f"orders.tasks.step_{number}" for number in range(20)]
MAX_UNREAD_BYTES = 4 * 1024 * 1024
COMMANDS = 50
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


class Subscribers:
    """How much the subscribers of a Redis have not read yet."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._file = self._socket.makefile("rb")

    def unread_bytes(self) -> int:
        """Return the most that any of them has before it."""
        self._socket.sendall(b"*4\r\n$6\r\nCLIENT\r\n$4\r\nLIST\r\n$4\r\nTYPE\r\n$6\r\npubsub\r\n")
        size = int(self._file.readline()[1:])
        clients = self._file.read(size + 2).decode()
        return max(
            (int(client.partition(" omem=")[2].split()[0]) for client in clients.splitlines() if client), default=0
        )


def publish(port: int, chunks: list[bytes], answers: int, subscribers: Subscribers | None) -> None:
    """Send the commands and read the answers."""
    connection = socket.create_connection(("127.0.0.1", port))
    read = threading.Event()
    done = 0

    def count_answers() -> None:
        nonlocal done
        while done < answers:
            data = connection.recv(65536)
            if not data:
                return
            done += data.count(b"\r\n")
        read.set()

    threading.Thread(target=count_answers, daemon=True).start()
    for number, chunk in enumerate(chunks):
        while number * COMMANDS - done > 20 * COMMANDS:
            time.sleep(0.0005)
        if subscribers is not None and number % 10 == 0:
            while subscribers.unread_bytes() > MAX_UNREAD_BYTES:
                time.sleep(0.002)
        connection.sendall(chunk)
    read.wait(60)


def main() -> None:
    """Prepare, wait for the word, publish."""
    port, count, mode = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    commands = [command(routing_key, body) for routing_key, body in events(count, seed)]
    chunks = [b"".join(commands[start : start + COMMANDS]) for start in range(0, count, COMMANDS)]
    subscribers = Subscribers(port) if mode == "steady" else None
    print(f"ready {sum(map(len, commands)) // count}", flush=True)
    sys.stdin.readline()
    began = time.perf_counter()
    publish(port, chunks, count, subscribers)
    print(f"published {time.perf_counter() - began:.3f}", flush=True)


if __name__ == "__main__":
    main()
