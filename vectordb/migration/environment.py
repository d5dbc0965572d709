"""What Alembic's `env.py` does: find the database, take the lock, run, and compare tables.

`migrations/env.py` calls `run` and holds nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pgvector.sqlalchemy  # noqa: F401 - teaches reflection the types of pgvector
from alembic import context
from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from vectordb import registry
from vectordb.database import open_engine, raise_translated
from vectordb.errors import ConfigurationError
from vectordb.extension import drop_extension_if_ours
from vectordb.migration import VERSION_TABLE, lock, operations  # noqa: F401 - registers the operations
from vectordb.migration.options import MigrationOptions
from vectordb.models import SCHEMA, Base
from vectordb.registry import DEFAULT_COLLECTION
from vectordb.schema import models_of
from vectordb.server import EmbeddedServer
from vectordb.settings import Settings
from vectordb.tables import quote
from vectordb.vector_types import VectorColumn


def run() -> None:
    """Run the migrations that Alembic asked for, in one transaction under the advisory lock.

    Raises:
        ConfigurationError: Offline mode, or a wrong `-x` option.
        DatabaseError: Or the subclass that fits; nothing is changed then.
    """
    if context.is_offline_mode():
        raise ConfigurationError("these migrations look at the database, so they cannot be written out with --sql")
    with _engine_and_options() as (engine, options):
        try:
            with engine.begin() as connection:
                lock(connection)
                connection.execute(CreateSchema(options.schema, if_not_exists=True))
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
    secret = options.settings.url
    engine = open_engine(secret.get_secret_value() if secret else EmbeddedServer(options.settings.path).start())
    try:
        yield engine, options
    finally:
        engine.dispose()


def _configure(connection: Connection, options: MigrationOptions) -> None:
    connection = connection.execution_options(schema_translate_map={SCHEMA: options.schema})
    metadata = _expected_tables(connection, options.schema)

    def include_name(name: str | None, kind: str, parents: Any) -> bool:
        # Collections made at run time are the registry's business; Alembic compares only the tables of the migrations.
        if kind == "schema":
            return name == options.schema
        return kind != "table" or f"{options.schema}.{name}" in metadata.tables

    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        version_table_schema=options.schema,
        include_schemas=True,
        include_name=include_name,
        compare_type=_compare_type,
        vectordb_options=options,
    )


def _expected_tables(connection: Connection, schema: str) -> MetaData:
    """Return the registry's table, and the default collection's as the registry declares it."""
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    Base.metadata.tables[f"{SCHEMA}.collections"].to_metadata(metadata, schema=schema)
    if inspect(connection).has_table("collections", schema=schema):
        declared = {config.name: config for config in registry.list_collections(connection)}
        if DEFAULT_COLLECTION in declared:
            for table in models_of(declared[DEFAULT_COLLECTION], schema).metadata.sorted_tables:
                table.to_metadata(metadata)
    return metadata


def _compare_type(_: Any, __: Any, ___: Any, found: Any, expected: Any) -> bool | None:
    """Compare embedding columns by how SQL writes their type; leave all others to Alembic."""
    if not isinstance(expected, VectorColumn):
        return None
    written = found.get_col_spec() if hasattr(found, "get_col_spec") else str(found)
    return bool(written.lower() != expected.get_col_spec())


def _leave_nothing_behind(connection: Connection, schema: str) -> None:
    """After `downgrade base`: remove the version table, the schema if empty, and the extension if it was ours."""
    version_table = quote(schema, VERSION_TABLE)
    if connection.scalar(text("SELECT to_regclass(:name)"), {"name": version_table}) is None:
        return
    if connection.scalar(text(f"SELECT count(*) FROM {version_table}")):  # noqa: S608 - quoted identifier
        return
    connection.execute(text(f"DROP TABLE {version_table}"))
    empty = text("SELECT NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace(:schema))")
    if schema != "public" and connection.scalar(empty, {"schema": quote(schema)}):
        connection.execute(text(f"DROP SCHEMA {quote(schema)}"))
    drop_extension_if_ours(connection)
