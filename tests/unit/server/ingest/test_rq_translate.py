"""States of RQ's jobs, one look after the other, become facts that give the right run."""

from dataclasses import replace
from typing import Any

import pytest

from huoyan.model.event import EventKind as K
from huoyan.model.event import TaskEvent
from huoyan.model.run import Run, RunState, RunView, apply, view
from huoyan.server.ingest.rq_records import Job, Outcome
from huoyan.server.ingest.rq_translate import Known, Translator

T = 1_795_168_800.0
ID = "6f1c7a52-3f0e-4c1b-9a61-0d6c1f3a9b11"


class Looks:
    """Looks at one job again and again."""

    def __init__(self) -> None:
        self.translator = Translator()
        self.known: Known | None = None
        self.runs: dict[str, Run] = {}
        self.events: list[TaskEvent] = []
        self.now = T

    def look(self, status: str, **fields: Any) -> list[K]:
        """Look at the job in this state and return what kinds of facts were new."""
        self.now += 1
        values: dict[str, Any] = {"created_at": T, "enqueued_at": T + 1, "queue": "q", "function": "shop.send"}
        job = Job(ID, status, **{**values, **fields})
        new, self.known = self.translator.told(job, self.known, self.now)
        self._apply(new)
        return [event.kind for event in new]

    def gone(self) -> None:
        assert self.known is not None
        self.now += 1
        self._apply(self.translator.gone(self.known, self.now))

    def _apply(self, events: list[TaskEvent]) -> None:
        self.events += events
        for event in events:
            self.runs[event.run_id] = apply(self.runs.get(event.run_id), event)

    @property
    def shown(self) -> RunView:
        assert len(self.runs) == 1
        return view(next(iter(self.runs.values())))

    @property
    def attempts(self) -> list[str]:
        return [attempt.state for attempt in self.shown.attempts]


@pytest.fixture
def looks() -> Looks:
    """Give looks at a job that nobody has seen yet."""
    return Looks()


def outcome(kind: int, execution: str = "e1", at: float = T + 3, **more: Any) -> Outcome:
    return Outcome((int(at * 1000), 0), kind, more.pop("worker", "w"), execution, at - 1, at, more.pop("exception", ""))


RUNNING = {"worker": "w", "started_at": T + 2, "execution_id": "e1"}
ENDED = {"worker": "w", "started_at": T + 2, "ended_at": T + 3}


def test_each_state_is_told_once(looks: Looks) -> None:
    assert looks.look("queued") == [K.QUEUED]
    assert looks.look("queued") == []
    assert looks.look("started", **RUNNING) == [K.STARTED]
    assert looks.look("started", **RUNNING) == []
    done = {**ENDED, "outcomes": [outcome(1)]}
    assert looks.look("finished", **done) == [K.SUCCEEDED]
    assert looks.look("finished", **done) == []
    assert (looks.shown.state, looks.shown.wait_s, looks.shown.duration_s) == (RunState.SUCCEEDED, 1, 1)
    assert [attempt.key for attempt in looks.shown.attempts] == ["e1@w"]


def test_what_was_missed_is_told_from_the_outcome(looks: Looks) -> None:
    assert looks.look("finished", **ENDED, outcomes=[outcome(1)]) == [K.QUEUED, K.STARTED, K.SUCCEEDED]
    assert looks.attempts == ["succeeded"]


def test_a_retry_after_an_exception_leaves_no_outcome_and_is_told(looks: Looks) -> None:
    looks.look("queued")
    looks.look("started", **RUNNING)
    assert looks.look("scheduled", **ENDED, score=T + 60) == [K.SCHEDULED, K.RETRYING]
    assert (looks.shown.state, looks.shown.eta) == (RunState.RETRYING, None)
    again = {"worker": "w", "started_at": T + 61, "ended_at": T + 3, "execution_id": "e2", "enqueued_at": T + 60}
    looks.look("started", **again)
    failed = {"worker": "w", "started_at": T + 61, "ended_at": T + 62, "enqueued_at": T + 60}
    looks.look("failed", **failed, outcomes=[outcome(2, "e2", T + 62, exception="")])
    assert (looks.shown.state, looks.attempts) == (RunState.FAILED, ["retrying", "failed"])
    assert looks.shown.enqueued_at == T + 1


def test_a_try_nobody_saw_start_is_told_when_it_is_retried(looks: Looks) -> None:
    looks.look("queued")
    looks.look("scheduled", **ENDED, score=T + 60)
    assert looks.attempts == ["retrying"]


