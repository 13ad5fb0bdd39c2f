"""Secrets taken out of what tasks are called with and return, before it leaves the process.

`Scrubber` knows texts from `huoyan.model.scrubbing`; here it learns the shape of payloads: keys of mappings, names of
parameters, pairs of a name and a value.
"""

import functools
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from huoyan.client.payload import DEFAULT_LIMITS, JsonValue, PayloadLimits, represent
from huoyan.model.scrubbing import REPLACEMENT, TextScrubber
from huoyan.model.secret_patterns import is_card_number

__all__ = ["REPLACEMENT", "Scrubber", "parameter_names"]

_MAX_DEPTH = 64
_MAX_NODES = 20_000
_SHORTEST_SECRET_KEY_CHARS = 12
_LONGEST_NAME_CHARS = 64
_SMALLEST_CARD_NUMBER = 10**12
_MAX_WRAPPERS = 16
_NAME_KEYS = ("name", "key", "field", "header")
_VALUE_KEYS = ("value", "val", "content")


class Scrubber(TextScrubber):
    """Takes secrets out of payloads and texts. Safe for concurrent use.

    Args:
        names: Further names whose values are secret, beside the built-in ones (password, token, api key, card …).
        patterns: Further regular expressions; what they match, or their group named `secret`, is a secret.
        replacement: Written in place of a secret, default `[scrubbed]`.

    Raises:
        ConfigurationError: When a name has no letters, or a pattern is not valid or matches the empty text.
    """

    def represent(self, value: object, limits: PayloadLimits = DEFAULT_LIMITS) -> JsonValue:
        """Return any value as bounded JSON values without secrets; never raises.

        Texts are scrubbed before they are cut, so that half a secret does not slip through.
        """
        return self._structure(represent(value, limits, self.scrub_text), _Count(_MAX_NODES), 0, texts=False)

    def scrub_value(self, value: Any) -> JsonValue:
        """Return a JSON value (of `represent`) without secrets; never raises. Other objects are represented first."""
        try:
            return self._structure(value, _Count(_MAX_NODES), 0, texts=True)
        except Exception:  # noqa: BLE001 - a container that another thread changes, the end of the stack
            return self.replacement

    def scrub_call(
        self,
        parameters: Callable[..., Any] | Sequence[str] | None,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        limits: PayloadLimits = DEFAULT_LIMITS,
    ) -> tuple[list[JsonValue], dict[str, JsonValue]]:
        """Return the arguments of a call as bounded JSON values without secrets; never raises.

        Args:
            parameters: The function, or the names of its parameters in order: an argument given by position is hidden
                when its parameter has a secret name.
            args: Positional arguments.
            kwargs: Keyword arguments.
            limits: For each of both, default 4 KiB.
        """
        names = parameters if isinstance(parameters, (list, tuple)) else parameter_names(parameters)
        shown_args = self.represent(list(args), limits)
        shown_kwargs = self.represent(dict(kwargs), limits)
        positional: list[JsonValue] = shown_args if isinstance(shown_args, list) else [shown_args]
        # The last place may say how much is missing; a secret name there hides no more than that.
        for position, name in enumerate(names[: len(positional)]):
            if self.is_secret(name):
                positional[position] = self._hidden(positional[position])
        return positional, shown_kwargs if isinstance(shown_kwargs, dict) else {}

    def _structure(self, value: object, left: "_Count", depth: int, *, texts: bool) -> JsonValue:
        left.value -= 1
        if type(value) is str:
            return self.scrub_text(value) if texts else value
        if value is None or type(value) is bool:
            return value
        if type(value) is int or type(value) is float:
            return self.replacement if _is_card(value) else value
        if left.value < 0 or depth > _MAX_DEPTH:
            return "…"
        if type(value) is dict:
            return self._mapping(value, left, depth, texts=texts)
        if type(value) is list:
            items = [self._structure(item, left, depth + 1, texts=texts) for item in value]
            if len(items) == 2 and self._is_name(value[0]) and isinstance(value[1], str):
                # ["authorization", "Bearer …"]: headers, settings.
                items[1] = self._hidden(items[1])
            return items
        return self.represent(value)

    def _mapping(self, value: dict[Any, Any], left: "_Count", depth: int, *, texts: bool) -> JsonValue:
        result: dict[str, JsonValue] = {}
        for key, item in value.items():
            if type(key) is not str:
                return self.represent(value)
            if self.is_secret(key):
                result[key] = self._hidden(item)
                continue
            name = self.scrub_text(key) if texts and len(key) >= _SHORTEST_SECRET_KEY_CHARS else key
            result[name] = self._structure(item, left, depth + 1, texts=texts)
        if any(self._is_name(value.get(key)) for key in _NAME_KEYS):
            # {"name": "password", "value": "…"}: form fields, environment variables.
            for key in _VALUE_KEYS:
                if key in result:
                    result[key] = self._hidden(result[key])
        return result

    def _is_name(self, value: object) -> bool:
        return type(value) is str and len(value) <= _LONGEST_NAME_CHARS and self.is_secret(value)

    def _hidden(self, value: object) -> JsonValue:
        """Return what is shown of a secret: whether there is one."""
        if value is None or type(value) is bool or (type(value) is str and not value):
            return value
        return self.replacement


class _Count:
    """How many values may still be looked at."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


def _is_card(number: int | float) -> bool:
    return number >= _SMALLEST_CARD_NUMBER and number == number // 1 and is_card_number(str(int(number)))


def parameter_names(function: object) -> tuple[str, ...]:
    """Return the names of the parameters that `function` takes by position, in order; none when they cannot be told.

    Bound methods lose their first parameter, partial objects those they fill; decorated functions are those they wrap.
    """
    bound = 0
    taken: set[str] = set()
    try:
        for _ in range(_MAX_WRAPPERS):
            if isinstance(function, functools.partial):
                bound += len(function.args)
                taken.update(function.keywords)
                function = function.func
            elif isinstance(function, types.MethodType):
                bound += 1
                function = function.__func__
            elif hasattr(function, "__wrapped__"):
                function = function.__wrapped__
            else:
                break
        code = function.__code__ if isinstance(function, types.FunctionType) else None
        if code is None:
            return ()
        return tuple(name for name in code.co_varnames[bound : code.co_argcount] if name not in taken)
    except Exception:  # noqa: BLE001 - a decorator of the host may do anything
        return ()
