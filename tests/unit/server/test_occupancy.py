"""A port and a data directory belong to one server at a time."""

import os
import socket
import stat
from pathlib import Path

import pytest

from huoyan.errors import AlreadyRunning, ConfigurationError
from huoyan.server.occupancy import listen, occupy


def test_a_free_port_is_taken_and_given_back() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
    with listen("127.0.0.1", port):
        pass


def test_a_busy_port_is_reported_with_the_way_to_choose_another() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(AlreadyRunning) as caught:
            listen("127.0.0.1", port)
    assert f"got {port}" in caught.value.message
    assert f"HUOYAN_PORT={port + 1}" in caught.value.message
    assert f"--port {port + 1}" in caught.value.message


@pytest.mark.parametrize("host", ["host.invalid", "192.0.2.1", "x" * 300])
def test_a_host_that_is_not_this_machine_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^server.host: expected a"):
        listen(host, 0)


def test_a_data_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    occupy(folder)()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_second_server_is_told_who_has_the_directory(tmp_path: Path) -> None:
    release = occupy(tmp_path)
    with pytest.raises(AlreadyRunning) as caught:
        occupy(tmp_path)
    assert f"process {os.getpid()}" in caught.value.message
    assert "HUOYAN_DATA_DIR" in caught.value.message
    release()
    occupy(tmp_path)()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"^server.data_dir: expected a folder that can be written to"):
        occupy(tmp_path / "file" / "data")
