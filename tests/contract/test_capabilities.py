"""Every flag of the table of capabilities that says yes or partly names the test that shows it."""

import ast
from functools import cache
from pathlib import Path

import pytest

from huoyan.client.capabilities import WATCHINGS, Capability, Level, Watching

TESTS = Path(__file__).parents[1]
SUITE = "contract/test_adapters.py"
# Run over every adapter, which is watched from inside: the case is turned round where the table says no.
CASES = {
    Capability.OUTCOME: (SUITE, "test_a_failure_carries_its_exception"),
    Capability.ARGUMENTS: (SUITE, "test_a_success_is_one_run_with_one_attempt"),
    Capability.RETRY: (SUITE, "test_retries_are_attempts_of_one_run"),
    Capability.TIMEOUT: (SUITE, "test_over_its_time_limit_a_run_fails"),
    Capability.REVOKE: (SUITE, "test_a_revoked_run_never_starts"),
    Capability.DELAY: (SUITE, "test_a_delay_is_no_waiting"),
    Capability.LINEAGE: (SUITE, "test_what_a_run_asks_for_has_it_as_parent"),
    Capability.SECRETS: (SUITE, "test_secrets_are_taken_out"),
    Capability.BREAKDOWN: (SUITE, "test_every_end_of_an_attempt_says_where_its_time_went"),
    Capability.MEMORY: (SUITE, "test_peak_memory_is_told_where_a_run_has_a_process_of_its_own"),
    Capability.CPU: (SUITE, "test_cpu_time_is_told_where_it_is_the_runs_own"),
    Capability.WORKER_KILLED: ("contract/test_killed.py", "test_what_a_killed_process_was_executing_is_lost"),
}
_CELERY = ("integration/celery/test_celery.py", "test_every_run_is_seen_once_with_its_state_and_attempts")
_RQ = "integration/test_rq.py"
OWN = {
    ("Celery, hooks", Capability.SCHEDULES): (
        "integration/celery/test_beat.py",
        "test_beat_keeps_its_schedules_until_it_stands_still_or_is_killed",
    ),
    ("Celery, hooks", Capability.MEMORY): _CELERY,
    ("Celery, event stream", Capability.WORKER_KILLED): _CELERY,
    ("Celery, event stream", Capability.DEPTH): (
        "integration/celery/test_ingest.py",
        "test_depths_of_redis_queues_count_every_priority",
    ),
    ("RQ, hooks", Capability.DEPTH): (_RQ, "test_depth_is_what_waits"),
    ("RQ, hooks", Capability.SCHEDULES): (
        "contract/test_adapter_rq.py",
        "test_cron_jobs_are_schedules_until_their_scheduler_ends",
    ),
    ("RQ, hooks", Capability.MEMORY): (
        "contract/test_adapter_rq.py",
        "test_a_work_horse_reports_everything_before_it_ends",
    ),
    ("RQ, polling", Capability.WORKER_KILLED): (_RQ, "test_a_killed_worker_is_down_and_its_run_is_lost"),
    ("RQ, polling", Capability.LINEAGE): (_RQ, "test_a_dependency_is_the_parent"),
    ("RQ, polling", Capability.DEPTH): (_RQ, "test_depth_is_what_waits"),
    ("RQ, polling", Capability.SCHEDULES): (
        "integration/test_rq_cron.py",
        "test_schedulers_are_found_their_runs_matched_and_their_end_seen",
    ),
    ("arq", Capability.DEPTH): ("integration/test_arq.py", "test_a_worker_reads_the_depth_of_its_queue"),
    ("arq", Capability.SCHEDULES): ("integration/test_arq.py", "test_each_due_time_of_a_cron_job_gets_its_verdict"),
    ("Dramatiq", Capability.DEPTH): (
        "contract/test_adapter_dramatiq.py",
        "test_a_worker_reports_its_queue_and_how_many_messages_wait",
    ),
    ("Taskiq", Capability.DEPTH): (
        "contract/test_adapter_taskiq.py",
        "test_a_worker_reports_its_queue_and_how_many_messages_wait",
    ),
    ("Taskiq", Capability.SCHEDULES): ("contract/test_adapter_taskiq.py", "test_what_a_scheduler_keeps_is_told"),
    ("Huey", Capability.DEPTH): (
        "integration/test_huey.py",
        "test_the_depth_of_the_queue_is_read_while_a_consumer_runs",
    ),
    ("Huey", Capability.SCHEDULES): ("unit/client/frameworks/test_huey.py", "test_periodic_tasks_are_schedules"),
    ("APScheduler", Capability.SCHEDULES): (
        "integration/test_apscheduler.py",
        "test_a_due_time_that_a_stopped_scheduler_let_pass_is_missed_once",
    ),
}
"""What the suite cannot show, and what the ways from outside are shown by, which share no driver with it."""


@cache
def names(path: str) -> frozenset[str]:
    """Return the tests of a module."""
    return frozenset(n.name for n in ast.walk(ast.parse((TESTS / path).read_text())) if isinstance(n, ast.FunctionDef))


@pytest.mark.parametrize("watching", WATCHINGS, ids=lambda each: each.title)
def test_each_flag_is_shown_by_a_test_that_exists(watching: Watching) -> None:
    for capability in Capability:
        if watching.level(capability) is Level.NO:
            assert watching.supports[capability].note, f"expected a reason why {capability.value} cannot be known"
            continue
        proof = OWN.get((watching.title, capability)) or CASES.get(capability)
        assert proof is not None, f"{watching.title}: nothing shows {capability.value}"
        path, name = proof
        assert name in names(path), f"{watching.title}: {path} has no {name}"
