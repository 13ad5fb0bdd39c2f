"""Real servers for the tests: each starts on a free port of the loopback interface, in a folder of its own.

Fixtures of the session: `redis_server`, `rabbitmq_server`, `postgres_server`, `chromium_path`; of a module: `browser`.
Fixtures of one test: `fresh_redis`, `rabbitmq_vhost`, `postgres_database`, `migrated_postgres`, `smtp_server`,
`http_sink`, `page`, and the factories `huoyan_server`, `prometheus_server` and `alertmanager_server`. The classes
behind them are context managers, for use without pytest.

A program that is missing fails the test and names the Debian package that brings it; it never skips the test.
"""

from tests.servers.browser import browser, chromium_path, page
from tests.servers.http import HttpSink, ReceivedRequest, http_sink
from tests.servers.huoyan import HuoyanServer, huoyan_server
from tests.servers.mail import ReceivedMail, SmtpServer, smtp_server
from tests.servers.migrated import migrated_sqlite
from tests.servers.postgres import PostgresServer, migrated_postgres, postgres_database, postgres_server
from tests.servers.process import MissingProgramError, ServerProcess, StartError, find_program, free_port
from tests.servers.prometheus import (
    AlertmanagerServer,
    NodeExporterServer,
    PrometheusServer,
    alertmanager_server,
    prometheus_server,
)
from tests.servers.rabbitmq import RabbitmqServer, rabbitmq_server, rabbitmq_vhost
from tests.servers.redis import RedisServer, fresh_redis, redis_server
from tests.servers.waiting import wait_until, wait_until_async

__all__ = [
    "AlertmanagerServer",
    "HttpSink",
    "HuoyanServer",
    "MissingProgramError",
    "NodeExporterServer",
    "PostgresServer",
    "PrometheusServer",
    "RabbitmqServer",
    "ReceivedMail",
    "ReceivedRequest",
    "RedisServer",
    "ServerProcess",
    "SmtpServer",
    "StartError",
    "alertmanager_server",
    "browser",
    "chromium_path",
    "find_program",
    "free_port",
    "fresh_redis",
    "http_sink",
    "huoyan_server",
    "migrated_postgres",
    "migrated_sqlite",
    "page",
    "postgres_database",
    "postgres_server",
    "prometheus_server",
    "rabbitmq_server",
    "rabbitmq_vhost",
    "redis_server",
    "smtp_server",
    "wait_until",
    "wait_until_async",
]
