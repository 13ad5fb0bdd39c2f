"""Why something is so, as a code with its particulars: what the page needs to say a reason in another language.

A reason is stored, sent and merged as one English sentence, by whoever found it out: clients of any version, the
server, an application in its own words. The sentences that Huoyan itself says follow the forms below, by which they are
told apart again; what follows none of them is somebody else's and is shown as it is.
"""

import re
from functools import lru_cache

FORMS: dict[str, str] = {
    # What the server works out.
    "vanished": "it vanished: the broker does not hold it and no worker has it",
    "expired_unseen": "it expired before anybody executed it, and its message is gone",
    "left_unheard": "it left the queue while nothing could be heard ({source}: {why})",
    "not_executing_unheard": (
        "worker {worker} executes it no longer; how it ended was not heard "
        "while nothing could be heard ({source}: {why})"
    ),
    "not_executing": "worker {worker} executes it no longer; how it ended was not heard",
    "end_unheard": "worker {worker} is gone, and how this ended may not have been heard ({source}: {why})",
    "worker_silent": "worker {worker} fell silent: no report for {silent} s, expected one every {interval} s",
    "worker_restarted": "worker {worker} was started anew; what it executed before ended with it",
    "worker_goodbye": "worker {worker} said goodbye while it was executing this",
    "process_gone": "the process of worker {worker} is gone",
    "worker_gone": "worker {worker} was gone before it could end this",
    "process_replaced": "the process of worker {worker} that executed this is gone, another one has its name",
    "heard_again": "it was heard of again",
    "executed_again": "it was executed again after it had succeeded",
    "result_backend": "told by the result backend",
    # Slots of schedules.
    "slot_unheard": "nothing could be heard then: {source}: {why}",
    "slot_missed": "nothing started within {patience} s of its due time",
    "slot_late": "started {late} s late",
    "slot_doubled": "started by {count} processes: {processes}",
    "slot_repeated": "started {count} times: {runs}",
    "slot_overlapping": "{run} began while {other} still ran",
    "slot_too_fast": "took {duration} s, usually {usual} s or more",
    # Times in which nothing could be heard.
    "not_running": "it was not running",
    "stood_still": "it stood still",
    "started_later": "it was started after that",
    "events_dropped": "{count} of its events were dropped",
    "events_unkept": "what it said last was not kept: its file was full",
    "worker_reconnected": "it had lost its broker, and what it said at that time is gone",
    "starts_unheard": "{count} of the runs that it started were not heard of",
    # What becomes of a message or job.
    "delivered_again": "its message was delivered again",
    "later_try_started": "a later try was started",
    "later_try_ended": "a later try ended",
    "unknown_task_dropped": "the worker does not know this task and dropped its message",
    "unknown_task": "the worker does not know this task",
    "unknown_actor": "the worker does not know this actor, the message is in the dead letter queue",
    "message_refused_for": "the worker refused the message: {error}",
    "message_refused": "the worker refused the message",
    "broker_lost": "the worker lost its broker and cancelled the task",
    "rejected_requeued": "the task rejected its message, which went back to the queue",
    "rejected": "the task rejected its message",
    "replaced": "the task was replaced by another one",
    "ignored": "the task raised Ignore",
    "requeued_itself": "the task put itself into the queue again",
    "no_result_wanted": "the task wants no result to be kept",
    "expired_at": "expired at {time} before it could start",
    "expired": "expired before it was started",
    "expired_before_start": "expired before it could start",
    "too_old": "older than its age limit, the message is in the dead letter queue",
    "revoked_before": "revoked before it was started",
    "revoked_before_start": "revoked before it started",
    "terminated_by": "terminated while it ran (signal {signal})",
    "terminated": "terminated while it ran",
    "aborted_before": "aborted before it started",
    "aborted": "aborted while it ran",
    "cancelled_saying": "cancelled while it ran: {text}",
    "cancelled_running": "cancelled while it ran",
    "cancelled_before_saying": "cancelled before it could start: {text}",
    "cancelled_before": "cancelled before it could start",
    "cancelled_by_hook": "cancelled by a hook before it started",
    "cancelled_itself_saying": "cancelled itself: {text}",
    "cancelled_itself": "cancelled itself",
    "cancelled_shutdown": "cancelled: the worker was shut down, and it does not retry jobs",
    "cancelled": "cancelled",
    "stopped_by_command": "stopped while it ran (send_stop_job_command)",
    "stopped": "stopped while it ran",
    "interrupted_worker": "interrupted, the worker was shut down",
    "interrupted_consumer": "interrupted, the consumer was shut down",
    "shutdown_again": "the worker was shut down; the job is executed again",
    "shutdown_before": "the scheduler was shut down before it could start",
    "consumer_stopped": "its consumer stopped before the end",
    "deleted": "deleted before it ran",
    "deleted_before": "deleted from Redis before it ran",
    "deleted_running": "deleted from Redis while it ran",
    "gone_after_success": "gone from Redis, as RQ does after a success with result_ttl=0",
    "returned_retry_used_up": "it returned Retry, and its {count} retries are used up",
    "returned_retry_none_left": "it returned Retry, and its retries are used up",
    "returned_retry": "it returned Retry",
    "no_retry_left": "no retry is left, the message is in the dead letter queue",
    "retry_not_wanted": "its actor does not want this exception retried, the message is in the dead letter queue",
    "refused_before": "a middleware refused the message before it could start",
    "refused_after": "it returned, and a middleware refused the message afterwards",
    "refused_by": "refused by {who}, the message is in the dead letter queue",
    "skipped_instances": "skipped: {count} of it ran already, which is its max_instances",
    "skipped_by": "skipped by {who}",
    "not_its_turn": "never started: {task} of the same response failed with {error}",
    "not_submitted": "could not be submitted: {error}",
    "not_enqueued": "could not be enqueued: {error}",
    "not_noted": "it succeeded, and could not be noted: {error}",
    "misfired": "missed by {late} s, more than its misfire_grace_time allows",
    "not_settled": "the worker could not settle the job",
    # Processes that executed it.
    "pool_process_ended": "its process in the pool ended",
    "horse_silent": "its work horse ended without saying what became of the job",
    "horse_status_memory": "its work horse ended with status {status}; it had taken up to {memory} MiB of memory",
    "horse_status": "its work horse ended with status {status}",
    "horse_overran_memory": (
        "its work horse was killed by the worker: it ran past its time limit and did not heed it; "
        "it had taken up to {memory} MiB of memory"
    ),
    "horse_overran": "its work horse was killed by the worker: it ran past its time limit and did not heed it",
    "horse_starved_memory": (
        "its work horse was killed by {signal}, as the kernel does when memory runs out; "
        "it had taken up to {memory} MiB of memory"
    ),
    "horse_starved": "its work horse was killed by {signal}, as the kernel does when memory runs out",
    "horse_killed_memory": "its work horse was killed by {signal}; it had taken up to {memory} MiB of memory",
    "horse_killed": "its work horse was killed by {signal}",
    "rq_gave_up": "RQ has given up this execution: nobody said how it ended",
    "rq_worker_silent": "its worker fell silent, so RQ gave it up",
    "taken_by_the_dying": "taken from its queue by a worker that died before it could start the job",
    # What connections say; the whole text is kept.
    "connection_refused": "{text:refused}",
    "connection_timed_out": "{text:timeout}",
    "connection_closed": "{text:closed}",
}
"""Every form by its code; the first that fits counts. `{name}` is a particular."""

