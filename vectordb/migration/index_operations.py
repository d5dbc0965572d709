"""`op.create_vector_index` and `op.drop_vector_index`: of a column of an application's table, or of a collection.

A second argument that is a text is a column; without one, the first argument is a collection.
"""

from __future__ import annotations

import difflib
import logging
import re
from dataclasses import replace
from typing import Any

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from vectordb.errors import ConfigurationError
from vectordb.extension import require_extension
from vectordb.indexes import HNSW
from vectordb.metrics import VectorSpace
from vectordb.migration.collection_operations import BuildCollectionIndex, DropCollectionIndex
from vectordb.migration.context import (
    conventional_index_name,
    is_offline,
    outside_transaction,
    run_or_write,
    schema_of,
)
from vectordb.migration.identifiers import quoted
from vectordb.migration.vector_indexes import FoundIndex, TableIndex, read_indexes
from vectordb.translation import sqlstate
from vectordb.validation import check_identifier

_log = logging.getLogger(__name__)


@Operations.register_operation("create_vector_index")
class CreateVectorIndex(MigrateOperation):
    """Build a vector index of an application's table."""

    def __init__(self, index: TableIndex) -> None:
        self.index = index

    @classmethod
    def create_vector_index(
        cls,
        operations: Operations,
        table: str,
        column: Any,
        index: Any = None,
        *,
        metric: str = "cosine",
        storage: str = "vector",
        name: str | None = None,
        schema: str | None = None,
        expression: str | None = None,
        where: str | None = None,
        concurrently: bool = False,
    ) -> None:
        """Build an index over embeddings.

        Of a collection, as `op.create_vector_index("docs", HNSW())`, it takes the place of the one there is, and metric
        and storage are the collection's.

        Args:
            operations: Of the migration.
            table: Of the application; or the name of a collection.
            column: Of the table; of a collection, the index.
            index: `HNSW(...)` or `IVFFlat(...)`; `HNSW()` unless given.
            metric: What "near" means: cosine, l2, inner_product or l1; hamming or jaccard for bits.
            storage: Type of the column, or of the expression: vector, halfvec, bit or sparsevec.
            name: Of the index; None leaves it to the naming convention.
            schema: Of the table; None leaves it to the search_path.
            expression: SQL to index in place of the column, as `embedding::halfvec(3072)`.
            where: SQL condition, of a partial index.
            concurrently: Let others write meanwhile. What the migration did before is committed. An index of this name
                that an earlier try left INVALID is replaced; one that is as it should be is left alone.

        Raises:
            ConfigurationError: pgvector cannot index this column so, or another index has the name.
            InvalidName: A name is longer than PostgreSQL's 63 bytes.
        """
        if not isinstance(column, str):
            if index is not None:
                raise ConfigurationError(f"the second argument names a column of {table!r}, as 'embedding'")
            operations.invoke(BuildCollectionIndex(table, column))
            return
        check_identifier(table, "table")
        check_identifier(column, "column")
        space = VectorSpace.of(1, metric, storage)
        name = name or conventional_index_name(operations, table, column, schema)
        declared = TableIndex(
            table,
            column,
            HNSW() if index is None else index,
            space.metric,
            space.storage,
            name,
            schema,
            expression,
            where,
            concurrently,
        )
        operations.invoke(cls(declared))

    def reverse(self) -> MigrateOperation:
        """Return what takes it away."""
        return DropVectorIndex(
            self.index.table, self.index.column, self.index.name, self.index.schema, self.index.concurrently, self.index
        )

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Describe it for `alembic check`."""
        return ("add_vector_index", self.index.schema, self.index.table, self.index.name)


@Operations.register_operation("drop_vector_index")
class DropVectorIndex(MigrateOperation):
    """Drop a vector index of an application's table."""

    def __init__(
        self,
        table: str,
        column: str,
        name: str | None = None,
        schema: str | None = None,
        concurrently: bool = False,
        dropped: TableIndex | None = None,
    ) -> None:
        self.table = table
        self.column = column
        self.name = name
        self.schema = schema
        self.concurrently = concurrently
        self.dropped = dropped

    @classmethod
    def drop_vector_index(
        cls,
        operations: Operations,
        table: str,
        column: str | None = None,
        *,
        name: str | None = None,
        schema: str | None = None,
        concurrently: bool = False,
    ) -> None:
        """Drop the index over embeddings; searches become exact scans.

        Args:
            operations: Of the migration.
            table: Of the application; or, without a column, the name of a collection.
            column: Of the table.
            name: Of the index; None finds the only vector index that the column has.
            schema: Of the table; None leaves it to the search_path.
            concurrently: Let others go on meanwhile; what the migration did before is committed.

        Raises:
            ConfigurationError: There is no such index, or the column has several.
        """
        if column is None:
            operations.invoke(DropCollectionIndex(table))
            return
        for value, what in ((table, "table"), (column, "column")):
            check_identifier(value, what)
        if name is not None:
            check_identifier(name, "index")
        operations.invoke(cls(table, column, name, schema, concurrently))

    def reverse(self) -> MigrateOperation:
        """Return what creates it again."""
        if self.dropped is None:
            raise ValueError("how to create the index again is not known")
        return CreateVectorIndex(self.dropped)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Describe it for `alembic check`."""
        return ("remove_vector_index", self.schema, self.table, self.name)


def drop_of(found: FoundIndex, index: TableIndex, schema: str | None) -> DropVectorIndex:
    """Return what drops an index, and creates it again on the way back."""
    return DropVectorIndex(found.table, index.column, found.name, schema, dropped=replace(index, schema=schema))


@Operations.implementation_for(CreateVectorIndex)
def _create(operations: Operations, operation: CreateVectorIndex) -> None:
    index = operation.index
    if is_offline(operations):
        _run(operations, [index.create()], concurrently=index.concurrently)
        return
    connection = operations.get_bind()
    extension = require_extension(connection)
    _check_column(connection, index)
    statements = []
    if (found := _find(connection, index)) is not None:
        if found.valid and _is_same(connection, found, index):
            _log.info("the index %s is there already, as it should be", index.name)
            return
        statements.append(_drop_statement(found, concurrently=index.concurrently))
    try:
        _run(
            operations, [*statements, index.create(extension_schema=extension.schema)], concurrently=index.concurrently
        )
    except DBAPIError as error:
        if sqlstate(error) not in ("42804", "22023", "54000", "0A000", "XX000"):
            raise
        raise ConfigurationError(
            f"PostgreSQL refuses the index {index.name}: {_message(error)}; check storage={str(index.storage)!r} "
            "and the expression, which has to be of a type with dimensions, as `embedding::halfvec(384)`"
        ) from None


@Operations.implementation_for(DropVectorIndex)
def _drop(operations: Operations, operation: DropVectorIndex) -> None:
    if is_offline(operations):
        if operation.name is None:
            raise ConfigurationError(
                "which index the column has is not known when SQL is written out; name it: "
                f"op.drop_vector_index({operation.table!r}, {operation.column!r}, name=…)"
            )
        concurrently = "CONCURRENTLY " if operation.concurrently else ""
        statement = f"DROP INDEX {concurrently}{quoted(operation.schema, operation.name)}"
    else:
        found = _find_dropped(operations.get_bind(), operation)
        statement = _drop_statement(found, concurrently=operation.concurrently)
    _run(operations, [statement], concurrently=operation.concurrently)


def _run(operations: Operations, statements: list[str], *, concurrently: bool) -> None:
    if not concurrently:
        run_or_write(operations, statements)
        return
    with outside_transaction(operations):
        run_or_write(operations, statements)


def _drop_statement(found: FoundIndex, *, concurrently: bool) -> str:
    return f"DROP INDEX {'CONCURRENTLY ' if concurrently else ''}{quoted(found.schema, found.name)}"


def _message(error: DBAPIError) -> str:
    """Return the first line of what PostgreSQL says of DDL, which holds no row."""
    return str(error.orig).partition("\n")[0].removeprefix("ERROR:").strip()


def _find(connection: Connection, index: TableIndex) -> FoundIndex | None:
    """Find the index that has the name already.

    Raises:
        ConfigurationError: It is none of this table's vector indexes.
    """
    schema = schema_of(connection, index.table, index.schema)
    for found in read_indexes(connection):
        if (found.schema, found.name) == (schema, index.name) and found.table == index.table:
            return found
    if connection.scalar(text("SELECT to_regclass(:name)"), {"name": quoted(schema, index.name)}) is not None:
        raise ConfigurationError(
            f"the name {index.name} belongs to something else than a vector index of {index.table}; give another name=…"
        )
    return None


def _is_same(connection: Connection, found: FoundIndex, wanted: TableIndex) -> bool:
    """Whether a valid index is the wanted one.

    Raises:
        ConfigurationError: It is another one.
    """
    printed = wanted.as_printed(connection)
    if printed is not None and found.index is not None and printed.is_like(found.index):
        return True
    raise ConfigurationError(
        f"there is an index {wanted.name} of another definition; drop it first with "
        f"op.drop_vector_index({wanted.table!r}, {wanted.column!r}, name={wanted.name!r}), or give another name=…"
    )


def _find_dropped(connection: Connection, operation: DropVectorIndex) -> FoundIndex:
    schema = schema_of(connection, operation.table, operation.schema)
    there = [each for each in read_indexes(connection) if (each.schema, each.table) == (schema, operation.table)]
    there = [each for each in there if each.column == operation.column]
    named = [each for each in there if operation.name in (None, each.name)]
    if len(named) == 1:
        return named[0]
    names = ", ".join(sorted(each.name for each in there)) or "none"
    what = f"no vector index {operation.name}" if operation.name else f"{len(named) or 'no'} vector indexes"
    raise ConfigurationError(
        f"the column {operation.column!r} of {operation.table!r} has {what}; it has {names}; "
        "give name=… where it has several"
    )


def _check_column(connection: Connection, index: TableIndex) -> None:
    """Check that the column exists, and that pgvector can index it so.

    Raises:
        ConfigurationError: It cannot; says what to do.
    """
    schema_of(connection, index.table, index.schema)
    query = (
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped"
    )
    types = {str(name): str(kind) for name, kind in connection.execute(text(query), {"name": index.quoted_table})}
    if index.column not in types:
        near = difflib.get_close_matches(index.column, types, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(types)}"
        raise ConfigurationError(f"the table {index.table!r} has no column {index.column!r}: {hint}")
    if index.expression is not None:
        return
    written = types[index.column].rpartition(".")[2]
    found = re.fullmatch(r"(vector|halfvec|sparsevec|bit)(?:\((\d+)\))?", written)
    if found is None:
        raise ConfigurationError(
            f"the column {index.column!r} of {index.table!r} is of type {types[index.column]}; a vector index is built "
            "over vector, halfvec, sparsevec or bit, or over an expression=… of one of these types"
        )
    if found[1] != index.storage:
        raise ConfigurationError(
            f"the column {index.column!r} of {index.table!r} is a {found[1]}, not a {index.storage}; pass "
            f"storage={found[1]!r}, or expression='{index.column}::{index.storage}(…)' to index it as {index.storage}"
        )
    if found[2] is None:
        raise ConfigurationError(
            f"the column {index.column!r} of {index.table!r} has no dimensions, and only one that has can be indexed; "
            f"give it some, as in ALTER COLUMN {index.column} TYPE {found[1]}(384), or index "
            f"expression='{index.column}::{found[1]}(384)'"
        )
    index.operator_class(int(found[2]))
