"""Whatever comes as label values: a bounded number of series, nothing lost from totals, no id in a label."""

import uuid
from collections import Counter as Tally

from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.client import business
from huoyan.client.measurements import Measurements
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.model.labels import OTHER, clean_label_value
from huoyan.signals.metric import Endpoint, Metric, MetricKind
from tests.unit.client.conftest import installed

PARCELS = Metric("parcels_total", MetricKind.COUNTER, "Parcels.", ("carrier", "size"), endpoint=Endpoint.APPLICATION)
_ANYTHING = st.one_of(
    st.text(max_size=20),
    st.integers(),
    st.floats(),
    st.binary(max_size=5),
    st.none(),
    st.booleans(),
    st.sampled_from(["dhl", "ups", "post"]),
)
_IDS = st.one_of(
    st.integers(min_value=1000),
    st.uuids().map(str),
    st.uuids(),
    st.emails(),
    st.ip_addresses(v=4).map(str),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(_ANYTHING, _ANYTHING), max_size=60), st.integers(1, 5), st.integers(1, 4))
def test_series_are_bounded_and_every_count_is_in_one_of_them(pairs, limit, per_label):
    family = Measurements().counter(PARCELS)
    family.budget.limit, family.budget.per_label = limit, per_label
    expected: Tally[tuple[str, ...]] = Tally()
    for pair in pairs:
        family.child(pair).add()
        expected[tuple(map(clean_label_value, pair))] += 1
    series = {values: child.value for values, child in family.series()}
    # `other` alone in a label is no value of its own; combinations of it with admitted ones are within the limit.
    assert len(series) <= limit + 1
    assert sum(series.values()) == len(pairs)
    for values, count in series.items():
        if OTHER not in values:
            assert count <= expected[values]
    for place in (0, 1):
        assert len({values[place] for values in series} - {OTHER}) <= per_label
    folded = sum(count for values, count in expected.items() if values not in series)
    assert folded <= family.budget.folded


@settings(deadline=None, max_examples=60)
@given(st.lists(_IDS, min_size=1, max_size=20))
def test_an_id_never_becomes_a_label_of_ones_own_metric(ids):
    with installed(Client(Settings(service="shop"))) as client:
        visits = business.BusinessCounter(
            Metric("visits_total", MetricKind.COUNTER, "Visits.", ("visitor",), endpoint=Endpoint.APPLICATION)
        )
        for one in ids:
            visits.add(visitor=one)
        family = client.measurements.counter(visits.metric)
        assert {values: child.value for values, child in family.series()} == {(OTHER,): float(len(ids))}
        assert family.budget.folded >= len(set(map(str, ids))) > 0
        assert len(family.budget.samples) <= 5


def test_names_that_look_nearly_like_ids_pass():
    with installed(Client(Settings(service="shop"))) as client:
        visits = business.BusinessCounter(
            Metric("visits_total", MetricKind.COUNTER, "Visits.", ("page",), endpoint=Endpoint.APPLICATION)
        )
        names = ["checkout", "v2", "404", "eu-west-1", "card", "区域"]
        for name in names:
            visits.add(page=name)
        visits.add(page=str(uuid.UUID(int=7)))
        found = {values[0] for values, _ in client.measurements.counter(visits.metric).series()}
        assert found == {*names, OTHER}


def test_ids_that_count_from_one_are_told_from_status_codes_by_how_many_there_are(caplog):
    with installed(Client(Settings(service="shop"))) as client:
        visits = business.BusinessCounter(
            Metric("visits_total", MetricKind.COUNTER, "Visits.", ("user", "status"), endpoint=Endpoint.APPLICATION)
        )
        for number in range(400):
            visits.add(user=number, status=200 + number % 40)
        series = [values for values, _ in client.measurements.counter(visits.metric).series()]
        users, statuses = (set(column) for column in zip(*series, strict=True))
        assert users == {*map(str, range(business.MOST_NUMBERS)), OTHER}
        assert statuses == {str(200 + status) for status in range(40)}
    assert "label user='50' looks like a number" in caplog.text
