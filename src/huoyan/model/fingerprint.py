"""Failure groups: which failures are the same one.

A failure is told apart by the type of its exception and the functions of the application it passed through, not by
line numbers (a deployment moves them), ids in messages, or frames of libraries (an upgrade changes them). Only when no
traceback names a function of the application does the message count, with everything that varies replaced by tags.

Whatever is read here was written by code that was failing, by other programs or by an attacker: nothing raises, every
input is cut to a bound, and every pattern takes linear time.
"""

import builtins
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

MAX_TRACEBACK_CHARS = 131_072
MAX_MESSAGE_CHARS = 2_048
MAX_TITLE_CHARS = 160
_MAX_TYPE_CHARS = 200
# Of a long message only this much counts: ids of other lengths move what stands behind them past the bound.
_MESSAGE_CHARS_THAT_COUNT = 512

_LIBRARY_FRAMES_KEPT = 3

_HEADER = "Traceback (most recent call last):"

# Where libraries live. The client's own wrappers stand in tracebacks taken inside the worker and not in others.
_LIBRARY_PATH = re.compile(
    r"(?:^|/)(?:site-packages|dist-packages|lib/python\d[\d.]{0,6}|lib64/python\d[\d.]{0,6}|python\d{2,4}\.zip"
    r"|python\d{2,4}/lib|huoyan/client)/|^<frozen ",
    re.IGNORECASE,
)

_TYPE = re.compile(r"[^\W\d][\w.<>]{0,200}\Z")

_REPR = re.compile(r"([^\W\d][\w.]{0,200})\(")

# Exceptions whose text begins with the error number, as the built-in OSError and its subclasses write it.
_OS_ERRORS = frozenset(
    name for name, item in vars(builtins).items() if isinstance(item, type) and issubclass(item, OSError)
)

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}

# The order matters: what contains other kinds comes first. All repetition is bounded or cannot be split in two ways.
_VARIABLE = re.compile(
    r"(?P<str>(?<!\w)(?:'[^'\n]{0,200}'|\"[^\"\n]{0,200}\"|`[^`\n]{0,200}`)(?!\w))"
    r"|(?P<url>(?<![A-Za-z])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s'\"<>]{1,500})"
    r"|(?P<email>(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})"
    r"|(?P<uuid>(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z]))"
    r"|(?P<time>(?<!\d)\d{4}-\d{2}-\d{2}"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?Z| ?[+-]\d{2}:?\d{2})?)?(?!\d)"
    r"|(?<!\d)\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?!\d))"
    r"|(?P<ip>(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\d.])"
    r"|(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}(?![\w:]))"
    r"|(?P<path>(?<![\w/])(?:~|[A-Za-z]:)?(?:[/\\][\w.@+~%-]{1,200}){1,50}[/\\]?)"
    r"|(?P<hex>0[xX][0-9a-fA-F]{1,64})"
    # Numbers, hex digests and ids of letters and digits share a tag: the next id may happen to be all digits.
    r"|(?P<num>(?:(?<![\w)\]])[-+])?(?>\d+(?:[.,_]\d+)*(?:[eE][-+]?\d+)?)(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])(?:[0-9a-fA-F]{8,2048}|(?=[A-Za-z]{0,2048}\d)(?=\d{0,2048}[A-Za-z])[0-9A-Za-z]{10,2048})"
    r"(?![0-9A-Za-z])"
    r"|(?:(?<![\w)\]])[-+])?(?>\d+(?:[.,_]\d+)*(?:[eE][-+]\d+)?))"
)


@dataclass(slots=True)
class _Link:
    """One exception of a traceback: its type and the frames it passed through, outermost first."""

    depth: int
    type: str = ""
    frames: list[tuple[str, str]] = field(default_factory=list)


