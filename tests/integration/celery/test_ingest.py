"""The event stream of real brokers under bad conditions: cuts, bursts, passwords, TLS, content that is not JSON."""

import contextlib
import datetime
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import celery
import kombu
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from huoyan.model.event import EventKind
from huoyan.server.ingest.celery_events import CeleryEventIngest
from huoyan.server.ingest.handover import Handover
from huoyan.server.store.workers import Worker
from tests.integration.celery.recording import RecordingCollector
from tests.integration.celery.stream import command, events
from tests.servers import RabbitmqServer, RedisServer, ServerProcess, free_port, wait_until
from tests.servers.process import accepts_connections

Start = Callable[..., tuple[CeleryEventIngest, RecordingCollector]]


@pytest.fixture
def ingest() -> Iterator[Start]:
    """Give a factory of started ingests with collectors that keep everything."""
    started: list[CeleryEventIngest] = []

    def start(url: str, *, delay_s: float = 0.0, connect: bool = True, **options: Any) -> Any:
        collector = RecordingCollector(delay_s)
        made = CeleryEventIngest(url, collector, **options)  # type: ignore[arg-type]
        started.append(made)
        made.start()
        if connect:
            wait_until(lambda: made.status().connected, 15, lambda: f"a connection, got {made.status()}")
        return made, collector

    yield start
    for each in started:
        each.stop()


class Sender:
    """Sends events as Celery does, over Celery's own dispatcher."""

    def __init__(self, url: str, **options: Any) -> None:
        self.app = celery.Celery("sender", broker=url, set_as_current=False)
        self.app.conf.update(options)

    def send(self, *ids: str, queue: str = "celery") -> None:
        """Send the event of a task sent to a queue for each id."""
        with self.app.connection_for_write() as connection:
            dispatcher = self.app.events.Dispatcher(connection, hostname="gen1@here", buffer_while_offline=False)
            for run_id in ids:
                dispatcher.send("task-sent", uuid=run_id, name="orders.pay", queue=queue, retries=0)


