"""Who may scrape `/metrics` of the application, and how often."""

import base64
import hmac
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import ceil
from typing import NamedTuple

from huoyan.client.settings import Settings

_MINUTE_S = 60.0


class Refusal(NamedTuple):
    """Why a scrape is not answered.

    Args:
        status: The HTTP status.
        header: Name and value of the header that goes with it.
    """

    status: int
    header: tuple[str, str]


class Access:
    """Decides about each scrape.

    Args:
        auth: `user:password` for basic authentication, a token without a colon for bearer, empty for everybody.
        per_minute: Scrapes in any minute at most, of all who ask together; 0 for any number.
        monotonic: Seconds that only grow.
    """

    def __init__(self, auth: str, per_minute: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._auth = auth
        self._monotonic = monotonic
        self._answered: deque[float] = deque(maxlen=per_minute)
        self._lock = threading.Lock()

    def refusal(self, authorization: str) -> Refusal | None:
        """Return why a scrape is refused, None when it may be answered.

        Args:
            authorization: The header of that name, empty when there is none.
        """
        if not self._permitted(authorization):
            scheme = 'Basic realm="metrics", charset="UTF-8"' if ":" in self._auth else "Bearer"
            return Refusal(401, ("WWW-Authenticate", scheme))
        if not self._answered.maxlen:
            return None
        with self._lock:
            now = self._monotonic()
            full = len(self._answered) == self._answered.maxlen
            free_in_s = self._answered[0] + _MINUTE_S - now if full else 0.0
            if free_in_s > 0.0:
                return Refusal(429, ("Retry-After", str(ceil(free_in_s))))
            self._answered.append(now)
        return None

    def _permitted(self, authorization: str) -> bool:
        if not self._auth:
            return True
        scheme, _, presented = authorization.partition(" ")
        presented = presented.strip()
        if ":" not in self._auth:
            # Servers read headers as Latin-1, whatever they were written in.
            token = presented.encode("latin-1", "backslashreplace")
            return scheme.lower() == "bearer" and _same(token, self._auth)
        try:
            decoded = base64.b64decode(presented, validate=True)
        except ValueError:
            return False
        return scheme.lower() == "basic" and _same(decoded, self._auth)


def _same(presented: bytes, expected: str) -> bool:
    """Compare in a time that tells nothing. Prometheus and curl send UTF-8, clients in Python Latin-1."""
    forms = [expected.encode()]
    with suppress(UnicodeEncodeError):
        forms.append(expected.encode("latin-1"))
    return any(hmac.compare_digest(presented, form) for form in forms)


_lock = threading.Lock()
_known: tuple[tuple[str, int], Access] | None = None


def access(settings: Settings) -> Access:
    """Return what decides in this process, the same one for every way that metrics are served."""
    global _known
    wanted = (settings.metrics_auth, settings.metrics_per_minute)
    with _lock:
        if _known is None or _known[0] != wanted:
            _known = (wanted, Access(*wanted))
        return _known[1]
