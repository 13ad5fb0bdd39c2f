"""Every reason that Huoyan gives is known by a code, and every code has a text in both languages of the page."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from huoyan.model.reason import FORMS, particulars, recognise
from huoyan.server.api.schemas.gap import Gap

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src/huoyan"
FOLDERS = ("client", "server/collect", "server/ingest", "model")
COMPOSED = {
    "cancelled itself7": ("cancelled itself", "cancelled itself: nothing to do"),
    "cancelled 77": ("cancelled while it ran", "cancelled before it could start: by its caller"),
    "worker 7 executes it no longer; how it ended was not heard7": (
        "worker w executes it no longer; how it ended was not heard",
        "worker w executes it no longer; how it ended was not heard while nothing could be heard (redis: it ended)",
    ),
}
"""Reasons that end in another sentence, and what they can be."""
STRAY = {
    # Ends of requests of the client to its server, which are no reasons of anything that is shown.
    "http.py",
}


def texts(node: ast.expr) -> Iterator[str]:
    """Give the texts that an expression can be, with `7` for what is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr():
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
        case ast.IfExp():
            yield from texts(node.body)
            yield from texts(node.orelse)
        case ast.BinOp():
            yield from (left + right for left in texts(node.left) for right in texts(node.right))
        case _:
            pass


def given() -> list[str]:
    """Return every reason that is written down in the code."""
    found: set[str] = set()
    for path in (path for folder in FOLDERS for path in (SOURCE / folder).rglob("*.py") if path.name not in STRAY):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "reason":
                found.update(texts(node.value))
            elif isinstance(node, ast.Assign):
                names = [str(getattr(target, "id", getattr(target, "attr", ""))) for target in node.targets]
                if any(name == "reason" for name in names):
                    found.update(texts(node.value))
    return sorted(found - {""})


def test_every_reason_in_the_code_is_one_of_the_forms() -> None:
    reasons = given()
    assert len(reasons) > 50
    whole = [sentence for each in reasons for sentence in COMPOSED.get(each, (each,))]
    assert [each for each in whole if not recognise(each)[0]] == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_code_has_a_text_with_all_its_particulars(language: str) -> None:
    page = (ROOT / f"web/src/i18n/{language}.ts").read_text()
    block = re.search(r"\n  reasons: {\n(.*?)\n  },\n", page, re.DOTALL)
    assert block is not None
    said = dict(re.findall(r'^    (\w+): "(.*)",$', block[1], re.MULTILINE))
    assert set(said) == set(FORMS)
    for code, text in said.items():
        assert set(re.findall(r"{{(\w+)}}", text)) == particulars(code), code


@pytest.mark.parametrize(
    ("sentence", "code", "told"),
    [
        (
            "worker w@h:7 fell silent: no report for 31 s, expected one every 10 s",
            "worker_silent",
            {"worker": "w@h:7", "silent": "31", "interval": "10"},
        ),
        ("took 0.010 s, usually 3.1 s or more", "slot_too_fast", {"duration": "0.010", "usual": "3.1"}),
        ("terminated while it ran (signal SIGKILL)", "terminated_by", {"signal": "SIGKILL"}),
        (
            "nothing could be heard then: celery redis://h:1/0: Error 111 connecting to h:1. Connection refused.",
            "slot_unheard",
            {
                "source": "celery redis://h:1/0",
                "why": "Error 111 connecting to h:1. Connection refused.",
                "why_code": "connection_refused",
            },
        ),
        ("not on Sundays", "", {}),
        ("", "", {}),
        ("timed out" * 1000, "", {}),
    ],
)
def test_a_sentence_is_told_apart_with_its_particulars(sentence: str, code: str, told: dict[str, str]) -> None:
    assert recognise(sentence) == (code, told)


def test_the_api_gives_code_and_particulars_beside_the_sentence() -> None:
    gap = Gap.model_validate({"source": "server", "started_at": 1.0, "ended_at": 2.0, "reason": "it stood still"})
    assert (gap.reason_code, gap.reason_params) == ("stood_still", {})
    assert Gap.model_validate_json(gap.model_dump_json()) == gap
