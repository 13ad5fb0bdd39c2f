"""Causes as JSON."""

from typing import Any, Literal

from huoyan.model.causes import Cause as ModelCause
from huoyan.model.example import Example as ModelExample
from huoyan.model.lift import Standout
from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.collect.cause_wording import sentence, standout_sentence
from huoyan.server.collect.causes import Answer

EXAMPLE: dict[str, Any] = {
    "id": "1042",
    "at": "2026-11-20T21:15:03.123456Z",
    "duration_s": 3.21,
    "wait_s": 0.0,
    "status": 200,
    "breakdown": {
        "total_s": 3.21,
        "own_s": 0.02,
        "parts": [
            {
                "component": "database",
                "operation": "SELECT",
                "target": "orders",
                "calls": 1,
                "total_s": 3.19,
                "covered_s": 3.19,
                "max_s": 3.19,
                "errors": 0,
            }
        ],
    },
    "labels": {"host": "host-1"},
    "trace_id": "",
}
STANDOUT: dict[str, Any] = {
    "among": "slow",
    "name": "version",
    "value": "2.4.1",
    "share": 0.92,
    "usual_share": 0.25,
    "lift": 3.68,
    "count": 37,
    "sentence": "92 % of the slow ones have version 2.4.1, otherwise 25 % do.",
    "sentence_zh": "慢的当中 92 % 具有 version 2.4.1，其他的为 25 %。",
}
CAUSE: dict[str, Any] = {
    "service": "orders",
    "endpoint": "GET /orders",
    "task": "",
    "component": "database",
    "operation": "SELECT",
    "target": "orders",
    "share": 0.97,
    "slow_s": 3.1,
    "typical_s": 0.02,
    "p99_s": 2.8,
    "others_p99_s": 0.012,
    "sentence": "97 % of what the slow ones take longer is SELECT on orders: P99 2.8 s, others 12 ms.",
    "sentence_zh": "慢请求多花的时间有 97 % 在对 orders 的 SELECT：P99 为 2.8 s，其他为 12 ms。",
    "evidence": [EXAMPLE],
}


class CauseExample(Document):
    """A slow request or run that shows a cause."""

    model_config = documented(EXAMPLE)

    id: str
    """Of a run, its id."""
    at: Timestamp
    duration_s: float
    """Of a run, with its time in the queue."""
    wait_s: float
    """Time in the queue, of a run; its breakdown begins after it."""
    status: int
    """The HTTP status; 0 for a run."""
    breakdown: Any
    labels: dict[str, str]
    trace_id: str


class Cause(Document):
    """Something that the slow ones spend more time on than the typical ones."""

    model_config = documented(CAUSE)

    service: str
    endpoint: str
    """Method and route template, empty for a task."""
    task: str
    component: str
    """`database`, `redis`, `http`, `queue`, `own code`, …"""
    operation: str
    target: str
    """Table, host or what else is called."""
    share: float
    """Its part of what the slow ones take longer, 0 to 1."""
    slow_s: float
    """What it takes in a slow one, on average."""
    typical_s: float
    p99_s: float
    """99 % of its calls took at most this long. Where those are not measured apart, or the slow ones are too new or too
    few to show in that, 99 % of the slow ones spend at most this long on it; `others_p99_s` is null then."""
    others_p99_s: float | None
    """The same of all other calls of this component."""
    sentence: str
    sentence_zh: str
    evidence: list[CauseExample]


class CauseStandout(Document):
    """A value that more of the slow, or of the failing, ones have than of the others."""

    model_config = documented(STANDOUT)

    among: Literal["slow", "failing"]
    name: str
    """`host`, `version`, `queue`, `worker`, a label, `argument 1`, `failed call database SELECT orders`, …"""
    value: str
    share: float
    """Its share among them, 0 to 1."""
    usual_share: float
    """Its share among the others."""
    lift: float | None
    """How many times its usual share; null when none of the others has it."""
    count: int
    """How many of them that were looked at have it."""
    sentence: str
    sentence_zh: str


class ComparedPart(Document):
    """What one part takes on average."""

    component: str
    operation: str
    target: str
    slow_s: float
    """In a slow one, in seconds."""
    typical_s: float


