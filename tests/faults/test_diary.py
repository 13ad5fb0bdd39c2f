"""What the tasks wrote is read as it grows."""

from pathlib import Path

from tests.faults.diary import Diary


def test_only_what_was_added_is_read_and_half_a_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "diary"
    diary = Diary(path)
    assert diary.read().lines == []

    start = '{"run": "r", "what": "start", "pid": 1, "at": 1.0}\n'
    end = '{"run": "r", "what": "end", "pid": 1, "at": 2.0}\n'
    path.write_text(start + end[:20])
    assert diary.read().executing == {1}
    assert (set(diary.begun), diary.ended) == ({"r"}, set())

    with path.open("a") as file:
        file.write(end[20:])
    assert diary.read().executing == set()
    assert (diary.ended, diary.last["r"]["what"], len(diary.lines)) == ({"r"}, "end", 2)


def test_a_line_that_was_never_finished_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "diary"
    path.write_text('{"run": "r", "wh\n{"run": "s", "what": "start", "pid": 2, "at": 1.0}\n')
    assert [line["run"] for line in Diary(path).read().lines] == ["s"]
