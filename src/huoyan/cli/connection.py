"""The server as commands talk to it."""

import json
from typing import Any
from urllib.parse import urlsplit

import httpx

from huoyan.errors import ConfigurationError, Conflict, HuoyanError, InvalidQuery, NotFound, Unreachable

TIMEOUT_S = 20.0


class Refused(HuoyanError):
    """The server does not let us in, or does not do what was asked."""


class Connection:
    """A server's API.

    Args:
        url: Address of the server.
        token: Its token, None when it asks for none.
    """

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                "--url",
                "an address such as http://127.0.0.1:8650",
                url,
                "It is taken from HUOYAN_URL where the option is not given",
            )
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=f"{self._url}/api/v1", headers=headers, timeout=TIMEOUT_S)

    def get(self, path: str, **query: Any) -> Any:
        """Ask for something; parameters that are None, False or empty are left out, and 0 is not.

        Raises:
            HuoyanError: The server is away, or answers with a problem.
        """
        return self._ask("GET", path, params={k: v for k, v in query.items() if v or (v is not False and v == 0)})

    def post(self, path: str, body: Any) -> Any:
        """Do something.

        Raises:
            HuoyanError: The server is away, or answers with a problem.
        """
        return self._ask("POST", path, json=body)

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise Unreachable(
                f"expected a Huoyan server at {self._url}, got {_reason(error)}. "
                "Start one with `huoyan serve`, or name another with HUOYAN_URL or --url"
            ) from None
        if answer.is_success:
            try:
                return answer.json()
            except json.JSONDecodeError:
                raise Unreachable(
                    f"expected a Huoyan server at {self._url}, got an answer that is not JSON. "
                    "Name its address with HUOYAN_URL or --url"
                ) from None
        raise _problem(answer, self._url)


def _problem(answer: httpx.Response, url: str) -> HuoyanError:
    try:
        document = answer.json()
        # The kind tells a problem of Huoyan from the answer of something else that listens there.
        detail, _ = str(document["detail"]), document["type"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return Unreachable(
            f"expected a Huoyan server at {url}, got status {answer.status_code} from something else. "
            "Name its address with HUOYAN_URL or --url"
        )
    if answer.status_code == 401:
        return Refused("expected the server's token, got none or another one. Set HUOYAN_TOKEN or --token")
    kinds: dict[int, type[HuoyanError]] = {400: InvalidQuery, 404: NotFound, 409: Conflict, 503: Unreachable}
    return kinds.get(answer.status_code, Refused)(detail)


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {TIMEOUT_S:g} s"
    return f"{type(error).__name__}: {error}"
