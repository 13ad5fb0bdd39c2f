"""RQ's texts about failures are understood."""

import traceback

import pytest

from huoyan.model.event import EventKind as K
from huoyan.server.ingest.rq_exceptions import Diagnostician, exception_of_traceback


def raised(error: BaseException) -> str:
    try:
        raise error
    except BaseException as caught:
        return "".join(traceback.format_exception(caught))


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("no stock"), "ValueError", "no stock"),
        (ValueError(""), "ValueError", ""),
        (KeyError("order-7"), "KeyError", "'order-7'"),
        (ValueError("two\nlines: here"), "ValueError", "two\nlines: here"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "UnicodeDecodeError", "'utf-8' codec can't decode byte"),
    ],
)
def test_the_last_line_names_the_exception(error: BaseException, kind: str, message: str) -> None:
    found = exception_of_traceback(raised(error))
    assert found[0] == kind
    assert found[1].startswith(message)


def test_of_a_chain_the_last_one_counts() -> None:
    try:
        try:
            raise ValueError("inner")
        except ValueError as inner:
            raise LookupError("outer") from inner
    except LookupError as error:
        text = "".join(traceback.format_exception(error))
    assert exception_of_traceback(text) == ("LookupError", "outer")


def test_of_a_group_the_group_counts() -> None:
    kind, message = exception_of_traceback(raised(ExceptionGroup("several", [ValueError("a"), KeyError("b")])))
    assert "several" in message or kind in {"ExceptionGroup", "ValueError", "KeyError", "Exception"}


@pytest.mark.parametrize(
    "text", ["", "nothing of the kind", "Traceback (most recent call last):", "\x00" * 100, '  File "x']
)
def test_other_texts_do_no_harm(text: str) -> None:
    kind, _ = exception_of_traceback(text)
    assert kind


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("Work-horse terminated unexpectedly; waitpid returned 9 (signal 9); ", K.FAILED, "SIGKILL"),
        ("Work-horse terminated unexpectedly; waitpid returned 256; ", K.FAILED, "status 1"),
        ("Work-horse terminated unexpectedly; waitpid returned None; ", K.FAILED, ""),
        ("Job stopped by user, work-horse terminated.", K.REVOKED, "stopped"),
        ("Job was stuck in intermediate queue.", K.DEAD, "died before it could start"),
        ("Moved to FailedJobRegistry, due to AbandonedJobError, at 2026-11-20 10:00:00", K.LOST, "fell silent"),
        ("", K.FAILED, ""),
    ],
)
def test_what_rq_says_without_a_traceback(text: str, kind: K, said: str) -> None:
    diagnosis = Diagnostician(str).failure(text)
    assert diagnosis.kind is kind
    assert said in diagnosis.reason


def test_secrets_are_taken_out_before_the_text_is_cut() -> None:
    text = raised(ValueError("x" * 200_000 + " password=hunter2"))
    diagnosis = Diagnostician(lambda given: given.replace("hunter2", "[scrubbed]")).failure(text)
    assert diagnosis.exception is not None
    assert "hunter2" not in diagnosis.exception.traceback + diagnosis.exception.message
    assert len(diagnosis.exception.traceback) < 70_000


def test_a_traceback_that_speaks_of_abandoned_jobs_is_a_failure_all_the_same() -> None:
    assert Diagnostician(str).failure(raised(ValueError("AbandonedJobError"))).kind is K.FAILED
