import ssl

import pytest

from huoyan.errors import ConfigurationError
from huoyan.server.ingest.celery_address import parse_address
from huoyan.server.ingest.celery_connection import amqp_tls


@pytest.mark.parametrize(
    ("url", "host", "database", "topic"),
    [
        ("redis://cache:6380/3", ("cache", 6380), 3, "/3.celeryev"),
        ("redis://", ("127.0.0.1", 6379), 0, "/0.celeryev"),
        ("redis://:p%40ss@cache", ("cache", 6379), 0, "/0.celeryev"),
        ("rediss://cache/1?ssl_cert_reqs=none", ("cache", 6379), 1, "/1.celeryev"),
        ("redis://cache/2?global_keyprefix=shop:", ("cache", 6379), 2, "shop:/2.celeryev"),
        ("redis://cache/2?fanout_prefix=/x{db}.&event_exchange=ev", ("cache", 6379), 2, "/x2.ev"),
        ("redis://[::1]:7000/0", ("::1", 7000), 0, "/0.celeryev"),
    ],
)
def test_a_redis_address_tells_host_database_and_channel(url: str, host: tuple[str, int], database: int, topic: str):
    address = parse_address(url)
    assert address.kind == "redis"
    assert (address.hosts, address.database, address.event_topic) == ((host,), database, topic)


def test_a_socket_of_redis_takes_its_database_as_a_parameter():
    address = parse_address("redis+socket:///run/redis.sock?virtual_host=4")
    assert (address.path, address.hosts, address.database) == ("/run/redis.sock", (), 4)


def test_sentinels_are_asked_for_their_master():
    address = parse_address("sentinel://:s@a:26379;sentinel://b:26380/2?master_name=main")
    assert (address.hosts, address.master_name, address.database) == ((("a", 26379), ("b", 26380)), "main", 2)
    assert address.transport_options["master_name"] == "main"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://guest:secret@mq:5673/shop?control_exchange=c", "amqp://mq:5673/shop"),
        ("amqps://mq//", "amqps://mq:5671//"),
        ("pyamqp://mq", "pyamqp://mq:5672/"),
        ("redis://user:secret@cache/1?global_keyprefix=x", "redis://cache:6379/1"),
    ],
)
def test_neither_what_is_shown_nor_the_repr_holds_a_password(url: str, shown: str):
    address = parse_address(url)
    assert address.shown == shown
    assert "secret" not in repr(address)
    assert "secret" not in str(address)


def test_parameters_of_ours_do_not_reach_kombu():
    address = parse_address("amqp://u:p@mq/shop?control_exchange=c&event_exchange=e&login_method=PLAIN")
    assert address.url == "amqp://u:p@mq/shop?login_method=PLAIN"
    assert (address.control_exchange, address.event_exchange) == ("c", "e")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "mq"}),
        ("?ssl_ca_certs=/ca.pem", {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "mq", "ca_certs": "/ca.pem"}),
        ("?ssl_cert_reqs=CERT_NONE", {"cert_reqs": ssl.CERT_NONE}),
        ("?ssl_check_hostname=false", {"cert_reqs": ssl.CERT_REQUIRED}),
    ],
)
def test_tls_to_rabbitmq_checks_certificate_and_name_unless_told_not_to(query: str, expected: dict[str, object]):
    address = parse_address(f"amqps://mq//{query}")
    assert address.url == "amqps://mq//"
    assert address.tls is not None
    assert amqp_tls(address.tls, address.hosts[0][0]) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "sqs://key:secret@",
        "redis://cache/shop",
        "redis://cache:port/0",
        "sentinel://a:26379/0",
        "redis://:secret@a;redis://b",
        "mongodb://u:secret@host",
        "rediss://:secret@cache/0?ssl_cert_reqs=maybe",
        "amqps://u:secret@mq//?ssl_cert_reqs=maybe",
    ],
)
def test_another_address_is_refused_without_telling_a_password(url: str):
    with pytest.raises(ConfigurationError) as caught:
        parse_address(url, "celery[0].url")
    assert caught.value.setting == "celery[0].url"
    assert "secret" not in str(caught.value)
