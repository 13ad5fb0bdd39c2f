"""What a worker counts in its heartbeats tells what nobody heard."""

from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.server.ingest.celery_counts import Counts

P = "@w@host#11"


def heard(counts: Counts, times: int) -> None:
    for _ in range(times):
        counts.hear(P)


def test_what_is_missing_is_found_with_the_next_heartbeat() -> None:
    counts = Counts()
    heard(counts, 3)
    assert counts.compare(P, 3, 10.0) is None
    heard(counts, 1)
    # It began three more; two of them were not heard of yet.
    assert counts.compare(P, 6, 12.0) is None
    assert counts.compare(P, 6, 14.0) == (2, 12.0)
    assert counts.compare(P, 6, 16.0) is None


def test_what_comes_behind_the_heartbeat_that_counted_it_is_not_missing() -> None:
    counts = Counts()
    heard(counts, 1)
    assert counts.compare(P, 3, 10.0) is None
    heard(counts, 2)
    assert counts.compare(P, 3, 12.0) is None
    assert counts.compare(P, 4, 14.0) is None
    heard(counts, 1)
    assert counts.compare(P, 4, 16.0) is None


def test_a_worker_that_counted_before_anybody_listened_is_missing_nothing() -> None:
    counts = Counts()
    heard(counts, 1)
    assert counts.compare(P, 1001, 10.0) is None
    heard(counts, 5)
    assert counts.compare(P, 1006, 12.0) is None
    assert counts.compare(P, 1006, 14.0) is None


def test_nothing_is_missing_of_a_worker_that_tells_nothing_of_its_tasks() -> None:
    counts = Counts()
    assert counts.compare(P, 5, 10.0) is None
    assert counts.compare(P, 50, 12.0) is None
    assert counts.compare(P, 50, 14.0) is None


def test_a_count_that_starts_over_is_missing_nothing() -> None:
    counts = Counts()
    heard(counts, 5)
    assert counts.compare(P, 5, 10.0) is None
    assert counts.compare(P, 2, 12.0) is None
    assert counts.compare(P, 2, 14.0) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30), st.integers(0, 100))
def test_exactly_what_was_lost_is_missing_however_late_the_rest_is_heard(
    intervals: list[tuple[int, bool]], before: int
) -> None:
    """Between two heartbeats some tasks begin; all of them are heard of before the second next one, or none is."""
    counts = Counts()
    heard(counts, 1)
    assert counts.compare(P, before + 1, 0.0) is None
    counted, lost, missing, late = before + 1, 0, 0, 0
    for number, (begun, is_lost) in enumerate([*intervals, (0, False), (0, False)], start=1):
        heard(counts, late)
        counted += begun
        late = 0 if is_lost else begun
        lost += begun if is_lost else 0
        found = counts.compare(P, counted, float(number))
        missing += found[0] if found is not None else 0
    assert missing == lost
