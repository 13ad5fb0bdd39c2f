"""Plain functions."""

from collections.abc import Callable
from typing import Any

import pytest

import huoyan
from huoyan.client.capabilities import Capability
from tests.contract.adapters.contract import AdapterUnderTest, Base, Function


class FunctionAdapter(Base):
    """Plain functions; exceptions are the caller's."""

    framework = "python"
    queues = False
    partly = frozenset({Capability.CPU})

    def __init__(self) -> None:
        self.waiting: list[Callable[[], Any]] = []
        self.watched = True

    def watch_again(self) -> None: ...

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        decorated = huoyan.task(function) if self.watched else function
        self.waiting.append(lambda: decorated(*args, **kwargs))

    def work(self) -> None:
        for call in self.waiting:
            try:
                call()
            except (ValueError, KeyError):
                pass
        self.waiting.clear()

    def unwatch(self) -> None:
        self.watched = False


ADAPTERS: dict[str, Callable[[pytest.FixtureRequest], AdapterUnderTest]] = {
    "function": lambda _: FunctionAdapter(),
}
"""How to make them."""