_OWN_WORDS = {
    "text:refused": r"(?P<text>.*[Cc]onnection refused.*)",
    "text:timeout": r"(?P<text>.*([Tt]imed out|[Tt]imeout).*)",
    "text:closed": r"(?P<text>.*([Cc]onnection (was )?(closed|reset|lost|aborted)|closed the connection|EOF).*)",
}


def _compiled(form: str) -> re.Pattern[str]:
    parts = re.split(r"{([\w:]+)}", form)
    made = [
        re.escape(part) if number % 2 == 0 else _OWN_WORDS.get(part, f"(?P<{part}>.+?)")
        for number, part in enumerate(parts)
    ]
    return re.compile("".join(made), re.DOTALL)


_PATTERNS = {code: _compiled(form) for code, form in FORMS.items()}


def particulars(code: str) -> frozenset[str]:
    """Return the names of what a reason of this code tells besides."""
    return frozenset(_PATTERNS[code].groupindex)


@lru_cache(maxsize=4096)
def _recognised(sentence: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    for code, pattern in _PATTERNS.items():
        match = pattern.fullmatch(sentence)
        if match is not None:
            found = match.groupdict()
            if "why" in found:
                inner, told = _recognised(found["why"])
                if inner:
                    found["why_code"] = inner
                    found.update((f"why_{name}", value) for name, value in told)
            return code, tuple(found.items())
    return "", ()


def recognise(sentence: str) -> tuple[str, dict[str, str]]:
    """Return the code of a reason and its particulars; an empty code for words that are not Huoyan's own.

    A reason within a reason is the particular `why`; where it has a code of its own, that is `why_code`, and its own
    particulars begin with `why_`, too.
    """
    if not sentence or len(sentence) > 2000:
        return "", {}
    code, found = _recognised(sentence)
    return code, dict(found)
