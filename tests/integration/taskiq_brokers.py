"""The Redis brokers of Taskiq, as they load beside the frameworks that need redis-py 5.

taskiq-redis 1.0.9 is the last release for redis-py 5. It imports two functions that Taskiq 0.13 no longer has, because
pydantic's own methods do the same; they are put back before it is loaded. Its brokers use nothing else that has gone.
"""

from typing import Any

import taskiq.compat

if not hasattr(taskiq.compat, "model_dump"):
    vars(taskiq.compat)["model_dump"] = lambda instance: instance.model_dump()
    vars(taskiq.compat)["model_validate"] = lambda kind, values: kind.model_validate(values)

from taskiq_redis import ListQueueBroker as _ListQueueBroker
from taskiq_redis import ListRedisScheduleSource as _ListRedisScheduleSource
from taskiq_redis import PubSubBroker as _PubSubBroker
from taskiq_redis import RedisStreamBroker as _RedisStreamBroker

ListQueueBroker: Any = _ListQueueBroker
ListRedisScheduleSource: Any = _ListRedisScheduleSource
PubSubBroker: Any = _PubSubBroker
RedisStreamBroker: Any = _RedisStreamBroker
