"""A database that is away for a while costs no gap that was found meanwhile."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from huoyan.clock import SYSTEM_CLOCK
from huoyan.server.collect import Collector
from huoyan.server.ingest.complaints import Complaints
from huoyan.server.ingest.feed import Feed
from huoyan.server.store import Store
from tests.servers import migrated_sqlite


def rename(path: Path, old: str, new: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"ALTER TABLE {old} RENAME TO {new}")


def test_gaps_that_the_database_does_not_take_are_noted_later(tmp_path: Path) -> None:
    path = tmp_path / "huoyan.db"
    store = Store.open(migrated_sqlite(path))
    collector = Collector(store)
    complaints = Complaints(logging.getLogger(__name__), "celery redis://h/0", SYSTEM_CLOCK)
    feed = Feed(collector, "celery redis://h/0", "celery-events", SYSTEM_CLOCK, complaints, lambda: True)
    try:
        feed.cut(100.0, "connection reset")
        feed.missed("w@h", 90.0, 95.0, "it had lost its broker")
        rename(path, "gaps", "away")
        feed.note_cuts()
        feed.cut(110.0, None)
        feed.note_cuts()
        rename(path, "away", "gaps")
        assert store.gaps.list() == []
        feed.note_cuts()
        noted = {(gap.source.endswith("w@h"), gap.started_at, gap.ended_at) for gap in store.gaps.list()}
        assert noted == {(False, 100.0, 110.0), (True, 90.0, 95.0)}
    finally:
        collector.stop(1.0)
        store.close()
