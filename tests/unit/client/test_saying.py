"""What an exception says is asked for as long as that is quick."""

from huoyan.client.capture import Capture
from huoyan.client.saying import UNSAID, Sayings


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


def test_a_class_that_was_slow_is_not_asked_for_a_hundred_times_as_long() -> None:
    sayings = Sayings(lambda: Time.now)
    Slow.asked = 0
    assert [sayings.text(Slow()) for _ in range(50)] == ["at last", *[UNSAID] * 49]
    assert sayings.text(ValueError("quick")) == "quick"
    Time.now += 99
    assert sayings.text(Slow()) == UNSAID
    Time.now += 2
    assert (sayings.text(Slow()), Slow.asked) == ("at last", 2)


def test_a_slow_exception_is_described_with_its_frames_and_asked_once() -> None:
    capture = Capture()
    capture._sayings = Sayings(lambda: Time.now)
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
    assert Slow.asked == 1


def test_an_exception_behind_itself_is_described() -> None:
    error, other = ValueError("one"), KeyError("other")
    error.__cause__, other.__cause__ = other, error
    assert Capture().exception(error).message == "one"
