"""The pool of an engine: how long a connection is waited for, how many are lent out, and how many it may hold."""

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from sqlalchemy import event, exc

from huoyan.client.calls import Call, Series, abandon, begin
from huoyan.client.guard import guard, guarded
from huoyan.client.measurements import Distribution, Measurements
from huoyan.signals.metrics.application import DB_POOL_IN_USE, DB_POOL_SIZE, DB_POOL_WAIT

if TYPE_CHECKING:
    from huoyan.client.process import Client

_SHOWN_WAIT_S = 0.001
_GIVEN_BACK = ("checkin", "detach")


class PoolWatch:
    """The hooks in the pool of an engine: how long a connection is waited for, and how many are lent out."""

    def __init__(self, pool: Any, client: "Client", name: str, connecting: Callable[[], Series]) -> None:
        self.pool = pool
        self.name = name
        self._client = client
        self._connecting = connecting
        self._lent = getattr(pool, "checkedout", None)
        self._count = 0
        self._measurements: Measurements | None = None
        self._wait = Distribution()

    def attach(self, on_new: Callable[[Any], None]) -> None:
        """Put the hooks in.

        Args:
            on_new: Called with the pool that comes in place of this one.
        """
        connect, recreate = self.pool.connect, self.pool.recreate

        def waiting_connect() -> Any:
            call = begin()
            try:
                connection = connect()
            except BaseException as error:
                with guard("sqlalchemy.connect"):
                    if isinstance(error, exc.TimeoutError):
                        self._waited(perf_counter() - call[1])
                    self._connecting().finish(call, isinstance(error, Exception))
                raise
            with guard("sqlalchemy.connect"):
                self._connected(call)
            return connection

        def watched_recreate() -> Any:
            # An event of the engine would tell, too, and make every statement slower.
            new = recreate()
            with guard("sqlalchemy.pool"):
                on_new(new)
            return new

        self.pool.connect = waiting_connect
        self.pool.recreate = watched_recreate
        if self._lent is None:
            self._returned = guarded("sqlalchemy.checkin")(self._count_back)
            for name in _GIVEN_BACK:
                event.listen(self.pool, name, self._returned)
        _pools.add(self)
        if _read_pools not in self._client.outbox.readings:
            self._client.outbox.readings.append(_read_pools)

    def detach(self) -> None:
        """Take the hooks out."""
        _pools.discard(self)
        for name in ("connect", "recreate"):
            vars(self.pool).pop(name, None)
        if self._lent is None:
            with guard("sqlalchemy.unwatch"):
                for name in _GIVEN_BACK:
                    event.remove(self.pool, name, self._returned)

    def in_use(self, measurements: Measurements) -> int | None:
        """Return how many connections are lent out; None when this process has not used the pool yet."""
        if self._measurements is not measurements:
            return None
        return max(0, self._lent() if self._lent is not None else self._count)

    @property
    def limit(self) -> int | None:
        """How many connections the pool opens at most; None when it has no limit."""
        overflow: int = getattr(self.pool, "_max_overflow", -1)
        return self.pool.size() + overflow if overflow >= 0 and hasattr(self.pool, "size") else None

    def _connected(self, call: Call) -> None:
        collector, started = call
        ended = perf_counter()
        self._waited(ended - started)
        if collector is not None:
            if ended - started >= _SHOWN_WAIT_S:
                collector.open -= 1
                collector.add(started, ended, ("pool", "connect", self.name), False)
            else:
                abandon(call)
        self._count += 1

    def _waited(self, wait_s: float) -> None:
        """Count a wait, one in vain too: a pool that is exhausted would seem to be quick otherwise."""
        if self._measurements is not self._client.measurements:
            self._measurements = self._client.measurements
            self._wait = self._measurements.distribution(DB_POOL_WAIT).child((self.name,))
        self._wait.observe(wait_s)

    def _count_back(self, *_: object) -> None:
        if self._count > 0:
            self._count -= 1


_pools: "WeakSet[PoolWatch]" = WeakSet()


def _read_pools(measurements: Measurements) -> None:
    """Set what the pools of this process lend out and hold at most; those of one database, of a synchronous and an
    asynchronous engine for instance, together."""
    lent: dict[str, int] = {}
    limits: dict[str, list[int | None]] = {}
    for pool in list(_pools):
        in_use = pool.in_use(measurements)
        if in_use is not None:
            lent[pool.name] = lent.get(pool.name, 0) + in_use
            limits.setdefault(pool.name, []).append(pool.limit)
    told = {family.metric for family in measurements.families()}
    for metric in (DB_POOL_IN_USE, DB_POOL_SIZE):
        if lent or metric in told:
            for values, child in measurements.gauge(metric).series():
                if values[0] not in lent:
                    child.set(None)
    for name, count in lent.items():
        measurements.gauge(DB_POOL_IN_USE).child((name,)).set(count)
        known = [limit for limit in limits[name] if limit is not None]
        whole = len(known) == len(limits[name])
        measurements.gauge(DB_POOL_SIZE).child((name,)).set(sum(known) if whole else None)
