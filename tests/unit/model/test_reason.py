"""Every reason that Huoyan gives is known by a code, and every code has a text in both languages of the page."""

import re
from pathlib import Path

import pytest

from huoyan.model.reason import FORMS, particulars, recognise
from huoyan.model.reason_chinese import CHINESE, in_chinese
from huoyan.server.api.schemas.gap import Gap
from tests.unit.model.written import Written

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src/huoyan"
FOLDERS = ("client", "server/collect", "server/ingest", "model")
STRAY = (
    # Why a request to the server failed, and why an event was refused: told to whoever sent it, and never of a run.
    "7 answered 7 7",
    "7 is unreachable: 7: 7",
    "7: expected ",
    "run_id: expected a name, got nothing",
)
"""How sentences begin that are no reasons of anything that is shown."""
FOREIGN = {
    # Labels of a metric.
    ("huoyan.client.dependencies.opentelemetry", "_reason(span, attributes)"),
    ("huoyan.client.outbound", "bare_name(type(error))"),
    ("huoyan.client.outbound", "told"),
    # What a framework or a broker said, in its own words.
    ("huoyan.client.frameworks.arq.attempts", "said"),
    ("huoyan.client.frameworks.huey.integration", "self._reporter.said(error)"),
    ("huoyan.client.frameworks.rq.executing", "said"),
    ("huoyan.server.ingest.rq_poll", "str(error) or type(error).__name__"),
    ("huoyan.server.ingest.feed", "self._cuts[0][1]"),
    # Of the reasons that events gave, the one that counts.
    ("huoyan.model.run", "_decide(run, executions, winner)[2]"),
    ("huoyan.model.run", "e.lost_reason if state == 'lost' else e.outcome.reason"),
    ("huoyan.model.run", "last.lost_reason if state == 'lost' else last.outcome.reason"),
    ("huoyan.model.run", "reason"),
    # Answers to whoever sent an event that cannot be stored.
    ("huoyan.server.collect.recorder", "f'cannot be merged: {type(error).__name__}: {error}'[:300]"),
    ("huoyan.server.collect.recorder", "f'cannot be stored: {reason}'[:300]"),
    ("huoyan.server.collect.recorder", "str(refusal)"),
}
"""What is given as a reason and leads to no sentence in the code, by module."""


@pytest.fixture(scope="module")
def written() -> Written:
    """Everything that is given as a reason in the code."""
    return Written(ROOT / "src", (path for folder in FOLDERS for path in (SOURCE / folder).rglob("*.py")))


def test_every_reason_in_the_code_is_one_of_the_forms(written: Written) -> None:
    sentences = {text for text in written.texts if text and not text.startswith(STRAY)}
    assert len(sentences) > 90
    assert sorted(text for text in sentences if not recognise(text)[0]) == []


def test_reasons_from_constants_tuples_and_functions_are_seen(written: Written) -> None:
    assert {
        # A constant of another module; an item of a tuple; what a function returns, with what is added to it.
        "its message was delivered again",
        "expired before it was started",
        "its work horse was killed by 7, as the kernel does when memory runs out; it had taken up to 7 MiB of memory",
        "cancelled before it could start: 7",
        # By position.
        "it was started after that",
        "RQ has given up this execution: nobody said how it ended",
    } <= written.texts


def test_nothing_is_given_as_a_reason_that_cannot_be_followed(written: Written) -> None:
    assert written.foreign - FOREIGN == set()
    assert FOREIGN - written.foreign == set()


def test_every_form_is_given_somewhere(written: Written) -> None:
    words_of_connections = {"connection_refused", "connection_timed_out", "connection_closed"}
    assert set(FORMS) - {recognise(text)[0] for text in written.texts} == words_of_connections


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_code_has_a_text_with_all_its_particulars(language: str) -> None:
    page = (ROOT / f"web/src/i18n/{language}/reasons.ts").read_text()
    block = re.search(r"\n  reasons: {\n(.*?)\n  },\n", page, re.DOTALL)
    assert block is not None
    said = dict(re.findall(r'^    (\w+): "(.*)",$', block[1], re.MULTILINE))
    assert set(said) == set(FORMS)
    for code, text in said.items():
        assert set(re.findall(r"{{(\w+)}}", text)) == particulars(code), code
    if language == "zh":
        assert {code: text.replace("{{", "{").replace("}}", "}") for code, text in said.items()} == CHINESE


def test_the_server_says_reasons_in_chinese_and_leaves_the_words_of_others() -> None:
    assert in_chinese("the process of worker w@h is gone") == "worker w@h 的进程已经不在"
    within = "worker w is gone, and how this ended may not have been heard (worker w: 214 of its events were dropped)"
    assert in_chinese(within) == "worker w 已经不在，它如何结束可能没有收到（worker w：它的 214 个事件被丢弃）"
    assert in_chinese("not on {Sundays}") == "not on {Sundays}"


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
                "why_text": "Error 111 connecting to h:1. Connection refused.",
            },
        ),
        (
            "worker w is gone, and how this ended may not have been heard (worker w: 214 of its events were dropped)",
            "end_unheard",
            {
                "worker": "w",
                "source": "worker w",
                "why": "214 of its events were dropped",
                "why_code": "events_dropped",
                "why_count": "214",
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
