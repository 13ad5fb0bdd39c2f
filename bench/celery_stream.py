"""Publishes a stream of Celery events on Redis, byte for byte as workers do: one process of `bench/celery_ingest.py`.

    python bench/celery_stream.py PORT EVENTS {steady|burst} [SEED]

One message holds one event, as a worker that is not behind sends them. `steady` keeps what the subscriber has not read
below 4 MB, so that it gets all that it can take and is never cut off; `burst` publishes as fast as Redis takes it. Says
`ready`, waits for a line, publishes, and says how long that took.
"""

import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.integration.celery.stream import command, events

MAX_UNREAD_BYTES = 4 * 1024 * 1024
COMMANDS = 50


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
