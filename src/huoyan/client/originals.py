"""What hooks took the place of, in an object or in a class, and how it comes back."""

from typing import Any


class Originals:
    """The attributes that one integration replaced."""

    def __init__(self) -> None:
        self._of_classes: dict[tuple[int, str], Any] = {}

    def replace(self, thing: Any, name: str, hook: Any) -> None:
        """Put a hook into an object, or into a class, for all of its objects."""
        if isinstance(thing, type):
            # None where a base class has it.
            self._of_classes[id(thing), name] = vars(thing).get(name)
        setattr(thing, name, hook)

    def restore(self, thing: Any, name: str) -> None:
        """Take it out again."""
        if not isinstance(thing, type):
            vars(thing).pop(name, None)
            return
        original = self._of_classes.pop((id(thing), name), None)
        if original is not None:
            setattr(thing, name, original)
        else:
            delattr(thing, name)
