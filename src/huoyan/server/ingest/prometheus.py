"""Asks a Prometheus over its HTTP API: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from huoyan.errors import Unreachable

MOST_BYTES = 16 * 1024 * 1024
"""A longer answer is refused; a thousand hosts take about a tenth of it."""
_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an answer.

    Args:
        labels: All of its labels.
        at: For which moment it was computed, by the clock of Prometheus, seconds since 1970 UTC.
        value: A finite number.
    """

    labels: Mapping[str, str]
    at: float
    value: float


class PrometheusClient:
    """Asks instant queries, one at a time, over one connection.

    Args:
        url: Its address, with its path if it has one.
        token: Bearer token, None for none.
        username: User of basic authentication, None for none.
        password: The password of that user.
        verify: Whether a certificate has to be valid.
        timeout_s: How long an answer may take, in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        verify: bool = True,
        timeout_s: float = 5.0,
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._secrets = [secret for secret in (token, password) if secret]
        headers = {"User-Agent": "Huoyan", "Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            headers=headers,
            auth=None if username is None else httpx.BasicAuth(username, password or ""),
            timeout=timeout_s,
            verify=verify,
            follow_redirects=False,
            # A proxy of the environment is for addresses outside, and would be told the token.
            trust_env=False,
        )

    def query(self, expression: str) -> list[Sample]:
        """Return the series of an instant query; values that are no finite numbers are left out.

        Args:
            expression: PromQL whose value is a vector.

        Raises:
            Unreachable: It did not answer in time, refused, or answered something else than a vector.
        """
        body = self._answer(expression)
        try:
            document: Any = json.loads(body)
        except (ValueError, RecursionError):
            raise self._unfit("something that is no JSON") from None
        if not isinstance(document, dict) or document.get("status") != "success":
            said = document.get("error") if isinstance(document, dict) else None
            raise self._unfit(f"the error {said!r}" if isinstance(said, str) else "no success")
        data = document.get("data")
        if not isinstance(data, dict) or data.get("resultType") != "vector" or not isinstance(data.get("result"), list):
            raise self._unfit("no vector")
        samples = [_sample(item) for item in data["result"]]
        return [sample for sample in samples if sample is not None]

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()

    def _answer(self, expression: str) -> bytes:
        form = {"query": expression, "timeout": f"{self._timeout_s:g}s"}
        # The time limit of the library is for each piece; somebody who sends a byte a second would never meet it.
        deadline = time.monotonic() + self._timeout_s
        body = bytearray()
        try:
            with self._http.stream("POST", f"{self.url}/api/v1/query", data=form) as answer:
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise self._unfit(f"more than {MOST_BYTES // (1024 * 1024)} MiB")
                    if time.monotonic() > deadline:
                        raise self._unfit(f"not all of it within {self._timeout_s:g} s")
                if not answer.is_success:
                    raise self._unfit(f"status {answer.status_code}{_error_in(bytes(body))}")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unfit(str(error).strip() or type(error).__name__) from None
        return bytes(body)

    def _unfit(self, got: str) -> Unreachable:
        for secret in self._secrets:
            got = got.replace(secret, "***")
        if len(got) > _LONGEST_REASON:
            got = f"{got[:_LONGEST_REASON]}…"
        return Unreachable(f"expected {self.url} to answer a query, got {got}")


def _sample(item: object) -> Sample | None:
    """Return one series, None for what is none."""
    if not isinstance(item, dict):
        return None
    labels, pair = item.get("metric"), item.get("value")
    if not isinstance(labels, dict) or not isinstance(pair, list) or len(pair) != 2:
        return None
    if not all(isinstance(value, str) for value in labels.values()):
        return None
    try:
        at, value = float(pair[0]), float(pair[1])
    except (TypeError, ValueError):
        return None
    return Sample(labels, at, value) if math.isfinite(at) and math.isfinite(value) else None


def _error_in(body: bytes) -> str:
    """Return what Prometheus says of a query that it refuses, with a colon before it."""
    try:
        said = json.loads(body)["error"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""
    return f": {said}" if isinstance(said, str) else ""
