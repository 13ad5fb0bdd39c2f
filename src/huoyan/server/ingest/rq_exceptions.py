"""How RQ says in a text why a job failed, in the words of the model."""

import os
import re
import signal
from collections.abc import Callable
from functools import lru_cache

from huoyan.model.event import EventKind, ExceptionInfo
from huoyan.model.fingerprint import fingerprint, parse_exception_repr

TERMINATED = "WorkHorseTerminated"
"""What hooks call it too, so that both speak of the same failure."""

MAX_TRACEBACK_CHARACTERS = 64 * 1024
MAX_MESSAGE_CHARACTERS = 8 * 1024
_TRACEBACK = "Traceback (most recent call last):"
_KIND = re.compile(r"[^\W\d][\w.]{0,200}(?=:|\Z)")
_STATUS = re.compile(r"waitpid returned (\d{1,6})")


class Diagnosis:
    """What a failure was.

    Args:
        kind: What became of the execution, or of the run when it never started.
        exception: What it raised, None when nothing was raised.
        reason: Why, where no exception says it.
    """

    __slots__ = ("exception", "kind", "reason")

    def __init__(self, kind: EventKind, exception: ExceptionInfo | None = None, reason: str = "") -> None:
        self.kind = kind
        self.exception = exception
        self.reason = reason


class Diagnostician:
    """Reads RQ's texts.

    Args:
        scrub: Takes secrets out of text; RQ stores exceptions as they are.
    """

    def __init__(self, scrub: Callable[[str], str]) -> None:
        self._scrub = scrub
        self._read = lru_cache(maxsize=256)(self._describe)

    def failure(self, text: str) -> Diagnosis:
        """Say what a failed job's text means."""
        if _TRACEBACK not in text:
            if "AbandonedJobError" in text:
                return Diagnosis(EventKind.LOST, reason="its worker fell silent, so RQ gave it up")
            if text.startswith("Work-horse terminated"):
                message = text.strip().rstrip(";")
                exception = ExceptionInfo(TERMINATED, message, "", fingerprint(TERMINATED, message, ""))
                return Diagnosis(EventKind.FAILED, exception, _ended_by(text))
            if text.startswith("Job stopped by user"):
                return Diagnosis(EventKind.REVOKED, reason="stopped while it ran (send_stop_job_command)")
            if text.startswith("Job was stuck"):
                reason = "taken from its queue by a worker that died before it could start the job"
                return Diagnosis(EventKind.DEAD, reason=reason)
        return Diagnosis(EventKind.FAILED, self._read(text) if text else None)

    def _describe(self, text: str) -> ExceptionInfo:
        # Scrubbed before it is cut: half a secret is recognised by no pattern.
        trace = _cut(self._scrub(text))
        kind, message = exception_of_traceback(trace)
        message = message[:MAX_MESSAGE_CHARACTERS]
        return ExceptionInfo(kind, message, trace, fingerprint(kind, message, trace))


def exception_of_traceback(text: str) -> tuple[str, str]:
    """Return type and message of the last exception in a traceback as Python prints it."""
    lines = text.rstrip().splitlines()
    last = max((number for number, line in enumerate(lines) if line.lstrip(" |+-").startswith('File "')), default=-1)
    for number in range(last + 1, len(lines)):
        match = _KIND.match(lines[number])
        if match is not None:
            first = lines[number][match.end() :].removeprefix(":").removeprefix(" ")
            return match[0], "\n".join((first, *lines[number + 1 :]))
    kind, message = parse_exception_repr(lines[-1] if lines else "")
    return kind or "Exception", message


def _ended_by(text: str) -> str:
    match = _STATUS.search(text)
    status = int(match[1]) if match else 0
    if not match or not os.WIFSIGNALED(status):
        return f"its work horse ended with status {os.waitstatus_to_exitcode(status)}" if match else ""
    number = os.WTERMSIG(status)
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    more = ", as the kernel does when memory runs out" if number == signal.SIGKILL else ""
    return f"its work horse was killed by {name}{more}"


def _cut(text: str) -> str:
    if len(text) <= MAX_TRACEBACK_CHARACTERS:
        return text
    half = MAX_TRACEBACK_CHARACTERS // 2
    return f"{text[:half]}\n  …\n{text[-half:]}"
