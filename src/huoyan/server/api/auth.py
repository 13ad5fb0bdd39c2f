"""Who may ask: the bearer token, the cookie that stands for it, and what browsers are kept from doing for others."""

import base64
import hashlib
import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from huoyan.errors import HuoyanError

COOKIE = "huoyan_session"
COOKIE_AGE_S = 30 * 86400
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Unauthorized(HuoyanError):
    """The request carries no valid token."""


class Forbidden(HuoyanError):
    """The request comes from a place that may not ask."""


def guarded(path: str) -> bool:
    """Return whether a path is only for those who have the token: the API and metrics, not the page and the probes."""
    return path == "/metrics" or (path.startswith("/api/") and path != "/api/v1/session")


def permitted(scope: Scope, token: str | None, now: float) -> bool:
    """Return whether a request may pass: no token is asked for, or it carries the token or its cookie."""
    if token is None:
        return True
    headers = Headers(scope=scope)
    scheme, _, presented = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return _same(presented.strip(), token)
    if scheme.lower() == "basic":
        # What scrape configurations know best; the user may be called anything.
        return _same(_password(presented.strip()), token)
    return _cookie_holds(headers.get("cookie", ""), token, now)


def require(presented: str, token: str) -> None:
    """Refuse a token that is not the server's.

    Raises:
        Unauthorized: It is another one.
    """
    if not _same(presented, token):
        raise Unauthorized("expected the server's token (server.token, HUOYAN_TOKEN), got another one")


def refuse_foreign(scope: Scope, token: str | None, public_url: str | None) -> None:
    """Refuse what a foreign web page makes a browser send.

    A page elsewhere can post to a server on loopback, and by rebinding its own name to 127.0.0.1 even read from it. So
    a step that changes something must not come from another site, and a server that asks for no token answers only
    under names that cannot be rebound: addresses, `localhost`, and the host of `server.public_url`.

    Raises:
        Forbidden: The request is such a one.
    """
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    if token is None and not _trusted(host, public_url):
        raise Forbidden(
            "expected a request for an address, localhost or the host of server.public_url, "
            f"got one for {host[:200]!r}. Set server.public_url (HUOYAN_PUBLIC_URL) to the address people use, or set "
            "server.token"
        )
    if scope["method"] in _SAFE_METHODS:
        return
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site in ("same-origin", "none"):
        # The browser itself says so, and a proxy in between may have changed the host.
        return
    foreign = site == "cross-site" if origin is None else not _own(origin, host, public_url)
    if foreign:
        raise Forbidden(
            f"expected a request from this server's own page, got one from {(origin or 'another site')[:200]!r}. "
            "Behind a proxy, set server.public_url (HUOYAN_PUBLIC_URL) to the address people use"
        )


def set_cookie(response: Response, token: str, now: float, *, secure: bool) -> None:
    """Set the cookie that stands for the token for 30 days; the token itself is not in it."""
    expires = int(now) + COOKIE_AGE_S
    response.set_cookie(
        COOKIE,
        f"{expires}.{_signature(expires, token)}",
        max_age=COOKIE_AGE_S,
        httponly=True,
        samesite="strict",
        secure=secure,
        path="/",
    )


def clear_cookie(response: Response) -> None:
    """Remove the cookie."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def _same(presented: str, token: str) -> bool:
    # compare_digest refuses text that is not ASCII, and tells nothing by its time.
    return hmac.compare_digest(presented.encode("utf-8", "surrogateescape"), token.encode())


def _password(presented: str) -> str:
    """Return the password of Basic credentials (https://www.rfc-editor.org/rfc/rfc7617), empty when they are none."""
    try:
        return base64.b64decode(presented, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _signature(expires: int, token: str) -> str:
    return hmac.new(token.encode(), f"huoyan-session:{expires}".encode(), hashlib.sha256).hexdigest()


def _cookie_holds(header: str, token: str, now: float) -> bool:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return False
    if morsel is None:
        return False
    expires, _, signature = morsel.value.partition(".")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        return False
    return _same(signature, _signature(int(expires), token)) and int(expires) > now


def _trusted(host: str, public_url: str | None) -> bool:
    name = _hostname(host)
    if name == "localhost" or name.endswith(".localhost") or not name:
        return True
    if public_url is not None and name == (urlsplit(public_url).hostname or ""):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return "?"


def _own(origin: str, host: str, public_url: str | None) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.netloc.lower() == host.lower():
        return True
    return public_url is not None and parts.netloc.lower() == urlsplit(public_url).netloc.lower()
