"""Bringing a database to the present shape, with Alembic: one file per step in `versions/`, applied on opening."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from huoyan.errors import ConfigurationError

_PLACE = Path(__file__).parent
# Any number will do, as long as it is ours: two servers that start at once must not both make the tables.
_LOCK_KEY = 0x68756F79616E


def migrate(engine: Engine) -> None:
    """Apply the steps that the database has not seen.

    Raises:
        ConfigurationError: It was written by a later version.
    """
    config = Config()
    config.set_main_option("script_location", str(_PLACE))
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    if present == head:
        return
    if present is not None and present not in {step.revision for step in script.walk_revisions()}:
        raise ConfigurationError(
            "database_url",
            f"a database of version {head} or earlier",
            present,
            "It was written by a later Huoyan: install that one, or name another database.",
        )
    with engine.connect() as connection, _alone(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    yield
    connection.commit()
