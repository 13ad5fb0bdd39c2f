"""One driver for each framework and broker."""

from collections.abc import Callable

import pytest

from tests.contract.adapters import apscheduler, arq, background, celery, dramatiq, function, huey, outside, rq, taskiq
from tests.contract.adapters.contract import AdapterUnderTest

Make = Callable[[pytest.FixtureRequest], AdapterUnderTest]
HOOKED: dict[str, Make] = {
    **background.ADAPTERS,
    **function.ADAPTERS,
    **apscheduler.ADAPTERS,
    **huey.ADAPTERS,
    **rq.ADAPTERS,
    **arq.ADAPTERS,
    **dramatiq.ADAPTERS,
    **taskiq.ADAPTERS,
    **celery.ADAPTERS,
}
"""How to make every adapter that is watched from inside its process."""
ADAPTERS: dict[str, Make] = {**HOOKED, **outside.ADAPTERS}
"""How to make every adapter under test."""
