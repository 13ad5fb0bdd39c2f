"""What an exception says is said at once where Python says it, and waited for only so long where its class does."""

import functools
import threading
import time
import traceback
import uuid

import pytest

from huoyan.client.capture import MAX_MESSAGE_CHARS, Capture
from huoyan.client.saying import MAX_TEXT_CHARS, UNMADE, UNSAID, Sayings

PATIENT_S = 60.0
"""Longer than any machine stands still."""


class Time:
    """A clock that the exceptions of these tests move."""

    now = 0.0


class Slow(Exception):
    """An exception that takes a second to say what it is."""

    asked = 0

    def __str__(self) -> str:
        Slow.asked += 1
        Time.now += 1.0
        return "at last"


class Hanging(Exception):
    """An exception that says nothing until it is let go."""

    let_go = threading.Event()

    def __str__(self) -> str:
        self.let_go.wait(60)
        return "too late"


class Exiting(Exception):
    """An exception whose text ends the program."""

    def __str__(self) -> str:
        raise SystemExit(3)


class Meta(type):
    """A class of classes that answers nothing about them."""

    def __getattribute__(cls, name: str) -> object:
        raise RuntimeError(name)

    def __hash__(cls) -> int:
        raise RuntimeError("no hash")

    def __eq__(cls, other: object) -> bool:
        raise RuntimeError("not comparable")


class Secretive(Exception, metaclass=Meta):
    """An exception whose class cannot be asked for its name."""


class Loud(str):
    """A text with methods of its own."""

    __slots__ = ()

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __getitem__(self, key: object) -> str:
        raise RuntimeError("no part")


def test_what_python_says_itself_is_said_as_python_says_it() -> None:
    sayings = Sayings()
    for error in (
        ValueError(),
        ValueError("no stock"),
        ValueError("no stock", 3, None, 2.5, b"x"),
        ValueError({"order": (1, [2]), "of": {3}}),
        KeyError("order"),
        OSError(2, "No such file", "/orders"),
        ConnectionError(TimeoutError("timed out")),
        ImportError("no module", name="shop"),
        UnicodeDecodeError("utf-8", b"abc", 1, 2, "invalid"),
        ExceptionGroup("several", [ValueError(1), ValueError(2)]),
        RuntimeError(uuid.UUID(int=7)),
        SystemExit(3),
    ):
        assert sayings.text(error) == str(error)


def test_a_text_that_hangs_is_given_up_and_what_the_exception_holds_is_told() -> None:
    sayings = Sayings(patience_s=0.05)
    try:
        assert sayings.text(Hanging("order 7", {"left": 0})) == f"order 7, {{'left': 0}} {UNSAID}"
        # An argument that hangs is no different, and does not silence those of the same class that hold texts.
        assert sayings.text(ValueError(Hanging())) == f"{{'__class__': '{__name__}.Hanging', 'args': []}} {UNSAID}"
        assert sayings.text(ValueError("no stock")) == "no stock"
    finally:
        Hanging.let_go.set()


def test_more_hanging_texts_than_there_are_threads_for_hold_nobody_up_for_ever() -> None:
    sayings = Sayings(patience_s=0.02)
    Hanging.let_go.clear()
    kinds = [type(f"Hanging{number}", (Hanging,), {}) for number in range(7)]
    try:
        assert [sayings.text(kind()) for kind in kinds] == [UNSAID] * 7
        assert sum(thread.name == "huoyan-saying" for thread in threading.enumerate()) <= 5
    finally:
        Hanging.let_go.set()


def test_a_class_that_was_slow_is_not_asked_for_a_hundred_times_as_long() -> None:
    sayings = Sayings(lambda: Time.now, patience_s=PATIENT_S)
    Slow.asked = 0
    assert [sayings.text(Slow()) for _ in range(50)] == ["at last", *[UNSAID] * 49]
    assert sayings.text(ValueError("quick")) == "quick"
    Time.now += 99
    assert sayings.text(Slow()) == UNSAID
    Time.now += 2
    assert (sayings.text(Slow()), Slow.asked) == ("at last", 2)


def test_a_class_that_was_quick_is_asked_without_a_thread() -> None:
    asked_in = []

    class Quick(Exception):
        def __str__(self) -> str:
            asked_in.append(threading.current_thread())
            return "quick"

    sayings = Sayings(lambda: 0.0, patience_s=PATIENT_S)
    assert [sayings.text(Quick()) for _ in range(3)] == ["quick"] * 3
    assert [thread is threading.current_thread() for thread in asked_in] == [False, True, True]


