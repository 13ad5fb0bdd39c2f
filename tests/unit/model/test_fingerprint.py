"""Failure groups: what makes two failures the same one, and what tells them apart."""

import concurrent.futures
import multiprocessing
import random
import string
import sys
import textwrap
import time
import traceback
import uuid
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huoyan.model.fingerprint import (
    MAX_MESSAGE_CHARS,
    MAX_TITLE_CHARS,
    fingerprint,
    normalize_message,
    parse_exception_repr,
    title,
)


def text_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def failure_of(function: Callable[..., object], *args: object) -> Exception:
    try:
        function(*args)
    except Exception as error:
        return error
    raise AssertionError(f"{function} did not fail")


def group_of(error: BaseException) -> str:
    return fingerprint(type(error).__name__, str(error), text_of(error))


def trace(*frames: tuple[str, str], error: str = "ValueError: no") -> str:
    """Print a traceback as Python does; frames are (path, function), outermost first."""
    lines = [
        f'  File "{path}", line {n * 7 + 3}, in {function}\n    call()' for n, (path, function) in enumerate(frames)
    ]
    return "\n".join(["Traceback (most recent call last):", *lines, error, ""])


APP = ("/srv/shop/orders.py", "pay")
CELERY = ("/srv/.venv/lib/python3.11/site-packages/celery/app/trace.py", "trace_task")
STDLIB = ("/usr/lib/python3.11/json/decoder.py", "raw_decode")


# What counts


def test_the_identity_is_sixteen_hexadecimal_characters_and_stays_the_same_for_good():
    """Stored groups must survive an upgrade: a change of this value is a change of every stored identity."""
    assert fingerprint("ValueError", "no", trace(CELERY, APP)) == "32a1b44a003339f5"
    assert fingerprint("WorkerLostError", "signal 9 (SIGKILL) Job: 12.", "") == "fbe2a743be2c2fb8"


def test_another_function_another_file_or_another_type_is_another_group():
    groups = {
        fingerprint("ValueError", "no", trace(APP)),
        fingerprint("ValueError", "no", trace(("/srv/shop/orders.py", "refund"))),
        fingerprint("ValueError", "no", trace(("/srv/shop/refunds.py", "pay"))),
        fingerprint("KeyError", "no", trace(APP)),
    }
    assert len(groups) == 4


def test_line_numbers_messages_and_the_folder_of_a_deployment_do_not_count():
    moved = trace(("/opt/release-43/shop/orders.py", "pay")).replace("line 3", "line 99")
    assert fingerprint("ValueError", "order 1", trace(APP)) == fingerprint("ValueError", "order 2", moved)


def test_a_package_file_is_known_by_its_folder():
    one = trace(("/srv/shop/__init__.py", "boot"))
    other = trace(("/srv/mail/__init__.py", "boot"))
    assert fingerprint("ValueError", "", one) != fingerprint("ValueError", "", other)


@pytest.mark.parametrize(
    "library",
    [
        CELERY,
        STDLIB,
        ("/usr/lib/python3/dist-packages/kombu/connection.py", "connect"),
        (r"C:\Python311\Lib\json\decoder.py", "decode"),
        (r"C:\app\venv\Lib\site-packages\redis\client.py", "execute"),
        ("/usr/lib64/python3.12/asyncio/tasks.py", "wait_for"),
        ("<frozen importlib._bootstrap>", "_find_and_load"),
        ("/src/huoyan/client/frameworks/background.py", "run"),
    ],
)
def test_frames_of_libraries_do_not_count_beside_those_of_the_application(library):
    assert fingerprint("ValueError", "", trace(library, APP, library)) == fingerprint("ValueError", "", trace(APP))


def test_with_library_frames_alone_those_and_the_message_count():
    """A task called with wrong arguments fails inside the framework: the message alone names the task."""
    add = "add() missing 1 required positional argument: 'y'"
    send = "send() missing 1 required positional argument: 'to'"
    assert fingerprint("TypeError", add, trace(CELERY)) != fingerprint("TypeError", send, trace(CELERY))
    assert fingerprint("TypeError", add, trace(CELERY)) != fingerprint("TypeError", add, trace(STDLIB))
    assert fingerprint("TypeError", add, trace(CELERY)) == fingerprint("TypeError", add, trace(CELERY))


def test_windows_and_unix_paths_and_line_ends_give_the_same_group():
    windows = trace((r"D:\srv\shop\orders.py", "pay")).replace("\n", "\r\n")
    assert fingerprint("ValueError", "", windows) == fingerprint("ValueError", "", trace(APP))


def test_recursion_of_any_depth_is_one_group():
    def dig(depth: int) -> None:
        if depth == 0:
            raise ValueError("bottom")
        dig(depth - 1)

    assert group_of(failure_of(dig, 3)) == group_of(failure_of(dig, 40))


