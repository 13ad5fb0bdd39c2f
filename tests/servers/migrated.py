"""Databases that already have the tables of the store.

To make the tables step by step takes longer than most tests of what is in them. So each process of the tests does it
once for each kind of database, and every further database is a copy. How the tables are made is tested on databases
that are empty.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory


def migrated_sqlite(path: Path) -> str:
    """Write an SQLite database with the tables of the store, and return its address; one that is there is kept."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(_sqlite())
    return f"sqlite:///{path}"


def migrate(url: str) -> None:
    """Make the tables of the store in a database."""
    # Not for every test that starts a server: it brings half of Huoyan with it.
    from huoyan.server.store import Store

    Store.open(url).close()


@cache
def _sqlite() -> bytes:
    """Return the file of a database that nobody has open: whoever closes it last takes the log into it."""
    with TemporaryDirectory(prefix="huoyan-migrated-") as folder:
        path = Path(folder) / "huoyan.db"
        migrate(f"sqlite:///{path}")
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        return path.read_bytes()
