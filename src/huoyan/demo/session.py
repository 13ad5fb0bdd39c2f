"""One demonstration from start to end."""

import json
import os
import shutil
import signal
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.demo.broker import VARIABLE, find_redis
from huoyan.demo.faults import Faults
from huoyan.demo.panel import Panel
from huoyan.demo.ports import DEFAULT_PORT, allot
from huoyan.demo.preparation import (
    check_packages,
    check_port,
    find_applications,
    folder_for,
    is_temporary,
    page_is_built,
    prepare,
)
from huoyan.demo.stage import FIRST_FAULT, LISTENERS, MAILBOX, Stage
from huoyan.demo.supervisor import Notice, NoticeKind, Supervisor
from huoyan.demo.terminal import Part, Picture, Terminal, terminal
from huoyan.demo.web import WebServer

FIRST_FAULT_AFTER_S = 20.0
FIRST_FAULT_LASTS_S = 40.0

_TICK_S = 0.1
_MAIL_INTERVAL_S = 0.5
_STYLES = {NoticeKind.DIED: "red", NoticeKind.GIVEN_UP: "red", NoticeKind.KILLED: "yellow"}


@dataclass(frozen=True)
class Options:
    """How to demonstrate.

    Attributes:
        port: Port of the page; the other listeners take the next free ones.
        faults: Whether a first fault comes by itself.
        duration_s: End after this time, in seconds from the start; None: when told to.
        browser: Open the page in a browser, where there is a screen.
    """

    port: int = DEFAULT_PORT
    faults: bool = True
    duration_s: float | None = None
    browser: bool = True


def demonstrate(options: Options) -> None:
    """Run the demonstration until Ctrl-C, SIGTERM or the end of its time; nothing stays behind.

    Raises:
        AlreadyRunning: The port is taken.
        Unsupported: The applications or a package they need are missing.
        HuoyanError: A process did not start.
    """
    applications = find_applications()
    check_packages()
    redis = find_redis()
    check_port(options.port)
    ports = allot(options.port + 1, LISTENERS, taken=(options.port,))
    stage = Stage(options.port, ports, folder_for(options.port), applications, redis)
    prepare(stage)
    with _interruptions() as interruptions:
        Session(stage, options, terminal(), interruptions).run()
    if is_temporary(stage.folder):
        # After a failure it stays: the logs in there say why.
        shutil.rmtree(stage.folder, ignore_errors=True)


