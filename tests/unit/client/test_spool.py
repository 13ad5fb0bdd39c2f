"""Events that wait outlive their process: the next one sends them, once, and only those for the same server."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from huoyan.client.spool import Piece, Spool, spool

MOST = 1024 * 1024


def make(folder: Path, destination: str = "http://one", most: int = MOST) -> Spool:
    return Spool(folder, destination, most)


def waiting(heir: Spool) -> list[list[Piece]]:
    """Take over everything."""
    return [orphan.pieces for orphan in heir.orphans()]


def killed_with(folder: Path, *events: str, destination: str = "http://one") -> None:
    """Let a process keep these events and be killed."""
    program = (
        "import os, signal, sys; from pathlib import Path; from huoyan.client.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]), sys.argv[2], 1 << 20)\n"
        "for event in sys.argv[3:]: spool.keep(event.encode())\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder), destination, *events], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


def test_what_a_killed_process_kept_is_taken_over_once(tmp_path: Path) -> None:
    killed_with(tmp_path, '{"a":1}', '{"b":2}')
    heir = make(tmp_path)
    assert waiting(heir) == [[b'{"a":1}', b'{"b":2}']]
    assert waiting(heir) == []
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_has_room_for_stays(tmp_path: Path) -> None:
    killed_with(tmp_path, '{"a":1}')
    orphans = make(tmp_path).orphans()
    assert next(orphans).pieces == [b'{"a":1}']
    orphans.close()
    assert waiting(make(tmp_path)) == [[b'{"a":1}']]


def test_a_line_that_was_cut_is_left_out(tmp_path: Path) -> None:
    killed_with(tmp_path, '{"a":1}')
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + b'{"b":')
    assert waiting(make(tmp_path)) == [[b'{"a":1}']]


def test_what_belongs_to_a_living_process_or_another_server_is_left_alone(tmp_path: Path) -> None:
    living, heir = make(tmp_path), make(tmp_path)
    living.keep(b"{}")
    killed_with(tmp_path, '{"a":1}', destination="http://two")
    assert waiting(heir) == []
    assert waiting(make(tmp_path, "http://two")) == [[b'{"a":1}']]
    assert living.keeping


def test_what_was_sent_is_not_kept_any_longer(tmp_path: Path) -> None:
    own = make(tmp_path)
    own.keep(b"{}")
    own.sent(0, 0, list)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size == 0
    own.keep(b'{"a":1}')
    own.close()
    assert waiting(make(tmp_path)) == [[b'{"a":1}']]


def test_an_orderly_end_leaves_no_file(tmp_path: Path) -> None:
    own = make(tmp_path)
    own.keep(b"{}")
    own.sent(0, 0, list)
    own.close()
    assert list(tmp_path.iterdir()) == []


def test_a_busy_process_does_not_fill_the_storage(tmp_path: Path) -> None:
    own = make(tmp_path, most=10_000)
    event = b"{" + b"x" * 98 + b"}"
    for _ in range(1000):
        own.keep(event)
        own.sent(1, len(event), lambda: [event])
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size <= 10_000


def test_a_process_that_always_has_something_waiting_leaves_little_of_what_it_said_before(tmp_path: Path) -> None:
    own = make(tmp_path, most=64 * 1024 * 1024)
    waiting: list[Piece] = []
    for number in range(5000):
        event = b'{"number":%d,"padding":"%s"}' % (number, b"x" * 200)
        own.keep(event)
        waiting[:] = [event]
        own.sent(1, len(event), lambda: waiting)
    own.close()
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size < 256 * 1024
    (orphan,) = make(tmp_path).orphans()
    assert orphan.pieces[-1] == waiting[0]


def test_a_child_leaves_the_file_to_its_parent(tmp_path: Path) -> None:
    own = make(tmp_path)
    own.keep(b"{}")
    child = os.fork()
    if child == 0:
        own.forked()
        own.keep(b'{"child":1}')
        os._exit(0)
    os.waitpid(child, 0)
    assert waiting(make(tmp_path)) == [[b'{"child":1}']]
    assert own.keeping


def test_a_folder_that_others_write_to_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    assert spool(str(folder), "http://one", MOST) is None


@pytest.mark.parametrize("setting", ["", "off", "0"])
def test_it_can_be_turned_off(setting: str) -> None:
    assert spool(setting, "http://one", MOST) is None


def test_the_name_of_the_process_that_is_gone_is_found_in_what_it_said(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from huoyan.client.spool import Spool
spool = Spool(Path(sys.argv[1]), "http://one", 1 << 20)
spool.keep(b'{"worker":"celery@host"}')
spool.keep(b'{"worker":"shop@host:%d"}' % os.getpid())
print(os.getpid(), flush=True)
os._exit(0)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    gone = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    heir = make(tmp_path)
    (orphan,) = heir.orphans()
    assert orphan.gone == [f"shop@host:{gone.stdout.strip()}"]
    # An heir that dies before it could tell hands that on, too.
    heir.keep_orphan(orphan)
    heir.forked()
    assert [each.gone for each in make(tmp_path).orphans()] == [orphan.gone]


def test_no_name_is_told_of_a_process_for_which_another_one_speaks(tmp_path: Path) -> None:
    killed_with(tmp_path, '{"worker":"celery@host"}')
    assert [orphan.gone for orphan in make(tmp_path).orphans()] == [[]]
