"""What leaves the process of an exception: bounded, and without secrets wherever a long text is cut."""

import ast
from pathlib import Path

import huoyan.client
from huoyan.client.capture import MAX_MESSAGE_CHARS, MAX_REASON_CHARS, Capture

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5NXgL0n3I9PlFUP0THsR8U"


def test_no_half_of_a_secret_is_left_where_a_long_message_is_cut():
    capture = Capture()
    half = MAX_MESSAGE_CHARS // 2
    for offset in range(0, len(TOKEN), 9):
        before = "x " * half
        message = f"{before[: half - offset - 1]} {TOKEN} {'y ' * half}{TOKEN} {'z' * (half - offset)}"
        shown = capture.exception(ValueError(message), traceback="").message
        assert "left out" in shown
        assert not any(part in shown for part in ("eyJ", "dozj", "THsR8U", TOKEN[-12:]))


def test_what_a_reason_quotes_is_scrubbed_and_bounded():
    capture = Capture()
    assert capture.said(ValueError(f"refused: Bearer {TOKEN}")) == "refused: Bearer [scrubbed]"
    assert len(capture.said(ValueError("x" * 10_000_000))) < MAX_REASON_CHARS + 60
    assert capture.said(ValueError("a\x00\ud800b")) == "a\ufffd\ufffdb"


CAUGHT = {"error", "exc", "exception", "failure", "problem", "reason", "retval"}
SAYS_ITSELF = {
    # What the interpreter, its HTTP client and an import say.
    "saying.py",
    "wire.py",
    "transport/http.py",
    "frameworks/arq/integration.py",
}


def test_nothing_else_in_the_client_asks_an_exception_for_its_text():
    folder = Path(huoyan.client.__file__).parent
    found = []
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="str" | "repr" | "format"), args=[ast.Name(id=asked), *_]):
                    pass
                case ast.FormattedValue(value=ast.Name(id=asked)):
                    pass
                case ast.Call(func=ast.Name(id=asked) | ast.Attribute(attr=asked)) if asked.startswith("format_exc"):
                    asked = "error"
                case _:
                    continue
            if asked in CAUGHT and name not in SAYS_ITSELF:
                found.append(f"{name}: {ast.unparse(node)}")
    assert found == []
