"""What each way of watching a framework can report and what it cannot, with the reason: data, nothing is imported.

The contract suite does the same with every framework, looks whether it was told, and holds each flag to that: a yes and
a no alike. `PROOFS` names the case. `python -m huoyan.client.capabilities docs/reference` writes the table of the
documentation.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Capability(StrEnum):
    """Something that can be known of runs."""

    OUTCOME = "success and failure"
    ARGUMENTS = "arguments and result"
    SECRETS = "secrets taken out"
    RETRY = "retries"
    TIMEOUT = "time limits"
    REVOKE = "cancelling"
    DELAY = "delays"
    WORKER_KILLED = "killed workers"
    REDELIVERY = "redelivery"
    LINEAGE = "parent and child"
    DEPTH = "queue depth"
    SCHEDULES = "schedules"
    BREAKDOWN = "where the time went"
    CPU = "CPU time"
    MEMORY = "peak memory"


class Level(StrEnum):
    """How far something can be reported."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"


class Support(NamedTuple):
    """How far something is reported. `note` says why not, or by which means; only a plain yes may leave it out."""

    level: Level
    note: str = ""


class Watching(NamedTuple):
    """One way of watching one framework.

    Args:
        framework: As runs carry it.
        title: The framework's name and, where there are several ways, which one.
        how: What to do for it.
        supports: Every capability.
    """

    framework: str
    title: str
    how: str
    supports: dict[Capability, Support]

    def level(self, capability: Capability) -> Level:
        """Return how far a capability is supported."""
        return self.supports[capability].level


def _partly(note: str) -> Support:
    return Support(Level.PARTLY, note)


def _no(note: str) -> Support:
    return Support(Level.NO, note)


_YES = Support(Level.YES)
_HEARTBEAT = Support(Level.YES, "by the silence of its process; what it was executing is `lost (inferred)`")
_SHARED_PROCESS = Support(Level.NO, "the runs of a process share its memory, and no share can be told apart")
_COROUTINES = Support(Level.NO, "coroutines take turns in one thread, whose CPU time cannot be told apart")
_OUTSIDE = _no("what a run calls is seen from inside its process alone")
_LATE = Support(Level.YES, "where `acks_late` is on; otherwise what a killed worker was executing is gone")
_TAKEN_OFF = _no("what is executed is off its queue already; a retry that is left is an attempt like any other")
_IN_PROCESS = _no("what a process was asked for dies with it")
_UNCOORDINATED = Support(Level.NO, "nothing waits in a queue")


def _all(**differing: Support) -> dict[Capability, Support]:
    """Return every capability, supported where nothing else is said; names are those of the members, in lower case."""
    return {each: differing.pop(each.name.lower(), _YES) for each in Capability}


