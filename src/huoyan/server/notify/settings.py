"""Read the settings of receivers, one by one, and refuse what is left over."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from huoyan.errors import ConfigurationError

HIDDEN = "(not shown)"
"""What stands in an error in place of a value that may be a secret."""


class Settings:
    """A table of settings. Every getter names the setting in its error; a secret's value is never shown.

    Args:
        table: The table as written.
        at: How it is called in error messages: `receivers[0]`.
    """

    def __init__(self, table: Mapping[str, Any], at: str) -> None:
        self._table = table
        self._at = at
        self._known: list[str] = []

    def wrong(self, key: str, expected: str, got: object, advice: str = "") -> ConfigurationError:
        """Return the error that says a setting is wrong."""
        return ConfigurationError(f"{self._at}.{key}", expected, got, advice)

    def text(self, key: str, default: str | None = None, *, expected: str = "a text", secret: bool = False) -> str:
        """Return a text that is not empty; without `default` it has to be there."""
        value = self._take(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, expected, HIDDEN if secret and value is not None else value)
        return value

    def one_of(self, key: str, values: Iterable[str], default: str | None = None) -> str:
        """Return one of several words."""
        words = list(values)
        value = self._take(key)
        if value is None and default is not None:
            return default
        if value not in words:
            raise self.wrong(key, f"one of {', '.join(words)}", value)
        return str(value)

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)
        return value

    def number(self, key: str, default: float, *, least: float, most: float) -> float:
        """Return a number within bounds."""
        value = self._take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise self.wrong(key, f"a number from {least:g} to {most:g}", value)
        return float(value)

    def texts(self, key: str, expected: str) -> tuple[str, ...]:
        """Return a list of texts that is not empty; one text alone is a list of one."""
        value = self._take(key)
        items = [value] if isinstance(value, str) else value
        if (
            not isinstance(items, list | tuple)
            or not items
            or not all(isinstance(item, str) and item for item in items)
        ):
            raise self.wrong(key, expected, value)
        return tuple(items)

    def table(self, key: str, expected: str) -> dict[str, str]:
        """Return a table of texts, empty by default; its values are taken to be secrets."""
        value = self._take(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or not all(isinstance(item, str) for pair in value.items() for item in pair):
            raise self.wrong(key, expected, HIDDEN)
        return dict(value)

    def finish(self) -> None:
        """Refuse whatever was not asked for."""
        for key in self._table:
            if key not in self._known:
                close = difflib.get_close_matches(str(key), self._known, n=2, cutoff=0.5)
                advice = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(self._known)}"
                raise self.wrong(str(key), "a setting of this kind of receiver", key, advice)

    def _take(self, key: str) -> Any:
        self._known.append(key)
        return self._table.get(key)
