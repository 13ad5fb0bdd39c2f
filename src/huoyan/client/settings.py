"""Settings of the client: from HUOYAN_* in the environment, and the same names as keyword arguments over them.

The environment is shared with the server (HUOYAN_PORT, …), so names that are not the client's are left alone there. A
keyword argument that is not known is refused.
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from huoyan.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Settings:
    """How the client behaves in this process.

    Args:
        url: Address of the Huoyan server, e.g. `http://127.0.0.1:8650`; empty: nothing is sent, `/metrics` works all
            the same.
        token: Bearer token of the server; empty: none is sent. Never shown in a repr.
        service: Name of this service; empty: the page shows the framework instead.
        version: Version of this service, e.g. a tag or a commit; empty: not told. A new one is a deploy, which charts
            mark.
        enabled: False turns everything off: `watch` returns its argument untouched, `@huoyan.task` returns the
            function.
        capture: Send arguments and results, scrubbed and bounded; False keeps them in the process.
        scrub: Further names whose values are secret wherever they stand, beside password, token, card number, …; in the
            environment separated by commas.
        buffer_events: How many events wait for the server at most (default 1,000,000). What is too much is dropped by
            its worth, the ends of runs last, and counted.
        buffer_bytes: How many bytes they take at most (default 16 MiB). What is older than the newest megabyte is
            packed.
        flush_interval_s: How long an event waits for company, in seconds (default 0.25).
        batch_events: How many events leave at once at most (default 500).
        report_interval_s: How often the process says that it is alive, in seconds (default 10).
        spool: Where events that wait are kept too, so that they outlive the process when it is killed: a folder of this
            user alone, `off`, or `auto` (default): memory-backed storage, else the folder for temporary files.
        timeout_s: How long one request to the server may take, in seconds (default 5).
        exit_timeout_s: How long the end of the process waits for the last events at most, in seconds (default 2).
        metrics: Serve `/metrics`; False serves it nowhere, and measures all the same.
        metrics_port: A port of its own for `/metrics`; 0 (default): it is a route of the application.
        metrics_host: The address that this port is opened on (default 127.0.0.1); others want `metrics_auth`.
        metrics_auth: Who may scrape: `user:password`, or a token without a colon; empty: everybody. Never shown in a
            repr.
        metrics_per_minute: Scrapes answered in any minute at most; 0 (default): any number.
        buckets: Upper bounds in seconds of the classic buckets on `/metrics`; empty: the defaults.
    """

    url: str = ""
    token: str = field(default="", repr=False)
    service: str = ""
    version: str = ""
    enabled: bool = True
    capture: bool = True
    scrub: tuple[str, ...] = ()
    buffer_events: int = 1_000_000
    buffer_bytes: int = 16 * 1024 * 1024
    flush_interval_s: float = 0.25
    batch_events: int = 500
    report_interval_s: float = 10.0
    spool: str = "auto"
    timeout_s: float = 5.0
    exit_timeout_s: float = 2.0
    metrics: bool = True
    metrics_port: int = 0
    metrics_host: str = "127.0.0.1"
    metrics_auth: str = field(default="", repr=False)
    metrics_per_minute: int = 0
    buckets: tuple[float, ...] = ()

    @property
    def connected(self) -> bool:
        """Whether events go to a server."""
        return self.enabled and bool(self.url)


NAMES: tuple[str, ...] = tuple(f.name for f in dataclasses.fields(Settings))
"""Every setting, in the order of the documentation."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_MOST_BOUNDS = 100
_FALSE = frozenset({"0", "false", "no", "off", ""})


