"""A real RabbitMQ."""

import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.servers.process import Server, ServerProcess, accepts_connections, find_program, free_port

# The programs in /usr/sbin only run as root or rabbitmq and use the system's folders; these are the ones behind them.
_FOLDERS = ("/usr/lib/rabbitmq/bin",)


class RabbitmqServer(Server):
    """A RabbitMQ node with its own Erlang port mapper, cookie, database and ports, apart from the system's."""

    def __init__(self) -> None:
        """Choose the ports and write the settings."""
        self.program = find_program("rabbitmq-server", "rabbitmq-server", folders=_FOLDERS)
        self.control_program = find_program("rabbitmqctl", "rabbitmq-server", folders=_FOLDERS)
        self.mapper_program = find_program("epmd", "erlang-base")
        self.port = free_port()
        self.management_port = free_port()
        self.node = f"huoyan{secrets.token_hex(4)}@localhost"
        self.process = ServerProcess("rabbitmq")
        self._mapper = ServerProcess("epmd")
        self._mapper_port = free_port()
        folder = self.process.folder
        # An empty file each: without them the system's own would be read.
        for name in ("rabbitmq.conf", "advanced.config", "rabbitmq-env.conf", "enabled_plugins"):
            (folder / name).write_text("[].\n" if name == "advanced.config" else "")
        (folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (folder / "rabbitmq.conf").write_text(
            "disk_free_limit.absolute = 20MB\nlog.console = true\nlog.file = false\n"
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.management_port}\n"
        )
        cookie = folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        self._env = {
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_BASE": str(folder),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            # The start script then becomes the Erlang machine and does not stand before it, so signals arrive.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
            # Idle Erlang schedulers spin for a while by default, which costs the tests beside it their processor.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        }

    @property
    def url(self) -> str:
        """The address of the default virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @property
    def management_url(self) -> str:
        """The address of its management API, whose user is that of the broker; it may answer a little later."""
        return f"http://127.0.0.1:{self.management_port}"

    def start(self) -> Self:
        """Start it and return it when it greets AMQP clients."""
        if not self._mapper.running:
            # Started here, in the foreground: the Erlang machine would leave one running for good.
            self._mapper.run(
                [self.mapper_program, "-port", str(self._mapper_port), "-address", "127.0.0.1"],
                lambda: accepts_connections(self._mapper_port),
                timeout_s=15,
            )
        (self.process.folder / "mnesia").mkdir(exist_ok=True)
        self.process.run([self.program], self._greets, env=self._env, timeout_s=90)
        return self

    def close(self) -> None:
        """Stop node and port mapper and remove everything they wrote."""
        super().close()
        self._mapper.close()

    def control(self, *words: str | Path) -> str:
        """Run rabbitmqctl on this node and return what it wrote; takes a second or two, and many on a busy machine."""
        command = [self.control_program, "--quiet", "-n", self.node, *words]
        return self.process.once(command, env=self._env, timeout_s=180)

    def make_virtual_host(self, name: str) -> str:
        """Make an empty virtual host and return its address."""
        self.control("add_vhost", name)
        self.control("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{name}"

    def _greets(self) -> bool:
        # The port opens before clients are served; a broker that is ready answers the protocol header with a frame.
        with socket.create_connection(("127.0.0.1", self.port), timeout=2.0) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitmqServer]:
    """Give the RabbitMQ of this session; it takes some seconds to start, so tests share it."""
    with RabbitmqServer() as server:
        yield server


@pytest.fixture
def rabbitmq_vhost(rabbitmq_server: RabbitmqServer) -> str:
    """Give the address of an empty virtual host, in which a test finds no queue of another."""
    return rabbitmq_server.make_virtual_host(f"test-{secrets.token_hex(4)}")
