"""What real brokers, workers and result backends say they hold."""

import json
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import celery
import kombu
import pytest
import redis
import rq

from huoyan.clock import SYSTEM_CLOCK
from huoyan.errors import ConfigurationError, Unreachable
from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.run import view
from huoyan.server.collect import Collector
from huoyan.server.collect.holdings import Holding
from huoyan.server.collect.ledger import Account, Ledger, reconcile
from huoyan.server.ingest.celery_address import parse_address
from huoyan.server.ingest.celery_depths import RedisDepths
from huoyan.server.ingest.celery_holdings import CeleryHoldings
from huoyan.server.ingest.celery_results import CeleryResults
from huoyan.server.ingest.rabbitmq_management import RabbitmqManagement
from huoyan.server.ingest.rq_holdings import RqHoldings
from huoyan.server.store import Store
from tests.integration.celery.deployment import ROOT
from tests.servers import RabbitmqServer, RedisServer, ServerProcess, migrated_sqlite, wait_until

PREFIX = "shop:"


def holdings(url: str, *queues: str, results: CeleryResults | None = None, management_url: str = "") -> CeleryHoldings:
    address = parse_address(url)
    management = RabbitmqManagement(management_url, address) if management_url else None
    return CeleryHoldings(address, "celery", "", SYSTEM_CLOCK, lambda: queues, results, management)


def publisher(url: str, **options: object) -> celery.Celery:
    app = celery.Celery("publisher", broker=url, set_as_current=False)
    app.conf.broker_transport_options = options
    return app


@pytest.fixture
def prefixed(redis_server: RedisServer) -> tuple[celery.Celery, str]:
    url = redis_server.database_url(21)
    redis.Redis.from_url(url).flushdb()
    return publisher(url, global_keyprefix=PREFIX), f"{url}?global_keyprefix={PREFIX}"


def test_redis_is_read_with_priorities_key_prefix_and_what_was_taken(prefixed: tuple[celery.Celery, str]):
    app, url = prefixed
    for number, priority in enumerate((0, 3, 6, 9)):
        app.send_task("t", task_id=f"mail-{number}", queue="mail", priority=priority)
    app.send_task("t", task_id="other", queue="other")
    asked = holdings(url, "mail", "other", "empty")
    try:
        found = asked.holdings(["mail"])
        assert (found["mail"].waiting, found["mail"].held) == (4, 0)
        assert found["mail"].ids == frozenset({"mail-0", "mail-1", "mail-2", "mail-3"})
        assert (found["empty"].waiting, found["empty"].ids) == (0, frozenset())
        with app.connection_for_read() as connection:
            queue = kombu.Queue("mail")
            taken = queue(connection.default_channel).get(no_ack=False)
            found = asked.holdings([])
            assert (found["mail"].waiting, found["mail"].held) == (3, 1)
            assert found["mail"].ids == frozenset({"mail-0", "mail-1", "mail-2", "mail-3"}), "what is taken is not gone"
            assert taken is not None
            taken.ack()
        found = asked.holdings([])
        assert (found["mail"].waiting, found["mail"].held) == (3, 0)
        assert len(found["mail"].ids or ()) == 3
    finally:
        asked.close()


def test_the_separator_of_priorities_that_an_application_chose_is_learned(redis_server: RedisServer):
    url = redis_server.database_url(25)
    redis.Redis.from_url(url).flushdb()
    app = publisher(url, sep=":", priority_steps=[0, 5])
    for priority in (0, 5):
        app.send_task("t", task_id=f"mail-{priority}", queue="mail", priority=priority)
    assert redis.Redis.from_url(url).llen("mail:5") == 1
    asked = holdings(url)
    found = asked.holdings(["mail"])["mail"]
    asked.close()
    assert (found.waiting, found.ids) == (2, frozenset({"mail-0", "mail-5"}))
    depths = RedisDepths(parse_address(url), SYSTEM_CLOCK, lambda _: None, lambda _: None)
    assert [reading.depth for reading in depths.read(["mail"])] == [2]
    depths.close()


