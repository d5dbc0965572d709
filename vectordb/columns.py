"""Columns that make an application's own model searchable: embeddings, and text for BM25.

The rest follows once the class is mapped: the hash beside an embedding, its index, and the events by which `create_all`
and `drop_all` also care for what no metadata can hold: pgvector itself, where in the row a vector lies, and the objects
of a text index.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import DDL, Column, Computed, Connection, Index, LargeBinary, Table, event, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.orm import MappedColumn, Mapper, QueryableAttribute, deferred, mapped_column

from vectordb.database import SCHEMA
from vectordb.declarations import (
    INFO,
    Embedding,
    EmbeddingHash,
    Source,
    TextSearch,
    declared_by,
    embedding_of,
    hash_column_of,
    hash_name,
    indexed_text_of,
    inline_embeddings,
    is_names,
    text_search_of,
)
from vectordb.errors import ConfigurationError
from vectordb.extension import ensure_extension
from vectordb.indexes import BM25, HNSW, VectorIndex, check_index, check_text_index
from vectordb.metrics import Metric, Storage, VectorSpace
from vectordb.models import INDEXED_CHARACTERS
from vectordb.tables import quote
from vectordb.text_functions import create_text_functions, install_text_functions
from vectordb.text_index import create_text_index, default_text_index_name, drop_text_index
from vectordb.validation import check_identifier, check_name
from vectordb.vector_types import VectorColumn

__all__ = [
    "Embedding",
    "EmbeddingHash",
    "Source",
    "TextSearch",
    "embedding_column",
    "embedding_of",
    "hash_column_of",
    "inline_embeddings",
    "text_search_column",
    "text_search_of",
]

DEFAULT_VECTOR_INDEX = HNSW()
DEFAULT_TEXT_INDEX = BM25()

# What a text index adds to the name of its table.
_TEXT_OBJECTS = ("_lexemes", "_text_changes", "_text_changed", "_text_plan")


def embedding_column(
    dimensions: int,
    *,
    source: Source | None = None,
    metric: Metric | str = Metric.COSINE,
    storage: Storage | str = Storage.VECTOR,
    index: VectorIndex | None = DEFAULT_VECTOR_INDEX,
    index_name: str | None = None,
    nullable: bool = True,
    **column_options: Any,
) -> MappedColumn[Any]:
    """Declare a column of embeddings, float32 arrays of shape (dimensions,), in a declarative class.

    The table gets a column `<column>_hash` beside it, by which unchanged text is not embedded again, and the index.
    Entities are loaded without both, unless a query asks with `undefer`.

    Args:
        dimensions: Numbers per vector.
        source: What is embedded: the name of an attribute, or names of which the texts are joined by a blank line, or a
            function of an instance or a row that returns the text; None where the application gives the vectors.
        metric: What "near" means.
        storage: The column's type.
        index: Over the column; None for none, so that every search is exact.
        index_name: None leaves it to the naming convention of the metadata, `ix_<table>_<column>` if it has none.
        nullable: Whether rows may have no embedding; those without a text have none.
        **column_options: Further ones of SQLAlchemy's `mapped_column`.

    Raises:
        ConfigurationError: pgvector has no such column or index, or the source is no source. When the class is mapped:
            it has no such attribute, or one of the name that the hash takes.
        InvalidName: A name is longer than PostgreSQL's 63 bytes.
    """
    space = VectorSpace.of(dimensions, metric, storage)
    if index is not None:
        check_index(index)
        space.operator_class(index.method)
    declaration = Embedding(space, index, _checked_source(source), index_name and check_identifier(index_name, "index"))
    options = _with_declaration(column_options, declaration)
    return mapped_column(VectorColumn(space.storage, space.dimensions), nullable=nullable, **options)


def text_search_column(
    *sources: str,
    config: str = "english",
    index: BM25 | None = DEFAULT_TEXT_INDEX,
    index_name: str | None = None,
    **column_options: Any,
) -> MappedColumn[Any]:
    """Declare a column of the lexemes of other columns, which PostgreSQL generates, in a declarative class.

    Of each row the first 100,000 characters are searched. Entities are loaded without it.

    Args:
        *sources: Attributes of which the text is searched, columns of the same table.
        config: PostgreSQL text search configuration, for example `english` or `simple`.
        index: By which BM25 ranks, one for each table; None for none. It consists of two tables beside the model's own,
            `<table>_lexemes` and `<table>_text_changes`, of triggers and of an index; `create_all` creates and
            `drop_all` drops them, as `op.create_text_index` and `op.drop_text_index` do in a migration.
        index_name: None is `<table>_<column>_idx`.
        **column_options: Further ones of SQLAlchemy's `mapped_column`; a class that is a dataclass needs `init=False`.

    Raises:
        ConfigurationError: No source, or no text index. When the class is mapped: a source is no column of its
            table, or another column has a text index already.
        InvalidName: A name is longer than PostgreSQL's 63 bytes; that of the table, too, which the names of the
            index begin with.
    """
    if not sources or not is_names(sources):
        raise ConfigurationError("a text search column names the attributes that it searches, for example 'title'")
    if index is not None:
        check_text_index(index)
    declaration = TextSearch(
        sources,
        check_name(config, "text search configuration"),
        index,
        index_name and check_identifier(index_name, "index"),
    )
    # Of what it is generated is known when the sources are mapped.
    generated = Computed("NULL", persisted=True)
    return mapped_column(TSVECTOR, generated, **_with_declaration(column_options, declaration))


def _with_declaration(options: Mapping[str, Any], declaration: Embedding | TextSearch) -> dict[str, Any]:
    return {"deferred": True, **options, "info": {**(options.get("info") or {}), INFO: declaration}}


def _checked_source(source: Any) -> Source | None:
    names = tuple(source) if isinstance(source, list) else source
    if names is None or callable(names) or (isinstance(names, str) and names) or (names and is_names(names)):
        return names
    raise ConfigurationError(
        "the source of an embedding is the name of an attribute, a tuple of names, or a function of an instance, "
        f"not {source!r:.60}"
    )


@event.listens_for(Mapper, "after_mapper_constructed")
def _complete(mapper: Mapper[Any], class_: type[Any]) -> None:
    """Give the tables of a mapped class what its searchable columns need beside them."""
    for attribute, column in list(mapper.columns.items()):
        if (embedding := embedding_of(column)) is not None:
            _complete_embedding(mapper, attribute, column, embedding)
        elif (search := text_search_of(column)) is not None:
            _complete_text_search(mapper, column, search)


def _complete_embedding(mapper: Mapper[Any], attribute: str, column: Column[Any], declared: Embedding) -> None:
    model, table, name = mapper.class_, column.table, check_identifier(hash_name(column), "column")
    for source in declared.sources:
        if not hasattr(model, source):
            raise ConfigurationError(f"{model.__name__} has no attribute {source!r}, which its {attribute} is made of")
        if source == attribute:
            raise ConfigurationError(f"{attribute} of {model.__name__} cannot be made of itself; name the text")
    hashes = table.c.get(name)
    if hashes is None:
        hashes = Column(name, LargeBinary, nullable=True, info={INFO: EmbeddingHash(column.name)})
        table.append_column(hashes)
        if declared.index is not None:
            check_identifier(str(_vector_index(column, declared, declared.index).name), "index")
        _listen(table)
    is_ours = declared_by(hashes, EmbeddingHash) is not None
    if is_ours and mapper.columns.contains_column(hashes):
        return
    # A parent with a table of its own (concrete inheritance) may have the same attribute.
    taken = getattr(model, f"{attribute}_hash", None)
    if not is_ours or f"{attribute}_hash" in mapper.columns or not isinstance(taken, QueryableAttribute | None):
        raise ConfigurationError(
            f"{model.__name__} has {name!r} already, which is where the hash of {attribute} goes; give it another name"
        )
    mapper.add_property(f"{attribute}_hash", deferred(hashes))


def _vector_index(column: Column[Any], declared: Embedding, index: VectorIndex) -> Index:
    return Index(
        declared.index_name,
        column,
        postgresql_using=index.method,
        postgresql_with=index.options(),
        postgresql_ops={column.key: declared.space.operator_class(index.method)},
    )


def _complete_text_search(mapper: Mapper[Any], column: Column[Any], declared: TextSearch) -> None:
    table = column.table
    sources = [_source_column(mapper, table, name) for name in declared.sources]
    searched = " || ' '::text || ".join(f"coalesce({_as_text(source)}, ''::text)" for source in sources)
    # As PostgreSQL writes it when asked, so that Alembic sees no change.
    expression = f"to_tsvector('{declared.config}'::regconfig, \"left\"({searched}, {INDEXED_CHARACTERS}))"
    if column.computed is not None:
        column.computed.sqltext = text(expression)
    if mapper.eager_defaults == "auto" and not any(_is_server_default(other) for other in mapper.columns):
        # Otherwise every INSERT of an instance returns the lexemes, which nobody reads.
        mapper.eager_defaults = False
    if declared.index is None:
        return
    names = [other.name for other in table.columns if (found := text_search_of(other)) and found.index is not None]
    if len(names) > 1:
        raise ConfigurationError(
            f"the table {table.name!r} has text indexes on {' and '.join(names)}, and can have one; "
            "declare one column over all sources, or the others with index=None"
        )
    index_name = declared.index_name or default_text_index_name(table.name, column.name)
    for end in _TEXT_OBJECTS:
        check_identifier(f"{table.name}{end}", "text index's table")
    check_identifier(index_name, "index")
    _listen(table)


def _source_column(mapper: Mapper[Any], table: Table, name: str) -> Column[Any]:
    found = mapper.columns.get(name)
    if isinstance(found, Column) and found.table is table:
        return found
    raise ConfigurationError(
        f"{mapper.class_.__name__} has no column {name!r} in the table {table.name!r}, by which it could be searched"
    )


def _is_server_default(column: Any) -> bool:
    is_own = column.primary_key or text_search_of(column) is not None
    return not is_own and getattr(column, "server_default", None) is not None


def _as_text(column: Column[Any]) -> str:
    type_name = column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it
    return quote(column.name) if type_name.split(" ")[0] == "TEXT" else f"({quote(column.name)})::text"


def _listen(table: Table) -> None:
    # Copies of the table, as `to_metadata` makes them, do the same.
    event.listen(table, "before_create", _create_extension, propagate=True)
    event.listen(table, "after_create", _after_create, propagate=True)
    event.listen(table, "before_drop", _before_drop, propagate=True)


def _create_extension(table: Table, connection: Connection | MockConnection, **_: Any) -> None:
    if not any(embedding_of(column) for column in table.columns) or connection.dialect.name != "postgresql":
        return
    if not isinstance(connection, Connection) or _is_autocommit(connection):
        _run(connection, ["CREATE EXTENSION IF NOT EXISTS vector"])
    else:
        ensure_extension(connection, connection.schema_for_object(table) or SCHEMA)


def _is_autocommit(connection: Connection) -> bool:
    # Where it is on, there are no savepoints.
    return bool(getattr(connection.connection.dbapi_connection, "autocommit", False))


def _after_create(table: Table, connection: Connection | MockConnection, **_: Any) -> None:
    if connection.dialect.name != "postgresql":
        return
    alter = f"ALTER TABLE {_quoted(table, connection)} ALTER COLUMN"
    _run(connection, [f"{alter} {quote(column.name)} SET STORAGE PLAIN" for column in inline_embeddings(table)])
    found = indexed_text_of(table)
    if found is None:
        return
    column, declared, index = found
    if isinstance(connection, Connection):
        install_text_functions(connection, SCHEMA)
    else:
        _run(connection, [f"CREATE SCHEMA IF NOT EXISTS {quote(SCHEMA)}", create_text_functions(SCHEMA)])
    statements = create_text_index(
        _schema_of(table, connection),
        table.name,
        column=column.name,
        config=declared.config,
        index=index,
        functions=SCHEMA,
        index_name=declared.index_name,
    )
    _run(connection, statements)


def _before_drop(table: Table, connection: Connection | MockConnection, **_: Any) -> None:
    found = indexed_text_of(table)
    if found is None or connection.dialect.name != "postgresql":
        return
    column, declared, _index = found
    schema = _schema_of(table, connection)
    _run(connection, drop_text_index(schema, table.name, column=column.name, index_name=declared.index_name))


def _quoted(table: Table, connection: Connection | MockConnection) -> str:
    schema = connection.schema_for_object(table)
    return quote(table.name) if schema is None else quote(schema, table.name)


def _schema_of(table: Table, connection: Connection | MockConnection) -> str:
    """Return the schema that a table is in, by the search_path if it names none."""
    schema = connection.schema_for_object(table)
    if schema is not None:
        return schema
    if not isinstance(connection, Connection):
        return "public"
    found = text(
        "SELECT coalesce((SELECT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE c.oid = to_regclass(:name)), current_schema())"
    )
    return str(connection.scalar(found, {"name": quote(table.name)}))


def _run(connection: Connection | MockConnection, statements: list[str]) -> None:
    """Run statements just as they are written, or hand them to an engine that only prints."""
    for statement in statements:
        if isinstance(connection, Connection):
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        else:
            connection.execute(DDL(statement.replace("%", "%%")))  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it
