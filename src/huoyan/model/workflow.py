"""Workflows as pictures: the runs that belong together, and what waits for what.

A workflow of ten thousand runs must stay readable, so members of a large group, and many runs of one task that the same
run started, stand in one node together. Everything here is pure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from huoyan.model.run import FINAL_STATES, RunState

MOST_APART = 12
"""More runs than this of one group, or of one task with one parent, are drawn as one node."""
MOST_NODES = 250
"""Nodes of one picture; what comes after them is left out and said to be."""
MOST_BLOCKERS = 20
_NOT_BEGUN = frozenset({RunState.SCHEDULED, RunState.QUEUED})

NodeKind = Literal["run", "group", "planned"]
EdgeKind = Literal["started", "then"]


@dataclass(slots=True)
class Member:
    """A run as far as a workflow is concerned; times in seconds since 1970 UTC.

    Args:
        dependents: Runs that start after it (or after its group), with the names of their tasks.
        depends_on: Runs that it waits for.
    """

    id: str
    task: str
    state: RunState
    evidence: str = "reported"
    enqueued_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    duration_s: float | None = None
    parent_id: str | None = None
    root_id: str | None = None
    group_id: str | None = None
    dependents: Mapping[str, str] = field(default_factory=dict)
    depends_on: frozenset[str] = frozenset()

    @property
    def since(self) -> float:
        """When it was first heard of, in seconds; for order."""
        known = [at for at in (self.enqueued_at, self.started_at, self.finished_at) if at is not None]
        return min(known, default=0.0)


@dataclass(slots=True)
class Node:
    """A run, several runs drawn as one, or a run that was not sent yet."""

    key: str
    kind: NodeKind
    task: str
    members: list[Member] = field(default_factory=list)
    group_id: str | None = None

    @property
    def states(self) -> dict[str, int]:
        """How many of its runs are in each state."""
        return dict(Counter(member.state.value for member in self.members))


@dataclass(frozen=True, slots=True)
class Edge:
    """`started`: the run at the end was started by the one at the beginning. `then`: it waits for it to finish."""

    source: str
    target: str
    kind: EdgeKind


@dataclass(frozen=True, slots=True)
class Blocker:
    """A run that a later one waits for: it did not finish yet, or it failed and what waits will never start."""

    member: Member
    waiting: str
    """Key of the node that waits."""


@dataclass(slots=True)
class Graph:
    """A workflow as a picture."""

    nodes: list[Node]
    edges: list[Edge]
    blockers: list[Blocker]
    left_out: int
    """Runs that are in none of the nodes because there are too many nodes."""


def graph_of(members: Sequence[Member]) -> Graph:
    """Draw runs that belong together.

    Args:
        members: The runs, in any order.

    Returns:
        Nodes in the order in which their runs were first heard of, edges between them, and what holds it up.
    """
    ordered = sorted(members, key=lambda member: (member.since, member.id))
    place = _places(ordered)
    nodes: dict[str, Node] = {}
    left_out = 0
    for member in ordered:
        key, group_id = place[member.id]
        node = nodes.get(key)
        if node is None:
            if len(nodes) >= MOST_NODES:
                left_out += 1
                continue
            node = nodes[key] = Node(key, "run" if key == member.id else "group", member.task, group_id=group_id)
        node.members.append(member)
    edges = _edges(ordered, place, nodes)
    return Graph(list(nodes.values()), edges, _blockers(nodes, edges), left_out)


def _places(members: Sequence[Member]) -> dict[str, tuple[str, str | None]]:
    """Return for each run the key of its node, and the group where the node stands for one."""
    by_id = {member.id: member for member in members}
    # Members of a group were sent by the same run. Celery hands the id of a chord's group on to the end of a chain that
    # is its body; that one has another parent.
    groups = Counter((member.group_id, member.parent_id) for member in members if member.group_id)
    fans = Counter((member.parent_id, member.task) for member in members if member.parent_id and not member.group_id)
    place: dict[str, tuple[str, str | None]] = {}

    def resolve(member: Member) -> tuple[str, str | None]:
        if member.group_id and groups[member.group_id, member.parent_id] > MOST_APART:
            return f"group:{member.group_id}", member.group_id
        parent = by_id.get(member.parent_id or "")
        above = place.get(parent.id) if parent is not None else None
        alone = above is None or parent is None or above[0] == parent.id
        if not alone and above is not None and parent is not None:
            # What members of one node start is one node too, unless it is the one run that comes after them all.
            if member.id in (parent.dependents or named.get(above[0], {})):
                return member.id, None
            return f"below:{above[0]}:{member.task}", None
        if member.parent_id and fans[member.parent_id, member.task] > MOST_APART and not member.group_id:
            return f"fan:{member.parent_id}:{member.task}", None
        return member.id, None

    # What comes after the members of a node; a few members of a group stand for all.
    named: dict[str, Mapping[str, str]] = {}
    pending = list(members)
    # Parents first; a circle (which only damaged data has) is cut where it is found.
    while pending:
        later: list[Member] = []
        for member in pending:
            waits = member.parent_id in by_id and member.parent_id not in place and member.parent_id != member.id
            if waits:
                later.append(member)
                continue
            place[member.id] = resolve(member)
            if member.dependents:
                named.setdefault(place[member.id][0], member.dependents)
        if len(later) == len(pending):
            for member in later:
                place[member.id] = (member.id, None)
            break
        pending = later
    return place


def _edges(
    members: Sequence[Member], place: Mapping[str, tuple[str, str | None]], nodes: dict[str, Node]
) -> list[Edge]:
    found: dict[tuple[str, str], EdgeKind] = {}

    def connect(source: str, target: str, kind: EdgeKind) -> None:
        if source != target and source in nodes and target in nodes and found.get((source, target)) != "then":
            found[source, target] = kind

    for member in members:
        here = place[member.id][0]
        for run_id, task in member.dependents.items():
            if run_id not in place and run_id not in nodes and len(nodes) < MOST_NODES:
                nodes[run_id] = Node(run_id, "planned", task)
            connect(here, place[run_id][0] if run_id in place else run_id, "then")
        for run_id in member.depends_on:
            if run_id in place:
                connect(place[run_id][0], here, "then")
    waiting = {target for (_, target), kind in found.items() if kind == "then"}
    for member in members:
        here = place[member.id][0]
        parent = place.get(member.parent_id or "")
        if parent is not None and not (here == member.id and here in waiting):
            connect(parent[0], here, "started")
    return [Edge(source, target, kind) for (source, target), kind in found.items()]


def _blockers(nodes: Mapping[str, Node], edges: Iterable[Edge]) -> list[Blocker]:
    """Return what holds up each node that waits: failed runs first, then unfinished ones, those that began first."""
    found: list[Blocker] = []
    for edge in edges:
        target = nodes[edge.target]
        begun = any(member.state not in _NOT_BEGUN or member.started_at is not None for member in target.members)
        if edge.kind != "then" or (target.members and begun):
            continue
        found += [
            Blocker(member, edge.target)
            for member in nodes[edge.source].members
            if member.state is not RunState.SUCCEEDED
        ]
    found.sort(key=lambda one: (one.member.state not in FINAL_STATES, one.member.since, one.member.id))
    return found[:MOST_BLOCKERS]