def test_hooks_name_the_execution_of_a_try_nobody_saw(looks: Looks) -> None:
    looks.look("queued")
    looks.look("scheduled", **ENDED, score=T + 60, hook_execution="e7@w")
    assert [attempt.key for attempt in looks.shown.attempts] == ["e7@w"]
    looks = Looks()
    # What another worker left there says nothing of this one.
    looks.look("scheduled", **ENDED, score=T + 60, hook_execution="e7@other")
    assert [attempt.worker for attempt in looks.shown.attempts] == ["w"]
    assert looks.shown.attempts[0].key != "e7@other"


def test_a_later_try_ends_an_earlier_one_that_was_not_seen_to_end(looks: Looks) -> None:
    looks.look("started", **RUNNING)
    later = {"worker": "w", "started_at": T + 9, "ended_at": T + 10, "outcomes": [outcome(1, "e3", T + 10)]}
    looks.look("finished", **later)
    assert (looks.shown.state, looks.attempts) == (RunState.SUCCEEDED, ["retrying", "succeeded"])


def test_the_list_of_executions_may_be_older_than_the_job(looks: Looks) -> None:
    looks.look("started", **RUNNING)
    gone = {**RUNNING, "execution_id": ""}
    assert looks.look("started", **gone, missed=1) == []
    assert looks.look("started", **gone, missed=5) == [K.LOST]
    assert looks.shown.state is RunState.LOST
    # It was only slow.
    looks.look("finished", **ENDED, outcomes=[outcome(1)])
    assert (looks.shown.state, looks.attempts) == (RunState.SUCCEEDED, ["succeeded"])


def test_a_job_given_up_by_rq_is_lost(looks: Looks) -> None:
    looks.look("started", **RUNNING)
    text = "Moved to FailedJobRegistry, due to AbandonedJobError, at 2026-11-20"
    looks.look("failed", **RUNNING, outcomes=[Outcome((int(T * 1000) + 9000, 0), 2, "", "", None, None, text)])
    assert (looks.shown.state, looks.attempts) == (RunState.LOST, ["lost"])
    assert "fell silent" in looks.shown.reason


def test_a_job_given_up_and_tried_again_was_lost_first(looks: Looks) -> None:
    looks.look("started", **RUNNING)
    looks.look("queued", worker="w", started_at=T + 2, enqueued_at=T + 90)
    assert looks.attempts == ["lost"]
    again = {"worker": "v", "started_at": T + 91, "execution_id": "e2", "enqueued_at": T + 90}
    looks.look("started", **again)
    assert (looks.shown.state, looks.attempts) == (RunState.STARTED, ["lost", "started"])


def test_a_cancelled_job_is_revoked_and_one_that_runs_goes_on(looks: Looks) -> None:
    looks.look("queued")
    looks.look("canceled", score=T + 2)
    assert (looks.shown.state, looks.shown.finished_at) == (RunState.REVOKED, T + 2)
    looks = Looks()
    looks.look("started", **RUNNING)
    looks.look("canceled", **{**RUNNING, "execution_id": ""}, score=T + 2.5)
    assert looks.shown.state is RunState.STARTED
    looks.look("finished", **ENDED, outcomes=[outcome(1)])
    assert (looks.shown.state, looks.attempts) == (RunState.SUCCEEDED, ["succeeded"])


def test_a_stopped_job_is_revoked(looks: Looks) -> None:
    looks.look("started", **RUNNING)
    text = "Job stopped by user, work-horse terminated."
    looks.look("stopped", **ENDED, outcomes=[outcome(2, exception=text)])
    assert (looks.shown.state, looks.attempts) == (RunState.REVOKED, ["revoked"])


def test_a_deferred_job_is_known_and_not_enqueued(looks: Looks) -> None:
    assert looks.look("deferred", enqueued_at=None, dependencies=("parent",)) == [K.PROGRESS]
    assert (looks.shown.state, looks.shown.enqueued_at) == (RunState.QUEUED, None)
    assert looks.runs[ID].parent_id == "parent"
    looks.look("queued", enqueued_at=T + 9, dependencies=("parent",))
    assert looks.shown.enqueued_at == T + 9


def test_returned_retries_are_attempts(looks: Looks) -> None:
    first, second = outcome(4, "e1", T + 3), outcome(5, "e2", T + 5)
    looks.look("failed", worker="w", started_at=T + 4, ended_at=T + 5, retries=1, outcomes=[second, first])
    assert (looks.shown.state, looks.attempts) == (RunState.FAILED, ["retrying", "failed"])
    assert "used up" in looks.shown.reason


