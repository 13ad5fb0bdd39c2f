"""A real `huoyan serve`."""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from tests.servers.process import Server, ServerProcess, free_port
from tests.servers.waiting import wait_until


class HuoyanServer(Server):
    """A Huoyan server on a port and with a data directory of its own, which keeps both when it is started again."""

    def __init__(
        self,
        *arguments: str,
        config: str = "",
        env: Mapping[str, str] | None = None,
        token: str | None = None,
        port: int | None = None,
    ) -> None:
        """Choose the port and write the configuration.

        Args:
            arguments: Further arguments of `huoyan serve`, for example `--celery redis://…`.
            config: Text of its huoyan.toml.
            env: Additions to its environment.
            token: Ask for this token.
            port: Use this port (default: a free one).
        """
        self.port = port if port is not None else free_port()
        self.process = ServerProcess("huoyan")
        self.arguments = arguments
        self.token = token
        self.env = {**(env or {}), **({"HUOYAN_TOKEN": token} if token else {})}
        self.config_path = self.process.folder / "huoyan.toml"
        self.config_path.write_text(config)

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def data_dir(self) -> Path:
        """Where it keeps what it knows."""
        return self.process.folder / "data"

    def start(self) -> Self:
        """Start it and return it when it is ready."""
        command: Sequence[str | Path] = [
            Path(sys.executable).with_name("huoyan"),
            "serve",
            *("--config", self.config_path),
            *("--port", str(self.port)),
            *("--data-dir", self.data_dir),
            *self.arguments,
        ]
        self.process.run(command, self._ready, env=self.env, timeout_s=40)
        return self

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON answer of `/api/v1{path}`; a list as a value repeats the parameter."""
        question = urllib.parse.urlencode({k: v for k, v in query.items() if v is not None}, doseq=True)
        return self.request("GET", f"/api/v1{path}" + (f"?{question}" if question else ""))

    def post(self, path: str, body: Any) -> Any:
        """Post JSON to `/api/v1{path}` and return the JSON answer."""
        return self.request("POST", f"/api/v1{path}", body)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request and return its JSON answer; an error answer fails with its text."""
        headers = {
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error

    def runs(self, **filters: Any) -> list[dict[str, Any]]:
        """Return every run that the filters leave, over all pages."""
        items: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = self.get("/runs", limit=500, cursor=cursor, **filters)
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    def wait_for_runs(
        self, enough: Callable[[list[dict[str, Any]]], bool], timeout_s: float = 30.0, **filters: Any
    ) -> list[dict[str, Any]]:
        """Return the runs as soon as they satisfy `enough`."""
        seen: list[dict[str, Any]] = []

        def look() -> bool:
            seen[:] = self.runs(**filters)
            return enough(seen)

        wait_until(look, timeout_s=timeout_s, message="the runs that the server lists")
        return seen

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False


@pytest.fixture
def huoyan_server() -> Iterator[Callable[..., HuoyanServer]]:
    """Give a factory of started Huoyan servers; all of them end with the test."""
    servers: list[HuoyanServer] = []

    def start(*arguments: str, **options: Any) -> HuoyanServer:
        server = HuoyanServer(*arguments, **options)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.close()
