"""What the store promises about kept examples, on SQLite and PostgreSQL alike."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from huoyan.model.example import Example
from huoyan.server.retention import ExampleRetention
from huoyan.server.store import Store
from huoyan.server.store.examples import KEPT_PER_HOUR, KEPT_PER_SLOT
from tests.servers import migrated_sqlite

HOUR_S = 3600.0
NOW = 1_763_672_400.0 + 1800.0
"""Half past an hour."""


class Hand:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = (
        migrated_sqlite(tmp_path / "h.db")
        if request.param == "sqlite"
        else request.getfixturevalue("migrated_postgres")
    )
    opened = Store.open(url)
    yield opened
    opened.close()


def kept(count: int, at: float, kind: str, endpoint: str = "/o") -> list[Example]:
    return [
        Example(endpoint, at + number, duration_s=float(number), method="GET", kind=kind, service="shop")
        for number in range(count)
    ]


def test_hours_that_are_over_are_thinned_out_to_the_slowest_and_a_fair_choice(store: Store) -> None:
    old, last, now = NOW - 2.5 * HOUR_S, NOW - 1.5 * HOUR_S, NOW - HOUR_S / 2
    for at in (old, last, now):
        for kind in ("slow", "sampled", "failed"):
            store.examples.add(kept(200, at, kind))
    store.examples.add(kept(3, old, "slow", "/rare"))
    clock = Hand()
    retention = ExampleRetention(store.examples, clock, 24 * HOUR_S)
    assert retention.run_once() == 3 * (200 - KEPT_PER_HOUR)
    assert retention.run_once() == 0
    thinned = store.examples.of("shop", "GET /o", old, last)
    assert Counter(one.kind for one in thinned) == dict.fromkeys(("slow", "sampled", "failed"), KEPT_PER_HOUR)
    assert min(one.duration_s for one in thinned if one.kind == "slow") == 200 - KEPT_PER_HOUR
    # The random ones are of all durations still, not of one end.
    sampled = [one.duration_s for one in thinned if one.kind == "sampled"]
    assert 70 < sum(sampled) / len(sampled) < 130
    assert len(store.examples.of("shop", "GET /o", last, NOW)) == 1200
    assert len(store.examples.of("shop", "GET /rare", old, last)) == 3
    clock.at += HOUR_S
    assert retention.run_once() == 3 * (200 - KEPT_PER_HOUR)
    clock.at += 48 * HOUR_S
    retention.run_once()
    assert store.examples.endpoints(0.0, clock.at) == []


def test_however_many_come_in_ten_minutes_no_more_than_can_be_compared_stay(store: Store) -> None:
    begin = NOW - 1800.0
    for kind in ("slow", "sampled"):
        store.examples.add(kept(500, begin, kind))
    store.examples.add([*kept(250, NOW, "slow"), *kept(50, NOW, "sampled")])
    retention = ExampleRetention(store.examples, Hand(), 24 * HOUR_S)
    assert retention.run_once() == 2 * (500 - KEPT_PER_SLOT)
    assert retention.run_once() == 0
    left = store.examples.of("shop", "GET /o", begin, begin + 600)
    assert min(one.duration_s for one in left if one.kind == "slow") == 500 - KEPT_PER_SLOT
    # What goes on stays whole.
    assert len(store.examples.of("shop", "GET /o", NOW, NOW + 600)) == 300
