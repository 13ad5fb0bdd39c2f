"""What each way of watching a framework can report and what it cannot, with the reason: data, nothing is imported.

The contract suite runs a case where it is said to be supported and proves the absence where it is not;
`tests/contract/test_capabilities.py` says which test shows what. `python -m huoyan.client.capabilities
docs/reference` writes the table of the documentation.
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
            depth=_UNCOORDINATED,
            schedules=_no("there are none"),
            cpu=_partly("functions and generators; coroutines take turns"),
            memory=_SHARED_PROCESS,
        ),
    ),
)
"""Every way of watching a framework."""

_SIGNS = {Level.YES: "yes", Level.PARTLY: "partly", Level.NO: "–"}
_HEAD = """\
<!-- Written by `python -m huoyan.client.capabilities docs/reference`; edit the table in that module, not this page. -->
# What can be known of each framework

A framework shows only what it has hooks for, and Huoyan reports only what it was shown: nothing is guessed. What is
known in part or not at all is explained below the table. Each yes and each partly is held to a test:
`tests/contract/test_capabilities.py` names it, and fails where there is none.
"""


def hooks(framework: str) -> Watching:
    """Return the way of watching a framework from inside its processes.

    Raises:
        KeyError: There is no such framework.
    """
    for each in WATCHINGS:
        if each.framework == framework:
            return each
    raise KeyError(framework)


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
    return "\n".join(parts)


if __name__ == "__main__":
    page = Path(sys.argv[1]) / "frameworks.md"
    page.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{page}: written\n")
