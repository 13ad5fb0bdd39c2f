"""What adapters say they can report: complete, with reasons, for every framework, and readable without any of them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from huoyan.client import capabilities
from huoyan.client.capabilities import WATCHINGS, Capability, Level, Watching
from huoyan.client.watch import TABLE

ROOT = Path(__file__).parents[3]
_NAMES = [each.title for each in WATCHINGS]
FRAMEWORKS = ROOT / "src/huoyan/client/frameworks"


def test_the_page_says_what_the_table_says() -> None:
    stored = (ROOT / "docs/reference/frameworks.md").read_text(encoding="utf-8")
    assert stored == capabilities.render(), "run: python -m huoyan.client.capabilities docs/reference"


@pytest.mark.parametrize("watching", WATCHINGS, ids=_NAMES)
def test_every_capability_is_declared_and_what_is_missing_has_a_reason(watching: Watching) -> None:
    assert set(watching.supports) == set(Capability)
    assert [
        capability
        for capability, support in watching.supports.items()
        if support.level is not Level.YES and not support.note
    ] == []


def test_every_adapter_is_declared() -> None:
    adapters = {
        place.split(":")[0].split(".")[3] for places in TABLE.values() for place in places if ".frameworks." in place
    }
    declared = {each.framework for each in WATCHINGS} - {"python"}
    assert {"fastapi" if name == "background" else name for name in adapters} == declared


def test_no_framework_is_imported_to_read_the_table() -> None:
    frameworks = "celery rq arq dramatiq taskiq huey apscheduler fastapi"
    code = (
        "import sys, huoyan.client.capabilities as c; c.render(); "
        f"print([name for name in '{frameworks}'.split() if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def _mentions(name: str, word: str) -> bool:
    """Tell whether the adapter of a framework uses a name or attribute."""
    place = FRAMEWORKS / name
    paths = sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    return any(
        word in (getattr(node, "attr", None), getattr(node, "id", None))
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )


_HOOKS = [each for each in WATCHINGS if "huoyan serve" not in each.how and each.framework != "python"]


@pytest.mark.parametrize("watching", _HOOKS, ids=lambda watching: watching.title)
def test_an_adapter_reads_schedules_depths_and_memory_only_where_it_says_so(watching: Watching) -> None:
    name = "background" if watching.framework == "fastapi" else watching.framework
    assert _mentions(name, "schedule") == (watching.level(Capability.SCHEDULES) is not Level.NO)
    assert _mentions(name, "queue_reading") == (watching.level(Capability.DEPTH) is not Level.NO)
    # Without a tenancy an execution shares its process, and has no memory of its own.
    assert _mentions(name, "Tenancy") == (watching.level(Capability.MEMORY) is not Level.NO)
