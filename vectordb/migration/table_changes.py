"""What has to change in one table of an application: its vectors, their indexes, its text index."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, ops
from sqlalchemy import Column, Computed, Connection, Table, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.schema import CreateColumn

from vectordb.declarations import indexed_text_of, inline_embeddings, text_search_of
from vectordb.migration.catalogue import Catalogue
from vectordb.migration.column_changes import change_of_type
from vectordb.migration.identifiers import quoted
from vectordb.migration.index_operations import CreateVectorIndex, DropVectorIndex, drop_of
from vectordb.migration.printing import QUOTED_COPY, on_empty_copy
from vectordb.migration.rendering import as_embedding_type
from vectordb.migration.revision_operations import StoreInline
from vectordb.migration.text_indexes import FoundTextIndex, TableTextIndex
from vectordb.migration.text_operations import CreateTextIndex, DropTextIndex
from vectordb.migration.vector_indexes import FoundIndex, TableIndex, declared_index, final_name
from vectordb.tables import quote
from vectordb.text_index import default_text_index_name


class TableChanges:
    """The operations on one table: Alembic's, with ours in their place.

    Args:
        context: Of the comparison.
        catalogue: What the database has.
        table: As the metadata declares it.
        found: What Alembic has found to do.
        exists: Whether the database has the table.
    """

    def __init__(
        self,
        context: AutogenContext,
        catalogue: Catalogue,
        table: Table,
        found: list[MigrateOperation],
        *,
        exists: bool,
    ) -> None:
        assert context.connection is not None  # noqa: S101 - autogenerate never runs without
        self.connection: Connection = context.connection
        self.context = context
        self.catalogue = catalogue
        self.table = table
        self.exists = exists
        self.there = catalogue.indexes_of(table.schema, table.name)
        self.drops: list[MigrateOperation] = []
        self.rest: list[MigrateOperation] = list(found)
        self.creates: list[MigrateOperation] = []
        # Columns of which the indexes are cared for already.
        self.settled: set[str] = set()

    def operations(self) -> list[MigrateOperation]:
        """Return all that is to be done, in order."""
        self._alter_types()
        regenerated = self._regenerate_texts()
        self._vector_indexes()
        self._text_index(regenerated)
        self._store_inline()
        # What is generated may be made of columns that are added here.
        self.rest.sort(key=_place)
        return [*self.drops, *self.rest, *self.creates]

    def _alter_types(self) -> None:
        undeclared = {each.column_name for each in self.rest if isinstance(each, ops.DropColumnOp)}
        for operation in list(self.rest):
            if not isinstance(operation, ops.AlterColumnOp) or operation.modify_type is None:
                continue
            column = self.table.c[operation.column_name]
            if as_embedding_type(operation.existing_type) is None or as_embedding_type(column.type) is None:
                continue
            change = change_of_type(operation, column, self._declared(), self.there, undeclared)
            position = self.rest.index(operation)
            self.rest[position : position + 1] = change.operations
            self.rest = [each for each in self.rest if not change.replaces(each)]
            self.drops += change.drops
            self.creates += change.creates
            self.settled |= change.settled

    def _declared(self) -> dict[str, TableIndex]:
        """Return the vector indexes of the metadata by name."""
        found = {}
        for index in self.table.indexes:
            declared = declared_index(index, self.context.dialect, self.table.schema)
            if declared is not None and self._is_wanted(index, declared.name):
                found[declared.name] = declared
        return found

    def _is_wanted(self, index: Any, name: str) -> bool:
        return self.context.run_object_filters(index, name, "index", False, None)

    def _vector_indexes(self) -> None:
        """Have ours in place of Alembic's operations, and see what they do not."""
        declared = self._declared()
        for operation in list(self.rest):
            if isinstance(operation, ops.CreateIndexOp) and (index := declared.get(self._final_name(operation))):
                self.rest.remove(operation)
                if index.column not in self.settled:
                    self.creates.append(CreateVectorIndex(index))
            elif isinstance(operation, ops.DropIndexOp) and (found := self.there.get(str(operation.index_name))):
                if found.index is None:
                    continue
                self.rest.remove(operation)
                if found.column not in self.settled:
                    self.drops.append(self._drop(found))
        treated = {str(each.name) for each in self.drops if isinstance(each, DropVectorIndex)}
        for name, index in declared.items():
            there = self.there.get(name)
            if there is None or name in treated or index.column in self.settled or self._is_same(there, index):
                continue
            self.drops.append(self._drop(there))
            self.creates.append(CreateVectorIndex(index))

    def _final_name(self, operation: ops.CreateIndexOp) -> str:
        return final_name(operation.index_name or "", self.context.dialect)

    def _is_same(self, found: FoundIndex, declared: TableIndex) -> bool:
        if not found.valid or found.index is None:
            return False
        printed = declared.as_printed(self.connection)
        return printed is not None and printed.is_like(found.index)

    def _drop(self, found: FoundIndex) -> MigrateOperation:
        if found.index is not None:
            return drop_of(found, found.index, self.table.schema)
        # Another kind of index took the name; how to create that one again is for people to say.
        return ops.DropIndexOp(found.name, found.table, schema=self.table.schema)

    def _regenerate_texts(self) -> set[str]:
        """Make generated columns anew of which the expression has changed, and return their names."""
        changed: set[str] = set()
        if not self.exists:
            return changed
        added = {each.column.name for each in self.rest if isinstance(each, ops.AddColumnOp)}
        for column in self.table.columns:
            if not is_generated_text(column) or column.name in added:
                continue
            found = self._expression(quoted(self.table.schema, self.table.name), column.name)
            declared = self._declared_expression(column, added)
            if declared is not None and declared == found:
                continue
            changed.add(column.name)
            self._replace_column(column, found)
        return changed

    def _expression(self, table: str, column: str) -> str | None:
        query = (
            "SELECT pg_get_expr(adbin, adrelid) FROM pg_attribute"
            " JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
            " WHERE attrelid = to_regclass(:name) AND attname = :column AND attgenerated <> ''"
        )
        found: str | None = self.connection.scalar(text(query), {"name": table, "column": column})
        return found

    def _declared_expression(self, column: Column[Any], added: set[str]) -> str | None:
        new = [self._column_ddl(self.table.c[name]) for name in sorted(added) if name in self.table.c]
        statements = [
            f"ALTER TABLE {QUOTED_COPY} DROP COLUMN {quote(column.name)}",
            *(f"ALTER TABLE {QUOTED_COPY} ADD COLUMN {ddl}" for ddl in new),
            f"ALTER TABLE {QUOTED_COPY} ADD COLUMN {self._column_ddl(column)}",
        ]
        table = quoted(self.table.schema, self.table.name)
        return on_empty_copy(self.connection, table, statements, lambda: self._expression(QUOTED_COPY, column.name))

    def _column_ddl(self, column: Column[Any]) -> str:
        return str(CreateColumn(column).compile(dialect=self.context.dialect))

    def _replace_column(self, column: Column[Any], expression: str | None) -> None:
        old: Column[Any] = Column(
            column.name, TSVECTOR(), *([Computed(expression, persisted=True)] if expression else []), nullable=True
        )
        schema, table = self.table.schema, self.table.name
        over = [index for index in self.table.indexes if column.name in index.columns]
        known = {each.index_name for each in self.rest if isinstance(each, ops.CreateIndexOp | ops.DropIndexOp)}
        for index in sorted(over, key=lambda index: str(index.name)):
            if index.name not in known:
                self.drops.append(ops.DropIndexOp.from_index(index))
                self.creates.append(ops.CreateIndexOp.from_index(index))
        self.rest.insert(0, ops.DropColumnOp(table, column.name, schema=schema, _reverse=_added(schema, table, old)))
        self.rest.append(_added(schema, table, column))

    def _text_index(self, regenerated: set[str]) -> None:
        """Have the text index as it is declared; one that is not declared by `text_search_column` is left alone."""
        found = self.catalogue.text_index_of(self.table.schema, self.table.name) if self.exists else None
        wanted = declared_text_index(self.table)
        if found is not None and self._leaves(found.index, wanted, regenerated):
            return
        if found is not None:
            self.drops.insert(0, drop_of_text_index(found, self.table.schema, wanted))
        if wanted is not None:
            self.creates.append(CreateTextIndex(wanted))

    def _leaves(self, found: TableTextIndex | None, wanted: TableTextIndex | None, regenerated: set[str]) -> bool:
        if found is None or found.column in regenerated:
            return False
        if wanted is not None:
            return (found.column, found.index, found.config, found.name) == (
                wanted.column,
                wanted.index,
                wanted.config,
                wanted.name,
            )
        column = self.table.c.get(found.column)
        return column is not None and text_search_of(column) is None

    def _store_inline(self) -> None:
        added = {each.column.name for each in self.rest if isinstance(each, ops.AddColumnOp)}
        for column in inline_embeddings(self.table):
            if not self.exists or column.name in added:
                self.creates.insert(0, StoreInline(quoted(self.table.schema, self.table.name), quote(column.name)))


