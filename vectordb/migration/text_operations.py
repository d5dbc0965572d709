"""`op.create_text_index` and `op.drop_text_index`: of a column of an application's table, or of a collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Connection, text

from vectordb.database import SCHEMA
from vectordb.errors import ConfigurationError
from vectordb.indexes import BM25, check_text_index
from vectordb.migration.collection_operations import BuildCollectionTextIndex, DropCollectionTextIndex
from vectordb.migration.context import is_offline, run_or_write, schema_of
from vectordb.migration.identifiers import quoted
from vectordb.migration.revision_operations import Explanation
from vectordb.migration.text_indexes import FoundTextIndex, TableTextIndex, read_text_indexes
from vectordb.schema import check_text_config, run_sql
from vectordb.tables import quote
from vectordb.text_functions import create_text_functions, install_text_functions
from vectordb.text_index import create_text_index, default_text_index_name, drop_text_index
from vectordb.validation import check_identifier, check_name


@Operations.register_operation("create_text_index")
class CreateTextIndex(MigrateOperation):
    """Build the text index of an application's table."""

    def __init__(self, index: TableTextIndex) -> None:
        self.index = index

    @classmethod
    def create_text_index(
        cls,
        operations: Operations,
        table: str,
        column: Any = None,
        index: Any = None,
        *,
        config: str = "english",
        name: str | None = None,
        schema: str | None = None,
    ) -> None:
        """Build an index for search by words; writes wait meanwhile.

        Of a collection, as `op.create_text_index("docs", BM25())`, it takes the place of the one there is.

        Args:
            operations: Of the migration.
            table: Of the application; or the name of a collection.
            column: Of type `tsvector`, as `text_search_column` declares it; of a collection, the index.
            index: `BM25(...)`; `BM25()` unless given.
            config: Text search configuration that queries are read with: that of the column.
            name: Of the index over the lexemes; None is `<table>_<column>_idx`.
            schema: Of the table; None is the first one of the search_path that has it.

        Raises:
            ConfigurationError: No such column or configuration, or the table has a text index already.
            InvalidName: A name is longer than PostgreSQL's 63 bytes.
        """
        if not isinstance(column, str):
            if index is not None:
                raise ConfigurationError(f"the second argument names a column of {table!r}, as 'search'")
            operations.invoke(BuildCollectionTextIndex(table, column))
            return
        check_identifier(table, "table")
        check_identifier(column, "column")
        ranking = BM25() if index is None else index
        check_text_index(ranking)
        check_name(config, "text search configuration")
        name = name or default_text_index_name(table, column)
        operations.invoke(cls(TableTextIndex(table, column, ranking, config, name, schema)))

    def reverse(self) -> MigrateOperation:
        """Return what takes it away."""
        return DropTextIndex(self.index.table, self.index.column, self.index.name, self.index.schema, self.index)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Describe it for `alembic check`."""
        return ("add_text_index", self.index.schema, self.index.table, self.index.name)


@Operations.register_operation("drop_text_index")
class DropTextIndex(MigrateOperation):
    """Drop the text index of an application's table."""

    def __init__(
        self,
        table: str,
        column: str,
        name: str | None = None,
        schema: str | None = None,
        dropped: TableTextIndex | None = None,
    ) -> None:
        self.table = table
        self.column = column
        self.name = name or default_text_index_name(table, column)
        self.schema = schema
        self.dropped = dropped

    @classmethod
    def drop_text_index(
        cls,
        operations: Operations,
        table: str,
        column: str | None = None,
        *,
        name: str | None = None,
        schema: str | None = None,
    ) -> None:
        """Drop a text index, with its statistics and triggers.

        Args:
            operations: Of the migration.
            table: Of the application; or, without a column, the name of a collection.
            column: Of type `tsvector`.
            name: Of the index over the lexemes; None is `<table>_<column>_idx`.
            schema: Of the table; None is the first one of the search_path that has it.

        Raises:
            ConfigurationError: The table has no text index, or one of another column or name.
        """
        if column is None:
            operations.invoke(DropCollectionTextIndex(table))
            return
        for value, what in ((table, "table"), (column, "column")):
            check_identifier(value, what)
        operations.invoke(cls(table, column, name, schema))

    def reverse(self) -> MigrateOperation:
        """Return what creates it again."""
        if self.dropped is None:
            return Explanation([f"The text index of {self.table} was incomplete, so it is not created again."])
        return CreateTextIndex(self.dropped)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Describe it for `alembic check`."""
        return ("remove_text_index", self.schema, self.table, self.name)


@Operations.implementation_for(CreateTextIndex)
def _create(operations: Operations, operation: CreateTextIndex) -> None:
    index = operation.index
    if is_offline(operations):
        run_or_write(operations, [f"CREATE SCHEMA IF NOT EXISTS {quote(SCHEMA)}", create_text_functions(SCHEMA)])
        run_or_write(operations, _statements(replace(index, schema=_written_schema(index.schema))))
        return
    connection = operations.get_bind()
    index = replace(index, schema=schema_of(connection, index.table, index.schema))
    _check(connection, index)
    install_text_functions(connection, SCHEMA)
    run_sql(connection, _statements(index))


@Operations.implementation_for(DropTextIndex)
def _drop(operations: Operations, operation: DropTextIndex) -> None:
    if is_offline(operations):
        schema = _written_schema(operation.schema)
    else:
        connection = operations.get_bind()
        schema = schema_of(connection, operation.table, operation.schema)
        _check_dropped(connection, operation, schema)
    statements = drop_text_index(schema, operation.table, column=operation.column, index_name=operation.name)
    run_or_write(operations, statements)


def _statements(index: TableTextIndex) -> list[str]:
    assert index.schema is not None  # noqa: S101 - the caller has found it
    ddl = create_text_index(
        index.schema,
        index.table,
        column=index.column,
        config=index.config,
        index=index.index,
        functions=SCHEMA,
        index_name=index.name,
    )
    return [f"LOCK TABLE {quote(index.schema, index.table)} IN SHARE ROW EXCLUSIVE MODE", *ddl]


def _written_schema(schema: str | None) -> str:
    # The search_path of whoever runs the SQL is not known; functions and triggers need the schema's name.
    return schema or "public"


def _find(connection: Connection, schema: str | None, table: str) -> FoundTextIndex | None:
    there = read_text_indexes(connection)
    return next((each for each in there if (each.schema, each.table) == (schema, table)), None)


def _check_dropped(connection: Connection, operation: DropTextIndex, schema: str) -> None:
    """Check that nothing of the index would stay.

    Raises:
        ConfigurationError: The table has no text index, or one of another name.
    """
    found = _find(connection, schema, operation.table)
    if found is None:
        raise ConfigurationError(f"the table {operation.table!r} has no text index")
    if found.index is not None and (found.index.column, found.name) != (operation.column, operation.name):
        raise ConfigurationError(
            f"the text index of {operation.table!r} is another one; drop it with "
            f"op.drop_text_index({operation.table!r}, {found.index.column!r}, name={found.name!r})"
        )


def _check(connection: Connection, index: TableTextIndex) -> None:
    """Check that the index can be built.

    Raises:
        ConfigurationError: It cannot; says what to do.
    """
    check_text_config(connection, index.config)
    if (found := _find(connection, index.schema, index.table)) is not None:
        raise ConfigurationError(
            f"the table {index.table!r} has a text index already, and can have one; drop it first with "
            f"op.drop_text_index({index.table!r}, {found.index.column if found.index else '…'!r})"
        )
    query = (
        "SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attname = :column"
    )
    found_type = connection.scalar(text(query), {"name": quoted(index.schema, index.table), "column": index.column})
    if found_type != "tsvector":
        raise ConfigurationError(
            f"the column {index.column!r} of {index.table!r} is "
            + ("missing" if found_type is None else f"of type {found_type}")
            + "; a text index is built over a tsvector, as text_search_column(…) declares it"
        )