class Compared(Document):
    """What was compared for one endpoint or task."""

    service: str
    endpoint: str
    task: str
    verdict: Literal["found", "few", "even", "alike", "unclear"]
    """`found`, or why nothing is: too few seen; the slow ones are hardly slower; everything grew alike; nothing
    measured explains it."""
    slow: int
    typical: int
    cutoff_s: float | None
    """From this duration on one counts as slow."""
    slow_mean_s: float | None
    typical_mean_s: float | None
    standouts: list[CauseStandout]
    """What sets the slow and the failing ones apart beside their time, the clearest first."""
    parts: list[ComparedPart]
    """What both are made of, what takes longest first. Their sums are the two means."""


class CauseList(Document):
    """Causes, the most important first."""

    model_config = documented(
        {
            "items": [CAUSE],
            "next": None,
            "compared": [
                {
                    "service": "orders",
                    "endpoint": "GET /orders",
                    "task": "",
                    "verdict": "found",
                    "slow": 40,
                    "typical": 160,
                    "cutoff_s": 2.9,
                    "slow_mean_s": 3.2,
                    "typical_mean_s": 0.05,
                    "standouts": [STANDOUT],
                    "parts": [
                        {
                            "component": "database",
                            "operation": "SELECT",
                            "target": "orders",
                            "slow_s": 3.1,
                            "typical_s": 0.02,
                        },
                        {"component": "own code", "operation": "", "target": "", "slow_s": 0.1, "typical_s": 0.03},
                    ],
                }
            ],
        }
    )

    items: list[Cause]
    next: None
    """Always null: the list is short."""
    compared: list[Compared]


def cause_list(answers: list[Answer]) -> CauseList:
    """Render what was found."""
    return CauseList(
        items=[_cause(answer, cause) for answer in answers for cause in answer.findings.causes],
        next=None,
        compared=[_compared(answer) for answer in answers],
    )


def _cause(answer: Answer, cause: ModelCause) -> Cause:
    english, chinese = sentence(cause)
    return Cause(
        service=answer.service,
        endpoint=answer.endpoint,
        task=answer.task,
        component=cause.component,
        operation=cause.operation,
        target=cause.target,
        share=cause.share,
        slow_s=cause.slow_s,
        typical_s=cause.typical_s,
        p99_s=cause.p99_s,
        others_p99_s=cause.others_p99_s,
        sentence=english,
        sentence_zh=chinese,
        evidence=[_example(key, answer.evidence[key]) for key in cause.evidence if key in answer.evidence],
    )


def _standout(standout: Standout, among: Literal["slow", "failing"]) -> CauseStandout:
    english, chinese = standout_sentence(standout, among)
    return CauseStandout(
        among=among,
        name=standout.name,
        value=standout.value,
        share=standout.share,
        usual_share=standout.usual_share,
        lift=standout.lift,
        count=standout.count,
        sentence=english,
        sentence_zh=chinese,
    )


def _example(key: str, example: ModelExample) -> CauseExample:
    return CauseExample(
        id=key,
        at=example.at,
        duration_s=example.duration_s,
        wait_s=example.wait_s,
        status=example.status,
        breakdown=example.breakdown,
        labels=example.labels,
        trace_id=example.trace_id,
    )


def _compared(answer: Answer) -> Compared:
    findings = answer.findings
    return Compared(
        service=answer.service,
        endpoint=answer.endpoint,
        task=answer.task,
        verdict=findings.verdict,  # type: ignore[arg-type]
        slow=findings.slow,
        typical=findings.typical,
        cutoff_s=answer.cutoff_s,
        slow_mean_s=findings.slow_mean_s,
        typical_mean_s=findings.typical_mean_s,
        standouts=[
            *(_standout(one, "slow") for one in answer.standouts.slow),
            *(_standout(one, "failing") for one in answer.standouts.failing),
        ],
        parts=[
            ComparedPart(
                component=part.component,
                operation=part.operation,
                target=part.target,
                slow_s=part.slow_s,
                typical_s=part.typical_s,
            )
            for part in findings.parts
        ],
    )
