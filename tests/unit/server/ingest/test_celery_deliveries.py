from huoyan.model.event import EventKind
from huoyan.server.ingest.celery_deliveries import Deliveries

PROCESS = "@celery@host-1#1"


def execution(delivery: object) -> str | None:
    return getattr(delivery, "execution", None)


def test_each_try_and_each_redelivery_has_a_name_of_its_own():
    deliveries = Deliveries()
    assert execution(deliveries.received("t", 0, PROCESS)) == "0.1@celery@host-1#1"
    assert execution(deliveries.received("t", 1, PROCESS)) == "1.1@celery@host-1#1"
    assert execution(deliveries.received("t", 1, PROCESS)) == "1.2@celery@host-1#1"
    assert execution(deliveries.received("t", 1, "@celery@host-2#1")) == "1.1@celery@host-2#1"


def test_an_event_of_a_task_that_was_never_announced_has_no_delivery():
    deliveries = Deliveries()
    assert deliveries.started("t", PROCESS, 1.0) is None
    assert deliveries.ended("t", PROCESS, EventKind.FAILED) is None


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
