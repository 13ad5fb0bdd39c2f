"""Opening a connection to a Celery broker through Kombu."""

import ssl
from collections.abc import Mapping
from typing import Any

from kombu import Connection

from huoyan.server.ingest.celery_address import BrokerAddress

CONNECT_TIMEOUT_S = 5.0

_REQUIREMENTS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def kombu_connection(address: BrokerAddress, *, heartbeat_s: int = 0) -> "Connection":
    """Return a connection to the broker at `address`; it connects when it is first used.

    Args:
        address: The broker.
        heartbeat_s: How often RabbitMQ and we expect a sign of life, in seconds; 0 for none.
    """
    options: dict[str, Any] = {"max_retries": 1, **address.transport_options}
    more: dict[str, Any] = {}
    if address.kind == "amqp":
        options["client_properties"] = {"connection_name": "huoyan"}
        if address.tls is not None:
            host = address.hosts[0][0] if len(address.hosts) == 1 else None
            more["ssl"] = amqp_tls(address.tls, host)
    return Connection(
        address.url, connect_timeout=CONNECT_TIMEOUT_S, heartbeat=heartbeat_s, transport_options=options, **more
    )


def amqp_tls(parameters: Mapping[str, str], host: str | None) -> dict[str, Any]:
    """Return the `ssl_*` parameters of an address as py-amqp takes them; the certificate is checked unless told not to.

    Args:
        parameters: The parameters.
        host: Whose certificate it must be; None lets Kombu put in the one of several hosts that it connects to.
    """
    required = _REQUIREMENTS[parameters.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")]
    tls: dict[str, Any] = {"cert_reqs": required}
    for name in ("ca_certs", "certfile", "keyfile"):
        if parameters.get(f"ssl_{name}"):
            tls[name] = parameters[f"ssl_{name}"]
    checks_name = parameters.get("ssl_check_hostname", "true").lower() not in {"false", "0", "no"}
    if required is not ssl.CERT_NONE and checks_name:
        tls["server_hostname"] = host
    return tls
