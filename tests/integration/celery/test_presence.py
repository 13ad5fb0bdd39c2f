"""RabbitMQ tells whose mailbox is still listened to: that of a process that ended is gone at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection
from kombu.pidbox import Mailbox

from huoyan.server.collect import Collector
from huoyan.server.ingest.celery_address import parse_address
from huoyan.server.ingest.celery_presence import CeleryPresence
from huoyan.server.store import Store
from tests.servers import RabbitmqServer, wait_until


@pytest.fixture
def url(rabbitmq_server: RabbitmqServer) -> str:
    return rabbitmq_server.make_virtual_host("presence")


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    store = Store.open(f"sqlite:///{tmp_path / 'huoyan.sqlite3'}")
    yield Collector(store)
    store.close()


@pytest.mark.parametrize("exclusive", [False, True])
def test_who_listens_to_its_mailbox_is_connected_until_its_connection_ends(
    exclusive: bool, url: str, collector: Collector
) -> None:
    presence = CeleryPresence(parse_address(url), "celery", collector)
    with Connection(url) as connection:
        mailbox = Mailbox("celery", type="fanout", connection=connection, queue_exclusive=exclusive)
        # What a worker does when it begins.
        mailbox.Node("w@here", channel=connection.channel()).listen()
        assert presence.connected(["nobody@here", "w@here", "w@there"]) == ["w@here"]
    wait_until(lambda: presence.connected(["w@here"]) == [], 60, "the mailbox to be gone")
    presence.close()


def test_nobody_is_connected_to_a_broker_that_cannot_be_asked(collector: Collector) -> None:
    away = CeleryPresence(parse_address("amqp://127.0.0.1:1//"), "celery", collector)
    assert away.connected(["w@here"]) == []
