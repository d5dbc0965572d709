"""Tables and indexes of collections: created, dropped and inspected.

Migrations, `alembic.op` and `VectorDB` all come here, so there is one set of DDL. Every
function works inside the caller's transaction and commits nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection, MetaData, Table, text
from sqlalchemy.schema import CreateColumn, CreateIndex, ExecutableDDLElement, SetColumnComment

from vectordb import registry, text_index
from vectordb.errors import ConfigurationError
from vectordb.extension import require_extension
from vectordb.fields import FieldLike, FieldType, check_fields, generation_expression
from vectordb.indexes import BM25, VectorIndex, check_index, check_text_index
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
    text_index_name,
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
    """Create a collection's tables and indexes, and register it.

    Raises:
        ConfigurationError: PostgreSQL has no such text search configuration.
        ExtensionError: pgvector is missing or too old.
    """
    check_text_config(connection, config.text_config)
    _execute(connection, create_statements(models_of(config, schema), config.space))
    if config.text_index is not None:
        create_text_objects(connection, config, config.text_index, schema)
    registry.add_collection(connection, config)


def drop_collection(connection: Connection, config: CollectionConfig, schema: str) -> None:
    """Drop a collection's tables with all they hold, and forget it."""
    drop_text_objects(connection, config.name, schema)
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


def create_text_index(connection: Connection, config: CollectionConfig, index: BM25, schema: str) -> CollectionConfig:
    """Build a text index in place of the one there is, or of what is left of it.

    Writes wait meanwhile; where there is one already, searches do, too.

    Returns:
        The declaration with the new index.

    Raises:
        ConfigurationError: Not a text index.
    """
    check_text_index(index)
    # Of several that build it at once, each takes away what the one before has built. Triggers are created under the
    # lesser lock and dropped under the other, which would be asked for too late in the middle: a writer that has read
    # already would wait for us, and we for it.
    mode = "SHARE ROW EXCLUSIVE" if config.text_index is None else "ACCESS EXCLUSIVE"
    _, chunks = table_names(config.name)
    connection.execute(text(f"LOCK TABLE {quote(schema, chunks)} IN {mode} MODE"))
    drop_text_objects(connection, config.name, schema)
    create_text_objects(connection, config, index, schema)
    registry.set_text_index(connection, config.name, index)
    changed = replace(config, text_index=index)
    _analyze(connection, changed, schema)
    return changed


def drop_text_index(connection: Connection, config: CollectionConfig, schema: str) -> CollectionConfig:
    """Drop the text index, if there is one, with its statistics and triggers.

    Returns:
        The declaration without it.
    """
    drop_text_objects(connection, config.name, schema)
    registry.set_text_index(connection, config.name, None)
    return replace(config, text_index=None)


def create_text_objects(connection: Connection, config: CollectionConfig, index: BM25, schema: str) -> None:
    """Create what a text index is made of; the registry is the caller's."""
    _, chunks = table_names(config.name)
    run_sql(connection, text_index.create_text_index(schema, chunks, config=config.text_config, index=index))


def drop_text_objects(connection: Connection, name: str, schema: str) -> None:
    """Drop what is there of a collection's text index; the registry is the caller's."""
    _, chunks = table_names(name)
    run_sql(connection, text_index.drop_text_index(schema, chunks))


def run_sql(connection: Connection, statements: Iterable[str]) -> None:
    """Run statements just as they are written, colons, percent signs and all."""
    for statement in statements:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


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
            connection.execute(SetColumnComment(column))
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
    tables = table_names(config.name)
    gin = [f"{table}_metadata_idx" for table in tables]
    if config.text_index is not None:
        gin.append(text_index_name(tables[1]))
    for index in gin:
        # What a load has left there would have to be read through by every search.
        pending = {"name": quote(schema, index)}
        connection.execute(text("SELECT gin_clean_pending_list(CAST(:name AS regclass))"), pending)
    connection.execute(text(f"ANALYZE {', '.join(quote(schema, table) for table in tables)}"))


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
    known = text(
        "SELECT cfgname, nspname, pg_ts_config_is_visible(c.oid)"
        " FROM pg_ts_config c JOIN pg_namespace n ON n.oid = cfgnamespace ORDER BY 1, 2"
    )
    found = connection.execute(known).all()
    names = [found_name for found_name, _, visible in found if visible]
    if name in names:
        return
    for found_name, elsewhere, _ in found:
        if found_name == name:
            raise ConfigurationError(
                f"the text search configuration {name!r} is in the schema {elsewhere!r}, outside of the "
                "search_path; add the schema there, for every role that uses the collection: "
                f"ALTER DATABASE … SET search_path = …, {quote(elsewhere)}"
            )
    raise ConfigurationError(f"PostgreSQL has no text search configuration {name!r}; it has {', '.join(names)}")


def _execute(connection: Connection, statements: Iterable[ExecutableDDLElement]) -> None:
    """Run DDL with pgvector's schema in reach, wherever it was installed."""
    add_to_search_path(connection, require_extension(connection).schema)
    for statement in statements:
        connection.execute(statement)
