import random

import pytest

from huoyan.errors import InvalidEvent
from huoyan.server.ingest.celery_stream_redis import RedisMessages


def resp(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


STREAM = b"".join(
    [
        b"*3\r\n$10\r\npsubscribe\r\n$13\r\n/0.celeryev/*\r\n:1\r\n",
        b"*3\r\n$9\r\nsubscribe\r\n$11\r\n/0.celeryev\r\n:2\r\n",
        *(resp(b"pmessage", b"/0.celeryev/*", b"/0.celeryev/task.multi", b"message %d\r\n" % n) for n in range(50)),
        resp(b"pong", b""),
        resp(b"message", b"/0.celeryev", b"without routing key"),
    ]
)
MESSAGES = [*(b"message %d\r\n" % n for n in range(50)), b"without routing key"]


def test_messages_come_out_wherever_the_bytes_were_cut():
    chance = random.Random(7)
    for _ in range(50):
        unpacker = RedisMessages()
        got: list[bytes] = []
        position = 0
        while position < len(STREAM):
            size = chance.choice([1, 2, 7, 100, 1000])
            got += unpacker.unpack(STREAM[position : position + size], position == 0)
            position += size
        assert got == MESSAGES


def test_a_new_connection_drops_the_unfinished_message_of_the_old_one():
    unpacker = RedisMessages()
    unpacker.unpack(STREAM[:-5], begins=True)
    assert unpacker.unpack(STREAM, begins=True) == MESSAGES


def test_bytes_of_another_protocol_are_an_invalid_event_and_the_next_connection_works():
    unpacker = RedisMessages()
    with pytest.raises(InvalidEvent):
        unpacker.unpack(b"HTTP/1.1 400 Bad Request\r\n", begins=True)
    assert unpacker.unpack(STREAM, begins=True) == MESSAGES
