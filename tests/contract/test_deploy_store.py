"""What the store promises about deploys, on SQLite and PostgreSQL alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from huoyan.model.deploy import Deploy
from huoyan.server.store import Store
from tests.servers import migrated_sqlite


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


def test_deploys_are_listed_newest_first_with_those_of_all_services(store: Store) -> None:
    deploys = store.deploys
    first = deploys.add(Deploy("orders", "1", 100.0))
    second = deploys.add(Deploy("orders", "2", 200.0, "marked", "an index", "ann", "1"))
    everybody = deploys.add(Deploy("", "os 12", 150.0))
    other = deploys.add(Deploy("mail", "9", 300.0))
    assert deploys.list() == [other, second, everybody, first]
    assert deploys.list("orders") == [second, everybody, first]
    assert deploys.list("orders", since=150.0, until=200.0) == [everybody]
    assert deploys.latest("orders") == second
    assert deploys.latest("nobody") is None
    assert deploys.get(second.id) == second
    assert deploys.get(999) is None
    assert deploys.delete_before(200.0) == 2
    assert deploys.list() == [other, second]
