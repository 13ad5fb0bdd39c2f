"""Processes that come and go count once, whatever interrupts them, and leave nothing behind that grows."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from huoyan.client import pool as pools
from huoyan.client.pool import Pool


def add(written: Sequence[bytes]) -> bytes:
    return str(sum(map(int, written))).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder that is made when it is first used."""
    return tmp_path / "pool"


def test_a_process_sees_what_the_others_wrote_last(folder: Path) -> None:
    first, second = Pool(folder, add), Pool(folder, add)
    assert first.others() == ([], b"")
    first.write(b"1")
    second.write(b"2")
    second.write(b"3")
    assert first.others() == ([b"3"], b"")
    assert second.others() == ([b"1"], b"")


def test_what_is_gone_stays_counted_in_one_file(folder: Path) -> None:
    stays = Pool(folder, add)
    stays.write(b"1")
    for _ in range(50):
        goes = Pool(folder, add)
        goes.write(b"2")
        goes.close()
        stays.others()
    assert stays.others() == ([], b"100")
    assert stays.others() == ([], b"100")
    # The lock of all, the place of the one that lives, and the sum.
    assert len(list(folder.iterdir())) == 4


def test_a_process_killed_between_adding_up_and_removing_makes_nothing_count_twice(folder: Path) -> None:
    goes = Pool(folder, add)
    goes.write(b"2")
    name = goes._name
    goes.close()
    (folder / "gone.json").write_bytes(json.dumps([name]).encode() + b"\n2")
    assert Pool(folder, add).others() == ([], b"2")
    assert not list(folder.glob(f"{name}.*"))


def test_a_child_does_not_hold_the_place_of_its_parent(folder: Path) -> None:
    parent = Pool(folder, add)
    parent.write(b"5")
    child = os.fork()
    if not child:
        parent.forked()
        parent.write(b"7")
        os._exit(0 if parent.others() == ([b"5"], b"") else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert parent.others() == ([], b"7")


def test_folders_of_servers_that_are_gone_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huoyan.client.ownership._MEMORY", tmp_path)
    mine = pools.folder(os.getpid())
    assert mine is not None
    mine.mkdir()
    gone = mine.parent / f"{os.getpid()}-1"
    gone.mkdir()
    (gone / "gone.json").write_text("x")
    assert pools.folder(os.getpid()) == mine
    assert mine.exists()
    assert not gone.exists()


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huoyan.client.ownership._MEMORY", tmp_path)
    base = tmp_path / f"huoyan-{os.geteuid()}"
    base.mkdir()
    base.chmod(0o777)
    assert pools.folder(os.getpid()) is None
