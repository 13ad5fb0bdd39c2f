"""What an SQL statement does and to which table, from its text alone.

sqlglot parses it where it is installed. A statement is parsed without its literals, so that those that differ in them
alone are parsed once, and only so many a minute: parsing takes the time of the program that is watched.
"""

import importlib
import re
from contextlib import suppress
from time import monotonic
from typing import Any

OTHER = "other"
"""The operation or table of a statement that cannot be told."""

_MAX_PARSED_CHARS = 10_000
_MAX_HEAD_CHARS = 1_000
_MAX_NAME_CHARS = 100
_MAX_CACHED = 1_000
_MAX_DEPTH = 30
_PARSES_PER_INTERVAL = 200
_INTERVAL_S = 60.0

_OPERATIONS = frozenset(
    {
        *("ALTER", "ANALYZE", "BEGIN", "CALL", "CLOSE", "COMMENT", "COMMIT", "COPY", "CREATE", "DECLARE", "DELETE"),
        *("DESCRIBE", "DO", "DROP", "EXEC", "EXECUTE", "EXPLAIN", "FETCH", "GRANT", "INSERT", "LISTEN", "LOCK"),
        *("MERGE", "NOTIFY", "PRAGMA", "PREPARE", "REFRESH", "REINDEX", "RELEASE", "REPLACE", "REVOKE", "ROLLBACK"),
        *("SAVEPOINT", "SELECT", "SET", "SHOW", "TRUNCATE", "UPDATE", "USE", "VACUUM", "VALUES"),
    }
)
_PARSED = frozenset({"DELETE", "INSERT", "MERGE", "REPLACE", "SELECT", "UPDATE", "WITH"})

