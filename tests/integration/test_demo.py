"""`huoyan demo` as people start it: a real process with everything that belongs to it."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.servers import HttpSink, SmtpServer, free_port, wait_until

pytestmark = pytest.mark.timeout(240)

HUOYAN = Path(sys.executable).parent / "huoyan"
FRAMEWORKS = {"fastapi", "huey", "apscheduler", "celery"}


def read(url: str) -> Any:
    """Return the JSON at an address, None while nobody answers there."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


def post(url: str, body: dict[str, Any], **headers: str) -> Any:
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json", **headers}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def environment() -> dict[str, str]:
    """This process's environment without settings that would change what is tested."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("HUOYAN_", "ORDERS_", "MAIL_"))}


class Demo:
    """A demonstration on a port of its own, with what it writes."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.out_path = folder / "out.txt"
        with self.out_path.open("wb") as out:
            self.process = subprocess.Popen(
                [HUOYAN, "demo", "--port", str(self.port), "--no-browser", "--duration", "230", *options],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment(),
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        return self.out_path.read_text()

    def api(self, path: str) -> Any:
        return read(f"http://127.0.0.1:{self.port}/api/v1/{path}")

    def address(self, name: str) -> str:
        """Return an address that it wrote."""
        found = wait_until(lambda: re.search(rf"{name}: (http://\S+)", self.out), 60, lambda: f"{name} in: {self.out}")
        return str(found[1])

    def alert_subjects(self) -> list[str]:
        found = read(f"{self.address('Mailbox')}/api/mails")
        return [item["subject"] for item in found["items"]] if found else []

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [HUOYAN, "demo", "fault", *words, "--panel", self.address("Fault panel")],
            capture_output=True,
            text=True,
            timeout=30,
            env=environment(),
            check=False,
        )
        return done.stdout + done.stderr

    def family(self) -> list[psutil.Process]:
        """Return the process and all that came of it, also what has left the family since."""
        found = {self.process.pid: psutil.Process(self.process.pid)}
        found.update((child.pid, child) for child in found[self.process.pid].children(recursive=True))
        found.update((relative.pid, relative) for relative in processes_reporting_to(self.port))
        return list(found.values())

    def end(self) -> None:
        """End it whatever state it is in."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def processes_reporting_to(port: int) -> list[psutil.Process]:
    """Return the processes whose environment points at the server of this port."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HUOYAN_URL") == f"http://127.0.0.1:{port}":
                found.append(process)
        except psutil.Error:
            continue
    return found


