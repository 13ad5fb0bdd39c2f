"""Methods of RQ's classes, replaced while something is watched: RQ has no signals."""

import functools
from collections.abc import Callable
from typing import Any

Wrapper = Callable[..., Any]
"""Called with the original method, the object it is called on, and its arguments."""


class Patches:
    """Puts wrappers around methods and takes them out again."""

    def __init__(self) -> None:
        self._put: dict[tuple[type, str], tuple[Any, Any]] = {}

    def put(self, kind: type, name: str, wrapper: Wrapper) -> bool:
        """Wrap a method where it is defined, in `kind` or one of its bases; False when there is none."""
        owner = next((base for base in kind.__mro__ if name in vars(base)), None)
        if owner is None:
            return False
        if (owner, name) in self._put:
            return True
        original = vars(owner)[name]

        @functools.wraps(original)
        def call(instance: Any, *args: Any, **kwargs: Any) -> Any:
            return wrapper(original, instance, *args, **kwargs)

        setattr(owner, name, call)
        self._put[owner, name] = original, call
        return True

    def remove(self) -> None:
        """Put the originals back. A method that somebody else has wrapped since stays: it does nothing any more."""
        for (owner, name), (original, call) in list(self._put.items()):
            if vars(owner).get(name) is call:
                setattr(owner, name, original)
                del self._put[owner, name]