# Each alternative reads on to the end of the text when what it reads is not closed, so none is tried twice.
_LITERALS = re.compile(
    r"""
      '(?:[^'\\]|''|\\.)*+(?:'|\Z)             # text
    | "[^"]*+(?:"|\Z) | `[^`]*+(?:`|\Z)        # names, kept
    | --[^\n]*+ | /\*(?s:.)*?(?:\*/|\Z)        # comments
    | \$(?P<tag>[a-zA-Z_]*)\$(?s:.)*?(?:\$(?P=tag)\$|\Z)
    | %\(\w+\)s | %s | (?<![:\w]):[a-zA-Z_]\w* | \$\d+ | \?
    | (?<![\w.])\d[\d.]*(?:[eE][-+]?\d+)?\b
    """,
    re.VERBOSE,
)
# Lists of values after IN and VALUES; the arguments of a function are left alone, which has a fixed number of them.
_LIST = re.compile(r"(\bIN\s*|\bVALUES\s*|(?<=\)),\s*)\(\s*(?:0|'')(?:\s*,\s*(?:0|''))+\s*\)", re.IGNORECASE)
_ROWS = re.compile(r"\((?:0|'')\)(?:\s*,\s*\((?:0|'')\))+")
_IN_VALUE = re.compile(r"\bIN\s+0\b", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_FIRST_WORD = re.compile(r"[\s(;]*([A-Za-z]+)")
_NAME = r"((?:[\w$]+|\"[^\"]+\"|`[^`]+`|\[[^\]]+\])(?:\s*\.\s*(?:[\w$]+|\"[^\"]+\"|`[^`]+`|\[[^\]]+\])){0,2})"
_NAMED_FIRST = re.compile(
    r"[\s(;]*(?:INSERT\s+(?:OR\s+\w+\s+|IGNORE\s+)?INTO|REPLACE\s+INTO|MERGE\s+INTO|DELETE\s+FROM(?:\s+ONLY)?"
    r"|UPDATE(?:\s+ONLY)?|TRUNCATE(?:\s+TABLE)?|COPY|LOCK(?:\s+TABLE)?"
    r"|(?:CREATE(?:\s+(?:TEMP|TEMPORARY|UNLOGGED))?|ALTER|DROP)\s+TABLE(?:\s+IF\s+(?:NOT\s+)?EXISTS)?"
    r"|CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:[^\s(]+\s+){0,5}?ON(?:\s+ONLY)?)\s+" + _NAME,
    re.IGNORECASE,
)
_READ_FIRST = re.compile(r"(?<!\bDISTINCT )\bFROM (?:ONLY )?" + _NAME + r"(?=[\s,;)])(?!\s*\()", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\([^()]*+\)")

_DIALECTS = {
    "postgresql": "postgres",
    "cockroachdb": "postgres",
    "mariadb": "mysql",
    "mssql": "tsql",
    "microsoft.sql_server": "tsql",
    "oracle.db": "oracle",
}


class Statements:
    """Tells operation and table of statements, and remembers what it told.

    Args:
        dialect: SQLAlchemy's or OpenTelemetry's name of the database: `postgresql`, `sqlite`, …
    """

    def __init__(self, dialect: str = "") -> None:
        self._sqlglot = _sqlglot()
        self._dialect = _known_dialect(self._sqlglot, _DIALECTS.get(dialect, dialect))
        self._told: dict[str, tuple[str, str]] = {}
        self._interval_ends = 0.0
        self._parses = 0

    def describe(self, text: str) -> tuple[str, str]:
        """Return (operation, main table) of a statement: `("SELECT", "orders")`. Never raises.

        The operation is a keyword in capitals. The main table is the one that is written to, or else the first one
        read; empty when there is none. Names keep their schema when one is written; what is not quoted is lowered.
        Either is `other` when it cannot be told.
        """
        try:
            return self._describe(text)
        except Exception:  # noqa: BLE001 - a parser meets whatever the host sends to its database
            return OTHER, OTHER

    def _describe(self, text: str) -> tuple[str, str]:
        short = len(text) <= _MAX_PARSED_CHARS
        bare = skeleton(text if short else text[:_MAX_HEAD_CHARS])
        if not short:
            return _from_beginning(bare)
        found = self._told.get(bare)
        if found is None:
            head = _from_head(bare)
            found = self._parse(bare, head) if _keyword(bare) in _PARSED else head
            if len(self._told) >= _MAX_CACHED:
                self._told = {}
            self._told[bare] = found
        return found

    def _parse(self, bare: str, head: tuple[str, str]) -> tuple[str, str]:
        if self._sqlglot is None or not self._may_parse():
            return head
        try:
            # Of several statements the first is told.
            tree = self._sqlglot.parse(bare, read=self._dialect)[0]
            return _Tree(self._sqlglot.exp).describe(tree)
        except Exception:  # noqa: BLE001 - sqlglot raises errors of its own, and RecursionError
            return head

    def _may_parse(self) -> bool:
        now = monotonic()
        if now >= self._interval_ends:
            self._interval_ends, self._parses = now + _INTERVAL_S, 0
        self._parses += 1
        return self._parses <= _PARSES_PER_INTERVAL


def skeleton(text: str) -> str:
    """Return a statement without literals, placeholders and comments, in the time of reading it."""
    bare = _LITERALS.sub(_without_literal, text)
    bare = _SPACE.sub(" ", _IN_VALUE.sub("IN (0)", bare)).strip(" ;")
    return _ROWS.sub("(0)", _LIST.sub(r"\1(0)", bare))


def _without_literal(match: re.Match[str]) -> str:
    literal = match[0]
    first = literal[0]
    if first in '"`':
        return literal
    if first == "'" or (first == "$" and not literal[1:2].isdigit()):
        return "''"
    return " " if literal.startswith(("--", "/*")) else "0"


def _keyword(bare: str) -> str:
    match = _FIRST_WORD.match(bare)
    return match[1].upper() if match is not None else ""


def _from_head(bare: str) -> tuple[str, str]:
    """Return what the first words say; the table of a query is not among them."""
    keyword = _keyword(bare)
    operation = keyword if keyword in _OPERATIONS else OTHER
    match = _NAMED_FIRST.match(bare)
    if match is not None:
        return operation, _plain_name(match[1])
    return operation, OTHER if keyword in _PARSED or operation == OTHER else ""


def _from_beginning(bare: str) -> tuple[str, str]:
    """Return what the beginning of a statement says that is too long to be parsed: of a query the table it reads first,
    when that is not within brackets."""
    operation, table = _from_head(bare)
    if operation == "SELECT" and table == OTHER:
        for _ in range(_MAX_DEPTH):
            bare, replaced = _IN_BRACKETS.subn("{}", bare)
            if not replaced:
                break
        match = _READ_FIRST.search(bare.partition("(")[0])
        table = _plain_name(match[1]) if match is not None else table
    return operation, table


def _plain_name(written: str) -> str:
    parts = re.findall(r"\"[^\"]+\"|`[^`]+`|\[[^\]]+\]|[\w$]+", written)
    return ".".join(part[1:-1] if part[0] in '"`[' else part.lower() for part in parts)[:_MAX_NAME_CHARS]


class _Tree:
    """Finds the main table in a tree of sqlglot."""

    def __init__(self, exp: Any) -> None:
        self._exp = exp
        self._common: dict[str, Any] = {}

    def describe(self, tree: Any) -> tuple[str, str]:
        """Return (operation, main table)."""
        exp = self._exp
        while isinstance(tree, exp.Subquery | exp.Paren):
            tree = tree.this
        if isinstance(tree, exp.Query):
            return "SELECT", self._main(tree, 0) or self._anywhere(tree)
        operation = type(tree).__name__.upper()
        return operation if operation in _OPERATIONS else OTHER, self._main(tree, 0)

    def _main(self, tree: Any, depth: int) -> str:
        exp = self._exp
        if tree is None or depth > _MAX_DEPTH:
            return ""
        with_ = tree.args.get("with_") or tree.args.get("with")
        if with_ is not None:
            for common in with_.expressions:
                self._common.setdefault(common.alias_or_name.lower(), common.this)
        if isinstance(tree, exp.Table):
            return self._table(tree, depth)
        if isinstance(tree, exp.Select):
            source = tree.args.get("from_") or tree.args.get("from")
            return self._main(source.this, depth + 1) if source is not None else ""
        if isinstance(tree, exp.Delete) and tree.this is None:
            tables = tree.args.get("tables") or [None]
            return self._main(tables[0], depth + 1)
        if isinstance(tree, exp.SetOperation | exp.Expression):
            inner = tree.args.get("this")
            return self._main(inner, depth + 1) if isinstance(inner, exp.Expression) else ""
        return ""

    def _anywhere(self, query: Any) -> str:
        """Return the first table in a query that reads from none itself: `SELECT EXISTS (SELECT …)`."""
        common = {each.alias_or_name.lower() for each in query.find_all(self._exp.CTE)}
        named = (self._table(table, 0) for table in query.find_all(self._exp.Table))
        return next((name for name in named if name and name.lower() not in common), "")

    def _table(self, table: Any, depth: int) -> str:
        exp = self._exp
        if not isinstance(table.this, exp.Identifier):
            return ""  # a function that returns rows
        names = [part for part in (table.args.get("db"), table.this) if isinstance(part, exp.Identifier)]
        name = ".".join(part.name if part.args.get("quoted") else part.name.lower() for part in names)
        common = self._common.pop(name.lower(), None) if len(names) == 1 else None
        return self._main(common, depth + 1) if common is not None else name[:_MAX_NAME_CHARS]


def _known_dialect(sqlglot: Any, name: str) -> str | None:
    with suppress(Exception):
        sqlglot.Dialect.get_or_raise(name)
        return name
    return None


def _sqlglot() -> Any:
    try:
        return importlib.import_module("sqlglot")
    except ImportError:
        return None