def test_each_repetition_is_a_run(looks: Looks) -> None:
    one, two, three = outcome(1, "e1", T + 3), outcome(1, "e2", T + 5), outcome(1, "e3", T + 7)
    looks.look("queued", repetitions_left=2)
    looks.look("queued", **ENDED, enqueued_at=T + 3, repetitions_left=1, outcomes=[one])
    looks.look(
        "finished",
        worker="w",
        started_at=T + 6,
        ended_at=T + 7,
        enqueued_at=T + 5,
        repetitions_left=0,
        outcomes=[three, two, one],
    )
    found = {run_id: view(run) for run_id, run in looks.runs.items()}
    assert sorted(found) == [f"{ID}.{left}" for left in (0, 1, 2)]
    assert {shown.state for shown in found.values()} == {RunState.SUCCEEDED}
    keys = {run_id: [attempt.key for attempt in shown.attempts] for run_id, shown in found.items()}
    assert keys == {f"{ID}.2": ["e1@w"], f"{ID}.1": ["e2@w"], f"{ID}.0": ["e3@w"]}


def test_the_times_of_a_later_execution_are_not_those_of_an_earlier_one(looks: Looks) -> None:
    looks.look("queued", repetitions_left=1)
    again = {"worker": "w", "started_at": T + 9, "ended_at": T + 3, "execution_id": "e2", "enqueued_at": T + 3}
    looks.look("started", **again, repetitions_left=0, outcomes=[outcome(1, "e1", T + 3)])
    starts = {run_id: view(run).started_at for run_id, run in looks.runs.items()}
    assert starts == {f"{ID}.1": T + 2, f"{ID}.0": T + 9}


def test_a_job_that_is_gone_tells_by_how_it_was_kept(looks: Looks) -> None:
    looks.look("queued", result_ttl_s=0)
    looks.gone()
    assert (looks.shown.state, looks.shown.evidence) == (RunState.SUCCEEDED, "inferred")
    looks = Looks()
    looks.look("started", **RUNNING, result_ttl_s=0)
    looks.gone()
    assert (looks.shown.state, looks.attempts) == (RunState.SUCCEEDED, ["succeeded"])
    looks = Looks()
    looks.look("started", **RUNNING)
    looks.gone()
    assert (looks.shown.state, looks.attempts) == (RunState.DEAD, ["dead"])
    looks = Looks()
    looks.look("queued", ttl_s=1)
    looks.gone()
    assert "expired" in looks.shown.reason
    looks = Looks()
    looks.look("queued")
    looks.gone()
    assert looks.shown.state is RunState.REVOKED


def test_the_same_id_used_again_is_another_run(looks: Looks) -> None:
    looks.translator = Translator()
    for made_at in (T, T + 100):
        job = Job("nightly", "finished", created_at=made_at, enqueued_at=made_at, queue="q", worker="w")
        job.started_at, job.ended_at = made_at + 1, made_at + 2
        job.outcomes = [outcome(1, f"e{made_at}", made_at + 2)]
        new, looks.known = looks.translator.told(job, looks.known, made_at + 3)
        looks._apply(new)
    assert len(looks.runs) == 2
    assert {view(run).state for run in looks.runs.values()} == {RunState.SUCCEEDED}


def test_a_parent_with_a_name_of_its_own_is_named_by_its_run(looks: Looks) -> None:
    job = Job(ID, "deferred", created_at=T, queue="q", dependencies=("nightly", "b"))
    new, _ = looks.translator.told(job, None, T, {"nightly": "nightly@17"})
    assert new[0].parent_id == "nightly@17"
    assert new[0].depends_on == ["nightly@17", "b"]


def test_rq_without_names_of_executions_in_results_is_read_all_the_same(looks: Looks) -> None:
    old = replace(outcome(1), execution_id="", started_at=None, ended_at=None)
    looks.look("queued")
    looks.look("started", **RUNNING)
    looks.look("finished", **ENDED, outcomes=[old])
    assert [attempt.key for attempt in looks.shown.attempts] == ["e1@w"]
    looks = Looks()
    looks.look("finished", **ENDED, outcomes=[old])
    assert looks.attempts == ["succeeded"]


def test_a_job_of_a_queue_without_workers_has_no_worker(looks: Looks) -> None:
    looks.look("finished", started_at=T + 2, ended_at=T + 3, outcomes=[outcome(1, "", worker="")])
    assert (looks.shown.state, looks.shown.worker) == (RunState.SUCCEEDED, "")
