"""What a job's state says, compared with what was told of it before, in the words of the model.

| state of the job | fact |
|---|---|
| queued, scheduled, deferred | queued, scheduled with its time, and known with its parent |
| started, with an execution | started |
| finished, failed, stopped, canceled | succeeded; failed, lost or dead, as its text says; revoked |
| queued or scheduled again after an execution | retrying, and put off |
| gone | what RQ deletes jobs for: it is inferred |

Facts are made of states, so what came and went between two looks is not seen: of several tries that fail within that
time, each of which writes over the last, only the last one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from huoyan.model.event import EventKind, Evidence, TaskEvent
from huoyan.model.job_identity import execution_of, run_id_of
from huoyan.server.ingest.rq_exceptions import Diagnostician
from huoyan.server.ingest.rq_records import Job, Outcome

FRAMEWORK = "rq"
SOURCE = "rq-poll"
WAITING = frozenset({"created", "queued", "scheduled", "deferred"})
ENDED = frozenset({"finished", "failed", "stopped", "canceled"})
_PATIENCE = 5
_MOST_DEPENDENCIES = 100
_SAME_S = 0.001
_SUCCESS, _FAILURE, _STOPPED, _RETRIED, _OUT_OF_RETRIES = 1, 2, 3, 4, 5


@dataclass(slots=True)
class Known:
    """What was told of a job.

    Args:
        run_id: The run it stands for now.
        state: Its status.
        score: Its place in the registry of that status.
        enqueued_at: When it was enqueued last, seconds since 1970 UTC.
        ended_at: When its last execution ended, seconds since 1970 UTC.
        execution: Identity of the execution that goes on, empty when none does.
        worker: Who executes it.
        queue: Where it waits or waited.
        outcome: The newest of its results.
        result_ttl_s: For how long RQ keeps it after a success, in seconds; with 0 it is gone at once.
        expires_at: When it goes unless it starts, seconds since 1970 UTC.
    """

    run_id: str
    state: str
    score: float = 0.0
    enqueued_at: float | None = None
    ended_at: float | None = None
    execution: str = ""
    worker: str = ""
    queue: str = ""
    outcome: tuple[int, int] = (0, 0)
    result_ttl_s: int | None = None
    expires_at: float | None = None


class Translator:
    """Makes facts of jobs. Used by one thread.

    Args:
        service: Name to show for runs that carry none themselves.
        scrub: Takes secrets out of text.
    """

    def __init__(self, service: str = "", scrub: Callable[[str], str] = str) -> None:
        self._service = service
        self._diagnose = Diagnostician(scrub)

    def told(
        self, job: Job, known: Known | None, now: float, parents: Mapping[str, str] | None = None
    ) -> tuple[list[TaskEvent], Known]:
        """Return what is new about a job, and what is known of it from now on.

        Args:
            job: As it is now, with its outcomes when it has any.
            known: What was told of it before.
            now: Seconds since 1970 UTC.
            parents: Id of a job → its run, where the id alone does not tell it.
        """
        telling = _Telling(job, known, self._service, self._diagnose, now)
        telling.depends_on = [(parents or {}).get(each, each) for each in job.dependencies[:_MOST_DEPENDENCIES]]
        telling.parent_id = telling.depends_on[0] if telling.depends_on else None
        telling.waits()
        telling.ends()
        telling.starts()
        return telling.events, telling.next

    def gone(self, known: Known, now: float) -> list[TaskEvent]:
        """Return what can be inferred of a job that is not there any more although nobody saw it end."""
        kind, reason = EventKind.REVOKED, "deleted from Redis before it ran"
        if known.result_ttl_s == 0:
            kind, reason = EventKind.SUCCEEDED, "gone from Redis, as RQ does after a success with result_ttl=0"
        elif known.execution:
            kind, reason = EventKind.DEAD, "deleted from Redis while it ran"
        elif known.expires_at is not None and known.expires_at <= now:
            kind, reason = EventKind.DEAD, "expired before it was started"
        event = TaskEvent(
            kind=kind,
            run_id=known.run_id,
            at=now,
            service=self._service,
            framework=FRAMEWORK,
            queue=known.queue,
            reason=reason,
            evidence=Evidence.INFERRED,
            source=SOURCE,
        )
        if known.execution:
            event.execution, event.worker = known.execution, known.worker
        return [event]


class _Telling:
    """One look at one job."""

    def __init__(self, job: Job, known: Known | None, service: str, diagnose: Diagnostician, now: float) -> None:
        self.events: list[TaskEvent] = []
        self.parent_id: str | None = None
        self.depends_on: list[str] = []
        self._job = job
        self._service = service
        self._diagnose = diagnose
        self._now = now
        self._run_id = run_id_of(job.id, job.created_at_ms, job.repetitions_left)
        self._known = known
        # Of an earlier run of the same job only what goes on in it still counts.
        same = known if known is not None and known.run_id == self._run_id else None
        self._same = same
        self._open = (known.execution, known.worker, known.run_id) if known is not None and known.execution else None
        self.next = Known(
            run_id=self._run_id,
            state=job.status,
            score=job.score,
            enqueued_at=job.enqueued_at,
            ended_at=same.ended_at if same is not None else None,
            execution=same.execution if same is not None else "",
            worker=same.worker if same is not None else "",
            queue=job.queue,
            outcome=known.outcome if known is not None else (0, 0),
            result_ttl_s=job.result_ttl_s,
            expires_at=_after(job.enqueued_at, job.ttl_s),
        )

    def waits(self) -> None:
        """Say that the job is there, and where it waits."""
        job, same = self._job, self._same
        again = (job.ended_at is not None or job.retries > 0) and not self._repeats()
        if job.status == "scheduled":
            if same is None or same.state != "scheduled" or same.score != job.score:
                at = (job.ended_at if again else None) or job.created_at or self._now
                self._say(EventKind.SCHEDULED, at, eta=job.score or None, attempt=2 if again else None)
        elif job.status in {"deferred", "created"}:
            if same is None or same.state != job.status:
                # It is enqueued when what it waits for is done.
                self._say(EventKind.PROGRESS, job.created_at or self._now)
        elif same is None or same.enqueued_at != job.enqueued_at:
            at = job.enqueued_at or job.created_at or self._now
            executed_before = again and job.status in WAITING
            self._say(EventKind.QUEUED, at, attempt=2 if executed_before else None, expires=self.next.expires_at)

    def ends(self) -> None:
        """Say how executions ended."""
        job = self._job
        newest_first = [each for each in job.outcomes if each.id > self.next.outcome]
        for outcome, run_id in reversed(list(self._with_runs(newest_first))):
            self._ended(outcome, run_id)
        if newest_first:
            self.next.outcome = newest_first[0].id
        elif job.ended_at is not None and job.ended_at != self.next.ended_at:
            self._ended_without_outcome()
        if job.ended_at is not None:
            self.next.ended_at = job.ended_at
        changed = self._same is None or self._same.state != job.status
        if job.status == "canceled" and changed:
            # The registry's score is the time; a job that is being executed goes on all the same.
            self._say(EventKind.REVOKED, job.score or self._now, reason="cancelled")
        if self._open is not None and not self._goes_on():
            self._close_open(EventKind.LOST, "RQ has given up this execution: nobody said how it ended")

    def starts(self) -> None:
        """Say that an execution goes on."""
        job = self._job
        if job.status != "started" or not job.execution_id or job.started_at is None or not job.worker:
            return
        execution = execution_of(job.execution_id, job.worker)
        if self._open is not None and self._open[0] != execution:
            self._close_open(EventKind.RETRYING, "a later try was started")
        if self._same is None or self._same.execution != execution:
            self._say(EventKind.STARTED, job.started_at, execution=execution, worker=job.worker)
        self.next.execution, self.next.worker = execution, job.worker

    def _goes_on(self) -> bool:
        """Return whether the execution that was told of may still go on."""
        job = self._job
        if job.status == "started":
            # The list of executions was read a moment earlier than the job.
            return bool(job.execution_id) or job.missed < _PATIENCE
        # A job that is cancelled while it runs is not stopped by that.
        return job.status == "canceled" or (bool(job.execution_id) and job.status not in ENDED)

    def _with_runs(self, newest_first: list[Outcome]) -> list[tuple[Outcome, str]]:
        """Return each outcome with its run: a job that repeats itself has one for each success."""
        job = self._job
        left = job.repetitions_left
        found = []
        for number, outcome in enumerate(newest_first):
            success = outcome.kind == _SUCCESS
            if left is not None and success and (number > 0 or job.status not in ENDED):
                left += 1
            found.append((outcome, run_id_of(job.id, job.created_at_ms, left)))
        return found

    def _ended(self, outcome: Outcome, run_id: str) -> None:
        job = self._job
        worker = outcome.worker or job.worker
        started_at: float | None = outcome.started_at
        ended_at: float | None = outcome.ended_at or outcome.at
        if _same_execution(job, ended_at):
            # The worker's own measure; the outcome's begins before the fork.
            started_at, ended_at = job.started_at, job.ended_at
        if outcome.execution_id:
            execution = execution_of(outcome.execution_id, worker)
        elif not outcome.worker:
            # A job that was given up, or one of a queue without workers.
            execution = self._open[0] if self._open is not None else ""
            worker = self._open[1] if self._open is not None else ""
        else:
            execution = self._last_execution(worker, started_at)
        if outcome.kind == _SUCCESS:
            self._end(EventKind.SUCCEEDED, run_id, execution, worker, started_at, ended_at)
        elif outcome.kind == _RETRIED:
            self._end(EventKind.RETRYING, run_id, execution, worker, started_at, ended_at, reason="it returned Retry")
        elif outcome.kind == _OUT_OF_RETRIES:
            reason = "it returned Retry, and its retries are used up"
            self._end(EventKind.FAILED, run_id, execution, worker, started_at, ended_at, reason=reason)
        elif outcome.kind == _STOPPED:
            self._end(EventKind.REVOKED, run_id, execution, worker, started_at, ended_at, reason="stopped while it ran")
        elif outcome.kind == _FAILURE:
            self._failed(outcome.exception, run_id, execution, worker, started_at, ended_at)

    def _ended_without_outcome(self) -> None:
        """Say how the last execution ended where RQ keeps no result of it: a try that is followed by another, or a host
        that wants none."""
        job = self._job
        execution = self._last_execution(job.worker, job.started_at)
        times = (job.started_at, job.ended_at)
        if job.status == "finished":
            self._end(EventKind.SUCCEEDED, self._run_id, execution, job.worker, *times)
        elif job.status in {"failed", "stopped"}:
            self._failed(job.exception, self._run_id, execution, job.worker, *times)
        elif job.status in WAITING and not self._repeats():
            self._end(EventKind.RETRYING, self._run_id, execution, job.worker, *times)
        elif job.status == "started" and self._open is not None:
            # What is said of times belongs to the try that goes on now.
            self._close_open(EventKind.RETRYING, "a later try was started", job.ended_at)

    def _failed(
        self, text: str, run_id: str, execution: str, worker: str, started_at: float | None, ended_at: float | None
    ) -> None:
        diagnosis = self._diagnose.failure(text)
        kind = diagnosis.kind
        if self._job.status == "stopped" and kind is EventKind.FAILED:
            kind = EventKind.REVOKED
        if kind is EventKind.DEAD:
            self._say(kind, ended_at or self._now, reason=diagnosis.reason)
        elif kind is EventKind.LOST:
            if self._open is not None:
                self._close_open(kind, diagnosis.reason)
            else:
                self._say(kind, self._now, worker=self._job.worker, reason=diagnosis.reason)
        else:
            self._end(kind, run_id, execution, worker, started_at, ended_at, reason=diagnosis.reason)
            self.events[-1].exception = diagnosis.exception

    def _last_execution(self, worker: str, started_at: float | None) -> str:
        """Return the name of the execution that ended last: from hooks, from having seen it, or one of our own."""
        job = self._job
        if job.hook_execution.endswith(f"@{worker}"):
            return job.hook_execution
        if self._open is not None and self._open[1] == worker and self._open[2] == self._run_id:
            return self._open[0]
        return execution_of(f"{started_at or job.ended_at or 0:.6f}", worker)

    def _repeats(self) -> bool:
        """Return whether the last execution was that of an earlier repetition, so that this run has had none."""
        job = self._job
        last = job.outcomes[0] if job.outcomes else None
        if job.repetitions_left is None or last is None or last.kind != _SUCCESS:
            return False
        return last.ended_at is None or job.ended_at is None or abs(last.ended_at - job.ended_at) < _SAME_S

    def _end(
        self,
        kind: EventKind,
        run_id: str,
        execution: str,
        worker: str,
        started_at: float | None,
        ended_at: float | None,
        reason: str = "",
    ) -> None:
        told = self._open is not None and self._open[0] == execution
        if told:
            self._open = None
            if self.next.execution == execution:
                self.next.execution = self.next.worker = ""
        elif self._open is not None and execution and self._open[2] == run_id:
            # RQ keeps no result of a try that is followed by another.
            self._close_open(EventKind.RETRYING, "a later try ended", started_at)
        if started_at is not None and execution and not told:
            self._say(EventKind.STARTED, started_at, run_id, execution=execution, worker=worker)
        duration_s = None
        if started_at is not None and ended_at is not None and ended_at >= started_at:
            duration_s = ended_at - started_at
        self._say(
            kind,
            ended_at or self._now,
            run_id,
            execution=execution or None,
            worker=worker,
            duration_s=duration_s,
            reason=reason,
        )

    def _close_open(self, kind: EventKind, reason: str, at: float | None = None) -> None:
        assert self._open is not None
        execution, worker, run_id = self._open
        self._open = None
        if self.next.execution == execution:
            self.next.execution = self.next.worker = ""
        self._say(kind, at or self._now, run_id, execution=execution, worker=worker, reason=reason)
        self.events[-1].evidence = Evidence.INFERRED

    def _say(
        self,
        kind: EventKind,
        at: float,
        run_id: str = "",
        *,
        execution: str | None = None,
        worker: str = "",
        attempt: int | None = None,
        eta: float | None = None,
        expires: float | None = None,
        duration_s: float | None = None,
        reason: str = "",
    ) -> None:
        job = self._job
        self.events.append(
            TaskEvent(
                kind=kind,
                run_id=run_id or self._run_id,
                at=at,
                task=job.function,
                service=self._service,
                framework=FRAMEWORK,
                queue=job.queue,
                attempt=attempt,
                execution=execution,
                worker=worker,
                parent_id=self.parent_id,
                group_id=job.group or None,
                eta=eta,
                expires=expires,
                duration_s=duration_s,
                depends_on=self.depends_on or None,
                reason=reason,
                source=SOURCE,
            )
        )


def _same_execution(job: Job, ended_at: float | None) -> bool:
    """Return whether the job's times are those of the execution that ended then, and no later one has begun since."""
    if ended_at is None or job.ended_at is None or job.started_at is None:
        return False
    return abs(job.ended_at - ended_at) < _SAME_S and job.started_at <= job.ended_at


def _after(at: float | None, s: int | None) -> float | None:
    return at + s if at is not None and s is not None and s > 0 else None
