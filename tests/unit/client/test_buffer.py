"""What waits takes bounded room, and what is given up is what matters least; the ends of runs go last."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.client.buffer import PACK_EVENTS, Buffer, Given
from huoyan.client.settings import Settings
from huoyan.client.wire import encode_event, glance, happened_at
from huoyan.model.event import EventKind, TaskEvent

ENDS = {"succeeded", "failed"}
LARGE = 1 << 30


def event(kind: str, run_id: str, at: float = 1.0, **fields: object) -> bytes:
    return encode_event(TaskEvent(EventKind(kind), run_id, at, task="shop.pay", worker="shop@host:42", **fields))  # type: ignore[arg-type]


def life(number: int, end: str = "succeeded") -> list[bytes]:
    run_id, at = f"6b2f{number:032x}", 1_790_000_000.0 + number / 300
    return [event(kind, run_id, at + place / 100) for place, kind in enumerate(("queued", "started", end))]


def fill(buffer: Buffer, events: list[bytes]) -> Given:
    """Put events in, and return all that was given up."""
    total = Given()
    for encoded in events:
        if buffer.append(encoded):
            some = buffer.make_room()
            total.lost += some.lost
            total.thinned += some.thinned
            total.first_at, total.last_at = min(total.first_at, some.first_at), max(total.last_at, some.last_at)
    return total


def kinds(buffer: Buffer) -> Counter[str]:
    return Counter(glance(encoded)[0] for encoded in buffer)


def test_events_come_out_as_they_were_put_in_packed_or_not() -> None:
    events = [encoded for number in range(1000) for encoded in life(number)]
    buffer = Buffer(LARGE, 400_000)
    assert fill(buffer, events) == Given()
    assert buffer.size_bytes < sum(map(len, events)) / 3
    taken: list[bytes] = []
    while buffer:
        some = buffer.take(500, LARGE)
        assert 0 < len(some) <= 500
        taken += some
        buffer.settle()
    assert taken == events
    assert buffer.size_bytes == 0


def test_the_default_holds_a_hundred_thousand_runs() -> None:
    """Worked out from what two thousand take; their ids do not pack."""
    defaults = Settings()
    buffer = Buffer(defaults.buffer_events, 200_000)
    fill(buffer, [encoded for number in range(2000) for encoded in _real_life(number)])
    per_run = buffer.size_bytes / 2000
    assert defaults.buffer_bytes / per_run > 100_000
    assert defaults.buffer_events / 3 > 100_000


def _real_life(number: int) -> list[bytes]:
    chance = random.Random(number)
    run_id, at = f"{chance.getrandbits(128):032x}", 1_790_000_000.0 + number / 300 + chance.random()
    return [
        event("queued", run_id, at, args=[chance.random()], labels={"request": "POST /later"}),
        event("started", run_id, at + chance.random(), args=[chance.random()], execution="1@shop@host:42", attempt=1),
        event("succeeded", run_id, at + 1 + chance.random(), duration_s=chance.random(), execution="1@shop@host:42"),
    ]


def test_what_a_later_event_says_better_goes_before_anything_is_lost() -> None:
    buffer = Buffer(200, LARGE)
    given_up = fill(buffer, [encoded for number in range(150) for encoded in life(number)])
    assert given_up.lost == 0
    assert given_up.thinned == 450 - len(buffer)
    assert kinds(buffer)["succeeded"] == 150


def test_signs_of_life_go_first() -> None:
    buffer = Buffer(3, LARGE)
    given_up = fill(
        buffer, [event("started", "a"), event("progress", "a"), event("started", "b"), event("queued", "c")]
    )
    assert (given_up.lost, given_up.thinned) == (0, 1)
    assert kinds(buffer) == {"started": 2, "queued": 1}


def test_beginnings_go_before_ends_and_the_gap_tells_when_they_were() -> None:
    buffer = Buffer(2, LARGE)
    given_up = fill(
        buffer,
        [
            event("started", "a", 10.0),
            event("failed", "b", 11.0),
            event("started", "c", 12.0),
            event("failed", "d", 13.0),
        ],
    )
    assert [glance(encoded) for encoded in buffer] == [("failed", b"b"), ("failed", b"d")]
    assert (given_up.lost, given_up.first_at, given_up.last_at) == (2, 10.0, 12.0)


def test_of_packed_events_the_ends_stay_longest_too() -> None:
    # Ends and open runs in turn, far more than there is room for.
    events = [encoded for number in range(6000) for encoded in (life(number) if number % 2 else life(number)[:2])]
    buffer = Buffer(4000, LARGE)
    buffer._loose_bytes_limit = 20_000
    given_up = fill(buffer, events)
    assert len(buffer) <= 4000
    assert given_up.lost + given_up.thinned == len(events) - len(buffer)
    # The open ones had to go, all but those among the newest; of the ends none.
    assert kinds(buffer)["succeeded"] == 3000
    assert kinds(buffer)["started"] <= 1000


def test_ends_are_lost_when_there_is_nothing_else() -> None:
    buffer = Buffer(LARGE, 20_000)
    given_up = fill(buffer, [encoded for number in range(3000) for encoded in _real_life(number)])
    assert buffer.size_bytes <= 20_000
    assert given_up.lost > 1000
    beginnings = sum(count for kind, count in kinds(buffer).items() if kind not in ENDS)
    assert beginnings <= 2 * PACK_EVENTS


RUNS = st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["queued", "started", "progress", "succeeded", "failed"]), RUNS),
        st.tuples(st.just("take"), st.integers(1, 20)),
        st.tuples(st.just("put_back"), st.integers(0, 20)),
        st.tuples(st.just("settle"), st.just(0)),
    ),
    max_size=200,
)


@settings(deadline=None, max_examples=150)
@given(STEPS, st.integers(1, 60), st.integers(400, 6000))
def test_everything_is_accounted_for(steps: list[tuple[str, int]], most_events: int, most_bytes: int) -> None:
    """Nothing is doubled or out of order; what is neither sent nor kept was of no consequence, or lies in a gap."""
    buffer = Buffer(most_events, most_bytes)
    put: list[bytes] = []
    sent: list[bytes] = []
    out: list[bytes] = []
    total = Given()
    for what, number in steps:
        if what == "take":
            if not out:
                out = buffer.take(number, LARGE)
        elif what == "put_back":
            half = len(out) - min(number, len(out))
            buffer.put_back(out[half:])
            out = out[:half]
        elif what == "settle":
            sent, out = sent + out, []
            buffer.settle()
        else:
            encoded = event(what, f"r{number}", float(len(put)))
            put.append(encoded)
            if buffer.append(encoded):
                some = buffer.make_room()
                total.lost, total.thinned = total.lost + some.lost, total.thinned + some.thinned
                total.first_at, total.last_at = min(total.first_at, some.first_at), max(total.last_at, some.last_at)
                assert len(buffer) + len(out) <= max(most_events, len(out))
    known = [*sent, *out, *buffer]
    assert len(buffer) == len(list(buffer))
    assert sorted(known, key=put.index) == known
    assert len(put) == len(known) + total.lost + total.thinned
    last_word: dict[bytes, bytes] = {}
    for encoded in put:
        kind, run_id = glance(encoded)
        if kind in ENDS or (kind == "started" and run_id not in last_word):
            last_word[run_id] = encoded
    for encoded in last_word.values():
        if encoded not in known and glance(encoded)[0] in ENDS:
            at = happened_at(encoded)
            assert at is not None
            assert total.first_at <= at <= total.last_at