def alive(processes: list[psutil.Process]) -> list[str]:
    return [
        " ".join(process.cmdline())
        for process in processes
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.end()


def frameworks_seen(demo: Demo) -> dict[str, int]:
    counts = demo.api("runs/counts")
    return counts["framework"] if counts else {}


def tasks_seen(demo: Demo) -> set[str]:
    return {item["task"] for item in demo.api("tasks?window_s=300")["items"]}


def test_runs_of_every_framework_are_visible_within_a_minute(demo):
    wait_until(lambda: set(frameworks_seen(demo)) >= FRAMEWORKS, 60, lambda: f"{FRAMEWORKS}; it wrote: {demo.out}", 0.3)
    expected = {
        *("orders.validate", "orders.take_payment", "orders.update_inventory", "orders.send_confirmation"),
        *("orders.daily_report", "orders.check_fraud", "mail.send"),
    }
    wait_until(lambda: tasks_seen(demo) >= expected, 60, lambda: f"{expected}; it wrote: {demo.out}", 0.3)


def test_the_celery_worker_is_seen_once_by_hooks_and_event_stream(demo):
    wait_until(lambda: frameworks_seen(demo).get("celery", 0) > 10, 60, "runs of Celery", 0.3)
    # The other task of the worker is retried now and then; this one never is.
    runs = demo.api("runs?task=orders.make_invoice&state=succeeded&limit=50")["items"]
    assert {run["framework"] for run in runs} == {"celery"}
    assert {run["service"] for run in runs} == {"orders"}
    assert {run["worker"] for run in runs} == {"celery@demo"}
    assert {run["attempt_count"] for run in runs} == {1}


def test_the_first_fault_opens_an_incident_and_its_end_resolves_it_with_a_mail_each(demo):
    wait_until(lambda: "Fault: Payment provider down, for 40 s" in demo.out, 60, lambda: demo.out)

    def incident(state: str) -> Any:
        found = demo.api(f"incidents?state={state}")
        items = (
            [item for item in found["items"] if item["labels"].get("task") == "orders.take_payment"] if found else []
        )
        return items[0] if items else None

    opened = wait_until(lambda: incident("open"), 60, lambda: f"an open incident; it wrote: {demo.out}", 0.3)
    assert opened["level"] == "critical"
    first = wait_until(demo.alert_subjects, 15, "the first mail", 0.3)
    assert first[0].startswith("[critical] orders.take_payment")
    wait_until(lambda: first[0] in demo.out, 5, "its subject in the terminal")

    assert demo.command("payments-down", "off").split() == ["off", "payments-down"]
    resolved = wait_until(lambda: incident("resolved"), 90, lambda: f"it to resolve; it wrote: {demo.out}", 0.5)
    assert resolved["id"] == opened["id"]
    second = wait_until(lambda: demo.alert_subjects()[1:], 15, "the second mail", 0.3)
    assert second[0].startswith("[resolved] orders.take_payment")


def test_the_command_lists_the_faults_and_refuses_unknown_ones(demo):
    listed = [line.split()[:2] for line in demo.command().splitlines()]
    assert ["off", "worker-killed"] in listed
    assert ["off", "celery-killed"] in listed
    assert "payments-down" in demo.command("payment-down", "on")


def test_a_killed_worker_is_noticed_and_comes_back(demo):
    def workers(state: str) -> set[str]:
        return {
            item["worker"]
            for item in (demo.api("workers") or {"items": []})["items"]
            if item["state"] == state and "orders" in item["queues"]
        }

    (before,) = wait_until(lambda: workers("up"), 30, "the worker of the orders")
    assert demo.command("worker-killed", "on", "--for", "12").startswith("on")
    wait_until(lambda: before in workers("down"), 30, lambda: f"it to be down; it wrote: {demo.out}", 0.3)
    wait_until(lambda: "orders worker (Huey): back" in demo.out, 40, lambda: demo.out)
    wait_until(lambda: workers("up") - {before}, 20, "a new worker", 0.3)
    assert "orders worker (Huey) was killed by SIGKILL, as asked" in demo.out


def test_the_fault_panel_is_a_page(demo):
    with urllib.request.urlopen(demo.address("Fault panel"), timeout=5) as answer:
        assert "Fault panel" in answer.read().decode()


def test_ctrl_c_ends_every_process_with_status_0(demo):
    family = demo.family()
    assert len(family) >= 12
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(30) == 0
    wait_until(lambda: not alive(family), 10, lambda: f"nothing left, got {alive(family)}")
    assert processes_reporting_to(demo.port) == []
    assert demo.out.rstrip().endswith("Stopped")
    assert "Traceback" not in demo.out


def test_nothing_stays_behind_when_the_demonstration_is_killed(tmp_path):
    killed = Demo(tmp_path, "--faults", "off")
    try:
        killed.address("Page")
        family = killed.family()
        assert len(family) >= 12
    finally:
        killed.process.kill()
        killed.process.wait()
    wait_until(lambda: not alive(family), 15, lambda: f"nothing left, got {alive(family)}")
    assert processes_reporting_to(killed.port) == []


def test_a_demonstration_with_a_duration_ends_by_itself_even_while_it_starts(tmp_path):
    port = free_port()
    done = subprocess.run(
        [HUOYAN, "demo", "--port", str(port), "--duration", "1.5"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert processes_reporting_to(port) == []


def test_a_busy_port_is_told_in_one_line_with_the_way_to_choose_another(tmp_path):
    with HttpSink() as sink:
        port = sink.url.rsplit(":", 1)[1]
        done = subprocess.run(
            [HUOYAN, "demo"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            env={**environment(), "HUOYAN_PORT": port},
            check=False,
        )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr
    assert "HUOYAN_PORT" in done.stderr
    assert list(tmp_path.iterdir()) == []


class Application:
    """A worked application alone, as its README starts it."""

    def __init__(self, name: str, folder: Path, **more: str) -> None:
        self.port = free_port()
        root = Path(__file__).parents[2]
        self.log_path = folder / f"{name}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", f"examples.{name}.app:app", "--port", str(self.port)],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **environment(),
                    "ORDERS_DATA_DIR": str(folder / "orders"),
                    "MAIL_DATA_DIR": str(folder / "mail"),
                    **more,
                },
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Application":
        wait_until(lambda: read(f"{self.url}/healthz"), 60, lambda: f"an answer, got {self.log_path.read_text()}", 0.2)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def test_the_orders_application_alone_takes_an_order_through_all_its_steps(tmp_path):
    order = {"customer": "Ada", "email": "ada@customers.example", "sku": "CUP-CELADON-2", "quantity": 2}
    with Application("orders", tmp_path) as orders:
        placed = [post(f"{orders.url}/orders", order)["id"] for _ in range(5)]

        def states() -> set[str]:
            return {read(f"{orders.url}/orders/{order_id}")["state"] for order_id in placed}

        # One in fifty is declined by the provider, which is an end as well.
        wait_until(lambda: states() <= {"confirmed", "declined"}, 30, lambda: f"every order to end, got {states()}")
        assert "confirmed" in states()
        stock = read(f"{orders.url}/stock")["CUP-CELADON-2"]
        assert stock < 2000
        with urllib.request.urlopen(f"{orders.url}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
    ended = [line for line in metrics.splitlines() if line.startswith("huoyan_task_runs_total") and "succeeded" in line]
    assert any('task="orders.take_payment"' in line for line in ended)
    assert any('task="orders.validate"' in line for line in ended)


def test_an_order_of_what_is_not_sold_is_a_successful_request_and_a_failed_task(tmp_path):
    order = {"customer": "Ada", "email": "ada@customers.example", "sku": "TEA-UNKNOWN"}
    with Application("orders", tmp_path) as orders:
        assert post(f"{orders.url}/orders", order)["state"] == "new"

        def failed() -> bool:
            with urllib.request.urlopen(f"{orders.url}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
            return any('task="orders.validate"' in line and 'state="failed"' in line for line in lines)

        wait_until(failed, 15, "a failed run of orders.validate")


class PlainRelay(SmtpServer):
    """The mail server of the tests without encryption and login, as on the loopback interface of the examples."""

    def __init__(self) -> None:
        super().__init__()
        self._controller.SMTP_kwargs.update(require_starttls=False, auth_required=False)


def test_the_mail_application_alone_sends_what_known_and_unknown_clients_ask_for(tmp_path):
    body = {"to": "ada@customers.example", "template": "welcome", "priority": "high", "values": {"name": "Ada"}}
    with PlainRelay() as relay, Application("mail", tmp_path, SMTP_PORT=str(relay.port)) as mail:
        assert post(f"{mail.url}/send", body, **{"X-Client": "app"})["client"] == "app"
        assert post(f"{mail.url}/send", body, **{"X-Client": "stranger"})["client"] == "unknown"
        arrived = relay.wait_for(lambda sent: sent.message["X-Client"] == "app", 20)
        assert arrived.subject == "Welcome, Ada"
        assert arrived.recipients == ("ada@customers.example",)
        relay.wait_for(lambda sent: sent.message["X-Client"] == "unknown", 20)

        def written() -> str:
            with urllib.request.urlopen(f"{mail.url}/metrics", timeout=5) as answer:
                text: str = answer.read().decode()
            return text

        labels = 'client="app",status="success",region="eu",template="welcome",priority="high"'
        wait_until(lambda: f"mails_sent_total{{{labels}}} 1" in written(), 10, written, 0.2)
        # Without Redis the backlog is read from the queue's SQLite file.
        wait_until(lambda: 'huoyan_backlog{backlog="mail.high"} 0' in written(), 10, written, 0.2)
