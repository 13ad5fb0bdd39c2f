"""Where settings are written: the file, the environment, the flags; and how each is called there."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huoyan.errors import ConfigurationError, ConfigurationErrors

SERVER_VARIABLES = (
    "host",
    "port",
    "data_dir",
    "database_url",
    "token",
    "public_url",
    "retention_days",
    "log_level",
)
"""Settings of `[server]` that a variable `HUOYAN_<NAME>` sets."""

DEPLOYMENTS = ("celery", "rq")
"""Tables of deployments that are watched, to which a flag and a variable of the same name add addresses."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class _Words:
    """What stands in a message where a value would."""

    def __init__(self, words: str) -> None:
        self._words = words

    def __repr__(self) -> str:
        return self._words


HIDDEN = _Words("a value that is not shown")
NOTHING = _Words("nothing")
A_TABLE = _Words("a table")
A_LIST = _Words("a list")


@dataclass(frozen=True, slots=True)
class Sources:
    """Which settings came from where, so that a message names each the way it was written.

    Args:
        flags: Names of `[server]` given as flags.
        variables: Names of `[server]` given as variables.
        file: The file, None when there is none.
        in_file: How many `[[celery]]` and `[[rq]]` tables the file has, by name; those behind come from flags and
            variables.
    """

    flags: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    file: Path | None = None
    in_file: Mapping[str, int] = field(default_factory=dict)

    def name(self, *path: str | int) -> str:
        """Return how the user wrote a setting: `--port`, `HUOYAN_PORT`, `server.port`, `rules[2].for`."""
        if len(path) == 2 and path[0] == "server":
            name = str(path[1])
            if name in self.flags:
                return f"--{name.replace('_', '-')}"
            if name in self.variables:
                return f"HUOYAN_{name.upper()}"
        if len(path) > 1 and isinstance(path[1], int) and path[1] >= self.in_file.get(str(path[0]), 10**9):
            return f"--{path[0]}"
        text = ""
        for part in path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
        return text


@dataclass(frozen=True, slots=True)
class Environment:
    """What the environment says.

    Args:
        variables: All of it, for `${NAME}` in the file.
        server: Settings of `[server]` by name.
        deployments: Addresses in `HUOYAN_CELERY` and `HUOYAN_RQ`, separated by spaces there.
        config: The file named in `HUOYAN_CONFIG`.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    server: Mapping[str, str] = field(default_factory=dict, repr=False)
    deployments: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    config: Path | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None) -> "Environment":
        """Read the variables; an empty one counts as not set."""
        variables = os.environ if environ is None else environ
        server = {name: variables.get(f"HUOYAN_{name.upper()}", "").strip() for name in SERVER_VARIABLES}
        config = variables.get("HUOYAN_CONFIG", "").strip()
        return cls(
            variables=variables,
            server={name: value for name, value in server.items() if value},
            deployments={name: tuple(variables.get(f"HUOYAN_{name.upper()}", "").split()) for name in DEPLOYMENTS},
            config=Path(config) if config else None,
        )


def read_file(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Read a settings file, and put variables in for `${NAME}` in its texts.

    Raises:
        ConfigurationErrors: It cannot be read, is no TOML, or names variables that are not set.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = ConfigurationError(str(path), "a file that can be read", error.strerror or type(error).__name__)
        raise ConfigurationErrors([problem]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationErrors([ConfigurationError(str(path), "TOML", _place(error))]) from None
    missing: list[ConfigurationError] = []
    filled = _filled(table, "", variables, missing)
    if missing:
        raise ConfigurationErrors(missing)
    assert isinstance(filled, dict)
    return filled


def _place(error: Exception) -> str:
    # The message of tomllib tells the place; text around it might be a secret and is not in there.
    return str(error) if isinstance(error, tomllib.TOMLDecodeError) else "bytes that are not UTF-8"


def _filled(value: Any, at: str, variables: Mapping[str, str], missing: list[ConfigurationError]) -> Any:
    if isinstance(value, dict):
        return {k: _filled(v, f"{at}.{k}" if at else k, variables, missing) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(item, f"{at}[{i}]", variables, missing) for i, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def put(match: re.Match[str]) -> str:
        found = variables.get(match[1])
        if found is None:
            missing.append(
                ConfigurationError(
                    at, f"the variable {match[1]} to be set", NOTHING, f"Set {match[1]} or write the value"
                )
            )
            return ""
        return found

    return _VARIABLE.sub(put, value)
