"""How runs ended, by Celery's result backend: asked only about runs of which nobody told the end.

Redis keeps `celery-task-meta-{id}` as JSON (celery/backends/base.py, redis.py); databases keep the table
`celery_taskmeta` with `task_id`, `status`, `date_done` (celery/backends/database/models.py). Results and tracebacks of
databases are pickled there and are not read.
"""

import json
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

import redis
from sqlalchemy import Engine, column, create_engine, select, table
from sqlalchemy.exc import SQLAlchemyError

from huoyan.errors import ConfigurationError, Unreachable
from huoyan.model.event import EventKind, Evidence, ExceptionInfo, TaskEvent
from huoyan.server.ingest.celery_address import parse_address
from huoyan.server.ingest.celery_stream_redis import redis_client

SOURCE = "result-backend"
_KINDS = {"SUCCESS": EventKind.SUCCEEDED, "FAILURE": EventKind.FAILED, "REVOKED": EventKind.REVOKED}
_PREFIX = "celery-task-meta-"
_MOST_BYTES = 1024 * 1024
_META = table("celery_taskmeta", column("task_id"), column("status"), column("date_done"))
_EXPECTED = "redis://host/0 or db+postgresql://user:password@host/name"


class CeleryResults:
    """Asks one result backend.

    Args:
        url: Its address as Celery takes it; `global_keyprefix` as a parameter where one is used.
        name: What the setting is called, for the message.

    Raises:
        ConfigurationError: The address is of a kind that cannot be asked.
    """

    def __init__(self, url: str, name: str = "result_url") -> None:
        self._engine: Engine | None = None
        self._client: redis.Redis | None = None
        self._prefix = ""
        if url.startswith("db+"):
            try:
                self._engine = create_engine(url.removeprefix("db+"), pool_size=1, pool_pre_ping=True)
            except (SQLAlchemyError, ImportError):
                # The text may hold a password, so it is not repeated.
                raise ConfigurationError(name, _EXPECTED, url.partition("://")[0]) from None
            return
        address = parse_address(url, name)
        if address.kind != "redis":
            raise ConfigurationError(name, _EXPECTED, url.partition("://")[0])
        self._client = redis_client(address)
        self._prefix = address.global_keyprefix

    def read(self, run_ids: Collection[str], now: float) -> list[TaskEvent]:
        """Return how those of `run_ids` ended that are known there.

        Raises:
            Unreachable: It does not answer.
        """
        try:
            found = self._from_redis(list(run_ids)) if self._client is not None else self._from_database(list(run_ids))
            return [event for run_id, meta in found if (event := _event(run_id, meta, now)) is not None]
        except (OSError, redis.RedisError, SQLAlchemyError) as error:
            raise Unreachable(f"expected the result backend to answer: {type(error).__name__}") from error

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
        if self._engine is not None:
            self._engine.dispose()

    def _from_redis(self, run_ids: list[str]) -> Iterable[tuple[str, dict[str, Any]]]:
        assert self._client is not None
        keys = [f"{self._prefix}{_PREFIX}{run_id}" for run_id in run_ids]
        for run_id, key in zip(run_ids, keys, strict=True):
            length: Any = self._client.strlen(key)
            if not 0 < length <= _MOST_BYTES:
                continue
            raw: Any = self._client.get(key)
            try:
                meta = json.loads(raw or b"null")
            except ValueError:
                continue  # It is pickled, or nothing that Celery wrote.
            if isinstance(meta, dict):
                yield run_id, meta

    def _from_database(self, run_ids: list[str]) -> Iterable[tuple[str, dict[str, Any]]]:
        assert self._engine is not None
        query = select(_META).where(_META.c.task_id.in_(run_ids))
        with self._engine.connect() as connection:
            return [(row.task_id, dict(row._mapping)) for row in connection.execute(query)]


def _event(run_id: str, meta: dict[str, Any], now: float) -> TaskEvent | None:
    kind = _KINDS.get(str(meta.get("status")))
    if kind is None:
        return None
    exception = None
    said = meta.get("result")
    if kind is EventKind.FAILED:
        told = said if isinstance(said, dict) else {}
        message = told.get("exc_message")
        text = " ".join(map(str, message)) if isinstance(message, list) else str(message or "")
        exception = ExceptionInfo(
            str(told.get("exc_type") or "unknown"), text[:10_000], str(meta.get("traceback") or "")
        )
    return TaskEvent(
        kind,
        run_id,
        _moment(meta.get("date_done"), now),
        # It tells how the latest execution ended, not which that was.
        execution=None,
        worker="" if kind is EventKind.REVOKED else str(meta.get("worker") or ""),
        exception=exception,
        evidence=Evidence.INFERRED,
        reason="told by the result backend",
        source=SOURCE,
    )


def _moment(value: Any, now: float) -> float:
    """Return when a result was written; Celery writes UTC, with an offset or without."""
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return now
    if not isinstance(moment, datetime):
        return now
    return min(now, (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())
