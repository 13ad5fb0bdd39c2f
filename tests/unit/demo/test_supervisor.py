import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from huoyan.demo import supervisor as supervising
from huoyan.demo.child import Child, Role, State, exit_text
from huoyan.demo.supervisor import DemoFailed, Notice, NoticeKind, Supervisor, restart_delay_s
from tests.servers import wait_until


def python(name: str, code: str, **options) -> Role:
    """A role played by a few lines of Python that print `up` when they are ready."""
    ready = options.pop("ready", lambda child: child.wrote("up"))
    return Role(name, f"the {name}", (sys.executable, "-S", "-c", code), ready, **options)


SLEEPER = "import time; print('up', flush=True); time.sleep(600)"


class Troupe:
    """A supervisor with what it told."""

    def __init__(self, folder: Path, *roles: Role) -> None:
        self.notices: list[Notice] = []
        self.supervisor = Supervisor(roles, dict(os.environ), folder, folder, self.notices.append)
        self.supervisor.start()

    def child(self, name: str) -> Child:
        return self.supervisor.children[name]

    def poll_until(self, condition, timeout_s: float = 15.0):
        def attempt():
            self.supervisor.poll()
            return condition()

        return wait_until(attempt, timeout_s, lambda: f"the condition; told: {[n.text for n in self.notices]}")

    def kinds(self, name: str) -> list[NoticeKind]:
        return [notice.kind for notice in self.notices if notice.child.role.name == name]


@pytest.fixture
def troupe(tmp_path, monkeypatch) -> Iterator:
    monkeypatch.setattr(supervising, "RESTART_S", 0.05)
    made: list[Troupe] = []

    def make(*roles: Role) -> Troupe:
        made.append(Troupe(tmp_path, *roles))
        return made[-1]

    yield make
    for each in made:
        each.supervisor.stop(hurry=lambda: True)


def test_processes_start_become_ready_and_end_together(troupe):
    both = troupe(python("one", SLEEPER), python("two", SLEEPER))
    both.poll_until(lambda: both.supervisor.all_up)
    pids = [both.child(name).pid for name in ("one", "two")]
    assert all(psutil.pid_exists(pid) for pid in pids)
    both.supervisor.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert both.child("one").state is State.STOPPED


def test_a_process_that_dies_at_the_start_fails_the_demonstration_with_the_end_of_its_log(troupe):
    broken = troupe(python("broken", "import sys; print('no such table: teas'); sys.exit(3)"))
    with pytest.raises(DemoFailed, match=r"the broken to start, it ended with status 3(?s:.*)no such table: teas"):
        broken.poll_until(lambda: False, timeout_s=10)


def test_a_process_that_does_not_become_ready_fails_the_demonstration(troupe, monkeypatch):
    monkeypatch.setattr(supervising, "START_TIMEOUT_S", 0.2)
    slow = troupe(python("slow", "import time; time.sleep(600)"))
    with pytest.raises(DemoFailed, match=r"the slow to be ready within 0\.2 s"):
        slow.poll_until(lambda: False, timeout_s=10)


def test_a_process_that_dies_later_is_told_with_its_log_and_started_again(troupe):
    one = troupe(python("one", SLEEPER))
    one.poll_until(lambda: one.supervisor.all_up)
    first_pid = one.child("one").pid
    os.kill(first_pid, signal.SIGTERM)
    one.poll_until(lambda: NoticeKind.RESTARTED in one.kinds("one"))
    assert one.kinds("one") == [NoticeKind.READY, NoticeKind.DIED, NoticeKind.RESTARTED]
    died = one.notices[1]
    assert "was killed by SIGTERM" in died.text
    assert died.detail == ("up",)
    assert one.child("one").pid != first_pid


def test_a_process_that_dies_again_and_again_is_given_up(troupe):
    dying = troupe(python("dying", "print('up', flush=True); import time; time.sleep(0.2); raise SystemExit(1)"))
    dying.poll_until(lambda: dying.child("dying").state is State.GIVEN_UP)
    assert "given up" in dying.notices[-1].text
    assert dying.kinds("dying").count(NoticeKind.DIED) == supervising.EXITS_TOLERATED + 1


def test_the_demonstration_fails_when_a_vital_process_cannot_be_kept(troupe):
    code = "print('up', flush=True); import time; time.sleep(0.2); raise SystemExit(1)"
    vital = troupe(python("vital", code, vital=True))
    with pytest.raises(DemoFailed, match="the vital to stay"):
        vital.poll_until(lambda: False, timeout_s=15)


