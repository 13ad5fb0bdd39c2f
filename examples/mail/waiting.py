"""Where mails wait: a Huey queue in Redis, the urgent ones in front; in an SQLite file where there is no Redis."""

from typing import Any

from huey import PriorityRedisHuey, SqliteHuey

import huoyan
from examples.mail.settings import settings

PRIORITIES = {"high": 20, "normal": 10, "low": 0}


def _make() -> Any:
    if settings().redis_url:
        made = PriorityRedisHuey("mail", url=settings().redis_url, results=False)
        huoyan.watch(made.storage.conn)
        return made
    settings().data_dir.mkdir(parents=True, exist_ok=True)
    path = settings().data_dir / "queue.sqlite3"
    return SqliteHuey("mail", filename=str(path), results=False, fsync=False, strict_fifo=True)


queue = huoyan.watch(_make())


def watch_backlog() -> None:
    """Have it read at every scrape and report how much waits, for each priority, and how much is to be tried again."""
    for name, priority in PRIORITIES.items():
        huoyan.backlog(f"mail.{name}", lambda priority=priority: _waiting(priority))
    if settings().redis_url:
        # What waits in one key as a whole needs no function.
        huoyan.backlog("mail.again", queue.storage.conn, key=queue.storage.schedule_key)
    else:
        huoyan.backlog("mail.again", queue.scheduled_count)


def _waiting(priority: int) -> int:
    if settings().redis_url:
        # Huey keeps the queue in a sorted set, the priority with its sign turned as the score.
        return int(queue.storage.conn.zcount(queue.storage.queue_key, -priority, -priority))
    statement = "select count(*) from task where queue = ? and priority = ?"
    return int(queue.storage.sql(statement, (queue.storage.name, priority), results=True)[0][0])
