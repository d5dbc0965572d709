"""A vector index of an application's table as a value: declared, read from the catalogue, and written as SQL.

All three meet in `TableIndex`, so what autogenerate compares is what the operations create.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Dialect, Index, text
from sqlalchemy.schema import conv

from vectordb.errors import ConfigurationError
from vectordb.extension import find_extension
from vectordb.indexes import HNSW, IVFFlat, VectorIndex, check_index
from vectordb.metrics import Metric, Storage, VectorSpace
from vectordb.migration.identifiers import quoted
from vectordb.migration.printing import COPY, QUOTED_COPY, on_empty_copy
from vectordb.tables import quote
from vectordb.validation import check_identifier

_METRICS = {
    "cosine": Metric.COSINE,
    "l2": Metric.L2,
    "ip": Metric.INNER_PRODUCT,
    "l1": Metric.L1,
    "hamming": Metric.HAMMING,
    "jaccard": Metric.JACCARD,
}
_OPERATOR_CLASS = re.compile(rf"({'|'.join(Storage)})_({'|'.join(_METRICS)})_ops")
_METHODS: dict[str, Callable[..., VectorIndex]] = {"hnsw": HNSW, "ivfflat": IVFFlat}
_KNOWN_OPTIONS = {"using", "with", "ops", "where", "concurrently"}

_CATALOGUE = """
    SELECT n.nspname, pg_table_is_visible(t.oid), t.relname, i.relname, m.amname, x.indisvalid AND x.indisready,
        pg_get_indexdef(i.oid, 1, true), x.indexprs IS NOT NULL, o.opcname, i.reloptions,
        pg_get_expr(x.indpred, x.indrelid, true), x.indnatts,
        (SELECT min(a.attname::text) FROM pg_depend d
         JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = d.refobjsubid
         WHERE d.classid = 'pg_class'::regclass AND d.objid = i.oid AND d.refobjid = x.indrelid
            AND (a.attnum = x.indkey[0] OR x.indkey[0] = 0 AND a.atttypid = ANY(
                ARRAY(SELECT oid FROM pg_type WHERE typname IN ('vector', 'halfvec', 'sparsevec', 'bit')))))
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam
    JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_opclass o ON o.oid = x.indclass[0]
    WHERE m.amname IN ('hnsw', 'ivfflat')
"""


@dataclass(frozen=True)
class TableIndex:
    """A vector index of one column, or of one expression over it.

    Attributes:
        table: Its table.
        column: The column of vectors.
        index: Method and parameters.
        metric: What "near" means.
        storage: Type of what is indexed.
        name: Of the index.
        schema: Of the table; None leaves it to the search_path.
        expression: What is indexed instead of the column itself, as SQL; None for the column.
        where: Condition of a partial index, as SQL.
        concurrently: Whether it is built while others write.
    """

    table: str
    column: str
    index: VectorIndex
    metric: Metric
    storage: Storage
    name: str
    schema: str | None = None
    expression: str | None = None
    where: str | None = None
    concurrently: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        for value, what in ((self.table, "table"), (self.column, "column"), (self.name, "index")):
            check_identifier(value, what)
        if self.schema is not None:
            check_identifier(self.schema, "schema")
        check_index(self.index)
        self.operator_class()
        for sql, what in ((self.expression, "expression"), (self.where, "where")):
            if sql is not None and (not isinstance(sql, str) or not sql.strip() or "\0" in sql):
                raise ConfigurationError(f"{what} is SQL as text, not {sql!r:.40}")

    def operator_class(self, dimensions: int = 1) -> str:
        """Return the operator class.

        Raises:
            ConfigurationError: pgvector cannot index such vectors so; the message says what to do.
        """
        return VectorSpace(dimensions, self.metric, self.storage).operator_class(self.index.method)

    def create(self, *, extension_schema: str | None = None) -> str:
        """Return the DDL; with pgvector's schema it needs no search_path."""
        concurrently = "CONCURRENTLY " if self.concurrently else ""
        return f"CREATE INDEX {concurrently}{self._definition(self.name, self.quoted_table, extension_schema)}"

    @property
    def quoted_table(self) -> str:
        """The table as SQL names it."""
        return quoted(self.schema, self.table)

    def _definition(self, name: str, table: str, extension_schema: str | None) -> str:
        operator_class = quoted(extension_schema, self.operator_class())
        indexed = quote(self.column) if self.expression is None else f"({self.expression})"
        options = ", ".join(f"{option} = {value}" for option, value in self.index.options().items())
        where = "" if self.where is None else f" WHERE {self.where}"
        return (
            f"{quote(name)} ON {table} USING {self.index.method} ({indexed} {operator_class}) WITH ({options}){where}"
        )

    def is_like(self, other: TableIndex) -> bool:
        """Whether two indexes of one table are the same but for the schema's name; both as PostgreSQL prints them."""
        return self == replace(other, schema=self.schema)

    def as_printed(self, connection: Connection) -> TableIndex | None:
        """Return it with expression and condition as PostgreSQL prints them, which is how the catalogue has them.

        PostgreSQL builds the index over an empty copy of the table, and takes both back.

        Returns:
            None where PostgreSQL refuses the index.
        """
        extension = find_extension(connection)
        definition = self._definition(f"{COPY}_idx", QUOTED_COPY, None if extension is None else extension.schema)
        found = on_empty_copy(
            connection,
            self.quoted_table,
            [f"CREATE INDEX {definition}"],
            lambda: [each.index for each in read_indexes(connection) if each.table == COPY],
        )
        if not found or found[0] is None:
            return None
        printed = found[0]
        return replace(self, expression=printed.expression, where=printed.where)


