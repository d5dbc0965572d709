"""Tables and indexes of collections: created, dropped and inspected.

Migrations, `alembic.op` and `VectorDB` all come here, so there is one set of DDL. Every
function works inside the caller's transaction and commits nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection, MetaData, Table, text
from sqlalchemy.schema import CreateColumn, CreateIndex, ExecutableDDLElement

from vectordb import registry
from vectordb.errors import ConfigurationError
from vectordb.extension import require_extension
from vectordb.fields import FieldLike, FieldType, check_fields, generation_expression
from vectordb.indexes import VectorIndex, check_index
from vectordb.models import (
    CollectionModels,
    collection_models,
    create_statements,
    drop_statements,
    field_columns,
    field_index,
    iso_timestamp_function,
    sorted_indexes,
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


def models_of(config: CollectionConfig, schema: str | None, *, iso_timestamp: str | None = None) -> CollectionModels:
    """Build the model classes of a declared collection; without a schema the search_path finds its tables."""
    return collection_models(
        config.name,
        config.space,
        index=config.index,
        text_config=config.text_config,
        fields=config.fields,
        schema=schema,
        iso_timestamp=iso_timestamp,
    )


def create_collection(connection: Connection, config: CollectionConfig, schema: str) -> None:
    """Create a collection's tables and index, and register it.

    Raises:
        ConfigurationError: PostgreSQL has no such text search configuration.
        ExtensionError: pgvector is missing or too old.
    """
    check_text_config(connection, config.text_config)
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
    # An index is built over a freshly filled table, of which the planner knows nothing yet.
    _analyze(connection, config, schema)
    return changed


def drop_index(connection: Connection, config: CollectionConfig, schema: str) -> None:
    """Drop the index over the embeddings, if there is one; searches become exact scans."""
    _, chunks = table_names(config.name)
    for method in ("hnsw", "ivfflat"):
        name = quote(schema, vector_index_name(chunks, method))
        connection.execute(text(f"DROP INDEX IF EXISTS {name}"))
    registry.set_index(connection, config.name, None)


def add_fields(
    connection: Connection, config: CollectionConfig, fields: Mapping[str, FieldLike], schema: str
) -> CollectionConfig:
    """Declare further fields: add their columns, filled from the metadata that is there, and index them.

    PostgreSQL writes both tables and their indexes anew, while nobody can read them.

    Returns:
        The declaration with the new fields.

    Raises:
        ConfigurationError: A field is declared already, has an unknown type, or documents hold another type there.
        InvalidName: A name that cannot be a column's, or is one of the tables' own.
    """
    added = check_fields(fields)
    declared = [name for name in added if name in config.fields]
    if declared:
        raise ConfigurationError(f"the collection {config.name!r} has a field {declared[0]!r} already")
    add_field_columns(connection, table_names(config.name), added, schema)
    changed = replace(config, fields={**config.fields, **added})
    registry.set_fields(connection, config.name, changed.fields)
    _analyze(connection, config, schema)
    return changed


def add_field_columns(
    connection: Connection, tables: tuple[str, str], fields: Mapping[str, FieldType], schema: str
) -> None:
    """Add the columns and indexes of fields to a pair of tables; the registry is the caller's.

    Args:
        connection: In a transaction.
        tables: Of documents and of chunks.
        fields: Checked.
        schema: Of the tables.

    Raises:
        ConfigurationError: Documents hold another type there.
    """
    if not fields:
        return
    # Nothing may be written between the check and the change.
    connection.execute(text(f"LOCK TABLE {', '.join(quote(schema, table) for table in tables)}"))
    _check_rows(connection, quote(schema, tables[0]), fields, schema)
    for name in tables:
        table = Table(name, MetaData(), *field_columns(fields, iso_timestamp_function(schema)), schema=schema)
        columns = [f"ADD COLUMN {CreateColumn(column).compile(dialect=connection.dialect)}" for column in table.columns]
        connection.execute(text(f"ALTER TABLE {quote(schema, name)} {', '.join(columns)}"))
        for column in table.columns:
            field_index(column)
        for index in sorted_indexes(table):
            connection.execute(CreateIndex(index))


def drop_fields(
    connection: Connection, config: CollectionConfig, names: Iterable[str], schema: str
) -> CollectionConfig:
    """Take fields out of the declaration, with their columns and indexes; the metadata stays.

    Returns:
        The declaration without them.

    Raises:
        ConfigurationError: A field is not declared.
    """
    dropped = list(dict.fromkeys(names))
    for name in dropped:
        if name not in config.fields:
            known = ", ".join(config.fields) or "none"
            raise ConfigurationError(f"the collection {config.name!r} has no field {name!r:.60}; it has {known}")
    if not dropped:
        return config
    for table in table_names(config.name):
        columns = ", ".join(f"DROP COLUMN {quote(name)}" for name in dropped)
        connection.execute(text(f"ALTER TABLE {quote(schema, table)} {columns}"))
    changed = replace(config, fields={name: kind for name, kind in config.fields.items() if name not in dropped})
    registry.set_fields(connection, config.name, changed.fields)
    return changed


def _analyze(connection: Connection, config: CollectionConfig, schema: str) -> None:
    """Have PostgreSQL gather the statistics that searches are planned by."""
    for table in table_names(config.name):
        # What a load has left there would have to be read through by every search.
        pending = quote(schema, f"{table}_metadata_idx")
        connection.execute(text("SELECT gin_clean_pending_list(CAST(:name AS regclass))"), {"name": pending})
    connection.execute(text(f"ANALYZE {', '.join(quote(schema, table) for table in table_names(config.name))}"))


def _check_rows(connection: Connection, documents: str, fields: Mapping[str, FieldType], schema: str) -> None:
    """Check that every document's metadata has the fields' types."""
    counts = []
    for name, kind in fields.items():
        expression = generation_expression(name, kind, iso_timestamp=iso_timestamp_function(schema))
        counts.append(
            f"count(*) FILTER (WHERE jsonb_typeof(metadata -> '{name}') <> 'null' AND ({expression}) IS NULL)"
        )
    found = connection.execute(text(f"SELECT {', '.join(counts)} FROM {documents}")).one()  # noqa: S608 - checked names
    for (name, kind), count in zip(fields.items(), found, strict=True):
        if count:
            raise ConfigurationError(
                f"the field {name!r} cannot be declared as {kind}: {count} documents have another type there, or a "
                "value out of range; change those first, or declare another type",
                field=name,
                documents=count,
            )


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


def check_text_config(connection: Connection, name: str) -> None:
    """Check that PostgreSQL has a text search configuration.

    Raises:
        ConfigurationError: It has not.
    """
    known = text("SELECT cfgname FROM pg_ts_config WHERE pg_ts_config_is_visible(oid) ORDER BY 1")
    names = list(connection.scalars(known))
    if name not in names:
        raise ConfigurationError(f"PostgreSQL has no text search configuration {name!r}; it has {', '.join(names)}")


def _execute(connection: Connection, statements: Iterable[ExecutableDDLElement]) -> None:
    """Run DDL with pgvector's schema in reach, wherever it was installed."""
    add_to_search_path(connection, require_extension(connection).schema)
    for statement in statements:
        connection.execute(statement)