WATCHINGS = (
    Watching(
        "celery",
        "Celery, hooks",
        "`huoyan.watch(app)`",
        _all(
            worker_killed=Support(
                Level.YES, "the main process tells of a killed child; a killed main process is silent"
            ),
            redelivery=_LATE,
            depth=_no("workers do not read their broker; `huoyan serve --celery` does"),
            schedules=Support(Level.YES, "the entries of beat"),
            cpu=_partly("prefork children, threads and solo; greenlets take turns in one thread"),
            memory=_partly("prefork children, for a run that raised the highest resident size of its child"),
        ),
    ),
    Watching(
        "celery",
        "Celery, event stream",
        "`huoyan serve --celery BROKER_URL`",
        _all(
            arguments=_partly("as Celery's own text, which it cuts off"),
            secrets=_partly("by their names and looks; what is passed by position has no name in Celery's text"),
            timeout=Support(Level.YES, "as the failure that Celery makes of it"),
            worker_killed=Support(Level.YES, "by the silence of the worker's heartbeat"),
            redelivery=_LATE,
            schedules=_no("beat sends no events"),
            breakdown=_OUTSIDE,
            cpu=_no("events carry the time that passed, not the CPU time"),
            memory=_no("events carry nothing about memory"),
        ),
    ),
    Watching(
        "rq",
        "RQ, hooks",
        "`huoyan.watch(rq.Worker)`",
        _all(
            worker_killed=Support(Level.YES, "the worker says what killed its work horse; a killed worker is silent"),
            redelivery=_TAKEN_OFF,
            schedules=Support(Level.YES, "the jobs of `CronScheduler`"),
            memory=_partly("work horses, also killed ones; `SimpleWorker` shares its process"),
        ),
    ),
    Watching(
        "rq",
        "RQ, polling",
        "`huoyan serve --rq REDIS_URL`",
        _all(
            arguments=_no("they are pickled, and nothing is ever unpickled"),
            retry=_partly(
                "an attempt that begins and ends between two looks at Redis is not seen, and what an attempt raised "
                "that is followed by another is not kept there"
            ),
            revoke=_partly("a job that is deleted between two looks leaves no trace"),
            worker_killed=Support(Level.YES, "by its heartbeat in Redis"),
            redelivery=_TAKEN_OFF,
            lineage=_partly("dependencies; which job enqueued another is not kept in Redis"),
            schedules=Support(Level.YES, "the jobs of `CronScheduler`, as RQ 2.11 and newer keep them in Redis"),
            breakdown=_OUTSIDE,
            cpu=_no("Redis holds the time that passed, not the CPU time"),
            memory=_no("Redis holds nothing about memory"),
        ),
    ),
    Watching(
        "arq",
        "arq",
        "`huoyan.watch(WorkerSettings)`",
        _all(
            worker_killed=_HEARTBEAT,
            revoke=Support(Level.YES, "where `allow_abort_jobs` is on"),
            depth=Support(Level.YES, "read by the workers"),
            schedules=Support(Level.YES, "cron jobs"),
            cpu=_COROUTINES,
            memory=_SHARED_PROCESS,
        ),
    ),
    Watching(
        "dramatiq",
        "Dramatiq",
        "`huoyan.watch(broker)`",
        _all(
            worker_killed=_HEARTBEAT,
            revoke=Support(Level.YES, "with dramatiq-abort; Dramatiq itself cannot cancel"),
            depth=Support(Level.YES, "Redis and RabbitMQ"),
            schedules=_no("Dramatiq has no scheduler"),
            cpu=_partly("actors that are functions; coroutines are executed in one thread for all"),
            memory=_SHARED_PROCESS,
        ),
    ),
    Watching(
        "taskiq",
        "Taskiq",
        "`huoyan.watch(broker)`",
        _all(
            worker_killed=_HEARTBEAT,
            revoke=_no("Taskiq cannot take a message back"),
            delay=_partly("brokers that heed the label `delay`"),
            redelivery=_partly("`RedisStreamBroker`; `ListQueueBroker` takes a message off before it is executed"),
            depth=_partly("`ListQueueBroker` and `RedisStreamBroker`; there is no common way to ask a broker"),
            schedules=Support(Level.YES, "what the scheduler keeps from its sources"),
            cpu=_no(
                "middlewares are called in the event loop, where coroutines take turns; functions run in a pool that "
                "has no hooks"
            ),
            memory=_SHARED_PROCESS,
        ),
    ),
    Watching(
        "huey",
        "Huey",
        "`huoyan.watch(huey)`",
        _all(
            worker_killed=_HEARTBEAT,
            redelivery=_TAKEN_OFF,
            schedules=Support(Level.YES, "periodic tasks"),
            cpu=_partly("threads and processes; greenlets take turns in one thread"),
            memory=_SHARED_PROCESS,
        ),
    ),
    Watching(
        "apscheduler",
        "APScheduler",
        "`huoyan.watch(scheduler)`",
        _all(
            retry=_no("APScheduler executes each due time once"),
            timeout=_no("jobs have no time limit"),
            revoke=_no("a job that is removed has no run yet; one that was submitted cannot be withdrawn"),
            worker_killed=_HEARTBEAT,
            redelivery=_IN_PROCESS,
            lineage=_partly("threads and coroutines; a job in a process pool knows nothing of its run"),
            depth=_UNCOORDINATED,
            cpu=_partly("threads; coroutines take turns, and a process pool has no hooks"),
            memory=_SHARED_PROCESS,
        ),
    ),
    Watching(
        "fastapi",
        "FastAPI BackgroundTasks",
        "`huoyan.watch(app)`",
        _all(
            retry=_no("a background task is executed once"),
            timeout=_no("background tasks have no time limit"),
            revoke=_no("a background task cannot be withdrawn"),
            delay=_no("a background task starts when the response was sent"),
            worker_killed=_HEARTBEAT,
            redelivery=_IN_PROCESS,
            depth=_UNCOORDINATED,
            schedules=_no("there are none"),
            cpu=_partly("functions, which have a thread each; coroutines take turns"),
            memory=_SHARED_PROCESS,
        ),
    ),
    Watching(
        "python",
        "Plain functions",
        "`@huoyan.task`",
        _all(
            retry=_no("each call is a run of its own"),
            timeout=_no("a function has no time limit"),
            revoke=_no(
                "nothing waits that could be withdrawn; a coroutine that is cancelled while it runs is `revoked`"
            ),
            delay=_no("a call starts at once"),
            worker_killed=_HEARTBEAT,
            redelivery=_IN_PROCESS,
            depth=_UNCOORDINATED,
            schedules=_no("there are none"),
            cpu=_partly("functions and generators; coroutines take turns"),
            memory=_SHARED_PROCESS,
        ),
    ),
)
"""Every way of watching a framework."""