@dataclass(frozen=True)
class FoundIndex:
    """A vector index in the catalogue.

    Attributes:
        schema: Of its table.
        visible: Whether the search_path finds the table.
        table: Its table.
        name: Of the index.
        column: The column of vectors; None where it indexes none.
        valid: False while it is being built, or when that failed.
        index: None for one that the operations cannot create.
    """

    schema: str
    visible: bool
    table: str
    name: str
    column: str | None
    valid: bool
    index: TableIndex | None


def read_indexes(connection: Connection) -> list[FoundIndex]:
    """Read all vector indexes of the database.

    Round trips: 1.
    """
    return [_found(tuple(row)) for row in connection.execute(text(_CATALOGUE))]


def _found(row: tuple[Any, ...]) -> FoundIndex:
    (
        schema,
        visible,
        table,
        name,
        method,
        valid,
        key,
        is_expression,
        operator_class,
        options,
        where,
        attributes,
        column,
    ) = row
    index = None
    if attributes == 1 and column is not None and (kind := _OPERATOR_CLASS.fullmatch(operator_class)) is not None:
        parameters = dict(option.split("=") for option in options or [])
        index = TableIndex(
            table,
            column,
            _METHODS[method](**{option: int(value) for option, value in parameters.items()}),
            _METRICS[kind[2]],
            Storage(kind[1]),
            name,
            schema,
            _without_parentheses(key) if is_expression else None,
            where,
        )
    return FoundIndex(schema, visible, table, name, column, valid, index)


def declared_index(index: Index, dialect: Dialect, schema: str | None) -> TableIndex | None:
    """Return what an `Index` of a table's metadata declares; None where the operations cannot create it.

    Args:
        index: Of any kind.
        dialect: Of PostgreSQL.
        schema: Of the table, as it is called here.

    Raises:
        ConfigurationError: A parameter is out of range.
        InvalidName: The name is too long.
    """
    given = {name.removeprefix("postgresql_"): value for name, value in index.dialect_kwargs.items()}
    options = {name: value for name, value in given.items() if value is not None and value is not False}
    method = str(options.get("using", "")).lower()
    expressions = list(index.expressions)
    if method not in _METHODS or len(expressions) != 1 or index.unique or _others(options):
        return None
    expression, table = expressions[0], index.table
    if table is None or index.name is None:
        return None
    written, operator_class = _split(_compiled(expression, dialect))
    operator_class = next(iter((options.get("ops") or {}).values()), operator_class)
    kind = _OPERATOR_CLASS.fullmatch(str(operator_class))
    column = _column_in(written, [each.name for each in table.columns])
    if kind is None or column is None:
        return None
    is_column = written.strip('"') == column
    where = options.get("where")
    return TableIndex(
        table.name,
        column,
        _METHODS[method](**{name: int(value) for name, value in (options.get("with") or {}).items()}),
        _METRICS[kind[2]],
        Storage(kind[1]),
        final_name(index.name, dialect),
        schema,
        None if is_column else _without_parentheses(written),
        None if where is None else _compiled(where, dialect),
        bool(options.get("concurrently")),
    )


def final_name(name: str, dialect: Dialect) -> str:
    """Return the name that an index gets: SQLAlchemy shortens what a naming convention makes too long."""
    if not isinstance(name, conv):
        return name
    return dialect.identifier_preparer.truncate_and_render_index_name(name, _alembic_quote=False)


def _others(options: dict[str, Any]) -> set[str]:
    """Return the options that the operations do not know, but for empty ones."""
    return {name for name, value in options.items() if name not in _KNOWN_OPTIONS and value not in ({}, [], ())}


def _compiled(expression: Any, dialect: Dialect) -> str:
    if isinstance(expression, str):
        return expression
    return str(expression.compile(dialect=dialect, compile_kwargs={"literal_binds": True, "include_table": False}))


def _split(written: str) -> tuple[str, str | None]:
    """Split an expression from the operator class that may stand behind it."""
    found = re.fullmatch(r"(?s)(.*\S)\s+(\w+_ops)", written.strip())
    return (found[1], found[2]) if found else (written.strip(), None)


def _column_in(written: str, columns: list[str]) -> str | None:
    """Return the column that an expression names first."""
    for word in re.findall(r'"((?:[^"]|"")+)"|([^\W\d]\w*)', written):
        name = str(word[0]).replace('""', '"') or str(word[1])
        if name in columns:
            return name
    return None


def _without_parentheses(sql: str) -> str:
    """Take away the parentheses around a whole expression."""
    depth = 0
    for position, character in enumerate(sql):
        depth += (character == "(") - (character == ")")
        if depth == 0 and position < len(sql) - 1:
            return sql
    return _without_parentheses(sql[1:-1].strip()) if sql.startswith("(") and sql.endswith(")") else sql
