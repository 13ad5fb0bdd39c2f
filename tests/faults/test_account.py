"""The comparison itself: it can fail, in each way there is."""

from typing import Any

import pytest

from tests.faults.account import Kill, compare


def line(what: str, at: float, pid: int = 1) -> dict[str, Any]:
    return {"run": "r", "what": what, "pid": pid, "at": at}


def run(state: str, **more: Any) -> dict[str, Any]:
    return {"id": "r", "state": state, "wait_s": 0.1, "duration_s": 0.2, "attempts": [], **more}


DONE = [line("start", 10), line("end", 11), line("told", 11)]
CUT = DONE[:2]
DIED = [line("start", 10)]
KILLED = [Kill(1, 15.0)]


@pytest.mark.parametrize(
    ("diary", "said", "kills", "faults"),
    [
        (DONE, [run("succeeded")], [], set()),
        (DONE, [run("lost")], [], {"false_losses"}),
        (DONE, [run("failed")], KILLED, {"false_losses"}),
        (DONE, [run("started")], [], {"hanging"}),
        (DONE, [], [], {"absent"}),
        (DONE, [run("queued")], [], {"hanging"}),
        (DONE, [run("lost")], [Kill(1, 11.1)], {"false_losses"}),
        (CUT, [run("lost")], KILLED, set()),
        (CUT, [run("succeeded")], KILLED, set()),
        (CUT, [run("lost")], [], {"false_losses"}),
        (CUT, [run("started")], KILLED, {"hanging"}),
        (CUT, [], KILLED, {"hanging"}),
        (DONE, [run("succeeded", wait_s=-0.1)], [], {"absurd"}),
        (DONE, [run("succeeded", attempts=[{"duration_s": 1e9}])], [], {"absurd"}),
        (DIED, [run("lost")], KILLED, set()),
        (DIED, [run("failed")], KILLED, set()),
        (DIED, [run("started")], KILLED, {"missed", "hanging"}),
        (DIED, [run("queued")], KILLED, {"missed"}),
        (DIED, [run("succeeded")], KILLED, {"invented"}),
        (DIED, [], KILLED, {"absent"}),
        (DIED, [run("started")], [], set()),
        ([*DIED, line("start", 20, 2), line("end", 21, 2)], [run("succeeded")], KILLED, set()),
        ([*DIED, line("start", 20, 2), line("end", 21, 2)], [run("lost")], KILLED, {"false_losses"}),
    ],
)
def test_each_untruth_has_a_name(
    diary: list[dict[str, Any]], said: list[dict[str, Any]], kills: list[Kill], faults: set[str]
) -> None:
    assert set(compare(diary, said, kills).faults) == faults


def test_what_nobody_could_hear_is_no_untruth_and_is_counted() -> None:
    account = compare(DONE, [run("lost", evidence="unknown")], [])
    assert (account.faults, account.unsure) == ({}, ["r"])
    assert compare(DONE, [run("lost", evidence="inferred")], []).unsure == []


def test_recall_counts_what_could_be_heard_of() -> None:
    shortly = [{**line("start", 14.9), "run": "late"}]
    account = compare([*DIED, *shortly], [run("lost"), {**run("queued"), "id": "late"}], KILLED, unheard_s=1.0)
    assert (account.died, account.found, account.unheard, account.recall) == (["r", "late"], ["r"], ["late"], 1.0)
    assert compare(DIED, [run("queued")], KILLED).recall == 0.0


def test_what_was_asked_for_and_is_not_known_is_absent() -> None:
    assert compare([], [], [], submitted=["r"]).absent == ["r"]
    assert compare([], [run("queued")], [], submitted=["r"]).faults == {}


def test_a_run_that_nobody_wrote_down_did_not_succeed() -> None:
    assert set(compare([], [run("succeeded")], []).faults) == {"invented"}
    assert compare([], [run("dead")], []).faults == {}


def test_another_process_with_the_number_of_a_killed_one_was_not_killed() -> None:
    later = [{**line("start", 16), "run": "r"}]
    assert compare(later, [run("started")], KILLED).died == []
    assert compare(DIED, [run("lost")], [*KILLED, Kill(1, 20.0)]).died == ["r"]
    ended = [line("start", 16), line("end", 17)]
    assert set(compare(ended, [run("lost")], KILLED).faults) == {"false_losses"}


def test_what_stood_still_before_the_kill_could_not_say_more() -> None:
    stood = [Kill(1, 15.0, silent_at=11.1)]
    assert compare(CUT, [run("lost")], stood, unheard_s=0.3, tells=False).faults == {}
    assert set(compare(CUT, [run("lost")], [Kill(1, 15.0)], unheard_s=0.3, tells=False).faults) == {"false_losses"}


def test_where_nobody_writes_down_what_was_told_only_time_excuses() -> None:
    def faults(state: str, killed_at: float) -> set[str]:
        return set(compare(CUT, [run(state)], [Kill(1, killed_at)], unheard_s=0.3, tells=False).faults)

    assert faults("lost", 11.2) == set()
    assert faults("queued", 11.2) == set()
    assert faults("lost", 11.4) == {"false_losses"}
