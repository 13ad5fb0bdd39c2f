"""Names for plain functions, as Huey and Celery tasks have them."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def named(name: str) -> Callable[[F], F]:
    """Give a function the name under which its runs are shown.

    A background task or a scheduled job goes by its module and its own name. Queues keep tasks under names that stay
    when code moves; this does the same for plain functions.

    Args:
        name: Area and verb, e.g. `orders.validate`.
    """
    module, _, own = name.rpartition(".")

    def rename(function: F) -> F:
        function.__module__ = module
        function.__qualname__ = function.__name__ = own
        return function

    return rename
