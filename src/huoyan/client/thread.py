"""Threads of Huoyan's own in a process that is somebody else's."""

import signal
import threading


def start(thread: threading.Thread) -> None:
    """Start a thread that no signal of the process is delivered to.

    A thread begins with the signal mask of the one that starts it, and the kernel gives a signal of the process to any
    thread that does not block it (pthread_sigmask(3), signal(7)). Python then runs the handler in the main thread at
    once: a host that holds back an alarm there, as RQ's time limit is held back while Huoyan works, would be disturbed
    all the same.

    Raises:
        RuntimeError: No more threads can be started.
    """
    if not hasattr(signal, "pthread_sigmask"):
        thread.start()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
