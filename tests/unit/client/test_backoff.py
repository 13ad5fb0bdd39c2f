"""A server that does not answer is tried ever more rarely, and never more often than it asks for."""

from huoyan.client.backoff import Backoff


def test_tries_become_rare_while_the_server_is_away() -> None:
    backoff = Backoff()
    waits: list[float] = []
    for _ in range(10):
        backoff.fail(1000.0)
        waits.append(backoff.until - 1000.0)
    assert 0.25 <= waits[0] <= 0.5
    assert all(0.5 * 2**number / 2 <= wait <= 30 for number, wait in zip(range(6), waits, strict=False))
    assert 15 <= waits[-1] <= 30


def test_it_begins_anew_once_the_server_has_answered() -> None:
    backoff = Backoff()
    assert not backoff
    for _ in range(5):
        backoff.fail(1000.0)
    assert backoff
    backoff.end()
    assert not backoff
    backoff.fail(1000.0)
    assert backoff.until <= 1000.5


def test_the_server_may_ask_to_be_left_alone_for_longer() -> None:
    backoff = Backoff()
    backoff.fail(1000.0, at_least_s=120)
    assert backoff.until == 1120.0