_SUITE = "tests/contract/test_adapters.py"
_CONSUMPTION = "tests/unit/client/test_consumption.py"
_KILLED = "tests/contract/test_killed.py"
PROOFS = {
    Capability.OUTCOME: (_SUITE, "test_a_failure_carries_its_exception"),
    Capability.ARGUMENTS: (_SUITE, "test_a_success_is_one_run_with_one_attempt"),
    Capability.SECRETS: (_SUITE, "test_secrets_are_taken_out"),
    Capability.RETRY: (_SUITE, "test_retries_are_attempts_of_one_run"),
    Capability.TIMEOUT: (_SUITE, "test_over_its_time_limit_a_run_fails"),
    Capability.REVOKE: (_SUITE, "test_a_revoked_run_never_starts"),
    Capability.DELAY: (_SUITE, "test_a_delay_is_no_waiting"),
    Capability.WORKER_KILLED: (_KILLED, "test_what_a_killed_process_was_executing_is_lost"),
    Capability.REDELIVERY: (_KILLED, "test_what_a_killed_worker_had_not_acknowledged_is_executed_again_as_an_attempt"),
    Capability.LINEAGE: (_SUITE, "test_what_a_run_asks_for_has_it_as_parent"),
    Capability.DEPTH: (_KILLED, "test_what_waits_is_counted"),
    Capability.SCHEDULES: (_KILLED, "test_what_is_due_is_told"),
    Capability.BREAKDOWN: (_SUITE, "test_every_end_of_an_attempt_says_where_its_time_went"),
    Capability.CPU: (_SUITE, "test_cpu_time_is_told_where_it_is_the_runs_own"),
    Capability.MEMORY: (_SUITE, "test_peak_memory_is_told_where_a_run_has_a_process_of_its_own"),
}
"""The case that holds the flags of each capability, over all ways of watching, to what is told."""

