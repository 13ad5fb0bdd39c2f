"""Threads of Huoyan's own take no signal of the process."""

import signal
import threading

from huoyan.client.thread import start


def test_a_thread_blocks_what_the_one_that_starts_it_does_not() -> None:
    seen: list[set[int]] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    thread = threading.Thread(target=lambda: seen.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))))
    start(thread)
    thread.join(10)
    assert {signal.SIGALRM, signal.SIGTERM, signal.SIGCHLD} <= seen[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
