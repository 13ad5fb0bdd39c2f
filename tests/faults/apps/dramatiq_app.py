"""Dramatiq: `dramatiq tests.faults.apps.dramatiq_app`; as a module it sends messages: `… COUNT SECONDS`."""

import json
import os
import sys
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage, Middleware

import huoyan
from tests.faults.diary import note, work


class Told(Middleware):
    """Writes down that all is said of a message, and in the log that a worker works."""

    def after_process_message(self, broker: Any, message: Any, *, result: Any = None, exception: Any = None) -> None:
        """Write it down: the first middleware is the last whose turn it is behind a message."""
        note(message.message_id, "told")

    def after_worker_boot(self, broker: Any, worker: Any) -> None:
        """Say that the worker works."""
        print(f"worker {os.getpid()} works", flush=True)


address = os.environ["FAULTS_BROKER"]
broker: Any
if address.startswith("amqp"):
    broker = RabbitmqBroker(url=address)
else:
    # Messages of a dead worker go back to their queue after two seconds.
    broker = RedisBroker(url=address, heartbeat_timeout=2000, maintenance_chance=1_000_000)
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)
huoyan.watch(broker, service="faults")
broker.middleware.insert(0, Told())


@dramatiq.actor(queue_name="faults")
def dramatiq_work(seconds: float) -> None:
    """Take a while."""
    message: Any = CurrentMessage.get_current_message()
    work(message.message_id, seconds)


if __name__ == "__main__":
    for _ in range(int(sys.argv[1])):
        sys.stdout.write(json.dumps(dramatiq_work.send(float(sys.argv[2])).message_id) + "\n")
    broker.close()
