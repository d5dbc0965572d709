"""What autogenerate and `alembic check` see of vectors and text indexes.

The comparison runs after Alembic's own ones and goes over what they found: what is ours and in no metadata goes out,
what Alembic writes down without operator class or parameters is said by our operations, and what it does not see is
added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

from alembic.autogenerate import comparators
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import Table

from vectordb.bootstrap.options import MigrationOptions
from vectordb.extension import find_extension
from vectordb.migration.catalogue import Catalogue, is_visible, read_catalogue
from vectordb.migration.extension_operations import CreateVectorExtension
from vectordb.migration.index_operations import CreateVectorIndex, DropVectorIndex, drop_of
from vectordb.migration.rendering import as_vector_column, teach_reflection, with_our_types
from vectordb.migration.revision_operations import Explanation, StoreInline
from vectordb.migration.table_changes import TableChanges, drop_of_text_index, is_generated_text
from vectordb.migration.text_operations import CreateTextIndex, DropTextIndex
from vectordb.settings import Settings

_OURS = (CreateVectorIndex, DropVectorIndex, CreateTextIndex, DropTextIndex, StoreInline, Explanation)


def register() -> None:
    """Add the comparison to every environment of this process that generates revisions."""
    teach_reflection()
    try:
        from alembic.util import DispatchPriority, PriorityDispatchResult
    except ImportError:  # Alembic before 1.18 runs comparisons in the order in which they were registered
        comparators.dispatch_for("schema")(compare)
        return

    def generated_columns_are_ours(*arguments: Any) -> PriorityDispatchResult:
        ours = is_generated_text(arguments[-1])
        return PriorityDispatchResult.STOP if ours else PriorityDispatchResult.CONTINUE

    add: Callable[..., Any] = comparators.dispatch_for
    add("schema", priority=DispatchPriority.LAST)(compare)
    # Alembic only warns that it cannot change what is generated, and sees changes where there are none.
    add("column", priority=DispatchPriority.FIRST, subgroup="server_default")(generated_columns_are_ours)


def compare(context: AutogenContext, upgrade_ops: ops.UpgradeOps, schemas: set[str | None]) -> None:
    """Go over what Alembic has found; see the module."""
    # The library's own environment has told Alembic what to look at.
    if context.dialect.name != "postgresql" or "vectordb_options" in context.opts:
        return
    connection = context.connection
    assert connection is not None  # noqa: S101 - autogenerate never runs without
    context.opts = {**context.opts, "render_item": with_our_types(context.opts.get("render_item"))}
    catalogue = read_catalogue(connection, MigrationOptions.of(Settings()).schema)
    upgrade_ops.ops[:] = [
        each
        for each in upgrade_ops.ops
        if not _is_ours(each, catalogue) and not _is_seen_twice(context, each, catalogue)
    ]
    _leave_text_indexes(upgrade_ops, catalogue)
    _drop_with_tables(upgrade_ops, catalogue)
    created = {
        catalogue.key(each.schema, each.table_name) for each in upgrade_ops.ops if isinstance(each, ops.CreateTableOp)
    }
    for table in context.sorted_tables:
        exists = catalogue.key(table.schema, table.name) not in created
        if not exists or _is_compared(context, table, schemas):
            _change(context, upgrade_ops, catalogue, table, exists=exists)
    if context.opts.get("render_as_batch"):
        upgrade_ops.ops[:] = _beside_batches(upgrade_ops.ops)
    upgrade_ops.ops[:] = [each for each in upgrade_ops.ops if not isinstance(each, ops.ModifyTableOps) or each.ops]
    if find_extension(connection) is None and any(map(as_vector_column, _added_types(upgrade_ops.ops))):
        upgrade_ops.ops.insert(0, CreateVectorExtension())


def _is_ours(operation: Any, catalogue: Catalogue) -> bool:
    """Whether an operation would take away what no metadata of the application knows, because it is ours."""
    if isinstance(operation, ops.DropTableOp):
        return catalogue.is_ours(operation.schema, operation.table_name)
    if isinstance(operation, ops.ModifyTableOps) and catalogue.is_ours(operation.schema, operation.table_name):
        return all(isinstance(each, ops.DropIndexOp | ops.DropConstraintOp) for each in operation.ops)
    return False


def _is_seen_twice(context: AutogenContext, operation: Any, catalogue: Catalogue) -> bool:
    """Whether an operation would drop a table that the metadata has without a schema.

    With `include_schemas`, SQLAlchemy lists what the search_path finds outside of the first schema under both names. It
    does so for a role named like our schema, whose search_path then begins there.
    """
    if not isinstance(operation, ops.DropTableOp | ops.ModifyTableOps) or operation.schema is None:
        return False
    assert context.connection is not None  # noqa: S101 - autogenerate never runs without
    known = {catalogue.key(table.schema, table.name) for table in context.sorted_tables}
    known.add((context.migration_context.version_table_schema, context.migration_context.version_table))
    return (
        (operation.schema, operation.table_name) not in known
        and (None, operation.table_name) in known
        and is_visible(context.connection, operation.schema, operation.table_name)
    )


def _leave_text_indexes(upgrade_ops: ops.UpgradeOps, catalogue: Catalogue) -> None:
    """Take out what would drop the index over the lexemes, a part of a text index."""
    for modified in upgrade_ops.ops:
        if isinstance(modified, ops.ModifyTableOps):
            found = catalogue.text_index_of(modified.schema, modified.table_name)
            modified.ops[:] = [
                each
                for each in modified.ops
                if found is None or not isinstance(each, ops.DropIndexOp) or each.index_name != found.name
            ]


def _drop_with_tables(upgrade_ops: ops.UpgradeOps, catalogue: Catalogue) -> None:
    """Have what a table loses before it is dropped come back with it."""
    for dropped in [each for each in upgrade_ops.ops if isinstance(each, ops.DropTableOp)]:
        there = catalogue.indexes_of(dropped.schema, dropped.table_name)
        key = catalogue.key(dropped.schema, dropped.table_name)
        for modified in upgrade_ops.ops:
            if not isinstance(modified, ops.ModifyTableOps) or key != catalogue.key(
                modified.schema, modified.table_name
            ):
                continue
            for position, each in enumerate(modified.ops):
                found = there.get(str(each.index_name)) if isinstance(each, ops.DropIndexOp) else None
                if found is not None and found.index is not None:
                    modified.ops[position] = drop_of(found, found.index, dropped.schema)
        if (text_index := catalogue.text_index_of(dropped.schema, dropped.table_name)) is not None:
            upgrade_ops.ops.insert(0, drop_of_text_index(text_index, dropped.schema))


def _is_compared(context: AutogenContext, table: Table, schemas: set[str | None]) -> bool:
    """Whether the application lets a table be compared that the database has, too."""
    default = context.dialect.default_schema_name
    schema = None if table.schema == default else table.schema
    parents: Any = {"schema_name": schema}
    return (
        schema in schemas
        and context.run_name_filters(table.name, "table", parents)
        and context.inspector.has_table(table.name, schema=schema)
        and context.run_object_filters(table, table.name, "table", False, table)
    )


def _change(
    context: AutogenContext, upgrade_ops: ops.UpgradeOps, catalogue: Catalogue, table: Table, *, exists: bool
) -> None:
    """Put all that is to be done in a table in place of what Alembic has found."""
    key = catalogue.key(table.schema, table.name)
    mine = [each for each in upgrade_ops.ops if _is_about(each, key, catalogue)]
    modified = next((each for each in mine if isinstance(each, ops.ModifyTableOps)), None)
    if modified is None:
        modified = ops.ModifyTableOps(table.name, [], schema=key[0])
        position = upgrade_ops.ops.index(mine[0]) + 1 if mine else len(upgrade_ops.ops)
        upgrade_ops.ops.insert(position, modified)
    changes = TableChanges(context, catalogue, table, list(modified.ops), exists=exists)
    modified.ops[:] = changes.operations()


def _is_about(operation: Any, key: tuple[str | None, str], catalogue: Catalogue) -> bool:
    return (
        isinstance(operation, ops.CreateTableOp | ops.ModifyTableOps)
        and catalogue.key(operation.schema, operation.table_name) == key
    )


def _beside_batches(operations: Iterable[Any]) -> Iterator[Any]:
    """Take ours out of the batch of a table, of which Alembic runs its own operations last."""
    for operation in operations:
        if not isinstance(operation, ops.ModifyTableOps):
            yield operation
            continue
        for is_ours, run in groupby(operation.ops, lambda each: isinstance(each, _OURS)):
            if is_ours:
                yield from run
            else:
                yield ops.ModifyTableOps(operation.table_name, list(run), schema=operation.schema)


def _added_types(operations: Iterable[Any]) -> Iterator[Any]:
    for operation in operations:
        if isinstance(operation, ops.ModifyTableOps):
            yield from _added_types(operation.ops)
        elif isinstance(operation, ops.CreateTableOp):
            yield from (column.type for column in operation.columns if hasattr(column, "type"))
        elif isinstance(operation, ops.AddColumnOp):
            yield operation.column.type