class Interruptions:
    """Counts how often the user asked to stop: once for in good order, more often for at once."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, _number: int, _frame: FrameType | None) -> None:
        """Take a signal. No more than this: it comes in the middle of anything."""
        self.count += 1


@contextmanager
def _interruptions() -> Iterator[Interruptions]:
    """Catch Ctrl-C, SIGTERM and the end of the terminal for the time of the block."""
    interruptions = Interruptions()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interruptions.note) for number in numbers}
    try:
        yield interruptions
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Session:
    """The demonstration while it runs.

    Args:
        stage: Where everything is.
        options: How to demonstrate.
        screen: Where to show it.
        interruptions: When to stop.
        clock: The time.
    """

    def __init__(
        self,
        stage: Stage,
        options: Options,
        screen: Terminal,
        interruptions: Interruptions,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._stage = stage
        self._options = options
        self._screen = screen
        self._interruptions = interruptions
        self._clock = clock
        self._began = clock.monotonic()
        self._up_since: float | None = None
        self._fault_is_due = options.faults
        self._mails_at = 0.0
        self._last_mail_id = 0
        self._alert_count = 0
        self._supervisor = Supervisor(stage.roles(), stage.environment(), stage.folder, stage.log_dir, self._notice)
        self._faults = Faults(stage.faults(self._supervisor))
        links = {"Huoyan": stage.page_url, "Mailbox · 邮箱": stage.url("mailbox")}
        self._command = f"{_program()} demo fault {FIRST_FAULT} on{self._panel_option()}"
        self._panel = WebServer(stage.ports["panel"], Panel(self._faults, links).answer)

    def run(self) -> None:
        """Start everything, look after it, and end it."""
        try:
            self._panel.start()
            self._supervisor.start()
            self._screen.open(self._picture)
            while not self._over():
                self._supervisor.poll()
                if self._up_since is not None:
                    self._tick()
                elif self._supervisor.all_up:
                    self._everything_is_up()
                time.sleep(_TICK_S)
        finally:
            self._end()

    def _over(self) -> bool:
        if self._interruptions.count:
            return True
        duration_s = self._options.duration_s
        return duration_s is not None and self._clock.monotonic() - self._began >= duration_s

    def _everything_is_up(self) -> None:
        self._up_since = self._clock.monotonic()
        self._screen.ready()
        if not page_is_built():
            self._screen.say(
                "The page is not built, so only the API and the metrics answer: run `make web` (Node.js is needed)",
                "yellow",
            )
        if not self._stage.redis.found:
            self._screen.say(
                f"No Redis was found, so no Celery worker takes part: install redis-server or set {VARIABLE}"
            )
        if self._options.browser and _has_screen():
            webbrowser.open(self._stage.page_url)

    def _tick(self) -> None:
        assert self._up_since is not None
        now = self._clock.monotonic()
        if self._fault_is_due and now - self._up_since >= FIRST_FAULT_AFTER_S:
            self._fault_is_due = False
            self._faults.turn_on(FIRST_FAULT, FIRST_FAULT_LASTS_S)
        for state in self._faults.poll():
            if state.active:
                ends = "" if state.until_at is None else f", for {state.until_at - self._clock.now():.0f} s"
                self._screen.say(f"Fault: {state.fault.title}{ends}. {state.fault.shows}", "yellow")
            else:
                self._screen.say(f"Fault over: {state.fault.title}", "green")
        if now - self._mails_at >= _MAIL_INTERVAL_S:
            self._mails_at = now
            self._look_for_alerts()

    def _look_for_alerts(self) -> None:
        mailbox = self._stage.url("mailbox")
        found = _read_json(f"{mailbox}/api/mails?box=alerts&after={self._last_mail_id}")
        for mail in found.get("items", ()) if found is not None else ():
            self._last_mail_id = mail["id"]
            self._alert_count += 1
            self._screen.say(f"Alert mail: {mail['subject']}  {mailbox}/mails/{mail['id']}", "bold")

    def _notice(self, notice: Notice) -> None:
        if notice.kind is NoticeKind.READY:
            seconds = self._clock.monotonic() - notice.child.started_at
            self._screen.progress(f"{notice.text} ({seconds:.1f} s)")
            return
        if notice.child.role.name == MAILBOX:
            self._last_mail_id = 0  # It begins to count anew.
        self._screen.say(notice.text, _STYLES.get(notice.kind, ""))
        for line in notice.detail:
            self._screen.say(f"    {line}", "dim")

    def _picture(self) -> Picture:
        now = self._clock.monotonic()
        children = self._supervisor.children.values()
        parts = [
            Part(child.role.title, child.state.value, (child.ready_at or now) - child.started_at) for child in children
        ]
        stage = self._stage
        addresses = [
            ("Page", stage.page_url),
            ("Fault panel", stage.url("panel")),
            ("Mailbox", stage.url("mailbox")),
        ]
        return Picture(parts, addresses, self._notes(now), self._up_since is not None)

    def _notes(self, now: float) -> list[tuple[str, str]]:
        active = [state for state in self._faults.states() if state.active]
        if active:
            wall = self._clock.now()
            fault = ", ".join(
                state.fault.title + (f" (ends in {max(0, state.until_at - wall):.0f} s)" if state.until_at else "")
                for state in active
            )
        elif self._fault_is_due and self._up_since is not None:
            left = max(0.0, FIRST_FAULT_AFTER_S - (now - self._up_since))
            fault = f"none; the first one comes by itself in {left:.0f} s"
        else:
            fault = "none"
        return [
            ("Fault", fault),
            ("Break it", f"{self._command} (or {', '.join(self._faults.names[1:])})"),
            ("Alerts", f"{self._alert_count} by mail so far"),
            ("Logs", str(self._stage.log_dir)),
            ("End", "Ctrl-C stops everything"),
        ]

    def _panel_option(self) -> str:
        """Return what the command needs to find the panel."""
        stage = self._stage
        if stage.ports["panel"] != stage.port + 1:
            return f" --panel {stage.url('panel')}"
        return "" if stage.port == DEFAULT_PORT else f" --port {stage.port}"

    def _end(self) -> None:
        try:
            self._screen.close()
            self._screen.say("Stopping")
        except OSError:
            pass  # Whoever read it is gone; the processes have to end all the same.
        finally:
            self._panel.close()
            self._faults.end()
            asked = self._interruptions.count
            self._supervisor.stop(hurry=lambda: self._interruptions.count > asked)
        try:
            self._screen.say("Stopped")
        except OSError:
            pass


def _program() -> str:
    """Return what to type for this command: its name where it is found by it, else its path."""
    if shutil.which("huoyan") is not None:
        return "huoyan"
    path = Path(sys.argv[0]).absolute()
    if path.name != "huoyan":
        return "huoyan"
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _has_screen() -> bool:
    """Tell whether a browser would open beside this terminal and not inside it."""
    if not sys.stdout.isatty():
        return False
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _read_json(url: str) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(url, timeout=1.0) as answer:  # noqa: S310 - our own loopback address
            found = json.load(answer)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