def is_generated_text(column: Any) -> bool:
    """Whether a column of the metadata is of generated lexemes."""
    return isinstance(column.type, TSVECTOR) and isinstance(column.server_default, Computed)


def declared_text_index(table: Table) -> TableTextIndex | None:
    """Return the text index that a table's metadata declares."""
    found = indexed_text_of(table)
    if found is None:
        return None
    column, declared, index = found
    name = declared.index_name or default_text_index_name(table.name, column.name)
    return TableTextIndex(table.name, column.name, index, declared.config, name, table.schema)


def drop_of_text_index(
    found: FoundTextIndex, schema: str | None, declared: TableTextIndex | None = None
) -> DropTextIndex:
    """Return what drops a text index, and creates it again on the way back; the declared one if parts are missing."""
    whole = found.index or declared
    if whole is None:
        # Of which column it was is not known; all parts but the index over the lexemes are named by the table.
        return DropTextIndex(found.table, "unknown", found.name, schema)
    index = replace(whole, schema=schema)
    return DropTextIndex(index.table, index.column, found.name or index.name, schema, index)


def _added(schema: str | None, table: str, column: Column[Any]) -> ops.AddColumnOp:
    return ops.AddColumnOp.from_column_and_tablename(schema, table, column)


def _place(operation: MigrateOperation) -> int:
    """Columns first, those that are generated after those that they are made of; the rest stays as Alembic has it."""
    if (
        isinstance(operation, ops.DropColumnOp)
        and operation._reverse is not None
        and is_generated_text(operation._reverse.column)
    ):
        return 0
    if isinstance(operation, ops.AddColumnOp):
        return 2 if isinstance(operation.column.server_default, Computed) else 1
    return 3
