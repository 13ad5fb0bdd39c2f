"""Workflows as pictures: what is drawn as one, what waits for what, what holds it up."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.model.run import RunState
from huoyan.model.workflow import MOST_NODES, Edge, Graph, Member, graph_of


def member(
    run_id: str, task: str = "t", state: RunState = RunState.SUCCEEDED, at: float = 0.0, **more: object
) -> Member:
    return Member(id=run_id, task=task, state=state, enqueued_at=at, **more)  # type: ignore[arg-type]


def keys(graph: Graph) -> dict[str, str]:
    return {node.key: node.kind for node in graph.nodes}


def test_steps_of_a_chain_follow_each_other_and_the_next_one_is_planned() -> None:
    graph = graph_of(
        [
            member("a", at=1, dependents={"b": "second"}),
            member("b", "second", RunState.STARTED, at=2, parent_id="a", root_id="a", dependents={"c": "third"}),
        ]
    )
    assert keys(graph) == {"a": "run", "b": "run", "c": "planned"}
    assert graph.edges == [Edge("a", "b", "then"), Edge("b", "c", "then")]
    assert [(blocker.member.id, blocker.waiting) for blocker in graph.blockers] == [("b", "c")]
    assert next(node.task for node in graph.nodes if node.key == "c") == "third"


def chord(size: int, state: RunState = RunState.SUCCEEDED, **last: Any) -> list[Member]:
    header = [
        member(
            f"h{n}", "page", state, at=n, group_id="g", root_id=f"h{n}", dependents={"body": "bind"} if n < 3 else {}
        )
        for n in range(size - 1)
    ]
    return [*header, member(f"h{size - 1}", "page", at=size, group_id="g", root_id=f"h{size - 1}", **last)]


def test_a_large_chord_is_one_node_and_what_blocks_it_is_named() -> None:
    members = chord(10_000, state=RunState.SUCCEEDED)
    members[4711].state = RunState.STARTED
    members[17].state = RunState.FAILED
    graph = graph_of(members)
    assert keys(graph) == {"group:g": "group", "body": "planned"}
    assert graph.edges == [Edge("group:g", "body", "then")]
    assert graph.nodes[0].states == {"succeeded": 9998, "started": 1, "failed": 1}
    # The failed one first: what it blocks will never start.
    assert [blocker.member.id for blocker in graph.blockers] == ["h17", "h4711"]


def test_the_body_of_a_large_chord_comes_after_the_group_and_nothing_blocks_it_any_more() -> None:
    body = member("body", "bind", RunState.STARTED, at=1000, parent_id="h49", root_id="h49")
    graph = graph_of([*chord(50), body])
    assert keys(graph) == {"group:g": "group", "body": "run"}
    assert graph.edges == [Edge("group:g", "body", "then")]
    assert graph.blockers == []


def test_a_small_group_shows_each_member() -> None:
    graph = graph_of(chord(3))
    assert keys(graph) == {"h0": "run", "h1": "run", "h2": "run", "body": "planned"}
    assert {(edge.source, edge.kind) for edge in graph.edges} == {("h0", "then"), ("h1", "then")}


def test_many_runs_of_one_task_with_one_parent_are_one_node_and_their_children_another() -> None:
    many = [member(f"m{n}", "mail", at=1, parent_id="top", root_id="top") for n in range(40)]
    below = [member(f"b{n}", "log", at=2, parent_id=f"m{n}", root_id="top") for n in range(40)]
    graph = graph_of([member("top"), *many, *below])
    assert [(node.kind, node.task, len(node.members)) for node in graph.nodes] == [
        ("run", "t", 1),
        ("group", "mail", 40),
        ("group", "log", 40),
    ]
    assert {edge.kind for edge in graph.edges} == {"started"}


def test_a_run_that_waits_for_two_is_blocked_by_the_one_that_is_not_done() -> None:
    graph = graph_of(
        [
            member("one"),
            member("two", state=RunState.QUEUED, at=1),
            member("both", state=RunState.QUEUED, at=2, parent_id="one", depends_on=frozenset({"one", "two"})),
        ]
    )
    assert set(graph.edges) == {Edge("one", "both", "then"), Edge("two", "both", "then")}
    assert [blocker.member.id for blocker in graph.blockers] == ["two"]


_ids = st.integers(0, 60).map(str)


@st.composite
def _members(draw: st.DrawFn) -> list[Member]:
    """Draw runs that hang together in any way, circles and unknown names included."""
    return [
        Member(
            id=str(n),
            task=draw(st.sampled_from("xy")),
            state=draw(st.sampled_from(RunState)),
            enqueued_at=draw(st.none() | st.floats(0, 100)),
            parent_id=draw(st.none() | _ids),
            group_id=draw(st.none() | st.sampled_from("gh")),
            dependents=draw(st.dictionaries(_ids, st.just("later"), max_size=2)),
            depends_on=frozenset(draw(st.lists(_ids, max_size=2))),
        )
        for n in range(draw(st.integers(0, 50)))
    ]


@settings(max_examples=60, deadline=None)
@given(_members())
def test_every_run_stands_in_exactly_one_node_and_edges_end_at_nodes(members: list[Member]) -> None:
    graph = graph_of(members)
    drawn = [one.id for node in graph.nodes for one in node.members]
    assert len(drawn) == len(set(drawn))
    assert len(drawn) + graph.left_out == len(members)
    known = {node.key for node in graph.nodes}
    assert all(edge.source in known and edge.target in known and edge.source != edge.target for edge in graph.edges)
    assert len(graph.edges) == len({(edge.source, edge.target) for edge in graph.edges})
    assert len(graph.nodes) <= MOST_NODES
