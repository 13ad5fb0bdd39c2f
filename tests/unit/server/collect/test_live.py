"""The bus: every listener hears everything in order, and a slow one is told that it missed something."""

import asyncio
import threading

from huoyan.server.collect import Bus


def test_every_listener_hears_every_message_in_order():
    bus = Bus()
    first, second = bus.subscribe(), bus.subscribe()
    for number in range(5):
        bus.publish("runs", {"n": number})
    for subscription in (first, second):
        heard = [message for _ in range(5) if (message := subscription.get(1.0)) is not None]
        assert [message.data["n"] for message in heard] == [0, 1, 2, 3, 4]
        assert [message.id for message in heard] == [1, 2, 3, 4, 5]
        assert subscription.get(0.0) is None


def test_a_listener_hears_nothing_from_before_it_came():
    bus = Bus()
    bus.publish("runs", {})
    assert bus.subscribe().get(0.0) is None


def test_a_slow_listener_is_told_to_fetch_everything_and_costs_no_more_memory():
    bus = Bus(capacity=3)
    slow, quick = bus.subscribe(), bus.subscribe()
    for number in range(5):
        bus.publish("runs", {"n": number})
        message = quick.get(0.0)
        assert message is not None
        assert message.data == {"n": number}
    heard = []
    while (message := slow.get(0.0)) is not None:
        heard.append((message.topic, message.data.get("n")))
    assert heard == [("resync", None), ("runs", 4)]


def test_a_closed_listener_is_woken_and_hears_no_more():
    bus = Bus()
    with bus.subscribe() as subscription:
        answers = []
        thread = threading.Thread(target=lambda: answers.append(subscription.get()))
        thread.start()
    thread.join(5.0)
    assert answers == [None]
    bus.publish("runs", {})
    assert subscription.get(0.0) is None
    assert not bus.heard


async def test_a_coroutine_hears_what_a_thread_publishes():
    bus = Bus()
    subscription = bus.subscribe()
    heard = []

    def publish() -> None:
        for number in range(3):
            bus.publish("runs", {"n": number})

    thread = threading.Thread(target=publish)

    async def listen() -> None:
        async for message in subscription:
            heard.append(message.data["n"])
            if len(heard) == 3:
                subscription.close()

    task = asyncio.create_task(listen())
    thread.start()
    await asyncio.wait_for(task, 5.0)
    thread.join()
    assert heard == [0, 1, 2]


async def test_waiting_for_a_message_ends_with_its_time():
    assert await Bus().subscribe().receive(0.01) is None


async def test_a_waiting_coroutine_is_woken_when_the_bus_closes():
    bus = Bus()
    subscription = bus.subscribe()
    waiting = asyncio.create_task(subscription.receive())
    await asyncio.sleep(0)
    bus.close()
    assert await asyncio.wait_for(waiting, 5.0) is None


def test_publishing_to_a_listener_whose_loop_has_ended_harms_nobody():
    bus = Bus()
    subscription = bus.subscribe()
    asyncio.run(subscription.receive(0.01))
    other = bus.subscribe()
    bus.publish("runs", {})
    assert other.get(0.0) is not None
