"""The public names are complete, sorted, lazy and cheap."""

import json
import subprocess
import sys

import pytest

import huoyan


def test_every_public_name_is_there_and_sorted() -> None:
    assert huoyan.__all__ == sorted(huoyan.__all__)
    assert [name for name in huoyan.__all__ if getattr(huoyan, name, None) is None] == []
    assert set(huoyan.__all__) == {*huoyan._PLACES, "__version__"}
    assert set(huoyan.__all__) <= set(dir(huoyan))


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'wacth'"):
        _ = huoyan.wacth  # type: ignore[attr-defined]


def test_importing_loads_no_client_and_wiring_loads_no_framework() -> None:
    program = """
import json, sys
import huoyan
first = sorted(name for name in sys.modules if name.startswith("huoyan"))
huoyan.watch, huoyan.task, huoyan.configure, huoyan.progress, huoyan.flush
frameworks = ("fastapi", "starlette", "celery", "huey", "apscheduler", "prometheus_client", "http.client", "asyncio")
print(json.dumps([first, [name for name in frameworks if name in sys.modules]]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [["huoyan"], []]
