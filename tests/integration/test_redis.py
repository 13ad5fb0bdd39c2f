"""Redis clients that are watched, against real servers."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

import huoyan
from huoyan.client import breakdown
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.signals.metrics.application import (
    REDIS_COMMAND_DURATION,
    REDIS_COMMAND_ERRORS,
)
from tests.integration.watching import counted, errors, healthy, parts
from tests.servers.process import free_port
from tests.servers.redis import RedisServer
from tests.unit.client.conftest import installed


@pytest.fixture
def client() -> Iterator[Client]:
    with installed(Client(Settings(service="shop", flush_interval_s=0.01), transport=MemoryTransport())) as new:
        yield new


def test_redis_commands_and_pipelines_are_counted(client: Client, redis_server: RedisServer) -> None:
    r: Any = huoyan.watch(redis.Redis.from_url(redis_server.database_url(21)))
    r.flushdb()
    entry = breakdown.enter("request")
    assert r.set("a", 1)
    assert r.get("a") == b"1"
    with r.pipeline() as pipe:
        assert pipe.incr("a").incr("a").execute() == [2, 3]
        assert pipe.execute() == []
    with r.pipeline() as pipe:
        pipe.watch("a")
        assert pipe.get("a") == b"3"
        pipe.multi()
        pipe.set("a", 9)
        pipe.execute()
    assert r.blpop(["missing"], timeout=0.01) is None
    assert r.xread({"stream": "$"}, block=1) in ([], {}, None)
    assert r.xread({"stream": "0"}) in ([], {})
    with pytest.raises(redis.ResponseError):
        r.lpush("a", 1)
    script = r.register_script("return 1")
    r.script_flush()
    assert script() == 1
    told = parts(breakdown.leave(entry))
    durations = counted(client, REDIS_COMMAND_DURATION)
    where = f"127.0.0.1:{redis_server.port}/21"
    assert durations["SET", where] == 1
    assert durations["PIPELINE", where] == 2
    assert durations["GET", where] == 2
    assert durations["XREAD", where] == 1
    assert ("BLPOP", where) not in durations
    assert errors(client, REDIS_COMMAND_ERRORS) == {("LPUSH", where): 1}
    assert told[("redis", "BLPOP", "blocking")] == (1, 0)
    assert told[("redis", "XREAD", "blocking")] == (1, 0)
    assert told[("redis", "XREAD", where)] == (1, 0)
    assert told[("redis", "LPUSH", where)] == (1, 1)
    assert healthy(client) == {("redis", where)}
    r.close()


def test_commands_however_they_are_given_have_the_names_that_redis_gives_them(
    client: Client, redis_server: RedisServer
) -> None:
    r: Any = huoyan.watch(redis.Redis.from_url(redis_server.database_url(24)))
    redis.Redis.from_url(redis_server.database_url(24)).flushdb()
    r.execute_command("GET secret:1042")
    r.execute_command(b"get secret:1043")
    r.config_get("maxmemory")
    r.execute_command("CONFIG GET port")
    with r.client() as one:
        one.incr("a")
        assert one.pipeline().incr("a").execute() == [2]
    with r.pipeline() as pipe:
        assert isinstance(pipe.lpush("a", 1).execute(raise_on_error=False)[0], redis.ResponseError)
    where = f"127.0.0.1:{redis_server.port}/24"
    assert counted(client, REDIS_COMMAND_DURATION) == {
        ("GET", where): 2,
        ("CONFIG GET", where): 2,
        ("INCRBY", where): 1,
        ("PIPELINE", where): 2,
    }
    assert errors(client, REDIS_COMMAND_ERRORS) == {("PIPELINE", where): 1}
    huoyan.unwatch(r)
    assert r.client().execute_command.__module__.startswith("redis.")
    r.close()


async def test_asynchronous_redis_is_counted_in_parallel(client: Client, redis_server: RedisServer) -> None:
    r = huoyan.watch(redis.asyncio.Redis.from_url(redis_server.database_url(22)))
    await r.flushdb()
    entry = breakdown.enter("request")
    await asyncio.gather(*(r.set(f"k{number}", number) for number in range(10)))
    async with r.pipeline() as pipe:
        assert await pipe.get("k1").get("k2").execute() == [b"1", b"2"]
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(r.blpop(["missing"], timeout=30), 0.05)
    told = breakdown.leave(entry)
    where = f"127.0.0.1:{redis_server.port}/22"
    assert parts(told)[("redis", "SET", where)] == (10, 0)
    assert parts(told)[("redis", "PIPELINE", where)] == (1, 0)
    assert parts(told)[("redis", "BLPOP", "blocking")] == (1, 0)
    assert told is not None
    assert told["own_s"] + sum(part["covered_s"] for part in told["parts"]) == pytest.approx(told["total_s"], abs=1e-6)
    assert not errors(client, REDIS_COMMAND_ERRORS)
    await r.aclose()


@pytest.fixture(scope="module")
def redis_cluster() -> Iterator[RedisServer]:
    with RedisServer(cluster=True) as server:
        yield server


def test_commands_and_pipelines_of_a_cluster_are_counted(client: Client, redis_cluster: RedisServer) -> None:
    r: Any = huoyan.watch(redis.RedisCluster(port=redis_cluster.port, host="127.0.0.1"))
    assert r.set("a", 1)
    with r.pipeline() as pipe:
        assert pipe.incr("a").get("a").execute() == [2, b"2"]
        assert pipe.execute() == []
    with pytest.raises(redis.ResponseError):
        r.lpush("a", 1)
    where = f"127.0.0.1:{redis_cluster.port}/0"
    durations = counted(client, REDIS_COMMAND_DURATION)
    assert durations == {("SET", where): 1, ("PIPELINE", where): 1, ("LPUSH", where): 1}
    assert errors(client, REDIS_COMMAND_ERRORS) == {("LPUSH", where): 1}
    huoyan.unwatch(r)
    r.get("a")
    assert counted(client, REDIS_COMMAND_DURATION) == durations
    r.close()


async def test_an_asynchronous_cluster_is_counted(client: Client, redis_cluster: RedisServer) -> None:
    r: Any = huoyan.watch(redis.asyncio.RedisCluster(port=redis_cluster.port, host="127.0.0.1"))
    assert await r.set("b", 1)
    async with r.pipeline() as pipe:
        assert await pipe.incr("b").get("b").execute() == [2, b"2"]
    where = f"127.0.0.1:{redis_cluster.port}/0"
    assert counted(client, REDIS_COMMAND_DURATION) == {("SET", where): 1, ("PIPELINE", where): 1}
    await r.aclose()


def test_a_redis_that_is_away_is_an_error_and_unwatching_ends_it(client: Client) -> None:
    port = free_port()
    r = huoyan.watch(redis.Redis(port=port, username="shop", password="s3cret", socket_connect_timeout=1))
    huoyan.watch(r)
    with pytest.raises(redis.ConnectionError):
        r.get("a")
    assert errors(client, REDIS_COMMAND_ERRORS) == {("GET", f"localhost:{port}/0"): 1}
    assert not healthy(client)
    huoyan.unwatch(r)
    with pytest.raises(redis.ConnectionError):
        r.get("a")
    assert errors(client, REDIS_COMMAND_ERRORS) == {("GET", f"localhost:{port}/0"): 1}


def test_redis_in_threads_loses_no_command(client: Client, redis_server: RedisServer) -> None:
    r = huoyan.watch(redis.Redis.from_url(redis_server.database_url(23)))
    threads = [threading.Thread(target=lambda: [r.ping() for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(client, REDIS_COMMAND_DURATION) == {("PING", f"127.0.0.1:{redis_server.port}/23"): 200}
    r.close()
