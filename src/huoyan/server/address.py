"""Addresses as people see them: without passwords."""

from urllib.parse import urlsplit

EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - to compare with; nothing is bound here


def shown_url(url: str) -> str:
    """Return an address without its password and parameters, for people."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return f"{url.partition('://')[0]}://…"
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{url_host(host)}{port}{parts.path}"


def url_host(host: str) -> str:
    """Return a host as it stands in an address: IPv6 in brackets, and loopback for "every address"."""
    if host in EVERY_ADDRESS:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
