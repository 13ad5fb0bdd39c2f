"""The address of the Redis of an RQ deployment."""

from huoyan.errors import ConfigurationError
from huoyan.server.ingest.celery_address import BrokerAddress, parse_address

# What redis-py calls a Unix socket is called otherwise by the reader of addresses.
_SCHEMES = {name: name for name in ("redis", "rediss", "sentinel", "redis+socket")} | {"unix": "redis+socket"}


def parse_rq_address(url: str, setting: str = "rq.url") -> BrokerAddress:
    """Read the address of the Redis of an RQ deployment.

    Raises:
        ConfigurationError: It is no address of a Redis. The message holds no password.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator or scheme.lower() not in _SCHEMES:
        raise ConfigurationError(
            setting,
            f"an address that starts with {', '.join(f'{known}://' for known in _SCHEMES)}",
            f"{scheme}://…" if separator else "an address without ://" if url.strip() else "nothing",
            "For example redis://127.0.0.1:6379/0.",
        )
    return parse_address(f"{_SCHEMES[scheme.lower()]}://{rest}", setting)
