"""Workflows as JSON: one as a graph, many as rows."""

from collections.abc import Iterable
from typing import Any, Literal

from huoyan.model.event import Evidence
from huoyan.model.run import BAD_STATES, FINAL_STATES, RunState
from huoyan.model.workflow import Blocker, Graph, Member, Node
from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.store.workflows import WorkflowRow

_MOST_MEMBERS = 12
_MEMBER: dict[str, Any] = {
    "id": "0b9ee1a1-4a0a-4a3c-a6d6-8f4a2f1d7c55",
    "task": "reports.page",
    "state": "started",
    "evidence": "reported",
    "started_at": "2026-11-20T21:15:03.480000Z",
    "finished_at": None,
    "duration_s": None,
}
_ROW: dict[str, Any] = {
    "run_id": "0b9ee1a1-4a0a-4a3c-a6d6-8f4a2f1d7c55",
    "task": "reports.page",
    "service": "reports",
    "group_id": "7d1c",
    "states": {"succeeded": 9990, "started": 10},
    "total": 10000,
    "finished": 9990,
    "failed": 0,
    "first_at": "2026-11-20T21:15:03.123456Z",
    "last_at": "2026-11-20T21:15:04.123456Z",
}


class WorkflowMember(Document):
    """A run as far as a workflow shows it."""

    id: str
    task: str
    state: RunState
    evidence: Evidence
    started_at: Timestamp | None
    finished_at: Timestamp | None
    duration_s: float | None


class WorkflowNode(Document):
    """A run, several runs drawn as one, or a run that was not sent yet."""

    key: str
    """Its name in edges; of a run, the id."""
    kind: Literal["run", "group", "planned"]
    task: str
    group_id: str | None
    states: dict[str, int]
    total: int
    finished: int
    """How many of its runs are in a final state."""
    members: list[WorkflowMember]
    """The run, or the first runs of a group: those that failed, those that are not finished, then the others."""


class WorkflowEdge(Document):
    """How two nodes hang together."""

    source: str
    target: str
    kind: Literal["started", "then"]
    """`started`: the run at the source started the other. `then`: the target waits for the source to finish."""


class WorkflowBlocker(Document):
    """A run that a later one waits for."""

    run: WorkflowMember
    waiting: str
    """Key of the node that waits for it."""


class Workflow(Document):
    """Runs that belong together, as a graph."""

    model_config = documented(
        {
            "nodes": [
                {
                    "key": "group:7d1c",
                    "kind": "group",
                    "task": "reports.page",
                    "group_id": "7d1c",
                    "states": {"succeeded": 9990, "started": 10},
                    "total": 10000,
                    "finished": 9990,
                    "members": [_MEMBER],
                },
                {
                    "key": "9f6a",
                    "kind": "planned",
                    "task": "reports.bind",
                    "group_id": None,
                    "states": {},
                    "total": 0,
                    "finished": 0,
                    "members": [],
                },
            ],
            "edges": [{"source": "group:7d1c", "target": "9f6a", "kind": "then"}],
            "blockers": [{"run": _MEMBER, "waiting": "9f6a"}],
            "states": {"succeeded": 9990, "started": 10},
            "total": 10000,
            "planned": 1,
            "finished": 9990,
            "failed": 0,
            "complete": True,
        }
    )

    nodes: list[WorkflowNode]
    edges: list[WorkflowEdge]
    blockers: list[WorkflowBlocker]
    """What holds up the nodes that wait: failed runs first, then the unfinished ones that began first."""
    states: dict[str, int]
    total: int
    """Runs that were sent."""
    planned: int
    """Runs that are named as coming later and were not sent yet."""
    finished: int
    failed: int
    """Runs that failed, were rejected, lost or given up."""
    complete: bool
    """False when there are so many runs that not all were looked at or drawn."""


class WorkflowSummary(Document):
    """One workflow in the list."""

    model_config = documented(_ROW)

    run_id: str
    """The run above all others, or a member of the group; `/runs/{run_id}/workflow` shows the whole."""
    task: str
    service: str
    group_id: str | None
    """The group, where no run is above its members."""
    states: dict[str, int]
    total: int
    finished: int
    failed: int
    first_at: Timestamp
    last_at: Timestamp


class WorkflowPage(Document):
    """The newest workflows."""

    model_config = documented({"items": [_ROW], "next": None, "exact": True})

    items: list[WorkflowSummary]
    next: str | None
    """Always null: the list is short."""
    exact: bool
    """False when only the newest runs of the period were looked at, because there are too many."""


def workflow_document(members: Iterable[Member], graph: Graph, complete: bool) -> Workflow:
    """Render a workflow."""
    states: dict[str, int] = {}
    for member in members:
        states[member.state.value] = states.get(member.state.value, 0) + 1
    return Workflow(
        nodes=[_node(node) for node in graph.nodes],
        edges=[WorkflowEdge(source=edge.source, target=edge.target, kind=edge.kind) for edge in graph.edges],
        blockers=[_blocker(blocker) for blocker in graph.blockers],
        states=states,
        total=sum(states.values()),
        planned=sum(node.kind == "planned" for node in graph.nodes),
        finished=_count(states, FINAL_STATES),
        failed=_count(states, BAD_STATES),
        complete=complete and not graph.left_out,
    )


def summary_document(row: WorkflowRow) -> WorkflowSummary:
    """Render a row of the list."""
    return WorkflowSummary(
        run_id=row.run_id,
        task=row.task,
        service=row.service,
        group_id=row.group_id,
        states=dict(row.states),
        total=row.total,
        finished=row.finished,
        failed=_count(row.states, BAD_STATES),
        first_at=row.first_at,
        last_at=row.last_at,
    )


def _count(states: dict[str, int], which: Iterable[RunState]) -> int:
    return sum(states.get(state.value, 0) for state in which)


def _node(node: Node) -> WorkflowNode:
    first = sorted(node.members, key=lambda m: (m.state not in BAD_STATES, m.state in FINAL_STATES, m.since, m.id))
    states = node.states
    return WorkflowNode(
        key=node.key,
        kind=node.kind,
        task=node.task,
        group_id=node.group_id,
        states=states,
        total=len(node.members),
        finished=_count(states, FINAL_STATES),
        members=[_member(member) for member in first[:_MOST_MEMBERS]],
    )


def _blocker(blocker: Blocker) -> WorkflowBlocker:
    return WorkflowBlocker(run=_member(blocker.member), waiting=blocker.waiting)


def _member(member: Member) -> WorkflowMember:
    return WorkflowMember(
        id=member.id,
        task=member.task,
        state=member.state,
        evidence=Evidence(member.evidence),
        started_at=member.started_at,
        finished_at=member.finished_at,
        duration_s=member.duration_s,
    )
