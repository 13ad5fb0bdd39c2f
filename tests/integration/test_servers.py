"""The servers that the other tests rely on start, answer, and end."""

import json
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import amqp
import httpx
import pytest
import redis
import sqlalchemy

from tests.servers import (
    AlertmanagerServer,
    HttpSink,
    MissingProgramError,
    PrometheusServer,
    RabbitmqServer,
    RedisServer,
    ServerProcess,
    SmtpServer,
    StartError,
    find_program,
    wait_until,
    wait_until_async,
)


@pytest.fixture
def shop(http_sink: HttpSink) -> HttpSink:
    """Give a server with a counter to scrape; what is posted to it is kept."""
    http_sink.pages["/metrics"] = ("text/plain; version=0.0.4", "# TYPE orders_total counter\norders_total 42\n")
    return http_sink


def test_redis_keeps_a_key(redis_server: RedisServer) -> None:
    client = redis.Redis.from_url(redis_server.database_url(5))
    client.set("test-servers", "kept")
    assert client.get("test-servers") == b"kept"
    client.delete("test-servers")


def test_killed_redis_comes_back_on_its_port_with_every_acknowledged_write(fresh_redis: RedisServer) -> None:
    client = redis.Redis.from_url(fresh_redis.url)
    client.set("before", "1")
    fresh_redis.kill()
    assert not fresh_redis.running
    with pytest.raises(redis.exceptions.ConnectionError):
        redis.Redis.from_url(fresh_redis.url, retry=None).ping()
    fresh_redis.start()
    assert redis.Redis.from_url(fresh_redis.url).get("before") == b"1"
    fresh_redis.flush()
    assert redis.Redis.from_url(fresh_redis.url).dbsize() == 0


def _send_and_fetch(port: int, virtual_host: str) -> str:
    with amqp.Connection(f"127.0.0.1:{port}", virtual_host=virtual_host) as connection:
        channel: Any = connection.channel()
        queue, _, _ = channel.queue_declare(exclusive=True)
        channel.basic_publish(amqp.Message("hello"), routing_key=queue)
        message = wait_until(lambda: channel.basic_get(queue, no_ack=True), message="the message to be in the queue")
        return str(message.body)


def test_rabbitmq_carries_a_message(rabbitmq_server: RabbitmqServer) -> None:
    assert _send_and_fetch(rabbitmq_server.port, "/") == "hello"


def test_rabbitmq_gives_a_virtual_host_to_one_test(rabbitmq_server: RabbitmqServer, rabbitmq_vhost: str) -> None:
    name = rabbitmq_vhost.rsplit("/", 1)[1]
    assert _send_and_fetch(rabbitmq_server.port, name) == "hello"
    assert name in rabbitmq_server.control("list_vhosts").splitlines()


def test_killed_rabbitmq_comes_back_and_closing_ends_its_port_mapper() -> None:
    with RabbitmqServer() as server:
        server.kill()
        assert not server.running
        server.start()
        assert _send_and_fetch(server.port, "/") == "hello"
        mapper = server._mapper.pid
        assert mapper is not None
    assert not Path(f"/proc/{mapper}").exists()
    assert not server.process.folder.exists()


def test_postgres_answers_in_an_empty_database(postgres_database: str) -> None:
    engine = sqlalchemy.create_engine(postgres_database)
    with engine.begin() as connection:
        assert sqlalchemy.inspect(connection).get_table_names() == []
        connection.execute(sqlalchemy.text("CREATE TABLE words (word text)"))
        connection.execute(sqlalchemy.text("INSERT INTO words VALUES ('火眼')"))
        assert connection.execute(sqlalchemy.text("SELECT word FROM words")).scalar_one() == "火眼"
    engine.dispose()


def test_prometheus_scrapes_evaluates_and_takes_a_new_configuration(
    prometheus_server: Callable[..., PrometheusServer], shop: HttpSink
) -> None:
    rules = json.dumps({"groups": [{"name": "g", "rules": [{"record": "doubled", "expr": "orders_total * 2"}]}]})
    prometheus = prometheus_server({"shop": [shop.address]}, rules=[rules], interval_s=0.5)
    assert wait_until(lambda: prometheus.value("orders_total"), 20, "the counter to be scraped") == 42
    assert wait_until(lambda: prometheus.value("doubled"), 20, "the rule to be evaluated") == 84
    assert prometheus.targets_up() == {shop.address: True}
    assert [rule["name"] for rule in prometheus.rules()] == ["doubled"]
    prometheus.configure({"other": [shop.address]})
    wait_until(lambda: prometheus.value('orders_total{job="other"}') == 42, 20, "the new job to be scraped")
    with pytest.raises(AssertionError, match="expected the configuration to be accepted"):
        prometheus.configure(config={"scrape_configs": [{"no_name": "at all"}]})


