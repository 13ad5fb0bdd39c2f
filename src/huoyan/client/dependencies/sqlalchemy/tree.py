"""Operation and main table of a statement, from the tree that SQLAlchemy built."""

from typing import Any

from sqlalchemy.sql import selectable
from sqlalchemy.sql.dml import UpdateBase

_MAX_DEPTH = 30
_MAX_NAME_CHARS = 100


def from_tree(compiled: Any) -> tuple[str, str] | None:
    """Return (operation, main table) of a statement that SQLAlchemy built; None for text and what is no query."""
    statement = getattr(compiled, "statement", None)
    if isinstance(statement, UpdateBase):
        operation = statement.__visit_name__.upper()
        return operation, _table(statement.table, 0)
    if isinstance(statement, selectable.SelectBase):
        return "SELECT", _table(statement, 0)
    return None


def _table(source: Any, depth: int) -> str:
    """Return the name of the table that a source of rows is first of all about."""
    if source is None or depth > _MAX_DEPTH:
        return ""
    if isinstance(source, selectable.Join):
        return _table(source.left, depth + 1)
    if isinstance(source, selectable.CTE):
        # A recursive one begins with what it starts from; its own name is no table.
        return _table(source.element, depth + 1)
    if isinstance(source, selectable.CompoundSelect):
        return _table(source.selects[0], depth + 1)
    if isinstance(source, selectable.Select):
        froms = source.get_final_froms()
        return _table(froms[0], depth + 1) if froms else ""
    if isinstance(source, selectable.TableClause):
        schema = getattr(source, "schema", None)
        return (f"{schema}.{source.name}" if schema else str(source.name))[:_MAX_NAME_CHARS]
    element = getattr(source, "element", None)
    if element is None or isinstance(source, selectable.TableValuedAlias):
        return ""
    return _table(element, depth + 1)
