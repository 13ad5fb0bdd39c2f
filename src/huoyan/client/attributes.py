"""What objects store, read without running any code of their class or metaclass.

A class may put its own code behind every attribute, even `__class__`, `__dict__` and its own name. The slots that the
built-in types keep these things in cannot be overridden: they are read directly.
"""

import types
from collections.abc import Callable
from itertools import islice
from typing import Any

_mro: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_members: Callable[[type], Any] = type.__dict__["__dict__"].__get__
_qualname: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_module: Callable[[type], object] = type.__dict__["__module__"].__get__


def class_name(kind: type) -> str:
    """Return a class's name with its module, without `builtins`."""
    name = _qualname(kind)
    try:
        module = _module(kind)
    except AttributeError:
        return name  # a class may lose its module
    return f"{module}.{name}" if type(module) is str and module != "builtins" else name


def inherited(kind: type, name: str) -> object:
    """Return an attribute of a class or its bases as it is stored; None when there is none."""
    for base in _mro(kind):
        stored = _members(base).get(name)
        if stored is not None:
            return stored
    return None


def instance_dict(value: object, kind: type) -> dict[str, Any]:
    """Return what an object of class `kind` keeps in its `__dict__`; nothing where the class put its own code there."""
    descriptor = inherited(kind, "__dict__")
    if type(descriptor) is types.GetSetDescriptorType:
        stored = descriptor.__get__(value)
        if type(stored) is dict:
            return stored
    return {}


def public_attributes(value: object, kind: type, limit: int) -> list[tuple[str, object]]:
    """Return the attributes without leading underscore that an object stores, in its dictionary or in slots.

    Args:
        value: The object.
        kind: Its class.
        limit: Attributes looked at in the dictionary.
    """
    stored: list[tuple[str, object]] = [
        (name, item)
        for name, item in islice(dict.items(instance_dict(value, kind)), limit)
        if type(name) is str and not name.startswith("_")
    ]
    for base in reversed(_mro(kind)):
        members = _members(base)
        # Only classes that declare slots: the members of C types are not what a person calls attributes.
        if "__slots__" in members or "__struct_fields__" in members:
            for name, member in members.items():
                if type(member) is types.MemberDescriptorType and not name.startswith("_"):
                    try:
                        stored.append((name, member.__get__(value)))
                    except AttributeError:
                        continue  # a slot that is not filled yet
    return stored
