"""What Alembic's `env.py` does: find the database, take the lock, run, and compare tables.

`migrations/env.py` calls `run` and holds nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging.config import fileConfig
from typing import Any

from alembic import context
from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema, DropSchema

from vectordb import registry
from vectordb.bootstrap import VERSION_TABLE, lock
from vectordb.bootstrap.options import MigrationOptions
from vectordb.database import SCHEMA, begin, open_configured
from vectordb.errors import ConfigurationError
from vectordb.extension import drop_extension_if_ours, find_extension
from vectordb.models import Base, iso_timestamp_function, table_names, text_index_name
from vectordb.registry import DEFAULT_COLLECTION
from vectordb.schema import add_to_search_path, models_of
from vectordb.settings import Settings
from vectordb.tables import quote
from vectordb.translation import raise_translated, sqlstate
from vectordb.vector_types import VectorColumn

_CREATED_HERE = "tables of vectordb; created by vectordb"


def run() -> None:
    """Run the migrations that Alembic asked for, in one transaction under the advisory lock.

    Raises:
        ConfigurationError: Offline mode, or a wrong `-x` option.
        DatabaseError: Or the subclass that fits; nothing is changed then.
    """
    if context.is_offline_mode():
        raise ConfigurationError("these migrations look at the database, so they cannot be written out with --sql")
    if context.config.config_file_name is not None:
        fileConfig(context.config.config_file_name, disable_existing_loggers=False)
    with _engine_and_options() as (engine, options):
        try:
            with begin(engine) as connection:
                lock(connection)
                _create_schema(connection, options.schema)
                _configure(connection, options)
                context.run_migrations()
                _leave_nothing_behind(connection, options.schema)
        except DBAPIError as error:
            raise_translated(error, engine.url)


@contextmanager
def _engine_and_options() -> Iterator[tuple[Engine, MigrationOptions]]:
    """Yield what the library passed in, or what the settings and `-x` say when Alembic was called by hand."""
    attributes = context.config.attributes
    if "engine" in attributes:
        yield attributes["engine"], attributes["options"]
        return
    options = MigrationOptions.of(Settings(), context.get_x_argument(as_dictionary=True))
    engine, _ = open_configured(options.settings)
    try:
        yield engine, options
    finally:
        engine.dispose()


def _create_schema(connection: Connection, schema: str) -> None:
    """Create the schema where it is missing."""
    # IF NOT EXISTS would ask for the right to create schemas even when there is nothing to create.
    if connection.scalar(text("SELECT to_regnamespace(:schema)"), {"schema": quote(schema)}) is None:
        connection.execute(CreateSchema(schema))
        connection.execute(text(f"COMMENT ON SCHEMA {quote(schema)} IS '{_CREATED_HERE}'"))


def _configure(connection: Connection, options: MigrationOptions) -> None:
    connection = connection.execution_options(schema_translate_map={SCHEMA: options.schema})
    if (extension := find_extension(connection)) is not None:
        add_to_search_path(connection, extension.schema)  # else reflection does not know the types
    # Reflection calls the schema that comes first in the search_path None.
    compared = None if options.schema == connection.dialect.default_schema_name else options.schema
    metadata = _expected_tables(connection, options.schema, compared)
    _, chunks = table_names(DEFAULT_COLLECTION)

    def include_name(name: str | None, kind: str, parents: Any) -> bool:
        # Collections made at run time are the registry's business; Alembic compares only the tables of the migrations.
        if kind == "schema":
            return name == compared
        if kind == "index":
            # A part of the text index, which no table's metadata can declare; the doctor looks at it.
            return name != text_index_name(chunks)
        return kind != "table" or parents["schema_qualified_table_name"] in metadata.tables

    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        version_table_schema=options.schema,
        include_schemas=True,
        include_name=include_name,
        compare_type=_compare_type,
        compare_server_default=True,
        vectordb_options=options,
    )


def _expected_tables(connection: Connection, schema: str, compared: str | None) -> MetaData:
    """Return the registry's table, and the default collection's as the registry declares it, in schema `compared`."""
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    collections = Base.metadata.tables[f"{SCHEMA}.collections"]
    collections.to_metadata(metadata, schema=compared)  # type: ignore[arg-type] # None is no schema
    if _has_our_registry(connection, schema):
        declared = {config.name: config for config in registry.list_collections(connection)}
        if DEFAULT_COLLECTION in declared:
            # PostgreSQL prints the name of a function with its schema only where the search_path does not find it.
            function = connection.scalar(
                text("SELECT CAST(CAST(:name AS regprocedure)::regproc AS text)"),
                {"name": f"{iso_timestamp_function(schema)}(text)"},
            )
            models = models_of(declared[DEFAULT_COLLECTION], compared, iso_timestamp=function)
            for table in models.metadata.sorted_tables:
                table.to_metadata(metadata)
    return metadata


def _has_our_registry(connection: Connection, schema: str) -> bool:
    """Whether the registry has this version's columns; before an upgrade it has not."""
    inspector = inspect(connection)
    if not inspector.has_table("collections", schema=schema):
        return False
    found = {column["name"] for column in inspector.get_columns("collections", schema=schema)}
    return {column.name for column in Base.metadata.tables[f"{SCHEMA}.collections"].columns} <= found


def _compare_type(migration: Any, _: Any, __: Any, found: Any, expected: Any) -> bool | None:
    """Compare embedding columns by how SQL writes their type; leave all others to Alembic."""
    if not isinstance(expected, VectorColumn):
        return None
    written = found.compile(dialect=migration.dialect)
    return bool(written.lower() != expected.get_col_spec())


def _leave_nothing_behind(connection: Connection, schema: str) -> None:
    """After `downgrade base`: remove the version table, and the extension and the schema if they were ours."""
    version_table = quote(schema, VERSION_TABLE)
    if connection.scalar(text("SELECT to_regclass(:name)"), {"name": version_table}) is not None:
        if connection.scalar(text(f"SELECT count(*) FROM {version_table}")):  # noqa: S608 - quoted identifier
            return
        connection.execute(text(f"DROP TABLE {version_table}"))
        drop_extension_if_ours(connection)
    _drop_schema_if_ours(connection, schema)


def _drop_schema_if_ours(connection: Connection, schema: str) -> None:
    """Drop the schema if `_create_schema` created it and nothing else is in it."""
    comment = text("SELECT obj_description(to_regnamespace(:schema), 'pg_namespace')")
    if connection.scalar(comment, {"schema": quote(schema)}) != _CREATED_HERE:
        return
    try:
        with connection.begin_nested():
            connection.execute(DropSchema(schema))
    except DBAPIError as error:
        # 2BP01: the application keeps something of its own there.
        if sqlstate(error) != "2BP01":
            raise
