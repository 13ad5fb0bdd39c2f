from huoyan.model.event import EventKind
from huoyan.server.ingest.celery_deliveries import Deliveries, Delivery

PROCESS = "@celery@host-1#1"


def execution(delivery: Delivery | tuple[Delivery | None, list[Delivery]] | None) -> str | None:
    found = delivery[0] if isinstance(delivery, tuple) else delivery
    return found.execution if found is not None else None


def test_each_try_and_each_redelivery_has_a_name_of_its_own():
    deliveries = Deliveries()
    assert execution(deliveries.received("t", 0, PROCESS)) == "0.1@celery@host-1#1"
    assert execution(deliveries.received("t", 1, PROCESS)) == "1.1@celery@host-1#1"
    assert execution(deliveries.received("t", 1, PROCESS)) == "1.2@celery@host-1#1"
    assert execution(deliveries.received("t", 1, "@celery@host-2#1")) == "1.1@celery@host-2#1"


def test_an_event_of_a_task_that_was_never_announced_has_no_delivery():
    deliveries = Deliveries()
    assert deliveries.started("t", PROCESS, 1.0) is None
    assert deliveries.ended("t", PROCESS, EventKind.FAILED) == (None, [])


def test_a_retry_announced_before_its_cause_ended_is_not_mistaken_for_it():
    """The child publishes the retry before its parent tells that the try ended."""
    deliveries = Deliveries()
    deliveries.received("t", 0, PROCESS)
    deliveries.started("t", PROCESS, 1.0)
    deliveries.received("t", 1, PROCESS)
    assert execution(deliveries.ended("t", PROCESS, EventKind.RETRYING)) == "0.1" + PROCESS
    assert execution(deliveries.started("t", PROCESS, 2.0)) == "1.1" + PROCESS
    assert execution(deliveries.ended("t", PROCESS, EventKind.SUCCEEDED)) == "1.1" + PROCESS


def test_even_when_the_retry_has_ended_before():
    deliveries = Deliveries()
    deliveries.received("t", 0, PROCESS)
    deliveries.started("t", PROCESS, 1.0)
    deliveries.received("t", 1, PROCESS)
    deliveries.started("t", PROCESS, 2.0)
    assert execution(deliveries.ended("t", PROCESS, EventKind.SUCCEEDED)) == "1.1" + PROCESS
    assert execution(deliveries.ended("t", PROCESS, EventKind.RETRYING)) == "0.1" + PROCESS


def test_a_retry_whose_announcement_was_lost_is_not_taken_for_its_cause():
    """Workers with a thread pool lose some of their events; a wrong outcome would be worse than none."""
    for cause_told in (True, False):
        deliveries = Deliveries()
        deliveries.received("t", 0, PROCESS)
        deliveries.started("t", PROCESS, 1.0)
        if cause_told:
            deliveries.ended("t", PROCESS, EventKind.RETRYING)
        assert deliveries.started("t", PROCESS, 2.0) is None
        assert deliveries.ended("t", PROCESS, EventKind.SUCCEEDED) == (None, [])
        if not cause_told:
            assert execution(deliveries.ended("t", PROCESS, EventKind.RETRYING)) == "0.1" + PROCESS


def test_an_outcome_after_a_retry_that_nobody_announced_or_started_is_not_its_cause_s():
    deliveries = Deliveries()
    deliveries.received("t", 0, PROCESS)
    deliveries.started("t", PROCESS, 1.0)
    deliveries.ended("t", PROCESS, EventKind.RETRYING)
    assert deliveries.ended("t", PROCESS, EventKind.SUCCEEDED) == (None, [])


def test_two_words_about_the_same_end_are_about_the_same_delivery():
    """A task that is acknowledged late and not on failure tells that it was rejected, and that it failed."""
    deliveries = Deliveries()
    deliveries.received("t", 0, PROCESS)
    deliveries.started("t", PROCESS, 1.0)
    assert execution(deliveries.ended("t", PROCESS, EventKind.REJECTED)) == "0.1" + PROCESS
    assert execution(deliveries.ended("t", PROCESS, EventKind.FAILED)) == "0.1" + PROCESS


def test_the_end_of_a_later_try_tells_how_the_earlier_ones_ended():
    deliveries = Deliveries()
    for retries in range(3):
        deliveries.received("t", retries, PROCESS)
        deliveries.started("t", PROCESS, 1.0)
    deliveries.received("t", 3, PROCESS)
    found, passed = deliveries.ended("t", PROCESS, EventKind.FAILED)
    assert execution(found) == "3.1" + PROCESS
    assert [execution(each) for each in passed] == ["2.1" + PROCESS, "1.1" + PROCESS, "0.1" + PROCESS]


def test_a_retry_that_is_revoked_before_it_started_is_not_taken_for_its_cause():
    deliveries = Deliveries()
    deliveries.received("t", 0, PROCESS)
    deliveries.started("t", PROCESS, 1.0)
    deliveries.received("t", 1, PROCESS)
    assert execution(deliveries.ended("t", PROCESS, EventKind.REVOKED, ran=False)) == "1.1" + PROCESS
    assert execution(deliveries.ended("t", PROCESS, EventKind.RETRYING)) == "0.1" + PROCESS


def test_a_redelivery_is_counted_after_the_first_delivery_ended():
    deliveries = Deliveries()
    deliveries.received("t", 0, PROCESS)
    deliveries.ended("t", PROCESS, EventKind.RETRYING)
    assert execution(deliveries.received("t", 0, PROCESS)) == "0.2" + PROCESS


def test_memory_is_bounded_and_open_deliveries_outlive_ended_ones():
    deliveries = Deliveries(keep=100, keep_open=1_000)
    deliveries.received("open", 0, PROCESS)
    for number in range(10_000):
        deliveries.received(str(number), 0, PROCESS)
        deliveries.ended(str(number), PROCESS, EventKind.SUCCEEDED)
    assert len(deliveries) < 500
    assert execution(deliveries.started("open", PROCESS, 1.0)) == "0.1" + PROCESS
    assert deliveries.started("5", PROCESS, 1.0) is None


def test_open_deliveries_are_bounded_too():
    deliveries = Deliveries(keep=100, keep_open=1_000)
    for number in range(20_000):
        deliveries.received(str(number), 0, PROCESS)
    assert len(deliveries) < 3_000
    assert execution(deliveries.started("19999", PROCESS, 1.0)) == "0.1" + PROCESS


def test_a_task_that_is_redelivered_without_end_does_not_grow():
    deliveries = Deliveries()
    newest = deliveries.received("t", 0, PROCESS)
    for _ in range(999):
        deliveries.ended("t", PROCESS, EventKind.RETRYING)
        newest = deliveries.received("t", 0, PROCESS)
    depth = 0
    delivery = newest.previous
    while delivery is not None:
        depth, delivery = depth + 1, delivery.previous
    assert newest.number == 1_000
    assert depth <= 17
