"""Which processes take part in the demonstration, where each listens, and how one sees that it is ready."""

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from huoyan.demo.broker import Redis, answers_ping
from huoyan.demo.child import Child, Role
from huoyan.demo.configuration import ALERTS_TO
from huoyan.demo.faults import Fault
from huoyan.demo.ports import HOST
from huoyan.demo.supervisor import Supervisor
from huoyan.demo.switches import FileSwitch, KillSwitch, LockSwitch

LISTENERS = ("panel", "mailbox", "orders", "mail", "provider", "smtp", "redis")
REPORT_INTERVAL_S = 2
ORDERS_WORKER = "orders-worker"
CELERY_WORKER = "celery-worker"
FIRST_FAULT = "payments-down"
MAILBOX = "mailbox"

_PROBE_TIMEOUT_S = 1.0
_HUOYAN = (sys.executable, "-c", "from huoyan.cli import main; main()")


@dataclass(frozen=True)
class Stage:
    """Where everything is.

    Attributes:
        port: The page and the API.
        ports: The other listeners, by the names in `LISTENERS`.
        folder: Everything that is written goes in here.
        applications: The folder that holds `examples`.
        redis: The broker of the Celery worker, if there is one.
    """

    port: int
    ports: Mapping[str, int]
    folder: Path
    applications: Path
    redis: Redis

    def url(self, name: str) -> str:
        """Return the address of a listener."""
        return f"http://{HOST}:{self.ports[name]}"

    @property
    def page_url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.port}"

    @property
    def log_dir(self) -> Path:
        """Where the logs of the processes are."""
        return self.folder / "logs"

    @property
    def settings_path(self) -> Path:
        """The settings file of the server."""
        return self.folder / "huoyan.toml"

    @property
    def celery_url(self) -> str:
        """The broker, empty when there is none."""
        if self.redis.program is not None:
            return f"redis://{HOST}:{self.ports['redis']}/0"
        return self.redis.url or ""

    def environment(self) -> dict[str, str]:
        """Return the environment of every process: that of this one without settings meant for other servers."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUOYAN_", "ORDERS_"))}
        paths = [str(self.applications), kept.get("PYTHONPATH", "")]
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "PYTHONUNBUFFERED": "1",
            "HUOYAN_URL": self.page_url,
            "HUOYAN_REPORT_INTERVAL_S": str(REPORT_INTERVAL_S),
            "ORDERS_DATA_DIR": str(self.folder / "orders"),
            "ORDERS_ALL_IN_ONE": "0",
            "ORDERS_CELERY_URL": self.celery_url,
            "PAYMENT_URL": self.url("provider"),
            "MAIL_URL": self.url("mail"),
            "MAIL_DATA_DIR": str(self.folder / "mail"),
            "MAIL_REDIS_URL": self.celery_url,
            "MAIL_ALL_IN_ONE": "0",
            "SMTP_HOST": HOST,
            "SMTP_PORT": str(self.ports["smtp"]),
            "PROVIDER_DOWN_FILE": str(self.fault_file("payments-down")),
        }

    def fault_file(self, name: str) -> Path:
        """Return the file that is there while a fault lasts."""
        return self.folder / "faults" / name

    def roles(self) -> list[Role]:
        """Return who takes part, in the order of their start."""
        roles = [self._mailbox(), self._server(), self._provider()]
        if self.redis.program is not None:
            roles.append(self._redis(self.redis.program))
        roles += self._orders()
        roles += self._mail()
        if self.celery_url:
            roles.append(self._celery_worker())
        roles.append(self._customers())
        return roles

    def _mailbox(self) -> Role:
        smtp, http = str(self.ports["smtp"]), str(self.ports["mailbox"])
        refuse_file = str(self.fault_file("mail-refused"))
        arguments = ("--smtp-port", smtp, "--http-port", http, "--alerts-to", ALERTS_TO, "--refuse-file", refuse_file)
        command = (sys.executable, "-m", "huoyan.demo.mailbox", *arguments)
        return Role(MAILBOX, "mail relay", command, answers(f"{self.url('mailbox')}/healthz"), stop_rank=4)

    def _server(self) -> Role:
        command = (*_HUOYAN, "serve", "--config", str(self.settings_path))
        ready = answers(f"{self.page_url}/readyz")
        return Role("huoyan", "huoyan serve", command, ready, stop_rank=3, vital=True)

    def _provider(self) -> Role:
        command = _uvicorn("examples.orders.provider:app", self.ports["provider"])
        ready = answers(f"{self.url('provider')}/healthz")
        return Role("payment-provider", "payment provider", command, ready, stop_rank=4)

    def _redis(self, program: str) -> Role:
        port = self.ports["redis"]
        command = (program, "--bind", HOST, "--port", str(port), "--save", "", "--dir", str(self.folder))
        return Role("redis", "Redis", command, lambda _: answers_ping(HOST, port), stop_rank=4)

    def _orders(self) -> list[Role]:
        service = {"HUOYAN_SERVICE": "orders"}
        web = _uvicorn("examples.orders.app:app", self.ports["orders"])
        schedule = (sys.executable, "-m", "examples.orders.schedule")
        return [
            Role("orders-web", "orders (FastAPI)", web, answers(f"{self.url('orders')}/healthz"), env=service),
            Role(
                ORDERS_WORKER,
                "orders worker (Huey)",
                _huey("examples.orders.pipeline.queue", 6),
                wrote("the consumer of the orders is ready"),
                env=service,
                stop_signal=signal.SIGINT,
                stop_rank=2,
            ),
            Role("orders-schedule", "schedule (APScheduler)", schedule, wrote("the schedule begins"), env=service),
        ]

    def _mail(self) -> list[Role]:
        service = {"HUOYAN_SERVICE": "mail"}
        web = _uvicorn("examples.mail.app:app", self.ports["mail"])
        return [
            Role("mail-web", "mail (FastAPI)", web, answers(f"{self.url('mail')}/healthz"), env=service),
            Role(
                "mail-worker",
                "mail worker (Huey)",
                _huey("examples.mail.delivery.queue", 3),
                wrote("the consumer of the mails is ready"),
                env=service,
                stop_signal=signal.SIGINT,
                stop_rank=2,
            ),
        ]

    def _celery_worker(self) -> Role:
        options = ("--loglevel", "WARNING", "--concurrency", "2", "--pool", "prefork", "--without-mingle")
        names = ("--hostname", "celery@demo", "--queues", "invoices,fraud", "--events", "--without-gossip")
        command = (sys.executable, "-m", "celery", "-A", "examples.orders.celery_app", "worker", *options, *names)
        env = {"HUOYAN_SERVICE": "orders"}
        ready = wrote("the Celery worker is ready")
        return Role(CELERY_WORKER, "orders worker (Celery)", command, ready, env=env)

    def _customers(self) -> Role:
        addresses = ("--orders-url", self.url("orders"), "--mail-url", self.url("mail"))
        command = (sys.executable, "-m", "huoyan.demo.load", *addresses)
        return Role("customers", "customers", command, wrote("the customers are coming"), stop_rank=0)

    def faults(self, supervisor: Supervisor) -> list[Fault]:
        """Return what can go wrong."""
        faults = [
            Fault(
                FIRST_FAULT,
                "Payment provider down",
                "支付服务商故障",
                "orders.take_payment is retried and then fails: a failure group, an incident, a mail.",
                "orders.take_payment 先重试后失败：出现失败分组、事件和告警邮件。",
                FileSwitch(self.fault_file(FIRST_FAULT)),
            ),
            Fault(
                "slow-inventory",
                "Inventory slow",
                "库存变慢",
                "Somebody holds the lock of the stock database: orders.update_inventory takes a second and more.",
                "有人占住库存数据库的锁：orders.update_inventory 的耗时超过一秒。",
                LockSwitch(self.folder / "orders" / "stock.sqlite3"),
            ),
            Fault(
                "mail-refused",
                "Mail refused",
                "邮件被拒收",
                "The relay refuses the shop's mails: mail.send is retried and then fails. Alerts still get through.",
                "邮件服务器拒收商店的邮件：mail.send 先重试后失败；告警邮件不受影响。",
                FileSwitch(self.fault_file("mail-refused")),
            ),
            Fault(
                "worker-killed",
                "Worker killed",
                "工作进程被杀",
                "The Huey worker of the orders is killed with SIGKILL and comes back after 20 s: it is seen to be "
                "down, what it was doing is lost, and the queue grows.",
                "订单的 Huey 工作进程被 SIGKILL 杀死，20 秒后恢复：火眼发现它失联，正在执行的任务丢失，队列变长。",
                _kill(supervisor, ORDERS_WORKER),
                lasts_s=20.0,
            ),
        ]
        if self.celery_url:
            faults.append(
                Fault(
                    "celery-killed",
                    "Celery worker killed",
                    "Celery 工作进程被杀",
                    "The Celery worker is killed with SIGKILL and comes back after 20 s.",
                    "Celery 工作进程被 SIGKILL 杀死，20 秒后恢复。",
                    _kill(supervisor, CELERY_WORKER),
                    lasts_s=20.0,
                )
            )
        return faults


def answers(url: str) -> Callable[[Child], bool]:
    """Return a probe: does this address answer well?"""

    def probe(_child: Child) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT_S) as answer:  # noqa: S310 - our own loopback address
                return bool(200 <= answer.status < 300)
        except (OSError, ValueError):
            return False

    return probe


def wrote(text: str) -> Callable[[Child], bool]:
    """Return a probe: has the process written this?"""
    return lambda child: child.wrote(text)


def _kill(supervisor: Supervisor, name: str) -> KillSwitch:
    return KillSwitch(
        lambda: supervisor.kill(name), lambda: supervisor.bring_back(name), lambda: supervisor.is_away(name)
    )


def _uvicorn(application: str, port: int) -> tuple[str, ...]:
    options = ("--host", HOST, "--port", str(port), "--log-level", "warning", "--no-access-log")
    return (sys.executable, "-m", "uvicorn", application, *options, "--timeout-graceful-shutdown", "3")


def _huey(queue: str, threads: int) -> tuple[str, ...]:
    polling = ("--delay", "0.05", "--max-delay", "0.3", "--no-periodic", "--shutdown-timeout", "3", "--quiet")
    return (sys.executable, "-m", "huey.bin.huey_consumer", queue, "--workers", str(threads), *polling)
