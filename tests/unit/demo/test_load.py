from collections import Counter

import pytest

from huoyan.demo.load import SWELL_S, mail, order, rate


def test_the_rate_swells_around_its_mean():
    rates = [rate(5.0, at_s) for at_s in range(int(SWELL_S))]
    assert sum(rates) / len(rates) == pytest.approx(5.0, rel=1e-6)
    assert min(rates) == pytest.approx(3.5, abs=0.01)
    assert max(rates) == pytest.approx(6.5, abs=0.01)


def test_some_orders_ask_for_what_is_not_sold():
    skus = Counter(order()["sku"] for _ in range(5000))
    assert 0 < skus["TEA-UNKNOWN"] < 300


def test_mails_come_from_several_clients_and_some_from_nobody():
    clients = Counter(mail()[1].get("X-Client", "") for _ in range(2000))
    assert set(clients) == {"web", "app", "partner", ""}
