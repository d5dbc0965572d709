"""What an operation knows of the migration it runs in: its options, and whether it runs or writes SQL out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, Table, text

from vectordb.bootstrap.options import MigrationOptions
from vectordb.errors import ConfigurationError
from vectordb.migration.identifiers import quoted
from vectordb.schema import run_sql
from vectordb.settings import Settings


def migration_options(operations: Any) -> MigrationOptions:
    """Return the options that the running migration was given; in an application's own environment, the settings.

    Args:
        operations: `alembic.op`.
    """
    options = operations.get_context().opts.get("vectordb_options")
    return options if isinstance(options, MigrationOptions) else MigrationOptions.of(Settings())


def is_our_environment(operations: Any) -> bool:
    """Whether the library's own `env.py` runs the migration, and not that of an application."""
    return "vectordb_options" in operations.get_context().opts


def is_offline(operations: Any) -> bool:
    """Whether SQL is written out (`--sql`) instead of being run."""
    return bool(operations.get_context().as_sql)


def run_or_write(operations: Any, statements: Iterable[str]) -> None:
    """Run statements just as they are written, or write them out."""
    if not is_offline(operations):
        run_sql(operations.get_bind(), statements)
        return
    for statement in statements:
        operations.get_context().impl.static_output(f"{statement.strip().removesuffix(';')};\n")


@contextmanager
def outside_transaction(operations: Any) -> Iterator[None]:
    """Leave the migration's transaction, which `CONCURRENTLY` asks for; what was done before is committed.

    Raises:
        ConfigurationError: The environment began the transaction itself.
    """
    context = operations.get_context()
    # Of a transaction that is not its own Alembic only asserts that there is none; nothing public tells whose it is.
    if not context.as_sql and context.connection.in_transaction() and context._transaction is None:
        raise ConfigurationError(
            "concurrently=True commits what came before, and this env.py runs the migrations in a transaction of its "
            "own; run them in `with context.begin_transaction():`, on a connection that has not begun one"
        )
    with context.autocommit_block():
        yield


def conventional_index_name(operations: Any, table: str, column: str, schema: str | None) -> str:
    """Return the name that the naming convention of the application's metadata has for an index."""
    metadata = operations.schema_obj.metadata()
    index = Index(None, Table(table, metadata, Column(column, Integer), schema=schema).c[column])
    return str(index.name)


def schema_of(connection: Connection, table: str, schema: str | None) -> str:
    """Return the schema that a table is in.

    Raises:
        ConfigurationError: There is no such table.
    """
    query = (
        "SELECT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = to_regclass(:name)"
    )
    found: str | None = connection.scalar(text(query), {"name": quoted(schema, table)})
    if found is None:
        raise ConfigurationError(f"there is no table {quoted(schema, table)}; create it first, or correct its name")
    return found