def test_a_message_that_is_taken_out_of_a_real_queue_is_missed_and_its_run_named(
    redis_server: RedisServer, tmp_path: Path
):
    """The whole way: a run that a worker could have had, its message deleted, the ledger's verdict."""
    url = redis_server.database_url(26)
    client = redis.Redis.from_url(url)
    client.flushdb()
    app = publisher(url)
    for run_id in ("stays", "vanishes"):
        app.send_task("t", task_id=run_id, queue="mail")
    waiting: Any = client.lrange("mail", 0, -1)
    (raw,) = [one for one in waiting if b"vanishes" in one]
    store = Store.open(migrated_sqlite(tmp_path / "huoyan.db"))
    collector = Collector(store)
    asked = holdings(url)
    ledger = Ledger(store, SYSTEM_CLOCK, [asked], collector.take, settle_s=0.0, listening_from=0.0)

    def look() -> None:
        ledger.run_once()
        collector.run_once()

    try:
        now = SYSTEM_CLOCK.now()
        told = [
            TaskEvent(EventKind.QUEUED, run_id, now, queue="mail", framework="celery")
            for run_id in ("stays", "vanishes")
        ]
        peer: dict[str, Any] = {"queue": "mail", "framework": "celery", "worker": "w", "source": "celery-events"}
        told += [TaskEvent(kind, "peer", now, **peer) for kind in (EventKind.STARTED, EventKind.SUCCEEDED)]
        collector.submit(told)
        collector.run_once()
        look()
        look()
        assert ledger.accounts()[0].difference == 0
        assert view(store.runs.load(["vanishes"])["vanishes"]).state.value == "queued"
        client.lrem("mail", 1, raw)
        look()
        look()
        found = {run_id: view(run).state.value for run_id, run in store.runs.load(["stays", "vanishes"]).items()}
        assert found == {"stays": "queued", "vanishes": "dead"}
        assert [one.run_id for one in ledger.discrepancies()] == ["vanishes"]
    finally:
        ledger.close()
        collector.stop()
        store.close()


def test_messages_that_do_not_say_which_run_they_are_leave_the_names_unknown(prefixed: tuple[celery.Celery, str]):
    app, url = prefixed
    app.send_task("t", task_id="a", queue="mail")
    with app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        channel.client.lpush("mail", json.dumps({"body": "W10=", "headers": {}}))
    asked = holdings(url)
    found = asked.holdings(["mail"])["mail"]
    asked.close()
    assert (found.waiting, found.ids) == (2, None)


def test_rabbitmq_tells_how_many_are_ready_and_a_queue_that_is_gone_holds_nothing(
    rabbitmq_server: RabbitmqServer, rabbitmq_vhost: str
):
    app = publisher(rabbitmq_vhost)
    for number in range(3):
        app.send_task("t", task_id=f"m{number}", queue="mail")
    asked = holdings(rabbitmq_vhost)
    told = holdings(rabbitmq_vhost, management_url=rabbitmq_server.management_url)
    try:
        wait_until(lambda: asked.holdings(["mail"])["mail"].waiting == 3, 10, "the messages to be ready")
        found = asked.holdings(["mail", "gone"])
        assert (found["mail"].held, found["mail"].ids, found["mail"].consumers) == (None, None, 0)
        assert (found["gone"].waiting, found["gone"].consumers) == (0, 0)
        wait_until(lambda: told.holdings(["mail"])["mail"].held == 0, 30, "nothing to be unacknowledged")
        found = told.holdings(["mail", "gone"])
        assert (found["mail"].waiting, found["gone"].waiting, found["gone"].held) == (3, 0, 0)
    finally:
        asked.close()
        told.close()