def test_a_process_killed_on_purpose_stays_away_until_it_is_brought_back(troupe):
    one = troupe(python("one", SLEEPER))
    one.poll_until(lambda: one.supervisor.all_up)
    assert not one.supervisor.is_away("one")
    one.supervisor.kill("one")
    assert one.supervisor.is_away("one")
    one.poll_until(lambda: one.kinds("one")[-1] is NoticeKind.KILLED)
    assert "SIGKILL" in one.notices[-1].text
    assert one.child("one").pid is None
    one.supervisor.bring_back("one")
    one.poll_until(lambda: one.supervisor.all_up)
    assert one.kinds("one") == [NoticeKind.READY, NoticeKind.KILLED, NoticeKind.RESTARTED]
    assert not one.supervisor.is_away("one")


def test_what_a_process_started_ends_with_it(troupe):
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
        "print('up', child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    parent = troupe(python("parent", code))
    parent.poll_until(lambda: parent.supervisor.all_up)
    grandchild = int(parent.child("parent").log_tail()[0].split()[1])
    assert psutil.pid_exists(grandchild)
    parent.supervisor.stop()
    wait_until(lambda: _gone(grandchild), 5, "the grandchild to be gone")


def test_a_process_that_does_not_want_to_end_is_killed(troupe, monkeypatch):
    monkeypatch.setattr(supervising, "STOP_TIMEOUT_S", 0.3)
    stubborn = troupe(python("stubborn", f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"))
    stubborn.poll_until(lambda: stubborn.supervisor.all_up)
    pid = stubborn.child("stubborn").pid
    stubborn.supervisor.stop()
    assert not psutil.pid_exists(pid)


def test_lower_ranks_end_first(troupe, tmp_path):
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    with open(sys.argv[1], 'a') as file: file.write(sys.argv[2] + ' ')\n"
        "    raise SystemExit\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('up', flush=True)\n"
        "time.sleep(600)"
    )
    order = tmp_path / "order"
    roles = []
    for name, rank in (("last", 3), ("first", 0), ("middle", 1)):
        command = (sys.executable, "-S", "-c", code, str(order), name)
        roles.append(Role(name, name, command, lambda child: child.wrote("up"), stop_rank=rank))
    three = troupe(*roles)
    three.poll_until(lambda: three.supervisor.all_up)
    three.supervisor.stop()
    assert order.read_text().split() == ["first", "middle", "last"]


def test_nothing_stays_behind_when_the_supervisor_itself_is_killed(tmp_path):
    """The reaper ends the processes, and what they started, once nobody holds its standard input any more."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from huoyan.demo.child import Role\n"
        "from huoyan.demo.supervisor import Supervisor\n"
        "code = '''import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
        "print(os.getpid(), child.pid, flush=True)\n"
        "time.sleep(600)'''\n"
        "folder = Path(sys.argv[1])\n"
        "role = Role('one', 'one', (sys.executable, '-S', '-c', code), lambda child: bool(child.log_tail()))\n"
        "supervisor = Supervisor([role], dict(os.environ), folder, folder, lambda notice: None)\n"
        "supervisor.start()\n"
        "while True:\n"
        "    supervisor.poll()\n"
        "    time.sleep(0.05)\n"
    )
    parent = subprocess.Popen([sys.executable, script, tmp_path])
    try:
        log = tmp_path / "one.log"
        line = wait_until(lambda: log.exists() and log.read_text().strip(), 20, "the child to start")
        pids = [int(word) for word in line.split()]
        assert all(psutil.pid_exists(pid) for pid in pids)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: all(_gone(pid) for pid in pids), 10, "child and grandchild to be gone")


@pytest.mark.parametrize(
    ("exits", "expected_s"),
    [([100.0], 3.0), ([90.0, 100.0], 6.0), ([10.0, 100.0], 3.0), ([70.0, 80.0, 90.0, 100.0], None)],
)
def test_the_delay_grows_with_recent_deaths_until_the_process_is_given_up(exits, expected_s):
    assert restart_delay_s(exits, now=100.0) == expected_s


@pytest.mark.parametrize(
    ("status", "text"), [(0, "ended with status 0"), (-9, "was killed by SIGKILL"), (-99, "was killed by signal 99")]
)
def test_the_end_of_a_process_is_told_in_words(status, text):
    assert exit_text(status) == text


def test_the_log_tail_shows_only_what_the_process_wrote_since_it_was_started(tmp_path):
    (tmp_path / "one.log").write_text("from an earlier life\n")
    child = Child(python("one", "print('now')"), dict(os.environ), tmp_path, tmp_path)
    child.start(0.0)
    wait_until(lambda: child.exit_status() is not None, 10, "the process to end")
    assert child.log_tail() == ["now"]
    assert not child.wrote("earlier")
    child.forget()


def _gone(pid: int) -> bool:
    """A process that nobody has waited for yet is gone all the same."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
