"""How autogenerate writes our operations and types into a revision file, with the import that it needs.

`import vectordb.migration` is all that such a file imports of ours, so it runs even where `env.py` lacks that line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.dialects.postgresql import BIT
from sqlalchemy.dialects.postgresql.base import PGDialect, ischema_names
from sqlalchemy.types import TypeEngine

from vectordb.metrics import Storage
from vectordb.migration.extension_operations import CreateVectorExtension, DropVectorExtension
from vectordb.migration.index_operations import CreateVectorIndex, DropVectorIndex
from vectordb.migration.revision_operations import Explanation, RecastColumn, StoreInline
from vectordb.migration.text_operations import CreateTextIndex, DropTextIndex
from vectordb.vector_types import VectorColumn

IMPORT = "import vectordb.migration"
_VECTOR = re.compile(r"(vector|halfvec|sparsevec|bit)(?:\((\d+)\))?", re.IGNORECASE)


def teach_reflection() -> None:
    """Have SQLAlchemy know pgvector's types when it reads a database, unless pgvector-python has taught it."""
    for storage in (Storage.VECTOR, Storage.HALFVEC, Storage.SPARSEVEC):
        ischema_names.setdefault(str(storage), _reflected(storage))


def _reflected(storage: Storage) -> Any:
    def make(dimensions: str | None = None) -> VectorColumn:
        return VectorColumn(storage, None if dimensions is None else int(dimensions))

    return make


def as_vector_column(type_: Any) -> VectorColumn | None:
    """Return the type of a column of vectors, whether declared by us, by pgvector-python or read; None for others."""
    if isinstance(type_, VectorColumn):
        return type_
    if not isinstance(type_, TypeEngine) or not type(type_).__module__.startswith("pgvector"):
        return None
    found = _VECTOR.fullmatch(type_.compile(dialect=PGDialect()))  # type: ignore[no-untyped-call] # has no types
    return None if found is None else VectorColumn(found[1].lower(), int(found[2]) if found[2] else None)


def as_embedding_type(type_: Any) -> VectorColumn | None:
    """Return the same, bits included, which may be something else than an embedding."""
    if isinstance(type_, BIT) and not type_.varying:
        return VectorColumn(Storage.BIT, type_.length)
    return as_vector_column(type_)


def with_our_types(render: Callable[..., Any] | None) -> Callable[[str, Any, AutogenContext], Any]:
    """Return a `render_item` that writes columns of vectors; the application's own one is asked first."""

    def render_item(kind: str, item: Any, context: AutogenContext) -> Any:
        rendered = render(kind, item, context) if render else False
        if rendered is not False or kind != "type" or (vector := as_vector_column(item)) is None:
            return rendered
        context.imports.add(IMPORT)
        dimensions = "" if vector.dimensions is None else f", {vector.dimensions}"
        return f"vectordb.migration.VectorColumn({str(vector.storage)!r}{dimensions})"

    return render_item


def _call(context: AutogenContext, called: str, /, *arguments: str, **options: Any) -> str:
    context.imports.add(IMPORT)
    given = [f"{option}={value!r}" for option, value in options.items() if value is not None and value is not False]
    return f"{context.opts['alembic_module_prefix'] or ''}{called}({', '.join([*arguments, *given])})"


@renderers.dispatch_for(CreateVectorExtension)
def _create_extension(context: AutogenContext, _: CreateVectorExtension) -> str:
    return _call(context, "create_vector_extension")


@renderers.dispatch_for(DropVectorExtension)
def _drop_extension(context: AutogenContext, _: DropVectorExtension) -> str:
    return _call(context, "drop_vector_extension")


@renderers.dispatch_for(CreateVectorIndex)
def _create_vector_index(context: AutogenContext, operation: CreateVectorIndex) -> str:
    index = operation.index
    return _call(
        context,
        "create_vector_index",
        repr(index.table),
        repr(index.column),
        f"vectordb.{index.index!r}",
        metric=str(index.metric),
        storage=str(index.storage),
        name=index.name,
        schema=index.schema,
        expression=index.expression,
        where=index.where,
        concurrently=index.concurrently,
    )


@renderers.dispatch_for(DropVectorIndex)
def _drop_vector_index(context: AutogenContext, operation: DropVectorIndex) -> str:
    return _call(
        context,
        "drop_vector_index",
        repr(operation.table),
        repr(operation.column),
        name=operation.name,
        schema=operation.schema,
        concurrently=operation.concurrently,
    )


@renderers.dispatch_for(CreateTextIndex)
def _create_text_index(context: AutogenContext, operation: CreateTextIndex) -> str:
    index = operation.index
    return _call(
        context,
        "create_text_index",
        repr(index.table),
        repr(index.column),
        f"vectordb.{index.index!r}",
        config=index.config,
        name=index.name,
        schema=index.schema,
    )


@renderers.dispatch_for(DropTextIndex)
def _drop_text_index(context: AutogenContext, operation: DropTextIndex) -> str:
    return _call(
        context,
        "drop_text_index",
        repr(operation.table),
        repr(operation.column),
        name=operation.name,
        schema=operation.schema,
    )


@renderers.dispatch_for(Explanation)
def _explanation(_: AutogenContext, operation: Explanation) -> list[str]:
    # Python takes no function of comments alone.
    return [f"# {line}".rstrip() for line in operation.lines] + (["pass"] if operation.alone else [])


@renderers.dispatch_for(StoreInline)
def _store_inline(context: AutogenContext, operation: StoreInline) -> str:
    return f"{context.opts['alembic_module_prefix'] or ''}execute({operation.statement!r})"


@renderers.dispatch_for(RecastColumn)
def _recast_column(context: AutogenContext, operation: RecastColumn) -> Any:
    text = renderers.dispatch(ops.AlterColumnOp)(context, operation)
    return f"{text.rstrip().removesuffix(')')},\n    postgresql_using={operation.kw['postgresql_using']!r})"
