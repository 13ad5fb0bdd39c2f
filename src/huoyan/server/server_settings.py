"""`[server]`: where the server listens and what it keeps."""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from huoyan.errors import ConfigurationError
from huoyan.server.address import shown_url
from huoyan.server.config_sources import HIDDEN, NOTHING, Sources

LogLevel = Literal["debug", "info", "warning", "error"]
_SHORTEST_TOKEN = 8
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,30}")


class ServerSettings(BaseModel):
    """Where it listens and what it keeps."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    host: str = Field(default="127.0.0.1", min_length=1, max_length=255)
    """Address to listen on. Anything but loopback needs `token`."""
    port: int = Field(default=8650, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    data_dir: Path = Path("./huoyan-data")
    """Folder for everything the server keeps on disk; made when it is missing. One server at a time uses it."""
    database_url: SecretStr | None = None
    """`postgresql://user:password@host/name`, or `sqlite:///path`. Default: SQLite in `data_dir`."""
    token: SecretStr | None = None
    """What clients and people have to present. Default: none, which only a server on loopback may have."""
    public_url: str | None = Field(default=None, max_length=500)
    """Address under which people reach the page, for links in messages. Default: made from `host` (or the machine's
    name) and `port`."""
    retention_days: float = Field(default=14.0, ge=0.01, le=3650)
    """How long runs, rollups and resolved incidents are kept, in days."""
    log_level: LogLevel = "info"
    """How much the server writes on stderr: `debug`, `info`, `warning` or `error`."""

    def errors(self, sources: Sources) -> Iterator[ConfigurationError]:
        """Yield what cannot be, named the way it was written."""
        if not is_loopback(self.host):
            advice = "Set server.token (HUOYAN_TOKEN), or listen on 127.0.0.1"
            if self.token is None:
                yield ConfigurationError(
                    sources.name("server", "token"),
                    f"a token, because {sources.name('server', 'host')} {self.host!r} is reachable from elsewhere",
                    NOTHING,
                    advice,
                )
            elif len(self.token.get_secret_value()) < _SHORTEST_TOKEN:
                yield ConfigurationError(
                    sources.name("server", "token"), f"at least {_SHORTEST_TOKEN} characters", HIDDEN, advice
                )
        if self.token is not None and not _plain(self.token.get_secret_value()):
            yield ConfigurationError(
                sources.name("server", "token"),
                "visible ASCII characters without spaces",
                HIDDEN,
                "It goes in a header",
            )
        if self.public_url is not None:
            yield from _public_url_errors(self.public_url, sources.name("server", "public_url"))
        if self.database_url is not None:
            url = self.database_url.get_secret_value()
            scheme = url.partition("://")[0]
            if scheme not in ("sqlite", "postgresql", "postgres", "postgresql+psycopg"):
                yield ConfigurationError(
                    sources.name("server", "database_url"),
                    "postgresql://user:password@host/name or sqlite:///path",
                    f"{scheme}://…" if _SCHEME.fullmatch(scheme) and "://" in url else HIDDEN,
                )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _public_url_errors(url: str, setting: str) -> Iterator[ConfigurationError]:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        yield ConfigurationError(setting, "an address such as https://huoyan.example.com", shown_url(url))


def _plain(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token
