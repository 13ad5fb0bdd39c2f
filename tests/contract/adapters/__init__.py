"""One driver for each framework and broker."""

from collections.abc import Callable

import pytest

from tests.contract.adapters import apscheduler, arq, background, celery, dramatiq, function, huey, rq, taskiq
from tests.contract.adapters.contract import AdapterUnderTest

ADAPTERS: dict[str, Callable[[pytest.FixtureRequest], AdapterUnderTest]] = {
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
"""How to make every adapter under test."""
