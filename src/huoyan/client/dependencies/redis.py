"""redis-py, synchronous and asynchronous: commands and pipelines of a client.

Every command of a client goes through its `execute_command`, those of a pipeline through its `execute`
(https://redis.readthedocs.io/en/stable/commands.html). Publish/subscribe goes through neither, and has no latency to
speak of: messages come when they come.
"""

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from time import perf_counter
from typing import Any

from redis.exceptions import NoScriptError, WatchError

from huoyan.client.breakdown import MANY_CALLS, current
from huoyan.client.calls import Call, Series, SeriesCache, begin, claim, release, series
from huoyan.client.guard import guard, warn
from huoyan.client.reporter import Reporter
from huoyan.signals.metrics.application import REDIS_COMMAND_DURATION, REDIS_COMMAND_ERRORS

PIPELINE = "PIPELINE"
"""The command that a pipeline or transaction counts as."""
BLOCKING = "blocking"
"""The target, in breakdowns, of commands that wait on purpose."""

# https://redis.io/docs/latest/commands/?group=list and the others that block; XREAD and XREADGROUP do on request.
_BLOCKING = frozenset(
    {
        *("BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "WAIT", "WAITAOF"),
    }
)
_BLOCKING_ON_REQUEST = frozenset({"XREAD", "XREADGROUP"})
_BLOCK = frozenset({b"BLOCK", "BLOCK", "block"})
# https://redis.io/docs/latest/commands/: those that have sub-commands.
_OF_TWO_WORDS = frozenset(
    {
        *(
            "ACL",
            "CLIENT",
            "CLUSTER",
            "COMMAND",
            "CONFIG",
            "DEBUG",
            "FUNCTION",
            "LATENCY",
            "MEMORY",
            "MODULE",
            "OBJECT",
        ),
        *("PUBSUB", "SCRIPT", "SENTINEL", "SLOWLOG", "XGROUP", "XINFO"),
    }
)
# Part of how these are used: a script is loaded when it is missing, a transaction tried again.
_EXPECTED = (NoScriptError, WatchError)
_MAX_COMMAND_CHARS = 40


class _Watch:
    """The hooks in one client."""

    def __init__(self, thing: Any, reporter: Reporter) -> None:
        self._client = reporter.client
        self._series = SeriesCache()
        self._server = _server(thing)

    def attach(self, thing: Any) -> None:
        """Put the hooks in."""
        thing.execute_command = self._wrapped(thing.execute_command)
        thing.pipeline = self._piping(thing.pipeline)
        if hasattr(thing, "client"):
            thing.client = self._lending(thing.client)

    def _wrapped(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        # Both do what `Series.count` does without calling it, and without sharing it: a command takes some 25 µs of CPU
        # time, and each call, each object that is touched and not at hand any more after so long a way through the
        # kernel, is a good part of what this adds.
        count, get = self._count, self._series.get

        if iscoroutinefunction(execute):

            async def call_async(*args: Any, **options: Any) -> Any:
                started = perf_counter()
                try:
                    result = await execute(*args, **options)
                except BaseException as error:
                    count(started, args, error)
                    raise
                ended = perf_counter()
                try:
                    found, collector = get(args[0]), current()
                    if found is None or collector is None or collector.closed:
                        count(started, args, None)
                        return result
                    calls = collector.calls
                    if calls is None:
                        calls = collector.first()
                    calls.append((started, ended, found, False))
                    if collector.parent is not None or len(calls) >= MANY_CALLS:
                        collector.added(started, ended, found, False)
                except Exception as error:  # noqa: BLE001 - the command was executed all the same
                    warn("redis.command", "huoyan: a command could not be measured", error=error)
                return result

            return call_async

        def call(*args: Any, **options: Any) -> Any:
            started = perf_counter()
            try:
                result = execute(*args, **options)
            except BaseException as error:
                count(started, args, error)
                raise
            ended = perf_counter()
            try:
                found, collector = get(args[0]), current()
                if found is None or collector is None or collector.closed:
                    count(started, args, None)
                    return result
                calls = collector.calls
                if calls is None:
                    calls = collector.first()
                calls.append((started, ended, found, False))
                if collector.parent is not None or len(calls) >= MANY_CALLS:
                    collector.added(started, ended, found, False)
            except Exception as error:  # noqa: BLE001 - the command was executed all the same
                warn("redis.command", "huoyan: a command could not be measured", error=error)
            return result

        return call

    def _lending(self, lend: Callable[[], Any]) -> Callable[[], Any]:
        def call() -> Any:
            lent = lend()
            with guard("redis.client"):
                self.attach(lent)
            return lent

        return call

    def _piping(self, pipeline: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            made = pipeline(*args, **options)
            with guard("redis.pipeline"):
                # Those of a cluster send nothing before the end.
                if hasattr(made, "immediate_execute_command"):
                    made.immediate_execute_command = self._wrapped(made.immediate_execute_command)
                made.execute = self._executing(made.execute, made)
            return made

        return call

    def _executing(self, execute: Callable[..., Any], pipeline: Any) -> Callable[..., Any]:
        finish, what = self._finish, (PIPELINE,)

        if iscoroutinefunction(execute):

            async def call_async(*args: Any, **options: Any) -> Any:
                if not len(pipeline):
                    return await execute(*args, **options)
                begun = begin()
                try:
                    result = await execute(*args, **options)
                except BaseException as error:
                    finish(begun, what, error)
                    raise
                finish(begun, what, _first_error(result, *args, **options))
                return result

            return call_async

        def call(*args: Any, **options: Any) -> Any:
            if not len(pipeline):
                return execute(*args, **options)
            begun = begin()
            try:
                result = execute(*args, **options)
            except BaseException as error:
                finish(begun, what, error)
                raise
            finish(begun, what, _first_error(result, *args, **options))
            return result

        return call

    def _finish(self, call: Call, args: tuple[Any, ...], error: BaseException | None) -> None:
        """End a call that `begin` began."""
        try:
            self._of(args).finish(call, _failed(error))
        except Exception as own:  # noqa: BLE001 - the commands were executed all the same
            warn("redis.command", "huoyan: a command could not be measured", error=own)

    def _count(self, started: float, args: tuple[Any, ...], error: BaseException | None) -> None:
        """Count a command that ends now."""
        try:
            self._of(args).count((current(), started), _failed(error))
        except Exception as own:  # noqa: BLE001 - the command was executed all the same
            warn("redis.command", "huoyan: a command could not be measured", error=own)

    def _of(self, args: tuple[Any, ...]) -> Series:
        command = args[0]
        # XREAD and XREADGROUP are kept under no name of their own, because their arguments matter.
        if command in _BLOCKING_ON_REQUEST:
            command = (command, _asks_to_wait(args))
        return self._series.get(command) or self._make(command)

    def _make(self, command: Any) -> Series:
        name, waits = command if isinstance(command, tuple) else (command, False)
        if isinstance(name, bytes):
            name = name.decode("utf-8", "replace")
        # Both words of CONFIG GET are its name; what else somebody writes into the same text are arguments.
        words = str(name)[:_MAX_COMMAND_CHARS].upper().split()
        name = " ".join(words[: 2 if words and words[0] in _OF_TWO_WORDS else 1])
        waits = waits or name in _BLOCKING
        made = series(
            self._client,
            ("redis", name, BLOCKING if waits else self._server),
            None if waits else (REDIS_COMMAND_DURATION, (name, self._server)),
            (REDIS_COMMAND_ERRORS, (name, self._server)),
            ("redis", self._server),
        )
        return self._series.put(command, made)


def _first_error(results: Any, raise_on_error: bool = True, **_: Any) -> Exception | None:
    """Return the first error that a pipeline answers instead of raising it."""
    if raise_on_error or not isinstance(results, list):
        return None
    return next((result for result in results if isinstance(result, Exception)), None)


def _failed(error: BaseException | None) -> bool:
    return isinstance(error, Exception) and not isinstance(error, _EXPECTED)


def _asks_to_wait(args: tuple[Any, ...]) -> bool:
    return any(part in _BLOCK for part in args if isinstance(part, str | bytes))


def _server(client: Any) -> str:
    """Return which Redis a client talks to: host:port/database, of a socket its path, of Sentinels the service.

    Of a cluster it is one of its nodes: that whose name sorts first among those it knows by now.
    """
    nodes = getattr(getattr(client, "nodes_manager", None), "startup_nodes", None)
    if nodes:
        return f"{min(nodes)}/0"
    pool = getattr(client, "connection_pool", None)
    options = getattr(pool, "connection_kwargs", {})
    where = options.get("path") or getattr(pool, "service_name", None)
    if not where:
        where = f"{options.get('host') or 'localhost'}:{options.get('port') or 6379}"
    return f"{where}/{options.get('db') or 0}"


class RedisIntegration:
    """Watches clients."""

    framework = ""
    options: frozenset[str] = frozenset()

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Put hooks into a client. Pipelines made before are not watched."""
        _Watch(thing, reporter).attach(thing)
        claim("redis", thing)

    def unwatch(self, thing: Any) -> None:
        """Take the hooks out again."""
        for name in ("execute_command", "pipeline", "client"):
            vars(thing).pop(name, None)
        release("redis", thing)


integration = RedisIntegration()