def test_alertmanager_hands_on_what_prometheus_sends(
    prometheus_server: Callable[..., PrometheusServer],
    alertmanager_server: Callable[..., AlertmanagerServer],
    shop: HttpSink,
) -> None:
    alertmanager = alertmanager_server(webhook_url=f"{shop.url}/hook")
    rules = json.dumps({"groups": [{"name": "g", "rules": [{"alert": "Many", "expr": "orders_total > 1"}]}]})
    prometheus_server({"shop": [shop.address]}, rules=[rules], alertmanagers=[alertmanager.address], interval_s=0.5)
    body = shop.wait_for(timeout_s=30).json()
    assert body["status"] == "firing"
    assert body["alerts"][0]["labels"]["alertname"] == "Many"
    assert [alert["labels"]["alertname"] for alert in alertmanager.alerts()] == ["Many"]


def _mail(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", subject
    message.set_content("正文")
    return message


def _encrypted(server: SmtpServer) -> smtplib.SMTP:
    client = smtplib.SMTP(server.host, server.port, timeout=10)
    client.starttls(context=ssl.create_default_context(cafile=server.certificate_path))
    return client


def _login(server: SmtpServer) -> smtplib.SMTP:
    client = _encrypted(server)
    client.login(server.username, server.password)
    return client


def test_mail_arrives_after_starttls_and_login(smtp_server: SmtpServer) -> None:
    with _login(smtp_server) as client:
        client.send_message(_mail("火眼 one"))
        client.send_message(_mail("two"))
    mail = smtp_server.wait_for(lambda mail: "火眼" in mail.subject)
    assert mail.recipients == ("b@example.org",)
    assert mail.text.strip() == "正文"
    assert [mail.subject for mail in smtp_server.messages] == ["火眼 one", "two"]


def test_mail_is_refused_in_clear_text_with_a_wrong_password_and_when_told(smtp_server: SmtpServer) -> None:
    with (
        smtplib.SMTP(smtp_server.host, smtp_server.port, timeout=10) as client,
        pytest.raises(smtplib.SMTPSenderRefused, match="STARTTLS"),
    ):
        client.send_message(_mail("clear"))
    with _encrypted(smtp_server) as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(smtp_server.username, "wrong")
    smtp_server.refusal = "451 4.3.0 try later"
    with _login(smtp_server) as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.send_message(_mail("later"))
    assert refused.value.smtp_code == 451
    assert (smtp_server.messages, smtp_server.refused_count) == ([], 1)
    with pytest.raises(AssertionError, match=r"expected a fitting mail within 0\.05 s, got \[\]"):
        smtp_server.wait_for(lambda mail: True, timeout_s=0.05)


def test_http_sink_serves_pages_keeps_requests_and_can_be_in_trouble(http_sink: HttpSink) -> None:
    http_sink.pages["/page"] = ("text/plain", "hello")
    assert httpx.get(f"{http_sink.url}/page").text == "hello"
    assert http_sink.requests == []
    http_sink.status = 503
    assert httpx.post(f"{http_sink.url}/hook", json={"a": 1}, headers={"X-Kind": "test"}).status_code == 503
    request = http_sink.wait_for(lambda request: request.path == "/hook")
    assert (request.method, request.json(), request.headers["x-kind"]) == ("POST", {"a": 1}, "test")


def test_missing_program_names_the_debian_package() -> None:
    with pytest.raises(MissingProgramError, match="apt-get install --no-install-recommends no-such-package"):
        find_program("no-such-program", "no-such-package")


def test_server_that_ends_at_once_shows_its_log() -> None:
    process = ServerProcess("broken")
    try:
        with pytest.raises(StartError, match=r"status 3; the end of its log:\n    no more space"):
            process.run([sys.executable, "-c", "print('no more space'); raise SystemExit(3)"], lambda: False)
    finally:
        process.close()


def test_server_that_never_answers_is_ended_at_the_deadline() -> None:
    process = ServerProcess("deaf")
    try:
        with pytest.raises(StartError, match=r"expected deaf to answer within 0\.2 s; the end of its log"):
            process.run([sys.executable, "-c", "import time; time.sleep(60)"], lambda: False, timeout_s=0.2)
        assert not process.running
    finally:
        process.close()


def test_server_dies_with_the_process_that_started_it() -> None:
    program = (
        "import os, signal; from tests.servers import RedisServer; server = RedisServer().start();"
        "print(server.process.pid, server.process.folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    pid, folder = done.stdout.split()
    try:
        wait_until(lambda: not _alive(int(pid)), message="Redis to be gone with its parent")
    finally:
        subprocess.run(["rm", "-r", folder], check=True)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_waiting_ends_when_the_condition_holds_and_fails_with_the_expectation() -> None:
    answers = iter([0, 0, 7])
    assert wait_until(lambda: next(answers)) == 7
    answers = iter([0, 0, 8])
    assert await wait_until_async(lambda: next(answers)) == 8
    with pytest.raises(AssertionError, match=r"expected within 0\.05 s: a light; the last answer was None"):
        wait_until(lambda: None, timeout_s=0.05, message="a light")
    with pytest.raises(AssertionError, match="state 3"):
        await wait_until_async(lambda: False, timeout_s=0.05, message=lambda: f"state {1 + 2}")
