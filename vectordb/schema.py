"""Tables and indexes of collections: created, dropped and inspected.

Migrations, `alembic.op` and `VectorDB` all come here, so there is one set of DDL. Every
function works inside the caller's transaction and commits nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Connection, text
from sqlalchemy.schema import CreateIndex, ExecutableDDLElement

from vectordb import registry
from vectordb.errors import ConfigurationError
from vectordb.extension import require_extension
from vectordb.indexes import VectorIndex, check_index
from vectordb.models import (
    CollectionModels,
    collection_models,
    create_statements,
    drop_statements,
    table_names,
    vector_index,
    vector_index_name,
)
from vectordb.registry import CollectionConfig
from vectordb.tables import quote


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """An index over the embeddings, as the catalogue has it.

    Attributes:
        name: Of the index.
        method: `hnsw` or `ivfflat`.
        operator_class: For example `vector_cosine_ops`.
        options: Of `WITH (...)`.
        valid: False while it is being built, or when that failed.
        bytes: Size on disk.
    """

    name: str
    method: str
    operator_class: str
    options: dict[str, int]
    valid: bool
    bytes: int


def models_of(config: CollectionConfig, schema: str | None) -> CollectionModels:
    """Build the model classes of a declared collection; without a schema the search_path finds its tables."""
    return collection_models(
        config.name, config.space, index=config.index, text_config=config.text_config, schema=schema
    )


def create_collection(connection: Connection, config: CollectionConfig, schema: str) -> None:
    """Create a collection's tables and index, and register it.

    Raises:
        ConfigurationError: PostgreSQL has no such text search configuration.
        ExtensionError: pgvector is missing or too old.
    """
    _check_text_config(connection, config.text_config)
    _execute(connection, create_statements(models_of(config, schema), config.space))
    registry.add_collection(connection, config)


def drop_collection(connection: Connection, config: CollectionConfig, schema: str) -> None:
    """Drop a collection's tables with all they hold, and forget it."""
    _execute(connection, drop_statements(models_of(config, schema)))
    registry.remove_collection(connection, config.name)


def create_index(connection: Connection, config: CollectionConfig, index: VectorIndex, schema: str) -> CollectionConfig:
    """Build an index over the embeddings in place of the one there is.

    Returns:
        The declaration with the new index.

    Raises:
        ConfigurationError: pgvector cannot index this column so.
    """
    check_index(index)
    changed = replace(config, index=index)
    bare = collection_models(config.name, config.space, index=None, text_config=config.text_config, schema=schema)
    drop_index(connection, config, schema)
    declared = vector_index(bare.Chunk.__table__.c.embedding, config.space, index)
    _execute(connection, [CreateIndex(declared)])
    registry.set_index(connection, config.name, index)
    return changed


def drop_index(connection: Connection, config: CollectionConfig, schema: str) -> None:
    """Drop the index over the embeddings, if there is one; searches become exact scans."""
    _, chunks = table_names(config.name)
    for method in ("hnsw", "ivfflat"):
        name = quote(schema, vector_index_name(chunks, method))
        connection.execute(text(f"DROP INDEX IF EXISTS {name}"))
    registry.set_index(connection, config.name, None)


def list_indexes(connection: Connection, config: CollectionConfig, schema: str) -> list[IndexInfo]:
    """Read the indexes over the embeddings from the catalogue, by name.

    Round trips: 1.
    """
    _, chunks = table_names(config.name)
    rows = connection.execute(
        text(
            "SELECT i.relname, a.amname, o.opcname, i.reloptions, x.indisvalid AND x.indisready,"
            " pg_relation_size(i.oid)"
            " FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am a ON a.oid = i.relam"
            " JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace"
            " JOIN pg_opclass o ON o.oid = x.indclass[0]"
            " WHERE n.nspname = :schema AND t.relname = :chunks AND a.amname IN ('hnsw', 'ivfflat') ORDER BY 1"
        ),
        {"schema": schema, "chunks": chunks},
    )
    return [
        IndexInfo(name, method, operator_class, _options(options), valid, size)
        for name, method, operator_class, options, valid, size in rows
    ]


def _options(options: list[str] | None) -> dict[str, int]:
    return {name: int(value) for name, _, value in (option.partition("=") for option in options or [])}


def add_to_search_path(connection: Connection, schema: str) -> None:
    """Have unqualified names looked up in this schema as well, until the transaction ends."""
    connection.execute(
        text(
            "SELECT set_config('search_path',"
            " concat_ws(', ', nullif(current_setting('search_path'), ''), CAST(:path AS text)), true)"
        ),
        {"path": quote(schema)},
    )


def _check_text_config(connection: Connection, name: str) -> None:
    known = text("SELECT cfgname FROM pg_ts_config WHERE pg_ts_config_is_visible(oid) ORDER BY 1")
    names = list(connection.scalars(known))
    if name not in names:
        raise ConfigurationError(f"PostgreSQL has no text search configuration {name!r}; it has {', '.join(names)}")


def _execute(connection: Connection, statements: Iterable[ExecutableDDLElement]) -> None:
    """Run DDL with pgvector's schema in reach, wherever it was installed."""
    add_to_search_path(connection, require_extension(connection).schema)
    for statement in statements:
        connection.execute(statement)
