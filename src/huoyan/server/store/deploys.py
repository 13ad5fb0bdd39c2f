"""Deploys, as processes showed them and people marked them."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select

from huoyan.model.deploy import Deploy
from huoyan.server.store.schema.watched import deploys

_COLUMNS = ("service", "version", "at", "origin", "note", "by", "before")
MOST = 500
"""Deploys that are listed at most, the newest."""


class DeployStore:
    """The table of deploys."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, deploy: Deploy) -> Deploy:
        """Keep a deploy and return it with its number."""
        values = {name: getattr(deploy, name) for name in _COLUMNS}
        with self._engine.begin() as connection:
            key = connection.execute(insert(deploys).values(**values)).inserted_primary_key
        assert key is not None
        return replace(deploy, id=int(key[0]))

    def get(self, number: int) -> Deploy | None:
        """Return one deploy, None when there is none of this number."""
        with self._engine.connect() as connection:
            row = connection.execute(select(deploys).where(deploys.c.id == number)).one_or_none()
        return None if row is None else _deploy(row)

    def list(self, service: str | None = None, since: float | None = None, until: float | None = None) -> list[Deploy]:
        """Return deploys from `since` to before `until`, newest first.

        Args:
            service: Of this service, and those of all services; None: any.
            since: Seconds since 1970 UTC.
            until: The same.
        """
        query = select(deploys).order_by(deploys.c.at.desc(), deploys.c.id.desc()).limit(MOST)
        if service is not None:
            query = query.where(deploys.c.service.in_((service, "")))
        if since is not None:
            query = query.where(deploys.c.at >= since)
        if until is not None:
            query = query.where(deploys.c.at < until)
        with self._engine.connect() as connection:
            return [_deploy(row) for row in connection.execute(query)]

    def latest(self, service: str) -> Deploy | None:
        """Return the latest deploy of a service itself."""
        query = select(deploys).where(deploys.c.service == service).order_by(deploys.c.at.desc(), deploys.c.id.desc())
        with self._engine.connect() as connection:
            row = connection.execute(query.limit(1)).one_or_none()
        return None if row is None else _deploy(row)

    def delete_before(self, at: float) -> int:
        """Forget deploys from before `at`; return how many."""
        with self._engine.begin() as connection:
            return int(connection.execute(delete(deploys).where(deploys.c.at < at)).rowcount)


def _deploy(row: Row[Any]) -> Deploy:
    return Deploy(
        service=row.service,
        version=row.version,
        at=row.at,
        origin=row.origin,
        note=row.note,
        by=row.by,
        before=row.before,
        id=row.id,
    )
