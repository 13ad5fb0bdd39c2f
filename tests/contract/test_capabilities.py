"""Every flag of the table of capabilities is held to what is told by a case that says so and exists."""

import ast
from functools import cache
from pathlib import Path

import pytest

from huoyan.client.capabilities import OTHER_SIDES, PROOFS, WATCHINGS, Capability

ROOT = Path(__file__).parents[2]


@cache
def cases(path: str) -> dict[str, set[str]]:
    """Return the tests of a module with the capabilities that each is marked to prove."""
    found = {}
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.FunctionDef):
            marks = [each for each in node.decorator_list if isinstance(each, ast.Call)]
            proves = [each for each in marks if isinstance(each.func, ast.Attribute) and each.func.attr == "proves"]
            found[node.name] = {flag.attr for mark in proves for flag in mark.args if isinstance(flag, ast.Attribute)}
    return found


@pytest.mark.parametrize("capability", Capability)
def test_each_capability_has_a_case_that_holds_its_flags_to_what_is_told(capability: Capability) -> None:
    path, name = PROOFS[capability]
    assert capability.name in cases(path).get(name, set()), f"expected {path} to have {name}, which proves it"


def test_what_shows_the_other_side_of_a_partly_exists() -> None:
    titles = {each.title for each in WATCHINGS}
    for (title, _), (path, name) in OTHER_SIDES.items():
        assert title in titles
        assert name in cases(path), f"{title}: {path} has no {name}"
