"""Order and marks of the tests; the servers they use are in tests/servers."""

import logging
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

pytest_plugins = ["tests.servers"]

# pytest-xdist gives its workers a terminal width, which commands under test would take for a person's terminal.
os.environ.pop("COLUMNS", None)
# What a killed process leaves behind is for the test that killed it, not for whoever uses the same machine.
os.environ["HUOYAN_SPOOL"] = tempfile.mkdtemp(prefix="huoyan-spool-")

# How long a draw takes tells of the load of the machine, on CI as anywhere else.
hypothesis_settings.register_profile(
    "unhurried", hypothesis_settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("unhurried")

_HERE = Path(__file__).parent
# The cheap ones first: what is broken shows within seconds.
_ORDER = ("unit", "contract", "integration", "faults", "e2e")
_MARKS = {"integration": "integration", "faults": "integration", "e2e": "browser"}
# Where several real programs must meet within a time limit, a machine that stands still for half a minute fails one
# test in thousands: such a test gets a second attempt, and the summary names it (RERUN). A unit test and the fault
# suite, whose figures are our promise, must hold the first time.
_SECOND_ATTEMPT = {"contract", "integration", "e2e"}


@pytest.fixture(autouse=True)
def audible() -> None:
    """Let what Huoyan logs be heard: a framework or command that ran in this process may have silenced it."""
    logging.disable(logging.NOTSET)
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.split(".")[0] == "huoyan" and isinstance(logger, logging.Logger):
            logger.disabled = False
            logger.propagate = True
            logger.setLevel(logging.NOTSET)
    logging.root.setLevel(logging.WARNING)


@pytest.fixture(scope="module", autouse=True)
def childless() -> Iterator[None]:
    """Forget what children counted that the tests of other modules forked from this process: it speaks for them."""
    _forget_children()
    yield
    _forget_children()


def _forget_children() -> None:
    totals: Any = sys.modules.get("huoyan.client.totals")
    if totals is None or sys.platform == "win32":
        return
    from huoyan.client import pool

    totals._children = None
    # Also of those that this process has not read yet: the next who reads would find them.
    folder = pool.folder(os.getpid())
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by the folder they are in and mark them with what they need."""
    for item in items:
        mark = _MARKS.get(_kind(item))
        if mark is not None:
            item.add_marker(mark)
        if _kind(item) in _SECOND_ATTEMPT:
            item.add_marker(pytest.mark.flaky(reruns=1))
    sizes = Counter(item.path for item in items)

    def place(item: pytest.Item) -> tuple[int, int]:
        folder = _ORDER.index(_kind(item)) if _kind(item) in _ORDER else len(_ORDER)
        # Of the last ones, those that take longest first: a worker that takes one up late is waited for by all others.
        return folder, -sizes[item.path] if _kind(item) == _ORDER[-1] else 0

    items.sort(key=place)


def _kind(item: pytest.Item) -> str:
    parts = item.path.relative_to(_HERE).parts if item.path.is_relative_to(_HERE) else ()
    return parts[0] if len(parts) > 1 else "unit"