def heard(collector: RecordingCollector) -> set[str]:
    return {event.run_id for event in collector.events}


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> str:
    """Give the address of each kind of broker."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        return server.database_url(1)
    vhost: str = request.getfixturevalue("rabbitmq_vhost")
    return vhost


def test_events_are_heard_with_the_time_they_were_read(broker: str, ingest: Start):
    made, collector = ingest(broker)
    Sender(broker).send("a", "b")
    wait_until(lambda: heard(collector) == {"a", "b"}, 10)
    event = collector.events[0]
    assert (event.kind, event.task, event.queue) == (EventKind.QUEUED, "orders.pay", "celery")
    assert event.received_at is not None
    assert 0 <= event.received_at - event.at < 5
    status = made.status()
    assert (status.events, status.malformed, status.refused, status.lost, status.error) == (2, 0, 0, 0, "")


@pytest.mark.parametrize("serializer", ["pickle", "yaml"])
def test_content_that_is_not_json_is_counted_and_not_opened(broker: str, ingest: Start, serializer: str):
    made, collector = ingest(broker)
    Sender(broker, event_serializer=serializer).send("secret")
    Sender(broker).send("open")
    wait_until(lambda: heard(collector) == {"open"}, 10)
    assert made.status().refused == 1


def test_the_broker_of_another_database_or_virtual_host_is_not_heard(redis_server: RedisServer, ingest: Start):
    _, collector = ingest(redis_server.database_url(2))
    Sender(redis_server.database_url(3)).send("theirs")
    Sender(redis_server.database_url(2)).send("ours")
    wait_until(lambda: bool(heard(collector)), 10)
    assert heard(collector) == {"ours"}


def test_a_key_prefix_and_another_exchange_are_given_in_the_address(redis_server: RedisServer, ingest: Start):
    url = redis_server.database_url(4)
    _, collector = ingest(f"{url}?global_keyprefix=shop[1]:&event_exchange=shopev")
    options = {"event_exchange": "shopev", "broker_transport_options": {"global_keyprefix": "shop[1]:"}}
    Sender(url).send("other")
    Sender(url, **options).send("ours")
    wait_until(lambda: bool(heard(collector)), 10)
    assert heard(collector) == {"ours"}


def test_a_redis_that_is_killed_and_comes_back_is_a_gap_and_then_heard_again(fresh_redis: RedisServer, ingest: Start):
    made, collector = ingest(fresh_redis.url)
    fresh_redis.kill()
    wait_until(lambda: not made.status().connected, 10)
    assert made.status().error
    fresh_redis.start()
    wait_until(lambda: made.status().connected, 15)
    Sender(fresh_redis.url).send("after")
    wait_until(lambda: heard(collector) == {"after"}, 10)
    wait_until(lambda: len(collector.cuts) == 3, 5, lambda: str(collector.cuts))
    assert [kind for kind, _ in collector.cuts] == ["close", "open", "close"]
    assert collector.cuts[1][1] <= collector.cuts[2][1]


def test_a_broker_that_is_away_at_the_start_is_waited_for(ingest: Start):
    server = RedisServer()
    made, collector = ingest(server.url, connect=False)
    try:
        wait_until(lambda: [kind for kind, _ in collector.cuts] == ["open"], 10)
        server.start()
        wait_until(lambda: made.status().connected, 15)
    finally:
        server.close()


def test_what_rabbitmq_gets_during_a_short_cut_arrives_afterwards(
    rabbitmq_server: RabbitmqServer, rabbitmq_vhost: str, ingest: Start
):
    made, collector = ingest(rabbitmq_vhost)
    Sender(rabbitmq_vhost).send("before")
    wait_until(lambda: heard(collector) == {"before"}, 10)
    rabbitmq_server.control("close_all_connections", "--vhost", rabbitmq_vhost.rsplit("/", 1)[1], "test")
    Sender(rabbitmq_vhost).send("meanwhile")
    wait_until(lambda: heard(collector) == {"before", "meanwhile"}, 20)
    assert made.status().connected


def test_stopping_leaves_no_queue_in_rabbitmq(rabbitmq_server: RabbitmqServer, rabbitmq_vhost: str, ingest: Start):
    made, _ = ingest(rabbitmq_vhost)
    vhost = rabbitmq_vhost.rsplit("/", 1)[1]
    assert "huoyan.celeryev" in rabbitmq_server.control("list_queues", "-p", vhost, "name")
    made.stop()
    assert "huoyan.celeryev" not in rabbitmq_server.control("list_queues", "-p", vhost, "name")


def test_a_password_is_given_and_a_wrong_one_is_an_error_without_it(fresh_redis: RedisServer, ingest: Start):
    fresh_redis.command("CONFIG", "SET", "requirepass", "s3cret word")
    good = f"redis://:s3cret%20word@127.0.0.1:{fresh_redis.port}/0"
    _, collector = ingest(good)
    Sender(good).send("a")
    wait_until(lambda: heard(collector) == {"a"}, 10)
    made, _ = ingest(f"redis://:wr0ng@127.0.0.1:{fresh_redis.port}/0", connect=False)
    wait_until(lambda: bool(made.status().error), 10)
    assert "wr0ng" not in str(made.status())
    assert "s3cret" not in str(made.status())


def test_a_user_that_may_not_subscribe_is_told_why(fresh_redis: RedisServer, ingest: Start):
    fresh_redis.command("ACL", "SETUSER", "blind", "on", ">pw", "+@all", "~*", "resetchannels")
    made, _ = ingest(f"redis://blind:pw@127.0.0.1:{fresh_redis.port}/0", connect=False)
    wait_until(lambda: "NOPERM" in made.status().error, 10, lambda: str(made.status()))
    assert not made.status().connected


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "server.crt", folder / "server.key"
    certificate_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_path, key_path


def test_tls_is_used_and_the_certificate_checked(fresh_redis: RedisServer, ingest: Start, tmp_path: Path):
    certificate_path, key_path = certificate(tmp_path)
    port = free_port()
    for name, value in (
        ("tls-cert-file", str(certificate_path)),
        ("tls-key-file", str(key_path)),
        ("tls-ca-cert-file", str(certificate_path)),
        ("tls-auth-clients", "no"),
        ("tls-port", str(port)),
    ):
        assert fresh_redis.command("CONFIG", "SET", name, value) == b"+OK"
    _, collector = ingest(f"rediss://localhost:{port}/0?ssl_cert_reqs=required&ssl_ca_certs={certificate_path}")
    ids = {f"t{n}" for n in range(500)}
    Sender(fresh_redis.url).send(*ids)
    wait_until(lambda: heard(collector) == ids, 10)
    untrusting, _ = ingest(f"rediss://localhost:{port}/0", connect=False)
    wait_until(lambda: "certificate" in untrusting.status().error, 10, lambda: str(untrusting.status()))


def test_a_sentinel_is_asked_for_its_redis(redis_server: RedisServer, ingest: Start):
    port = free_port()
    with contextlib.closing(ServerProcess("sentinel")) as sentinel:
        settings = sentinel.folder / "sentinel.conf"
        settings.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {sentinel.folder}\n"
            f"sentinel monitor main 127.0.0.1 {redis_server.port} 1\n"
        )
        sentinel.run([redis_server.program, settings, "--sentinel"], lambda: accepts_connections(port))
        made, collector = ingest(f"sentinel://127.0.0.1:{port}/11?master_name=main", depths_every_s=0.2)
        Sender(redis_server.database_url(11)).send("a", queue="pay")
        wait_until(lambda: heard(collector) == {"a"}, 10)
        wait_until(lambda: [reading.queue for reading in collector.readings[-1:]] == ["pay"], 10)
        assert made.status().error == ""
        made.stop()


def publish_burst(url: str, count: int) -> None:
    """Publish events as fast as Redis takes them."""
    client = redis.Redis.from_url(url)
    commands = [command(routing_key, body) for routing_key, body in events(count, 1)]
    connection: Any = client.connection_pool.get_connection()
    answers = 0
    for start in range(0, count, 200):
        connection._sock.sendall(b"".join(commands[start : start + 200]))
        while answers < start:
            connection.read_response()
            answers += 1
    while answers < count:
        connection.read_response()
        answers += 1
    client.close()


def test_a_burst_that_the_collector_is_too_slow_for_goes_to_disk_and_nothing_is_lost(
    redis_server: RedisServer, ingest: Start, tmp_path: Path
):
    """The collector takes 10 times as long as the burst, and memory holds a tenth of it."""
    count = 60_000
    spool = tmp_path / "spool"
    handover = Handover(spool, memory_bytes=4 * 1024 * 1024)
    made, collector = ingest(redis_server.database_url(0), delay_s=0.0001, handover=handover)
    publish_burst(redis_server.database_url(0), count)
    wait_until(lambda: len(collector.events) >= count, 60, lambda: f"{len(collector.events)} events, {made.status()}")
    assert handover.spooled_bytes_total > 8 * 1024 * 1024
    assert len(collector.events) == count
    assert len({(event.run_id, event.kind) for event in collector.events}) == count
    status = made.status()
    assert (status.malformed, status.lost, status.connected) == (0, 0, True)
    assert [kind for kind, _ in collector.cuts] == ["close"]
    made.stop()
    assert not spool.exists()


def test_a_collector_that_takes_nothing_for_a_while_gets_everything_later(redis_server: RedisServer, ingest: Start):
    url = redis_server.database_url(5)
    made, collector = ingest(url)
    collector.refuses = True
    Sender(url).send("a", "b", "c")
    wait_until(lambda: made.status().events > 0, 10)
    wait_until(lambda: made.status().lag_s > 0.5, 10)
    assert not collector.events
    collector.refuses = False
    wait_until(lambda: heard(collector) == {"a", "b", "c"}, 10)
    assert collector.lost == 0


def test_what_a_stopped_ingest_cannot_hand_over_is_counted_as_lost(redis_server: RedisServer, ingest: Start):
    url = redis_server.database_url(6)
    made, collector = ingest(url)
    collector.refuses = True
    Sender(url).send("a")
    wait_until(lambda: made.status().events == 1, 10)
    made.stop()
    assert (collector.lost, made.status().lost) == (1, 1)


def test_depths_of_redis_queues_count_every_priority(redis_server: RedisServer, ingest: Start):
    url = redis_server.database_url(7)
    sender = Sender(url)
    _, collector = ingest(url, depths_every_s=0.2, service="orders")
    for priority in (0, 0, 3, 9):
        sender.app.send_task("orders.pay", task_id=f"p{priority}", priority=priority, queue="pay")
    sender.send("p0", queue="pay")
    sender.send("x", queue="empty")
    wait_until(lambda: {"pay", "empty"} <= {r.queue for r in collector.readings[-2:]}, 10)
    newest = {reading.queue: reading for reading in collector.readings[-2:]}
    assert (newest["pay"].depth, newest["empty"].depth) == (4, 0)
    assert newest["pay"].service == "orders"
    age = newest["pay"].oldest_age_s
    assert age is not None
    assert 0 <= age < 20
    assert newest["empty"].oldest_age_s is None


def test_a_queue_belongs_to_the_service_whose_workers_work_on_it(redis_server: RedisServer, ingest: Start):
    url = redis_server.database_url(10)
    _, collector = ingest(url, depths_every_s=0.2)
    collector.workers = [
        Worker("w1@a", service="orders", framework="celery", queues=["pay", "shared"]),
        Worker("w2@a", service="mail", framework="celery", queues=["shared"]),
        Worker("w3@a", service="other", framework="rq", queues=["pay"]),
    ]
    for queue in ("pay", "shared", "nobody"):
        Sender(url).send(queue, queue=queue)
    wait_until(lambda: len({reading.queue for reading in collector.readings}) == 3, 10)
    services = {reading.queue: reading.service for reading in collector.readings}
    assert services == {"pay": "orders", "shared": "celery", "nobody": "celery"}


def test_a_key_that_is_no_list_has_no_depth(redis_server: RedisServer, ingest: Start):
    url = redis_server.database_url(8)
    client = redis.Redis.from_url(url)
    client.set("odd", "text")
    _, collector = ingest(url, depths_every_s=0.2)
    for queue in ("odd", "even"):
        Sender(url).send(queue, queue=queue)
    wait_until(lambda: len(collector.readings) > 2, 10)
    assert {reading.queue for reading in collector.readings} == {"even"}


def test_depths_of_rabbitmq_queues_are_known_and_those_that_do_not_exist_are_not(rabbitmq_vhost: str, ingest: Start):
    _, collector = ingest(rabbitmq_vhost, depths_every_s=0.2)
    sender = Sender(rabbitmq_vhost)
    for number in range(3):
        sender.app.send_task("orders.pay", task_id=f"r{number}", queue="pay")
    for queue in ("gone", "pay"):
        sender.send("r0", queue=queue)
    wait_until(lambda: any(reading.depth == 3 for reading in collector.readings), 15)
    assert {reading.queue for reading in collector.readings} == {"pay"}


def test_workers_are_asked_to_send_events_and_for_their_queues(redis_server: RedisServer, ingest: Start):
    """A stand-in for a worker notes what it is asked and answers."""
    url = redis_server.database_url(9)
    app = celery.Celery("worker", broker=url, set_as_current=False)
    asked: list[str] = []
    stop = threading.Event()

    def serve() -> None:
        with app.connection_for_read() as connection:
            mailbox: Any = kombu.pidbox.Mailbox("celery", type="fanout", accept=["json"])(connection)
            node = mailbox.Node("celery@stand-in", channel=connection.default_channel)

            def enable_events(_: Any) -> dict[str, str]:
                asked.append("enable_events")
                return {"ok": "task events enabled"}

            def active_queues(_: Any) -> list[dict[str, str]]:
                asked.append("active_queues")
                return [{"name": "pay"}, {"name": "mail"}]

            node.handler(enable_events)
            node.handler(active_queues)
            with node.listen(callback=node.handle_message):
                while not stop.is_set():
                    try:
                        connection.drain_events(timeout=0.2)
                    except TimeoutError:
                        pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        _, collector = ingest(url, depths_every_s=0.2)
        wait_until(lambda: {"enable_events", "active_queues"} <= set(asked), 15)
        wait_until(lambda: {"pay", "mail"} <= {reading.queue for reading in collector.readings}, 10)
    finally:
        stop.set()
        thread.join(5)
