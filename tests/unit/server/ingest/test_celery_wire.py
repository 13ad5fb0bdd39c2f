import json
import pickle

import pytest

from huoyan.errors import InvalidEvent
from huoyan.server.ingest.celery_wire import decode_body, decode_envelope
from tests.unit.server.ingest.celery_events import AT, PID, TASK_ID, WORKER, envelope, event, received


def test_a_message_holds_one_event_or_a_list_of_them():
    one, malformed = decode_envelope(envelope(received()))
    assert [(e.type, e.uuid, e.hostname, e.pid, e.timestamp) for e in one] == [
        ("task-received", TASK_ID, WORKER, PID, AT)
    ]
    many, _ = decode_envelope(envelope([received(), event("task-started"), event("task-succeeded", runtime=0.5)]))
    assert [e.type for e in many] == ["task-received", "task-started", "task-succeeded"]
    assert many[2].runtime == 0.5
    assert malformed == 0


def test_a_body_without_base64_is_read_as_it_is():
    message = json.loads(envelope([event("task-started")]))
    message["body"] = json.dumps([event("task-started")])
    message["properties"]["body_encoding"] = None
    events, _ = decode_envelope(json.dumps(message).encode())
    assert events[0].type == "task-started"


class Bomb:
    """Would raise the alarm when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


@pytest.mark.parametrize("content_type", ["application/x-python-serialize", "application/x-yaml", None])
def test_content_that_is_not_json_is_refused_unread(content_type: str | None):
    with pytest.raises(InvalidEvent) as caught:
        decode_body(pickle.dumps(Bomb()), content_type)
    assert (caught.value.field, caught.value.got) == ("content-type", content_type)


@pytest.mark.parametrize("message", [b"", b"{", b"[]", b'"text"', b'{"body": 5}', b'{"body": "%%%"}', b"\xff\xfe"])
def test_what_is_no_envelope_is_an_invalid_event_and_nothing_else(message: bytes):
    with pytest.raises(InvalidEvent):
        decode_envelope(message)


def test_one_event_with_a_field_of_another_type_does_not_spoil_the_others():
    events, malformed = decode_envelope(
        envelope([received(), event("task-started", at="yesterday"), event("task-failed")])  # type: ignore[arg-type]
    )
    assert [e.type for e in events] == ["task-received", "task-failed"]
    assert malformed == 1


def test_events_of_applications_with_fields_of_their_own_are_no_mistake():
    events, malformed = decode_envelope(envelope([event("shop-sold", name=5, uuid=7), event("task-started")]))
    assert [e.type for e in events] == ["task-started"]
    assert malformed == 0
