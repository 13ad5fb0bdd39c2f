import os
import threading
from pathlib import Path

import pytest

from huoyan.server.ingest.handover import Handover
from tests.servers.waiting import wait_until


def drain(handover: Handover, timeout_s: float = 0.2) -> list[tuple[float, bytes, bool]]:
    items = []
    while (item := handover.get(timeout_s)) is not None:
        items.append(item)
    return items


def test_what_is_put_comes_out_in_order_with_its_time_and_beginnings(tmp_path: Path):
    handover = Handover(tmp_path / "spool")
    assert handover.put(1.5, b"a", begins=True)
    assert handover.put(2.5, b"b")
    assert drain(handover) == [(1.5, b"a", True), (2.5, b"b", False)]


def test_beyond_memory_the_file_keeps_the_order_and_nothing_is_lost(tmp_path: Path):
    path = tmp_path / "deep" / "spool"
    handover = Handover(path, memory_bytes=100, tail_bytes=10_000_000)
    sent = [(float(i), f"{i:06d}".encode() * 5, i % 7 == 0) for i in range(5_000)]
    for item in sent[:3_000]:
        assert handover.put(*item)
    wait_until(lambda: handover.spooled_bytes_total > 0, message="the file to be used")
    received: list[object] = [handover.get(1.0) for _ in range(10)]
    for item in sent[3_000:]:
        assert handover.put(*item)
    received += drain(handover)
    assert received == sent
    assert handover.backlog_bytes == 0
    wait_until(lambda: path.stat().st_size == 0, message="the disk to be given back")
    # It works in memory again afterwards, and on disk once more.
    for item in sent[:100]:
        assert handover.put(*item)
    assert drain(handover) == sent[:100]
    handover.discard()
    assert not path.exists()


def test_a_producer_and_a_consumer_at_once_lose_and_reorder_nothing(tmp_path: Path):
    handover = Handover(tmp_path / "spool", memory_bytes=20_000, tail_bytes=50_000_000)
    count = 20_000

    def produce() -> None:
        for i in range(count):
            assert handover.put(float(i), b"x" * (i % 300))

    producer = threading.Thread(target=produce)
    producer.start()
    received: list[tuple[float, bytes, bool]] = []
    while len(received) < count:
        item = handover.get(5.0)
        assert item is not None
        received.append(item)
    producer.join()
    assert [at for at, _, _ in received] == [float(i) for i in range(count)]
    assert all(len(data) == int(at) % 300 for at, data, _ in received)
    handover.discard()


def test_one_piece_larger_than_a_read_of_the_file_comes_back_whole(tmp_path: Path):
    handover = Handover(tmp_path / "spool", memory_bytes=10)
    big = os.urandom(5 * 1024 * 1024)
    for data in (b"first", big, b"last"):
        assert handover.put(0.0, data)
    assert [data for _, data, _ in drain(handover)] == [b"first", big, b"last"]
    handover.discard()


def test_it_refuses_when_memory_is_full_and_there_is_no_file():
    handover = Handover(None, memory_bytes=100, tail_bytes=100)
    taken = sum(handover.put(0.0, b"x" * 10) for _ in range(100))
    assert taken == 20
    assert len(drain(handover)) == 20
    assert handover.put(0.0, b"x" * 10)


def test_it_refuses_when_the_file_is_full(tmp_path: Path):
    handover = Handover(tmp_path / "spool", memory_bytes=100, spool_bytes=1_000)
    taken = sum(handover.put(0.0, b"x" * 50) for _ in range(100))
    assert 2 < taken < 30
    assert len(drain(handover)) == taken
    handover.discard()


def test_a_disk_that_refuses_leaves_memory_and_loses_nothing(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    handover = Handover(blocked / "spool", memory_bytes=100, tail_bytes=1_000)
    sent = [f"{i:010d}".encode() for i in range(50)]
    for data in sent:
        assert handover.put(0.0, data)
    assert [data for _, data, _ in drain(handover)] == sent


@pytest.mark.parametrize("spooled", [False, True])
def test_after_close_what_is_left_comes_out_and_then_none(tmp_path: Path, spooled: bool):
    handover = Handover(tmp_path / "spool", memory_bytes=50 if spooled else 10_000)
    for i in range(20):
        assert handover.put(float(i), b"x" * 10)
    handover.close()
    assert [at for at, _, _ in drain(handover, 0.0)] == [float(i) for i in range(20)]
    assert handover.get(60.0) is None
    handover.discard()