def test_endless_mutual_recursion_is_one_group_whichever_function_hits_the_limit():
    def ping(n: int) -> None:
        pong(n + 1)

    def pong(n: int) -> None:
        ping(n + 1)

    def deeper(levels: int) -> None:
        deeper(levels - 1) if levels else ping(0)

    errors = [failure_of(deeper, 1), failure_of(deeper, 2)]
    assert all(isinstance(error, RecursionError) for error in errors)
    assert len(text_of(errors[0])) > 50_000
    assert group_of(errors[0]) == group_of(errors[1])


# Chains and groups


def test_the_root_cause_tells_failures_apart_that_end_the_same_way():
    def lookup() -> None:
        raise KeyError("x")

    def connect() -> None:
        raise ConnectionError("refused")

    def step(inner: Callable[[], None]) -> None:
        try:
            inner()
        except Exception as error:
            raise RuntimeError("step failed") from error

    assert group_of(failure_of(step, lookup)) != group_of(failure_of(step, connect))
    assert group_of(failure_of(step, lookup)) == group_of(failure_of(step, lookup))


def test_how_often_something_was_tried_again_does_not_count():
    def attempt(times: int) -> None:
        try:
            raise TimeoutError("slow")
        except TimeoutError:
            if times:
                attempt(times - 1)
            raise

    assert group_of(failure_of(attempt, 2)) == group_of(failure_of(attempt, 6))


def fail_in_one_way(message: str) -> None:
    raise ValueError(message)


def fail_in_another_way(message: str) -> None:
    raise ValueError(message)


