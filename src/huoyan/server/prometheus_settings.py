"""`[prometheus]`: a Prometheus that is asked for what node exporters say of the hosts of watched processes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from huoyan.errors import ConfigurationError
from huoyan.server.config_sources import HIDDEN, NOTHING

if TYPE_CHECKING:
    from huoyan.server.ingest.prometheus import PrometheusClient

_EXPECTED = "an address such as http://127.0.0.1:9090"


class PrometheusSettings(BaseModel):
    """Where and how it is asked. Without `url` nobody is asked, and processes tell of their hosts themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    url: str | None = Field(default=None, max_length=500)
    """Address of a Prometheus, or of what speaks its HTTP API (Thanos, Mimir, VictoriaMetrics), with its path if it has
    one: `http://127.0.0.1:9090`. Asked every 15 seconds for what node exporters say of the hosts that watched
    processes run on."""
    token: SecretStr | None = None
    """Bearer token to ask with. Never shown."""
    username: str | None = Field(default=None, max_length=300)
    """User of basic authentication; goes with `password`, and not with `token`."""
    password: SecretStr | None = None
    """Password of basic authentication. Never shown."""
    verify: bool = True
    """Whether the certificate of an `https` address has to be valid."""
    timeout_s: float = Field(default=5.0, ge=0.1, le=60)
    """How long each of its answers may take, in seconds."""

    @property
    def shown(self) -> str:
        """The address for people."""
        return (self.url or "").rstrip("/")

    def client(self) -> "PrometheusClient":
        """Return who asks it."""
        # Commands that only read the settings do not wait for an HTTP library.
        from huoyan.server.ingest.prometheus import PrometheusClient

        return PrometheusClient(
            self.url or "",
            token=None if self.token is None else self.token.get_secret_value(),
            username=self.username,
            password=None if self.password is None else self.password.get_secret_value(),
            verify=self.verify,
            timeout_s=self.timeout_s,
        )

    def errors(self) -> Iterator[ConfigurationError]:
        """Yield what does not fit together."""
        if self.url is None:
            for name in ("token", "username", "password"):
                if getattr(self, name) is not None:
                    yield ConfigurationError("prometheus.url", _EXPECTED, NOTHING, f"{name} is for its requests")
                    return
            return
        yield from self._url_errors(self.url)
        if self.token is not None and self.username is not None:
            yield ConfigurationError(
                "prometheus.token", "a token or a user, not both", HIDDEN, "Leave out token or username"
            )
        if (self.username is None) != (self.password is None):
            missing = "password" if self.password is None else "username"
            yield ConfigurationError(f"prometheus.{missing}", "a value", NOTHING, "username and password go together")
        token = "" if self.token is None else self.token.get_secret_value()
        if self.token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
            yield ConfigurationError("prometheus.token", "visible ASCII characters without spaces", HIDDEN)

    def _url_errors(self, url: str) -> Iterator[ConfigurationError]:
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
            _ = parts.port
        except ValueError:
            good = False
        else:
            if parts.username is not None or parts.password is not None:
                yield ConfigurationError(
                    "prometheus.url", _EXPECTED, HIDDEN, "Write user and password as username and password"
                )
                return
        if not good:
            yield ConfigurationError("prometheus.url", _EXPECTED, HIDDEN)
