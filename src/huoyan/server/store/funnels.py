"""Which keys have passed which step of a funnel: whoever says so again, in whichever process, says nothing new."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from sqlalchemy import Connection, Engine, delete, func, select

from huoyan.server.store.schema.measured import funnel_keys
from huoyan.server.store.upsert import insert_into
from huoyan.signals.measured import Step

MOST_KEYS = 2_000_000
"""Keys at steps that are remembered; with more, those that would be forgotten first are."""
LONGEST_S = 7 * 86_400.0
"""A key is remembered no longer than this."""


class FunnelStore:
    """The table of keys at steps."""

    def __init__(self, engine: Engine, most: int = MOST_KEYS) -> None:
        self._engine = engine
        self._most = most

    def repeated(
        self, connection: Connection, service: str, reached: Mapping[Step, Sequence[str]], at: float
    ) -> dict[Step, int]:
        """Remember which keys reached which step, and return how many of them had reached it before.

        Args:
            connection: The transaction that stores what was counted.
            service: Whose funnels they are.
            reached: Hashes of keys by step.
            at: When, seconds since 1970 UTC.
        """
        table = funnel_keys
        repeats: dict[Step, int] = {}
        # In one order: two servers wait for each other's rows, and must not do so crosswise.
        for step, keys in sorted(reached.items()):
            until = at + min(step.window_s, LONGEST_S)
            rows = sorted({_number(service, step, key) for key in keys})
            statement = insert_into(connection, table)
            fresh = connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["key"], set_={"until": statement.excluded.until}, where=table.c.until < at
                ).returning(table.c.key),
                [{"key": number, "until": until} for number in rows],
            )
            repeats[step] = len(keys) - len(fresh.all())
        return {step: count for step, count in repeats.items() if count}

    def forget(self, now: float) -> int:
        """Forget keys whose time is over, and those beyond what is remembered; return how many."""
        table = funnel_keys
        with self._engine.begin() as connection:
            done = connection.execute(delete(table).where(table.c.until < now)).rowcount
            beyond = (connection.execute(select(func.count()).select_from(table)).scalar() or 0) - self._most
            if beyond > 0:
                last = select(table.c.until).order_by(table.c.until).offset(beyond - 1).limit(1).scalar_subquery()
                done += connection.execute(delete(table).where(table.c.until <= last)).rowcount
        return done


def _number(service: str, step: Step, key: str) -> int:
    said = "\0".join((service, step.funnel, step.step, key)).encode("utf-8", "replace")
    return int.from_bytes(blake2b(said, digest_size=8).digest(), signed=True)