def load(overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings and check them whole.

    Args:
        overrides: Keyword arguments, which win over the environment; None as a value means "not given".
        environ: The environment, `os.environ` by default.

    Raises:
        ConfigurationError: A setting is wrong or unknown; the message names it as it was written.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for name in NAMES:
        written = f"HUOYAN_{name.upper()}"
        if written in environ:
            values[name] = _CHECKS[name](written, environ[written])
    for name, value in (overrides or {}).items():
        if name not in _CHECKS:
            raise unknown_option(name, NAMES)
        if value is not None:
            values[name] = _CHECKS[name](name, value)
    return Settings(**values)


def unknown_option(name: str, known: tuple[str, ...]) -> ConfigurationError:
    """Return the error for an option that does not exist, naming the nearest one that does."""
    near = get_close_matches(name, known, n=1)
    advice = f"Did you mean {near[0]}?" if near else ""
    return ConfigurationError("option", f"one of {', '.join(sorted(known))}", name, advice)


def text_labels(written: str, given: object) -> dict[str, str] | None:
    """Check labels that a developer gave.

    Raises:
        ConfigurationError: They are not a mapping of text to text.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in given.items()):
        raise ConfigurationError(written, "a mapping of text to text", given)
    return dict(given)


def _url(written: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(written, "an http:// or https:// address", value)
    value = value.strip().rstrip("/")
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise ConfigurationError(written, "an http:// or https:// address", value, "For example http://127.0.0.1:8650.")
    return value


def _text(written: str, value: object) -> str:
    if not isinstance(value, str) or any(ord(c) < 32 for c in value):
        shown = "a value with control characters" if isinstance(value, str) else type(value).__name__
        raise ConfigurationError(written, "text on one line", shown)
    return value.strip()


def _names(written: str, value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, Iterable):
        raise ConfigurationError(written, "names, separated by commas", value)
    names = tuple(name.strip() if isinstance(name, str) else name for name in items)
    for name in names:
        if not isinstance(name, str) or (name and not any(c.isalpha() for c in name)):
            raise ConfigurationError(written, "names with letters in them", name)
    return tuple(name for name in names if name)


def _switch(written: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ConfigurationError(written, "1 or 0 (true or false, yes or no, on or off)", value)


def _whole(least: int, most: int) -> Callable[[str, object], int]:
    def check(written: str, value: object) -> int:
        expected = f"a whole number from {least:,} to {most:,}"
        try:
            number = int(str(value).strip().replace("_", ""))
        except ValueError:
            raise ConfigurationError(written, expected, value) from None
        if isinstance(value, bool) or not least <= number <= most:
            raise ConfigurationError(written, expected, value)
        return number

    return check


def _seconds(least: float, most: float) -> Callable[[str, object], float]:
    def check(written: str, value: object) -> float:
        expected = f"seconds from {least:g} to {most:g}"
        try:
            number = float(str(value).strip())
        except ValueError:
            raise ConfigurationError(written, expected, value, "Give a plain number of seconds.") from None
        if isinstance(value, bool) or not least <= number <= most:
            raise ConfigurationError(written, expected, value)
        return number

    return check


def _bounds_s(written: str, value: object) -> tuple[float, ...]:
    items = [item for item in value.split(",") if item.strip()] if isinstance(value, str) else value
    expected = f"at most {_MOST_BOUNDS} rising numbers of seconds above 0, separated by commas"
    try:
        bounds = tuple(float(item) for item in items)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise ConfigurationError(written, expected, value) from None
    rising = all(0.0 < low < high for low, high in zip((sys.float_info.min, *bounds), bounds, strict=False))
    if not rising or len(bounds) > _MOST_BOUNDS or (bounds and bounds[-1] > sys.float_info.max):
        raise ConfigurationError(written, expected, value)
    return bounds


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "url": _url,
    "token": _text,
    "service": _text,
    "version": _text,
    "enabled": _switch,
    "capture": _switch,
    "scrub": _names,
    "buffer_events": _whole(1, 10_000_000),
    "buffer_bytes": _whole(64 * 1024, 16 * 1024**3),
    "flush_interval_s": _seconds(0.01, 60),
    "batch_events": _whole(1, 10_000),
    "report_interval_s": _seconds(0.5, 3600),
    "spool": _text,
    "timeout_s": _seconds(0.1, 120),
    "exit_timeout_s": _seconds(0, 60),
    "metrics": _switch,
    "metrics_port": _whole(0, 65_535),
    "metrics_host": _text,
    "metrics_auth": _text,
    "metrics_per_minute": _whole(0, 10_000),
    "buckets": _bounds_s,
}
