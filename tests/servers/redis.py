"""A real Redis."""

import socket
from collections.abc import Iterator
from typing import Self

import pytest

from tests.servers.process import Server, ServerProcess, find_program, free_port
from tests.servers.waiting import wait_until


class RedisServer(Server):
    """A Redis on a port of its own, which keeps its port when it is killed and started again."""

    def __init__(self, *, durable: bool = False, cluster: bool = False) -> None:
        """Choose the port.

        Args:
            durable: Write every change to disk before it is acknowledged, so that a kill loses nothing (default: keep
                everything in memory only).
            cluster: Be the only node of a Redis Cluster; it has one database.
        """
        self.program = find_program("redis-server", "redis-server")
        self.port = free_port()
        self.durable = durable
        self.cluster = cluster
        self.process = ServerProcess("redis")

    @property
    def url(self) -> str:
        """The address of database 0."""
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        """Return the address of one of the 64 databases."""
        return f"redis://127.0.0.1:{self.port}/{number}"

    def start(self) -> Self:
        """Start it and return it when it answers PING."""
        self.process.run(
            [
                self.program,
                *("--bind", "127.0.0.1"),
                *("--port", str(self.port)),
                *("--dir", self.process.folder),
                *("--databases", "64"),
                *("--save", ""),
                *("--appendonly", "yes" if self.durable else "no"),
                *("--appendfsync", "always"),
                *("--daemonize", "no"),
                *(("--cluster-enabled", "yes") if self.cluster else ()),
            ],
            self._answers,
            timeout_s=15,
        )
        if self.cluster:
            self.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            wait_until(lambda: self.command("EXISTS", "any") == b":0", message="the cluster serves its slots")
        return self

    def command(self, *words: str) -> bytes:
        """Send one command and return the first line of the raw answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5.0) as connection:
            parts = [word.encode() for word in words]
            request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
            connection.sendall(request)
            return connection.recv(65536).split(b"\r\n", 1)[0]

    def flush(self) -> None:
        """Remove everything from every database."""
        self.command("FLUSHALL")

    def _answers(self) -> bool:
        return self.command("PING") == b"+PONG"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Give the Redis of this session; tests share it, so they use keys or databases of their own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def fresh_redis() -> Iterator[RedisServer]:
    """Give an empty Redis to this test alone, which may stop, kill and start it; a kill loses no acknowledged write."""
    with RedisServer(durable=True) as server:
        yield server
