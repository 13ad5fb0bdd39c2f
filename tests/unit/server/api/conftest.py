"""A whole server on SQLite behind the API, without a socket."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from huoyan.server.api.context import Context
from huoyan.server.app import create_app
from huoyan.server.config import Settings
from tests.servers import migrated_sqlite

Starter = Callable[..., TestClient]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Give a factory of clients of a fresh server; keyword arguments are settings of `[server]`."""
    with ExitStack() as stack:

        def begin(rules: Sequence[dict[str, Any]] = (), **server: Any) -> TestClient:
            settings = Settings.model_validate(
                {"server": {"data_dir": tmp_path / "data", **server}, "rules": list(rules)}
            )
            if "database_url" not in server:
                migrated_sqlite(settings.server.data_dir / "huoyan.db")
            client = TestClient(create_app(settings), base_url="http://127.0.0.1:8650", raise_server_exceptions=False)
            return stack.enter_context(client)

        yield begin


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a server that a whole module asks and nobody changes."""
    settings = Settings.model_validate({"server": {"data_dir": tmp_path_factory.mktemp("data")}, "rules": []})
    migrated_sqlite(settings.server.data_dir / "huoyan.db")
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8650", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(start: Starter) -> TestClient:
    """A client of a server that asks for no token."""
    return start()


@pytest.fixture
def context(client: TestClient) -> Context:
    """The parts of the server behind `client`."""
    found: Context = client.app.state.context  # type: ignore[attr-defined]
    return found