OTHER_SIDES = {
    ("Celery, hooks", Capability.CPU): ("tests/integration/celery/test_celery.py", "test_other_pools_are_seen_alike"),
    ("Celery, event stream", Capability.ARGUMENTS): (_SUITE, "test_celery_cuts_off_long_arguments_itself"),
    ("Celery, event stream", Capability.SECRETS): (_SUITE, "test_secrets_with_a_name_are_taken_out_of_celerys_text"),
    ("RQ, polling", Capability.RETRY): (_SUITE, "test_an_attempt_between_two_looks_at_rq_is_not_seen"),
    ("RQ, polling", Capability.REVOKE): (_SUITE, "test_a_job_of_rq_that_is_deleted_between_two_looks_leaves_no_trace"),
    ("RQ, polling", Capability.LINEAGE): ("tests/integration/test_rq.py", "test_a_dependency_is_the_parent"),
    ("Dramatiq", Capability.CPU): (_CONSUMPTION, "test_coroutines_take_turns_so_nothing_is_told"),
    ("Huey", Capability.CPU): (_CONSUMPTION, "test_greenlets_take_turns_too"),
    ("APScheduler", Capability.CPU): (_CONSUMPTION, "test_coroutines_take_turns_so_nothing_is_told"),
    ("FastAPI BackgroundTasks", Capability.CPU): (
        _CONSUMPTION,
        "test_coroutines_take_turns_so_nothing_is_told",
    ),
    ("Plain functions", Capability.CPU): (_CONSUMPTION, "test_coroutines_take_turns_so_nothing_is_told"),
}
"""What shows the other part of a partly, where the cases have one part only."""

_SIGNS = {Level.YES: "yes", Level.PARTLY: "partly", Level.NO: "–"}
_HEAD = """\
<!-- Written by `python -m huoyan.client.capabilities docs/reference`; edit the table in that module, not this page. -->
# What can be known of each framework

A framework shows only what it has hooks for, and Huoyan reports only what it was shown: nothing is guessed. What is
known in part or not at all is explained below the table, and [what shows it](#what-shows-it) is named at the end.
"""
_SHOWN = """\
One case does the same with every way of watching and real brokers, and looks whether it was told. A yes fails where it
was not, and a no fails where it was; that such a lie fails is tested as well."""
_OTHERS = """\
A partly is shown from both sides: by the case with drivers that differ in what the note says, or by the case and a
test of its own:"""


def hooks(framework: str) -> Watching:
    """Return the way of watching a framework from inside its processes.

    Raises:
        KeyError: There is no such framework.
    """
    for each in WATCHINGS:
        if each.framework == framework:
            return each
    raise KeyError(framework)


def _test(path: str, name: str) -> str:
    return f"`{path.removeprefix('tests/')}` `{name}`"


def render() -> str:
    """Return the page of the documentation."""
    names = " | ".join(capability.value for capability in Capability)
    rows = [f"| | {names} |", f"|---|{'---|' * len(Capability)}"]
    rows += [
        f"| {each.title} | {' | '.join(_SIGNS[each.level(capability)] for capability in Capability)} |"
        for each in WATCHINGS
    ]
    parts = [_HEAD, "\n".join(rows) + "\n"]
    for each in WATCHINGS:
        notes = [
            f"| {capability.value} | {_SIGNS[support.level]} | {support.note} |"
            for capability, support in each.supports.items()
            if support.note
        ]
        parts.append("\n".join([f"## {each.title}", "", each.how, "", "| | | |", "|---|---|---|", *notes, ""]))
    shown = [f"| {capability.value} | {_test(*PROOFS[capability])} |" for capability in Capability]
    parts.append("\n".join(["## What shows it", "", _SHOWN, "", "| | the case |", "|---|---|", *shown, ""]))
    others = [
        f"| {title} | {capability.value} | {_test(*proof)} |" for (title, capability), proof in OTHER_SIDES.items()
    ]
    parts.append("\n".join([_OTHERS, "", "| | | the test |", "|---|---|---|", *others, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    page = Path(sys.argv[1]) / "frameworks.md"
    page.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{page}: written\n")