def test_a_failure_in_a_process_pool_is_known_by_the_frames_of_the_child():
    """The pool prints the child's traceback as text inside the message of the cause."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        one, again = pool.submit(fail_in_one_way, "1"), pool.submit(fail_in_one_way, "2")
        other = pool.submit(fail_in_another_way, "1")
        groups = [group_of(failure_of(future.result)) for future in (one, again, other)]
    assert groups[0] == groups[1] != groups[2]


def exception_group(*kinds: type[Exception]) -> BaseException:
    def fail(kind: type[Exception]) -> None:
        raise kind("no")

    def gather() -> None:
        raise ExceptionGroup("several", [failure_of(fail, kind) for kind in kinds])

    return failure_of(gather)


def test_a_group_is_known_by_what_it_holds_in_any_order_and_number():
    both = group_of(exception_group(ValueError, KeyError))
    assert both == group_of(exception_group(KeyError, ValueError, KeyError))
    assert both != group_of(exception_group(ValueError))


def test_a_nested_group_is_read_to_the_bottom():
    def fail(kind: type[Exception]) -> None:
        raise ExceptionGroup("outer", [ExceptionGroup("inner", [failure_of(raise_it, kind)])])

    def raise_it(kind: type[Exception]) -> None:
        raise kind("no")

    assert group_of(failure_of(fail, ValueError)) != group_of(failure_of(fail, KeyError))


def test_a_syntax_error_is_known_by_its_file():
    def compile_it(source: str, name: str) -> None:
        compile(source, name, "exec")

    one = failure_of(compile_it, "def f(:\n", "/srv/shop/rules.py")
    moved = failure_of(compile_it, "\n\n\ndef f(:\n", "/srv/shop/rules.py")
    other = failure_of(compile_it, "def f(:\n", "/srv/shop/plans.py")
    assert group_of(one) == group_of(moved)
    assert group_of(one) != group_of(other)


def test_notes_and_messages_of_several_lines_do_not_count():
    def fail(message: str) -> None:
        error = ValueError(message)
        error.add_note(f"note for {message}")
        raise error

    looks_like_a_frame = 'first\n  File "/srv/evil.py", line 1, in evil\nKeyError: no'
    assert group_of(failure_of(fail, "plain")) == group_of(failure_of(fail, looks_like_a_frame))


# Hook and event stream


def test_the_event_stream_and_the_hook_report_the_same_failure_alike():
    """The stream carries repr(exception) and no module; the hook has the class and its module."""

    class Declined(Exception):
        pass

    def pay() -> None:
        raise Declined("card 4111 was declined")

    error = failure_of(pay)
    by_hook = fingerprint(f"{type(error).__module__}.{type(error).__qualname__}", str(error), text_of(error))
    by_stream = fingerprint("Declined", repr(error), text_of(error))
    nameless = fingerprint("", repr(error), text_of(error))
    only_traceback = fingerprint("", "", text_of(error))
    assert by_hook == by_stream == nameless == only_traceback


@pytest.mark.parametrize(
    "error", [ValueError("order 5 is gone"), KeyError("sku"), OSError(111, "refused"), KeyError(3)]
)
def test_without_a_traceback_repr_and_text_give_the_same_group(error):
    name = type(error).__name__
    assert fingerprint(name, str(error), "") == fingerprint(name, repr(error), None) == fingerprint("", repr(error), "")


def test_a_traceback_cut_off_at_the_top_keeps_its_group():
    whole = trace(CELERY, CELERY, APP, STDLIB)
    cut = whole[whole.index("trace_task") :]
    assert fingerprint("ValueError", "", cut) == fingerprint("ValueError", "", whole)


# Messages


@pytest.mark.parametrize(
    ("message", "normal"),
    [
        ("Order 4711 not found", "Order <num> not found"),
        ("took 12.75 s, limit -3", "took <num> s, limit <num>"),
        ("retry in 1.5e-7s", "retry in <num>s"),
        ("no user 'alice' in \"eu\" `x`", "no user <str> in <str> <str>"),
        ("can't open, don't retry", "can't open, don't retry"),
        ("object at 0x7f3a12bc", "object at <hex>"),
        ("run 3f2504e0-4f89-11d3-9a0c-0305e82c3301 lost", "run <uuid> lost"),
        ("mail to a.b+c@example.co.uk refused", "mail to <email> refused"),
        ("GET https://api.example.com/v1/x?id=5 gave 500", "GET <url> gave <num>"),
        ("10.0.0.7:6379 and fe80::1 refused", "<ip> and <ip> refused"),
        ("at 2026-11-20T21:15:03.123Z or 21:15:03", "at <time> or <time>"),
        ("missing /var/lib/app/f.txt now", "missing <path> now"),
        (r"missing C:\data\f.txt now", "missing <path> now"),
        ("digest 9f86d081884c7d659a2feaa0c55ad015 bad", "digest <num> bad"),
        ("charge ch_3N8xYz2eZvKYlo2C failed", "charge ch_<num> failed"),
        ("line one\n\tline  two", "line one line two"),
        ("read and/or write, worker12", "read and/or write, worker<num>"),
        ("", ""),
    ],
)
def test_what_varies_in_a_message_becomes_a_tag(message, normal):
    assert normalize_message(message) == normal


def hexadecimal(generator: random.Random) -> str:
    return f"{generator.getrandbits(128):032x}"


VARYING: list[Callable[[random.Random], object]] = [
    lambda generator: generator.randrange(10 ** generator.randrange(1, 18)),
    lambda generator: generator.uniform(0, 1e6),
    lambda generator: uuid.UUID(int=generator.getrandbits(128)),
    hexadecimal,
    lambda generator: hexadecimal(generator)[:8],
    lambda generator: f"{generator.randrange(256)}.{generator.randrange(256)}.0.1:{generator.randrange(65536)}",
    lambda generator: f"user{generator.randrange(10**6)}@example.com",
    lambda generator: f"'{''.join(generator.choices(string.ascii_letters + ' ', k=12))}'",
    lambda generator: f"/srv/{''.join(generator.choices(string.ascii_lowercase, k=5))}/{generator.randrange(99)}.csv",
    lambda generator: f"https://example.com/{hexadecimal(generator)}",
    lambda generator: (
        f"2026-{generator.randrange(10, 13)}-{generator.randrange(10, 29)} 12:00:{generator.randrange(10, 60)}"
    ),
]
words = st.lists(st.sampled_from(["order", "not", "found", "in", "queue", "timed out", "after", "(code)"]), max_size=5)


@given(st.lists(st.tuples(words, st.integers(0, len(VARYING) - 1)), max_size=8), st.integers(), st.integers())
def test_other_numbers_ids_and_names_give_the_same_group(template, seed, other_seed):
    def fill(seed: int) -> str:
        generator = random.Random(seed)
        return " ".join(f"{' '.join(plain)} {VARYING[kind](generator)}" for plain, kind in template)

    assert normalize_message(fill(seed)) == normalize_message(fill(other_seed))
    assert fingerprint("E", fill(seed), "") == fingerprint("E", fill(other_seed), "")


# Reading reprs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ValueError('x')", ("ValueError", "x")),
        ("ValueError('x',)", ("ValueError", "x")),
        ('ValueError("it\'s")', ("ValueError", "it's")),
        (r"ValueError('a\n\'b\' \u00e9 \x41 \\ \d')", ("ValueError", "a\n'b' é A \\ \\d")),
        ("ValueError()", ("ValueError", "")),
        ("ValueError('a', 1)", ("ValueError", "('a', 1)")),
        ("shop.errors.Declined('no')", ("shop.errors.Declined", "no")),
        ("KeyError('sku')", ("KeyError", "'sku'")),
        (
            "ConnectionRefusedError(111, 'Connection refused')",
            ("ConnectionRefusedError", "[Errno 111] Connection refused"),
        ),
        ("HTTPError(code=404, url='x')", ("HTTPError", "code=404, url='x'")),
        ("Exception(5)", ("Exception", "5")),
        ("ValueError('cut off here", ("ValueError", "cut off here")),
        ("ValueError('closes) inside')", ("ValueError", "closes) inside")),
        ("<Declined: no money>", ("Declined", "no money")),
        ("<Response [500]>", ("Response", "[500]")),
        ("ValueError: x", ("ValueError", "x")),
        ("shop.Declined: x", ("shop.Declined", "x")),
        ("Order(5) not found (retry)", ("", "Order(5) not found (retry)")),
        ("note: x", ("", "note: x")),
        ("plain text", ("", "plain text")),
        ("", ("", "")),
    ],
)
def test_a_repr_is_read_without_evaluating_it(text, expected):
    assert parse_exception_repr(text) == expected


@given(st.text(max_size=40))
def test_the_text_of_an_exception_is_recovered_from_its_repr(message):
    assert parse_exception_repr(repr(ValueError(message))) == ("ValueError", message)


# Titles


def test_a_title_is_the_type_and_the_first_line():
    assert title("ConnectionError", "redis:6379 refused\nmore") == "ConnectionError: redis:6379 refused"
    assert title("Declined", "Declined('no money',)") == "Declined: no money"
    assert title("", "ValueError('x')") == "ValueError: x"
    assert title("builtins.ValueError", "") == "ValueError"
    assert title("", "\n  plain") == "plain"
    assert title(None, None) == "Unknown failure"


@given(st.text(max_size=400), st.text(max_size=400))
def test_a_title_is_one_printable_line_of_bounded_length(type_name, message):
    line = title(type_name, message)
    assert 0 < len(line) <= MAX_TITLE_CHARS
    assert line.isprintable()


# Hostile input

lines = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "Traceback (most recent call last):",
            "  + Exception Group Traceback (most recent call last):",
            '  File "/srv/a.py", line 1, in f',
            '  File "", line , in ',
            '    |   File "x", line 9, in g',
            "  +-+---------------- 1 ----------------",
            "ValueError: x",
            "  | ",
            "The above exception was the direct cause of the following exception:",
            "\ud800",
            "\x00",
        ]
    ),
)


@given(st.text(), st.text(), st.lists(lines).map("\n".join))
def test_no_text_makes_it_raise(type_name, message, traceback_text):
    assert len(fingerprint(type_name, message, traceback_text)) == 16
    assert fingerprint(type_name, message, traceback_text) == fingerprint(type_name, message, traceback_text)
    normalize_message(message)
    parse_exception_repr(message)
    assert title(type_name, message)


@pytest.mark.parametrize("thing", [None, 5, b"\xff\x00", object(), ["x"], {}])
def test_what_is_no_text_at_all_does_not_raise(thing):
    assert len(fingerprint(thing, thing, thing)) == 16
    assert isinstance(title(thing, thing), str)
    assert isinstance(normalize_message(thing), str)
    assert isinstance(parse_exception_repr(thing), tuple)


HOSTILE = [
    "'",
    '"',
    "`",
    "(",
    "a(",
    "'\\",
    "1",
    "1.",
    "a1",
    "f",
    "/a",
    "-",
    "@",
    "a@a.",
    ":",
    "a:",
    "://",
    " ",
    "0x",
    "F:",
]


@pytest.mark.parametrize(
    "piece", [*HOSTILE, 'File "', '  File "a", line 1, in ', "Traceback (most recent call last):\n"]
)
def test_hostile_text_of_a_megabyte_takes_no_longer_than_a_blink(piece):
    """A pattern that backtracks exponentially or quadratically would take minutes here."""
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    fingerprint(text, text, text)
    normalize_message(text + "!")
    title(text, text)
    assert time.process_time() - started < 1.0


def test_only_the_bound_of_a_message_is_read():
    head = "word " * (MAX_MESSAGE_CHARS // 5)
    assert fingerprint("E", head + "x" * 10, "") == fingerprint("E", head + "y" * 10_000_000, "")


def test_the_text_of_this_python_is_understood():
    """The carets and the source lines that newer versions print beside frames are no frames."""

    def outer() -> None:
        textwrap.dedent(None)  # type: ignore[arg-type]

    error = failure_of(outer)
    assert fingerprint("", "", text_of(error)) == fingerprint(
        type(error).__name__, "", trace((__file__, "failure_of"), (__file__, "outer"), error="TypeError: x")
    ), sys.version
