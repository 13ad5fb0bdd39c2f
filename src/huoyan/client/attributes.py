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
_name: Callable[[type], str] = type.__dict__["__name__"].__get__
_qualname: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_module: Callable[[type], object] = type.__dict__["__module__"].__get__


def class_name(kind: type) -> str:
    """Return a class's name with its module, without `builtins`."""
    module = class_module(kind)
    return f"{module}.{_qualname(kind)}" if module and module != "builtins" else _qualname(kind)


def class_module(kind: type) -> str:
    """Return the name of the module that a class is from, empty when it has none."""
    try:
        module = _module(kind)
    except AttributeError:
        return ""  # a class may lose its module
    return str.__str__(module) if isinstance(module, str) else ""


def class_qualname(kind: type) -> str:
    """Return a class's name with the classes and functions that it is defined in."""
    return _qualname(kind)


def bare_name(kind: type) -> str:
    """Return a class's name as it was defined, without module and outer classes."""
    return _name(kind)


def derives(kind: type, base: type) -> bool:
    """Tell whether a class is `base` or derived from it."""
    return any(each is base for each in _mro(kind))


def base_names(kind: type) -> frozenset[str]:
    """Return the bare names of a class and all its bases: what a framework's class is known by without importing it."""
    return frozenset(_name(base) for base in _mro(kind))


def definer(kind: type, name: str) -> type | None:
    """Return the class among `kind` and its bases that an attribute comes from."""
    return next((base for base in _mro(kind) if name in _members(base)), None)


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