@pytest.mark.parametrize("error", [Exiting("order 7"), ValueError(10**5000), ValueError(Exiting())])
def test_a_text_that_cannot_be_made_says_so(error: Exception) -> None:
    for _ in range(3):
        assert Sayings(patience_s=PATIENT_S).text(error).endswith(UNMADE)


def test_a_huge_text_is_cut_before_it_is_read() -> None:
    huge = "x" * 10_000_000
    said = Sayings().text(ValueError(huge))
    assert len(said) < MAX_TEXT_CHARS + 100
    assert "9980000 characters left out" in said
    assert len(Sayings().text(ValueError(huge, 1))) < MAX_TEXT_CHARS + 100
    began = time.thread_time()
    described = Capture().exception(ValueError(huge))
    assert len(described.message) < MAX_MESSAGE_CHARS + 100
    # Scrubbing all of it would take minutes.
    assert time.thread_time() - began < 5


def test_a_text_with_methods_of_its_own_is_the_text_it_holds() -> None:
    class Speaking(Exception):
        def __str__(self) -> str:
            return Loud("spoken")

    said = Sayings(patience_s=PATIENT_S).text(Speaking())
    assert (said, type(said)) == ("spoken", str)


def test_a_slow_exception_is_described_with_its_frames_and_asked_once() -> None:
    capture = Capture()
    capture._sayings = Sayings(lambda: Time.now, patience_s=PATIENT_S)
    Slow.asked = 0

    def fails(behind: BaseException) -> None:
        raise ValueError("no stock") from behind

    for behind in (Slow(), Slow(), Slow()):
        try:
            fails(behind)
        except ValueError as error:
            described = capture.exception(error)
            assert (described.type, described.message) == ("ValueError", "no stock")
            assert "in fails" in described.traceback
            assert described.traceback.endswith("ValueError: no stock\n")
            assert f"{__name__}.Slow: " in described.traceback
    assert Slow.asked == 1


def test_an_exception_whose_class_answers_nothing_is_named_all_the_same() -> None:
    described = Capture().exception(Secretive("order 7"))
    assert (described.type, described.message) == (f"{__name__}.Secretive", "order 7")
    assert described.traceback == f"{__name__}.Secretive: order 7\n"


def test_a_traceback_reads_as_python_prints_it() -> None:
    def inner(number: int) -> None:
        try:
            int("x" * number)
        except ValueError as error:
            error.add_note("a note\nof two lines")
            raise RuntimeError("outer") from error

    def group() -> None:
        errors = []
        for number in range(3):
            try:
                inner(number)
            except RuntimeError as error:
                errors.append(error)
        raise ExceptionGroup("all", [*errors, ExceptionGroup("nested", [KeyError("k")])])

    def after() -> None:
        try:
            group()
        except ExceptionGroup:
            raise LookupError("after") from None

    def twice() -> None:
        try:
            group()
        finally:
            raise Slow("while")

    for fails in (functools.partial(inner, 1), group, after, functools.partial(int, "k")):
        with pytest.raises(Exception) as caught:
            fails()
        assert Capture().exception(caught.value).traceback == "".join(traceback.format_exception(caught.value))
    with pytest.raises(Slow) as slow:
        twice()
    assert "During handling of the above exception" in Capture().exception(slow.value).traceback


def test_exceptions_behind_and_inside_each_other_are_described() -> None:
    error, other = ValueError("one"), KeyError("other")
    error.__cause__, other.__cause__ = other, error
    assert Capture().exception(error).message == "one"
    member = ValueError("member")
    group = ExceptionGroup("group", [member, *[ValueError(number) for number in range(5000)]])
    member.__context__ = group
    described = Capture().exception(group)
    assert described.message == "group (5001 sub-exceptions)"
    assert "4986 more" in described.traceback
    last = ValueError("first")
    for number in range(3000):
        following = ValueError(number)
        following.__cause__, last = last, following
    assert Capture().exception(last).traceback.count("ValueError") == 20


def test_an_exception_that_cannot_be_stored_as_it_is_has_those_characters_replaced() -> None:
    described = Capture().exception(ValueError("a\x00b\ud800c"))
    assert described.message == "a\ufffdb\ufffdc"
    assert described.traceback == "ValueError: a\ufffdb\ufffdc\n"
