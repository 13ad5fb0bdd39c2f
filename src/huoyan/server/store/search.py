"""Search for text in arguments and exceptions, indexed off the hot path.

The collector only notes which runs have new text; `index` fetches their texts and indexes them. SQLite uses an FTS5
trigram index, PostgreSQL one of pg_trgm where that extension can be had and otherwise compares text by text.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, literal, select, text
from sqlalchemy.exc import DBAPIError

from huoyan.model.event import Payload
from huoyan.model.run import Run, view
from huoyan.server.store.codec import decode_run
from huoyan.server.store.schema.runs import run_states, run_texts, runs, unindexed
from huoyan.server.store.upsert import replace_into

SHORTEST_TEXT = 3
"""A shorter text is looked for in ids and task names only: an index of trigrams does not know it."""
_MAX_PAYLOAD_CHARS = 1500
_MAX_EXCEPTION_CHARS = 1000
_BATCH_RUNS = 500
_MOST_CANDIDATES = 20_000

_FTS_TABLE = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS run_fts "
    "USING fts5(text, content='run_texts', content_rowid='n', tokenize='trigram')"
)


class TextIndex:
    """The texts of runs and the index over them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"

    def prepare(self) -> None:
        """Make the index if it is not there. On PostgreSQL without pg_trgm there will be none, and search is slower."""
        if self._sqlite:
            with self._engine.begin() as connection:
                connection.exec_driver_sql(_FTS_TABLE)
            return
        with self._engine.connect() as connection:
            known = connection.execute(text("SELECT to_regclass('ix_run_texts_text')")).scalar()
        if known is not None:
            return
        try:
            with self._engine.begin() as connection:
                # Two servers that start at once would otherwise disturb each other here.
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('ix_run_texts_text'))"))
                connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_trgm"))
                connection.execute(
                    text("CREATE INDEX IF NOT EXISTS ix_run_texts_text ON run_texts USING gin (text gin_trgm_ops)")
                )
        except DBAPIError:
            # Not installed, or not allowed: comparing text by text finds the same runs.
            return

    def index(self, most: int = 5000) -> int:
        """Index up to `most` of the runs that have new text, oldest first, and return how many that were."""
        done = 0
        while done < most:
            step = self._step(min(_BATCH_RUNS, most - done))
            done += step
            if step < _BATCH_RUNS:
                break
        return done

    def _step(self, most: int) -> int:
        with self._engine.connect() as connection:
            noted = connection.execute(select(unindexed.c.id, unindexed.c.n).order_by(unindexed.c.id).limit(most)).all()
            if not noted:
                return 0
            numbers = sorted({row.n for row in noted})
            states = connection.execute(select(run_states).where(run_states.c.n.in_(numbers))).all()
        rows = [{"n": row.n, "text": text_of(decode_run(row.state)).replace("\0", "")} for row in states]
        with self._engine.begin() as connection:
            connection.execute(delete(unindexed).where(unindexed.c.id.in_([row.id for row in noted])))
            # A run that was deleted in the meantime must not come back as text.
            present = set(connection.execute(select(runs.c.n).where(runs.c.n.in_(numbers))).scalars())
            rows = [row for row in rows if row["n"] in present]
            if rows:
                self._forget(connection, [row["n"] for row in rows])
                connection.execute(replace_into(connection, run_texts), rows)
                if self._sqlite:
                    connection.execute(text("INSERT INTO run_fts (rowid, text) VALUES (:n, :text)"), rows)
        return len(noted)

    def delete(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Remove the texts of these runs, in the transaction that removes the runs."""
        self._forget(connection, numbers)
        connection.execute(delete(run_texts).where(run_texts.c.n.in_(numbers)))

    def _forget(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Take what is stored of these runs out of the index; FTS5 wants to be told what it had indexed."""
        if not self._sqlite:
            return
        known = connection.execute(select(run_texts).where(run_texts.c.n.in_(numbers))).all()
        if known:
            connection.execute(
                text("INSERT INTO run_fts (run_fts, rowid, text) VALUES ('delete', :n, :text)"),
                [{"n": row.n, "text": row.text} for row in known],
            )

    def condition(self, connection: Connection, q: str) -> ColumnElement[bool] | None:
        """Return the condition on `runs` that their text contains `q`, None when no run meets it."""
        if len(q) < SHORTEST_TEXT:
            return None
        if not self._sqlite:
            matching = select(run_texts.c.n).where(run_texts.c.text.ilike(f"%{_escaped(q)}%", escape="\\"))
            return runs.c.n.in_(matching)
        phrase = '"' + q.replace('"', '""') + '"'
        found = connection.execute(
            text("SELECT rowid FROM run_fts WHERE run_fts MATCH :phrase LIMIT :most"),
            {"phrase": phrase, "most": _MOST_CANDIDATES + 1},
        ).scalars()
        numbers = list(found)
        if not numbers:
            return None
        if len(numbers) <= _MOST_CANDIDATES:
            # One parameter whatever their number is, and the statement stays the same.
            return runs.c.n.in_(select(text("value")).select_from(func.json_each(json.dumps(numbers))))
        # A text so frequent is met soon when the newest runs are looked at one by one.
        same = select(literal(1)).where(
            run_texts.c.n == runs.c.n, run_texts.c.text.like(f"%{_escaped(q)}%", escape="\\")
        )
        return same.correlate(runs).exists()


def text_of(run: Run) -> str:
    """Return what can be searched of a run: its arguments, and the exception of the last attempt that had one."""
    parts = [_payload_text(run.args), _payload_text(run.kwargs)]
    exceptions = [attempt.exception for attempt in view(run).attempts if attempt.exception is not None]
    if exceptions:
        parts.append(f"{exceptions[-1].type}: {exceptions[-1].message}"[:_MAX_EXCEPTION_CHARS])
    return "\n".join(part for part in parts if part)


def _payload_text(value: Payload) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text[:_MAX_PAYLOAD_CHARS]


def _escaped(q: str) -> str:
    return q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def contains(column: Any, q: str) -> ColumnElement[bool]:
    """Return the condition that a column contains `q`, whatever the case of its letters."""
    condition: ColumnElement[bool] = func.lower(column).like(f"%{_escaped(q.lower())}%", escape="\\")
    return condition
