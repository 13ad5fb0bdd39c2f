import socket
from collections.abc import Iterator

import pytest

from huoyan.demo.ports import allot, is_free
from tests.servers import free_port


@pytest.fixture
def taken_port() -> Iterator[int]:
    port = free_port()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield port


def test_a_port_that_somebody_listens_on_is_not_free(taken_port):
    assert not is_free(taken_port)


def test_a_port_that_nobody_listens_on_is_free():
    assert is_free(free_port())


def test_ports_beyond_the_last_are_not_free():
    assert not is_free(70_000)


def test_ports_in_use_are_passed_over(taken_port):
    given = allot(taken_port, ("a", "b"))
    assert taken_port not in given.values()
    assert len(set(given.values())) == 2
    assert all(is_free(port) for port in given.values())


def test_ports_follow_the_first_where_they_are_free():
    first = free_port()
    given = allot(first, ("a",), taken=(first,))
    assert first < given["a"] <= first + 50