def fingerprint(exception_type: str | None, message: str | None, traceback_text: str | None) -> str:
    """Return the identity of a failure's group as 16 hexadecimal characters.

    The same failure gives the same identity whether a client hook or an event stream reported it: module names before
    the type are ignored, and a message that is the exception's `repr` counts like its text.

    Args:
        exception_type: Class name, with or without its module; may be empty when traceback or message name it.
        message: The exception's text or repr; matters only when the traceback names no function of the application.
        traceback_text: As Python prints it, chained, grouped, cut off at the top or empty.
    """
    type_name, text = _type_and_message(exception_type, message)
    type_name = _short_type(type_name)
    links = _links(_middle_cut(_text(traceback_text), MAX_TRACEBACK_CHARS))
    chain = [link for link in links if link.depth <= 2]
    final = chain[-1] if chain else _Link(0)
    root = chain[0] if chain else final
    type_name = type_name or final.type
    parts = [type_name]
    frames = _frames(final.frames, library=False)
    root_frames = _frames(root.frames, library=False) if root is not final else []
    if root is not final and (root.type, root_frames) != (type_name, frames):
        parts += ["caused by", root.type, *root_frames]
    # What a group of exceptions holds, in no order: concurrent tasks fail in any.
    members = sorted({"|".join((link.type, *_frames(link.frames, library=False))) for link in links if link.depth > 2})
    parts += ["through", *frames, "with", *members]
    if not frames and not root_frames and not members:
        parts += [*_frames(final.frames, library=True), normalize_message(text)[:_MESSAGE_CHARS_THAT_COUNT]]
    return blake2b("\n".join(parts).encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


def normalize_message(message: str | None) -> str:
    """Return `message` with what varies from one failure to the next replaced by tags: `Order <num> of <email> failed`.

    Tags: `<str>` (quoted text), `<url>`, `<email>`, `<uuid>`, `<time>`, `<ip>`, `<path>`, `<hex>` (0x…), `<num>`
    (numbers, digests, ids of letters and digits). White space becomes single spaces; at most 2,048 characters are read.
    """
    text = _text(message)[:MAX_MESSAGE_CHARS]
    return " ".join(_VARIABLE.sub(lambda match: f"<{match.lastgroup}>", text).split())


def title(exception_type: str | None, message: str | None, limit: int = MAX_TITLE_CHARS) -> str:
    """Return one readable line for a failure group: `ConnectionError: redis:6379 refused`.

    Args:
        exception_type: Class name, or the state of runs that ended without an exception.
        message: The exception's text, or why such runs ended.
        limit: Most characters, default 160.
    """
    type_name, text = _type_and_message(exception_type, message)
    first = next((line for line in text.splitlines() if line.strip()), "")
    words = f"{type_name}: {first}" if type_name and first.strip() else type_name or first
    line = " ".join("".join(char if char.isprintable() else " " for char in words[: 4 * limit]).split())
    if len(line) > limit:
        line = f"{line[: limit - 1].rstrip()}…"
    return line or "Unknown failure"


def parse_exception_repr(text: str | None) -> tuple[str, str]:
    """Return (type, message) of an exception written as `repr`, without evaluating anything.

    Understands `ValueError('x')`, `ValueError('x',)`, `shop.Declined('no', 5)`, `ValueError('cut off…`,
    `<Declined: no>` and `ValueError: x`. The message is what `str()` of the exception would have given, as far as the
    repr tells. Text of any other form comes back as the message, with an empty type.
    """
    whole = _text(text)[:MAX_MESSAGE_CHARS].strip()
    match = _REPR.match(whole)
    if match:
        end = _closing(whole, match.end())
        if end >= len(whole) - 1:
            return match[1], _message_of_arguments(_short_type(match[1]), whole[match.end() : end])
    if whole.startswith("<") and whole.endswith(">"):
        name, _, rest = whole[1:-1].partition(":")
        if not rest:
            name, _, rest = whole[1:-1].partition(" ")
        if _TYPE.match(name):
            return name, rest.strip()
    name, colon, rest = whole.partition(": ")
    if colon and _looks_like_exception(name):
        return name, rest.strip()
    return "", whole


def _type_and_message(exception_type: object, message: object) -> tuple[str, str]:
    """Return both as text; where one of them is the repr of the whole exception, what it says."""
    type_name, text = _text(exception_type)[: 2 * _MAX_TYPE_CHARS].strip(), _text(message)[:MAX_MESSAGE_CHARS]
    if "(" in type_name:
        type_name, text_of_type = parse_exception_repr(type_name)
        text = text or text_of_type
    repr_type, repr_message = parse_exception_repr(text)
    if repr_type and _short_type(type_name) in ("", _short_type(repr_type)):
        return type_name or repr_type, repr_message
    return type_name.removeprefix("builtins."), text


def _closing(text: str, start: int) -> int:
    """Return where the parenthesis opened before `start` closes, string literals apart; the end when it is cut off."""
    depth, at = 1, start
    while at < len(text):
        char = text[at]
        if char in "'\"":
            _, length = _string_literal(text[at:])
            at += length
            continue
        depth += (char == "(") - (char == ")")
        if not depth:
            return at
        at += 1
    return at


def _message_of_arguments(type_name: str, arguments: str) -> str:
    """Return the text of an exception from what its repr shows between the parentheses."""
    arguments = arguments.strip().removesuffix(",")
    if not arguments:
        return ""
    literal, end = _string_literal(arguments)
    if literal is not None and end >= len(arguments):
        # A KeyError shows its key quoted.
        return arguments if type_name == "KeyError" else literal
    if type_name in _OS_ERRORS:
        number, _, rest = arguments.partition(",")
        literal, _ = _string_literal(rest.lstrip())
        if literal is not None and number.strip().isdigit():
            return f"[Errno {number.strip()}] {literal}"
    is_single = literal is None and "," not in arguments
    return arguments if is_single or "=" in arguments.partition(",")[0] else f"({arguments})"


def _string_literal(text: str) -> tuple[str | None, int]:
    """Return the string that a Python literal at the start of `text` stands for, and its length; None without one.

    A literal cut off counts to its end.
    """
    if text[:1] not in ("'", '"'):
        return None, 0
    quote, at = text[0], 1
    out: list[str] = []
    while at < len(text):
        char = text[at]
        if char == quote:
            return "".join(out), at + 1
        if char != "\\" or at + 1 >= len(text):
            out.append(char)
            at += 1
            continue
        kind = text[at + 1]
        digits = text[at + 2 : at + 2 + _HEX_ESCAPES.get(kind, 0)]
        code = int(digits, 16) if len(digits) == _HEX_ESCAPES.get(kind) and _is_hex(digits) else -1
        if 0 <= code < 0x110000:
            out.append(chr(code))
            at += 2 + len(digits)
        else:
            out.append(_ESCAPES.get(kind, f"\\{kind}"))
            at += 2
    return "".join(out), at


def _is_hex(digits: str) -> bool:
    return all(char in "0123456789abcdefABCDEF" for char in digits)


def _looks_like_exception(name: str) -> bool:
    last = _short_type(name)
    return bool(_TYPE.match(name)) and (
        "." in name or last.endswith(("Error", "Exception", "Warning", "Exit", "Interrupt", "Timeout"))
    )


def _short_type(name: str) -> str:
    """Return a class name without its module, `<locals>` and anything that cannot be part of one."""
    return name.strip().rpartition(".")[2][:_MAX_TYPE_CHARS].rstrip(":")


def _links(text: str) -> list[_Link]:
    """Return the exceptions of a traceback in the order in which they are printed.

    `depth` is the column of the bar that Python draws beside exception groups: 0 without one, 2 for a group, more for
    what it holds. Text that was cut off at the top begins inside a link.
    """
    links: list[_Link] = []
    link: _Link | None = None
    for raw in text.splitlines():
        depth, line = _unbarred(raw)
        stripped = line.strip()
        if stripped.endswith(_HEADER):
            link = _Link(depth)
            links.append(link)
        elif link is not None and link.type:
            # What follows the type is the message, and may look like anything.
            continue
        elif stripped.startswith('File "') and (frame := _frame(stripped)):
            if link is None:
                link = _Link(depth)
                links.append(link)
            link.frames.append(frame)
        elif link is not None and stripped and not line.startswith(" "):
            name, colon, _ = stripped.partition(":")
            if _TYPE.match(name) and (colon or name == stripped):
                link.type = _short_type(name)
    return links


def _unbarred(line: str) -> tuple[int, str]:
    """Return the column of an exception group's bar and the line without it; column 0 when there is none."""
    bare = line.lstrip(" ")
    if bare[:2] in ("| ", "+ "):
        return len(line) - len(bare), bare[2:]
    return 0, line


def _frame(line: str) -> tuple[str, str] | None:
    """Return (path, function) of a traceback's `File "…", line 1, in f`; the place of a SyntaxError has no function."""
    path, quote, rest = line[len('File "') :].rpartition('", line ')
    if not quote:
        return None
    _, _, function = rest.partition(", in ")
    return path.replace("\\", "/"), function.strip()


def _frames(frames: Iterable[tuple[str, str]], *, library: bool) -> list[str]:
    """Return each distinct frame once, in order of first appearance, so that recursion of any depth counts once.

    Without `library` only frames of the application; with it only the last few of the others.
    """
    kept = dict.fromkeys(
        f"{_file(path)}:{function}" for path, function in frames if bool(_LIBRARY_PATH.search(path)) == library
    )
    return list(kept)[-_LIBRARY_FRAMES_KEPT:] if library else list(kept)


def _file(path: str) -> str:
    """Return a file's name: with its folder where the name says nothing, without numbers where it was generated."""
    parent, _, name = path.rpartition("/")
    if path.startswith("<"):
        return re.sub(r"[\d-].*", "", path)
    if name in ("__init__.py", "__main__.py"):
        return f"{parent.rpartition('/')[2]}/{name}"
    return name


def _middle_cut(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`: its start, which names the root cause, and its end."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n{text[-half:]}"


def _text(value: object) -> str:
    """Return a plain `str` of whatever was handed over."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return ""
