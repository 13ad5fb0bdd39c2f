"""A real PostgreSQL."""

import re
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psycopg
import pytest

from tests.servers.migrated import migrate
from tests.servers.process import Server, ServerProcess, find_program, free_port

_TEMPLATE = "migrated"
# Rows alone: a test leaves some in a few of the tables, and to delete them takes a tenth of what new tables take.
_EMPTY_IT = """
DO $$
DECLARE
    one record;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR one IN SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' LOOP
        CONTINUE WHEN one.name = 'alembic_version';
        EXECUTE format('DELETE FROM %I', one.name);
    END LOOP;
    FOR one IN SELECT sequencename AS name FROM pg_sequences WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER SEQUENCE %I RESTART', one.name);
    END LOOP;
END
$$
"""


class PostgresServer(Server):
    """A PostgreSQL cluster of its own, which trusts everybody on the loopback interface and waits for no disk."""

    def __init__(self) -> None:
        """Choose the port; the cluster is made at the first start."""
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
        self.program = find_program("postgres", "postgresql", folders=folders)
        self.init_program = find_program("initdb", "postgresql", folders=folders)
        self.port = free_port()
        # PostgreSQL refuses to run as root; Debian's package brings this user.
        self.process = ServerProcess("postgres", user="postgres")
        self._version = ""
        self._emptied: list[str] = []

    @property
    def url(self) -> str:
        """The address of the maintenance database, for SQLAlchemy."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        """Return the address of a database, for SQLAlchemy."""
        return f"postgresql+psycopg://huoyan@127.0.0.1:{self.port}/{name}"

    def start(self) -> Self:
        """Start it and return it when it accepts queries."""
        data = self.process.folder / "data"
        if not data.exists():
            self.process.once(
                [
                    self.init_program,
                    *("-D", data),
                    *("-U", "huoyan"),
                    *("-A", "trust"),
                    *("-E", "UTF8"),
                    "--locale=C.UTF-8",
                    "--no-sync",
                ]
            )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.process.folder,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": 100,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process.run([self.program, "-D", data, *options], self._answers)
        return self

    def stop(self) -> None:
        """End it without waiting for clients to disconnect."""
        self.process.stop(stop_signal=signal.SIGINT)

    def close(self) -> None:
        """Stop it and remove everything it wrote."""
        self.stop()
        super().close()

    def execute(self, statement: str) -> None:
        """Run one statement in the maintenance database, outside a transaction."""
        with self._connect("postgres") as connection:
            connection.execute(statement.encode())

    def make_database(self, name: str) -> str:
        """Make an empty database and return its address."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.database_url(name)

    def make_migrated(self, name: str) -> str:
        """Make a database with the tables of the store in it, and return its address."""
        if self._emptied:
            # A new name, so that what another test may have left running does not find it again.
            self.execute(f'ALTER DATABASE "{self._emptied.pop()}" RENAME TO "{name}"')
            return self.database_url(name)
        if not self._version:
            migrate(self.make_database(_TEMPLATE))
            with self._connect(_TEMPLATE) as connection:
                (self._version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
        # Not by way of the log of changes, which is the default and takes several times as long.
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE}" STRATEGY FILE_COPY')
        return self.database_url(name)

    def give_back(self, name: str) -> None:
        """Let the next who wants a database with the tables of the store have this one, without what is in it."""
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        with self._connect(name) as connection:
            (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ("",)
            connection.execute(_EMPTY_IT)
        if version == self._version:
            self._emptied.append(name)
        else:
            self.drop_database(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, disconnecting whoever uses it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="huoyan", dbname=database, autocommit=True, connect_timeout=5
        )

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


def _version(folder: Path) -> int:
    found = re.search(r"(\d+)/bin$", str(folder))
    return int(found.group(1)) if found else 0


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give the PostgreSQL of this session."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the address of an empty database, for SQLAlchemy; it is removed after the test."""
    name = f"test_{secrets.token_hex(6)}"
    yield postgres_server.make_database(name)
    postgres_server.drop_database(name)


@pytest.fixture
def migrated_postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the address of a database with the tables of the store and nothing in them, to this test alone."""
    name = f"test_{secrets.token_hex(6)}"
    yield postgres_server.make_migrated(name)
    postgres_server.give_back(name)
