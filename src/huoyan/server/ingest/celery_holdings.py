"""What a Celery broker and its workers hold: messages that wait, messages taken and not acknowledged, runs in workers.

Facts of Kombu's Redis transport (kombu/transport/redis.py): a queue is a list for each step of priority; a message that
a worker takes moves to the hash `unacked` as `[message, exchange, routing key]` and leaves it when it is acknowledged;
messages with an ETA stay there until they are due. All keys carry the global key prefix. RabbitMQ tells how many
messages of a queue are ready and how many consumers it has, by a passive declaration; how many are not acknowledged
only its management API tells.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import redis
from kombu.pidbox import Mailbox

from huoyan.clock import Clock
from huoyan.errors import Unreachable
from huoyan.model.event import TaskEvent
from huoyan.server.collect.holdings import Holding
from huoyan.server.ingest.celery_address import BrokerAddress
from huoyan.server.ingest.celery_connection import kombu_connection
from huoyan.server.ingest.celery_queue_keys import QueueKeys
from huoyan.server.ingest.celery_results import CeleryResults
from huoyan.server.ingest.celery_stream_redis import redis_client
from huoyan.server.ingest.celery_translate import FRAMEWORK
from huoyan.server.ingest.rabbitmq_management import RabbitmqManagement

ANSWER_WITHIN_S = 1.5
MOST_MESSAGES = 5_000
"""So many messages of a queue, or taken from all of them, are looked at one by one; with more they are only counted."""
MOST_BYTES = 32 * 1024 * 1024
_PAGE = 200
_ASKED_AT_ONCE = 500


class _Headers(msgspec.Struct):
    id: str = ""


class _DeliveryInfo(msgspec.Struct):
    routing_key: str = ""


class _Properties(msgspec.Struct):
    delivery_info: _DeliveryInfo = msgspec.field(default_factory=_DeliveryInfo)


class _Message(msgspec.Struct):
    headers: _Headers = msgspec.field(default_factory=_Headers)
    properties: _Properties = msgspec.field(default_factory=_Properties)


_message = msgspec.json.Decoder(_Message)
_taken = msgspec.json.Decoder(list[msgspec.Raw])


class CeleryHoldings:
    """Asks one broker and its workers. Used by one thread.

    Args:
        address: The broker.
        source: Names it.
        service: Of runs that name none.
        clock: The time of outcomes.
        queues: Returns the queues known besides.
        results: The result backend; None: there is none to ask.
        management: RabbitMQ's management API; None: it is not asked.
    """

    framework = FRAMEWORK
    names_runs = True

    def __init__(
        self,
        address: BrokerAddress,
        source: str,
        service: str,
        clock: Clock,
        queues: Callable[[], Iterable[str]],
        results: CeleryResults | None = None,
        management: RabbitmqManagement | None = None,
    ) -> None:
        self.source = source
        self.service = service
        self._address = address
        self._clock = clock
        self._queues = queues
        self._results = results
        self._management = management
        self._client: redis.Redis | None = None
        self._keys = QueueKeys(address.global_keyprefix, clock)
        self._connection: Any = None

    def holdings(self, queues: Iterable[str]) -> dict[str, Holding]:
        """Return what the broker holds of each queue."""
        names = sorted({*queues, *self._queues()} - {""})
        try:
            return self._redis(names) if self._address.kind == "redis" else self._amqp(names)
        except Exception as error:
            # Sockets and protocols break in any way.
            self._disconnect()
            raise Unreachable(f"expected {self._address.shown} to tell what it holds: {error}") from error

    def working(self, run_ids: Collection[str]) -> dict[str, frozenset[str]]:
        """Return worker → those of `run_ids` that it executes, has reserved or waits with until they are due."""
        found: dict[str, set[str]] = {}
        wanted = list(run_ids)
        try:
            mailbox = self._mailbox()
            answered: list[set[str]] = []
            for start in range(0, len(wanted), _ASKED_AT_ONCE):
                arguments = {"ids": wanted[start : start + _ASKED_AT_ONCE]}
                answers = _answers(mailbox.multi_call("query_task", arguments, timeout=ANSWER_WITHIN_S))
                answered.append(set(answers))
                for worker, theirs in answers.items():
                    if isinstance(theirs, dict):
                        found.setdefault(worker, set()).update(theirs)
            planned = _answers(mailbox.multi_call("scheduled", timeout=ANSWER_WITHIN_S))
            answered.append(set(planned))
            for worker, theirs in planned.items():
                found.setdefault(worker, set()).update(_planned_ids(theirs))
        except Exception as error:
            self._disconnect()
            raise Unreachable(f"expected workers of {self._address.shown} to answer: {error}") from error
        # Whoever missed one of the questions may have what it was about.
        complete = set.intersection(*answered) if answered else set()
        return {worker: frozenset(found.get(worker, ())) & frozenset(wanted) for worker in complete}

    def outcomes(self, run_ids: Collection[str]) -> list[TaskEvent]:
        """Return how runs ended, by the result backend."""
        return [] if self._results is None else self._results.read(run_ids, self._clock.now())

    def close(self) -> None:
        """Close the connections."""
        self._disconnect()
        if self._results is not None:
            self._results.close()
        if self._management is not None:
            self._management.close()

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        connection, self._connection = self._connection, None
        try:
            if client is not None:
                client.close()
            if connection is not None:
                connection.collect(socket_timeout=1.0)
        except Exception:  # noqa: BLE001, S110 - it is broken already
            pass

    def _mailbox(self) -> Any:
        if self._connection is None:
            self._connection = kombu_connection(self._address)
            self._connection.connect()
        mailbox = Mailbox(self._address.control_exchange, type="fanout", accept=["json"], serializer="json")
        return mailbox(self._connection)

    # Redis

    def _redis(self, names: list[str]) -> dict[str, Holding]:
        if self._client is None:
            self._client = redis_client(self._address)
        # Lists before what was taken from them, so that a message on its way is seen twice rather than not at all.
        waiting: dict[str, int] = {}
        ids: dict[str, set[str] | None] = {}
        for name in names:
            keys = self._keys.of(self._client, name)
            pipe: Any = self._client.pipeline(transaction=False)
            for key in keys:
                pipe.llen(key)
            counts = pipe.execute(raise_on_error=False)
            if not all(isinstance(count, int) for count in counts):
                continue  # The name is taken by something that is no list.
            waiting[name] = sum(counts)
            ids[name] = self._listed(keys, counts) if waiting[name] <= MOST_MESSAGES else None
        taken, whole = self._taken()
        held: dict[str, int] = dict.fromkeys(names, 0)
        for run_id, queue in taken:
            held[queue] = held.get(queue, 0) + 1
            known = ids.setdefault(queue, set())
            if known is not None:
                known.add(run_id)
        return {
            name: Holding(
                name,
                waiting.get(name, 0),
                held.get(name, 0) if whole else None,
                frozenset(found) if whole and (found := ids.get(name)) is not None else None,
            )
            for name in {*waiting, *(queue for queue in held if queue)}
        }

    def _listed(self, keys: list[str], counts: list[int]) -> set[str] | None:
        """Return the runs of the messages in these lists, None when they cannot be told."""
        assert self._client is not None
        found: set[str] = set()
        for key, count in zip(keys, counts, strict=True):
            if not count:
                continue
            size: Any = self._client.memory_usage(key, samples=5)
            if size is None or size > MOST_BYTES:
                return None
            # At once: page by page, what is pushed and taken meanwhile would move others past the reader.
            messages: Any = self._client.lrange(key, 0, MOST_MESSAGES)
            if len(messages) > MOST_MESSAGES:
                return None
            for raw in messages:
                run_id, _ = _read(raw)
                if not run_id:
                    return None
                found.add(run_id)
        return found

    def _taken(self) -> tuple[list[tuple[str, str]], bool]:
        """Return (run, queue) of what was taken and not acknowledged, and whether that is all."""
        assert self._client is not None
        key = f"{self._address.global_keyprefix}unacked"
        number: Any = self._client.hlen(key)
        if number > MOST_MESSAGES:
            return [], False
        found = []
        room = MOST_BYTES
        for raw in self._scanned(key):
            room -= len(raw)
            try:
                message, _, routing_key = _taken.decode(raw)
                run_id, queue = _read(bytes(message))
                queue = queue or str(msgspec.json.decode(routing_key))
            except (msgspec.DecodeError, ValueError):
                run_id = queue = ""
            if not run_id or room < 0:
                return [], False
            found.append((run_id, queue))
        return found, True

    def _scanned(self, key: str) -> Iterator[bytes]:
        assert self._client is not None
        cursor = 0
        while True:
            answer: Any = self._client.hscan(key, cursor, count=_PAGE)
            cursor, page = answer
            yield from page.values()
            if not cursor:
                return

    # RabbitMQ

    def _amqp(self, names: list[str]) -> dict[str, Holding]:
        if self._connection is None:
            self._connection = kombu_connection(self._address)
            self._connection.connect()
        found: dict[str, Holding] = {}
        channel = self._connection.channel()
        for name in names:
            try:
                declared = channel.queue_declare(queue=name, passive=True)
            except self._connection.channel_errors as error:
                # RabbitMQ closed the channel over it. A queue that does not exist holds nothing.
                channel = self._connection.channel()
                if getattr(error, "reply_code", None) == 404:
                    found[name] = Holding(name, 0, consumers=0)
                continue
            found[name] = Holding(name, declared.message_count, consumers=declared.consumer_count)
        channel.close()
        return found if self._management is None else self._with_held(found, self._management)

    def _with_held(self, found: dict[str, Holding], management: RabbitmqManagement) -> dict[str, Holding]:
        """Add what is not acknowledged. It is read after what waits, so that a message on its way is seen twice rather
        than not at all."""
        try:
            totals = management.queues()
        except Unreachable as error:
            return {name: replace(holding, untold=error.message) for name, holding in found.items()}
        held = {name: queue.messages_unacknowledged for name, queue in totals.items()}
        return {
            # A queue that does not exist holds nothing.
            name: replace(holding, held=held.get(name) if name in held or holding.consumers or holding.waiting else 0)
            for name, holding in found.items()
        }


def _read(raw: bytes) -> tuple[str, str]:
    """Return the run and the routing key of a message, empty when it does not tell."""
    try:
        message = _message.decode(raw)
    except msgspec.DecodeError:
        return "", ""
    return message.headers.id, message.properties.delivery_info.routing_key


def _answers(replies: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for reply in replies or []:
        if isinstance(reply, dict):
            found.update({worker: said for worker, said in reply.items() if not _is_error(said)})
    return found


def _is_error(said: Any) -> bool:
    return isinstance(said, dict) and set(said) == {"error"} and isinstance(said["error"], str)


def _planned_ids(plans: Any) -> set[str]:
    requests = (plan.get("request") for plan in plans if isinstance(plan, dict)) if isinstance(plans, list) else ()
    return {str(request["id"]) for request in requests if isinstance(request, dict) and "id" in request}
