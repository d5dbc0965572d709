"""A column of vectors whose type changes: cast where PostgreSQL can, else a new column beside the old one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from alembic.operations import MigrateOperation, ops
from sqlalchemy import Column

from vectordb.declarations import embedding_of
from vectordb.metrics import Storage
from vectordb.migration.identifiers import quoted
from vectordb.migration.index_operations import CreateVectorIndex, drop_of
from vectordb.migration.rendering import as_embedding_type
from vectordb.migration.revision_operations import Explanation, RecastColumn
from vectordb.migration.vector_indexes import FoundIndex, TableIndex
from vectordb.tables import quote
from vectordb.vector_types import VectorColumn

_CAST = (Storage.VECTOR, Storage.HALFVEC, Storage.SPARSEVEC)


@dataclass
class TypeChange:
    """What takes the place of one `alter_column`.

    Attributes:
        operations: In its place.
        drops: Before everything else.
        creates: After everything else.
        settled: Columns of which the indexes are cared for hereby.
        left: Columns that Alembic would drop, and that stay.
    """

    operations: list[MigrateOperation]
    drops: list[MigrateOperation] = field(default_factory=list)
    creates: list[MigrateOperation] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)

    def replaces(self, operation: MigrateOperation) -> bool:
        """Whether an operation of Alembic's goes out."""
        return isinstance(operation, ops.DropColumnOp) and operation.column_name in self.left


def change_of_type(
    operation: ops.AlterColumnOp,
    column: Column[Any],
    declared: dict[str, TableIndex],
    there: dict[str, FoundIndex],
    undeclared: set[str],
) -> TypeChange:
    """Return what is to be done instead of changing a column's type without a word.

    Args:
        operation: Alembic's.
        column: As the metadata declares it.
        declared: The table's vector indexes in the metadata, by name.
        there: The same in the database.
        undeclared: Columns of the table that only the database has.
    """
    old, new = as_embedding_type(operation.existing_type), as_embedding_type(column.type)
    assert old is not None and new is not None  # noqa: S101, PT018 - the caller has looked
    wanted = [index for index in declared.values() if index.column == column.name]
    found = [each for each in there.values() if each.column == column.name]
    same_dimensions = old.dimensions == new.dimensions or None in (old.dimensions, new.dimensions)
    if same_dimensions and (old.storage == new.storage or {old.storage, new.storage} <= set(_CAST)):
        return _cast(operation, column, old, new, wanted, found)
    return _new_column(operation, column, old, new, wanted, undeclared)


def _cast(
    operation: ops.AlterColumnOp,
    column: Column[Any],
    old: VectorColumn,
    new: VectorColumn,
    wanted: list[TableIndex],
    found: list[FoundIndex],
) -> TypeChange:
    name = quote(column.name)
    recast = RecastColumn(
        operation.table_name,
        column.name,
        schema=operation.schema,
        existing_type=old,
        existing_server_default=operation.existing_server_default,
        existing_nullable=operation.existing_nullable,
        existing_comment=operation.existing_comment,
        modify_nullable=operation.modify_nullable,
        modify_comment=operation.modify_comment,
        modify_server_default=operation.modify_server_default,
        modify_type=new,
        postgresql_using=f"{name}::{new.get_col_spec()}",
        reverse_using=f"{name}::{old.get_col_spec()}",
    )
    lines = [
        f"PostgreSQL writes the table {operation.table_name} anew, and builds its indexes, while nobody can read it.",
        f"Where that takes too long, add a column beside {column.name} instead, fill it in batches, and switch over.",
    ]
    subject = f"{operation.table_name}.{column.name}"
    return TypeChange(
        [Explanation(lines, subject), recast],
        drops=[drop_of(each, each.index, operation.schema) for each in found if each.index is not None],
        creates=[CreateVectorIndex(index) for index in wanted],
        settled={column.name},
    )


def _new_column(
    operation: ops.AlterColumnOp,
    column: Column[Any],
    old: VectorColumn,
    new: VectorColumn,
    wanted: list[TableIndex],
    undeclared: set[str],
) -> TypeChange:
    table, schema, name = column.table, operation.schema, _new_name(column, old, new)
    hashes = f"{column.name}_hash"
    beside: list[Column[Any]] = [Column(name, new, nullable=True)]
    if embedding_of(column) is not None and hashes in table.c:
        beside.append(Column(f"{name}_hash", table.c[hashes].type, nullable=True))
    already = name in undeclared
    operation.modify_type = None
    kept: list[MigrateOperation] = [operation] if operation.has_changes() else []
    lines = _explanation(operation, column, old, new, name, already=already)
    explanation = Explanation(lines, f"{operation.table_name}.{column.name}", alone=already)
    change = TypeChange([explanation, *kept], settled={column.name, name}, left={each.name for each in beside})
    if already:
        return change
    change.operations += [
        ops.AddColumnOp.from_column_and_tablename(schema, operation.table_name, each) for each in beside
    ]
    for index in wanted:
        new_index = replace(
            index,
            column=name,
            name=_replaced(index.name, column.name, name),
            expression=None if index.expression is None else index.expression.replace(column.name, name),
        )
        change.creates.append(CreateVectorIndex(new_index))
    return change


def _new_name(column: Column[Any], old: VectorColumn, new: VectorColumn) -> str:
    return f"{column.name}_{new.dimensions if new.dimensions != old.dimensions else new.storage}"


def _replaced(index_name: str, column: str, new_column: str) -> str:
    return index_name.replace(column, new_column) if column in index_name else f"{index_name}_new"


def _explanation(
    operation: ops.AlterColumnOp, column: Column[Any], old: VectorColumn, new: VectorColumn, name: str, *, already: bool
) -> list[str]:
    subject = f"{quoted(operation.schema, operation.table_name)}.{quote(column.name)}".replace('"', "")
    first = f"{subject} is {old.get_col_spec()} in the database, and {new.get_col_spec()} in the model."
    if already:
        return [
            first,
            f"The column {name} is there for it: declare that one in the model, and {column.name} as it was.",
        ]
    return [
        first,
        "No cast leads from one to the other: the texts have to be embedded anew. This revision adds an empty column",
        f"{name} and leaves {column.name} as it is. From here on:",
        f"1. In the model, declare {column.name} as it was, and {name} beside it, with {new.get_col_spec()};",
        "   `alembic check` is clean again then.",
        f"2. Fill {name} in batches, while the application goes on:",
        f'   Repository(Model, embedder, column="{name}").upsert(session, rows).',
        f'3. Let the application search by it: Repository(Model, embedder, column="{name}").',
        f"4. Take {column.name} out of the model; the next autogenerated revision drops it.",
    ]