def test_a_broker_that_is_away_says_so(fresh_redis: RedisServer):
    asked = holdings(fresh_redis.url, "q")
    assert asked.holdings([])["q"].waiting == 0
    fresh_redis.kill()
    with pytest.raises(Unreachable, match="expected redis://"):
        asked.holdings([])
    with pytest.raises(Unreachable, match="to answer"):
        asked.working(["a"])
    fresh_redis.start()
    assert asked.holdings([])["q"].waiting == 0
    asked.close()


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_workers_say_what_they_execute_reserve_and_wait_with(kind: str, request: pytest.FixtureRequest):
    management_url = ""
    if kind == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        url = server.database_url(22)
        redis.Redis.from_url(url).flushdb()
    else:
        url = request.getfixturevalue("rabbitmq_vhost")
        management_url = request.getfixturevalue("rabbitmq_server").management_url
    command: list[str | Path] = [
        Path(sys.executable).with_name("celery"),
        "-A",
        "tests.integration.celery.app",
        "worker",
        "-l",
        "INFO",
    ]
    worker = ServerProcess("celery")
    asked = holdings(url, management_url=management_url)
    try:
        worker.run(
            [*command, "-P", "threads", "-c", "1", "-n", "w@ledger"],
            lambda: "ready." in worker.log_path.read_text(),
            env={"TEST_BROKER": url, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        )
        app = publisher(url)
        app.send_task("orders.hold", (60,), task_id="runs")
        app.send_task("orders.hold", (60,), task_id="reserved")
        app.send_task("orders.hold", (60,), task_id="later", countdown=600)
        ids = ["runs", "reserved", "later", "nobody knows"]

        def told() -> bool:
            return asked.working(ids) == {"w@ledger": frozenset({"runs", "reserved", "later"})}

        wait_until(told, 30, lambda: f"the worker to tell what it has, got {asked.working(ids)}")
        if kind == "redis":
            assert asked.holdings(["celery"])["celery"].ids == frozenset({"reserved", "later"}), (
                "what runs was acknowledged early"
            )
        else:

            def held() -> Holding:
                return asked.holdings(["celery"])["celery"]

            # What runs was acknowledged early; what is reserved or waits for its time was not.
            wait_until(lambda: held().held == 2, 30, lambda: f"2 messages that are not acknowledged, got {held()}")
            found = held()
            assert (found.waiting, found.untold) == (0, "")
            books = Account("celery", "celery", (), waiting=2, running=1)
            assert reconcile(books, [found], {}, 0.0).difference == 0
            refused = holdings(url, management_url=management_url.replace("://", "://guest:wrong@"))
            untold = refused.holdings(["celery"])["celery"]
            refused.close()
            assert (untold.waiting, untold.held) == (0, None)
            assert "management_url" in untold.untold
            assert "wrong@" not in untold.untold
    finally:
        asked.close()
        worker.kill()
        worker.close()


def test_results_in_redis_tell_how_runs_ended(redis_server: RedisServer):
    url = redis_server.database_url(23)
    app = celery.Celery("results", backend=url, set_as_current=False)
    app.backend.store_result("good", 42, "SUCCESS")
    app.backend.store_result("bad", ValueError("no card"), "FAILURE", traceback="Traceback …")
    app.backend.store_result("busy", None, "STARTED")
    asked = CeleryResults(url)
    found = {event.run_id: event for event in asked.read(["good", "bad", "busy", "none"], SYSTEM_CLOCK.now())}
    asked.close()
    assert {run_id: event.kind.value for run_id, event in found.items()} == {"good": "succeeded", "bad": "failed"}
    assert found["bad"].exception is not None
    assert (found["bad"].exception.type, found["bad"].exception.message) == ("ValueError", "no card")
    assert abs(found["good"].at - SYSTEM_CLOCK.now()) < 60
    assert found["good"].evidence.value == "inferred"


def test_results_in_a_database_are_read_without_unpickling(tmp_path: Path):
    file = tmp_path / "results.db"
    app = celery.Celery("results", backend=f"db+sqlite:///{file}", set_as_current=False)
    app.backend.store_result("good", object, "SUCCESS")
    app.backend.store_result("bad", ValueError("x"), "FAILURE")
    assert sqlite3.connect(file).execute("SELECT count(*) FROM celery_taskmeta").fetchone() == (2,)
    asked = CeleryResults(f"db+sqlite:///{file}")
    found = {event.run_id: event.kind.value for event in asked.read(["good", "bad", "none"], SYSTEM_CLOCK.now())}
    asked.close()
    assert found == {"good": "succeeded", "bad": "failed"}


def test_a_result_backend_that_cannot_be_asked_is_refused_and_one_that_is_away_says_so():
    with pytest.raises(ConfigurationError):
        CeleryResults("amqp://user:secret@host//")
    with pytest.raises(ConfigurationError) as refused:
        CeleryResults("db+nothing://user:secret@host/db")
    assert "secret" not in str(refused.value)
    asked = CeleryResults("redis://127.0.0.1:1/0")
    with pytest.raises(Unreachable):
        asked.read(["a"], 0.0)


def test_rq_tells_what_waits_in_queues_and_registries(redis_server: RedisServer):
    url = redis_server.database_url(24)
    client = redis.Redis.from_url(url)
    client.flushdb()
    queue = rq.Queue("mail", connection=client)
    first = queue.enqueue("operator.add", 1, 2)
    queue.enqueue("operator.add", 1, 2, depends_on=first)
    queue.enqueue_in(timedelta(hours=1), "operator.add", 1, 2)
    asked = RqHoldings(url, "rq", "")
    found = asked.holdings([])["mail"]
    asked.close()
    client.close()
    assert (found.waiting, found.held) == (3, 0)
