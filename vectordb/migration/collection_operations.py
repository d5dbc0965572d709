"""`op.create_collection` and its siblings; `VectorDB` runs the same DDL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from alembic.operations import MigrateOperation, Operations
from psycopg import sql
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.schema import ExecutableDDLElement

from vectordb import registry, schema
from vectordb.bootstrap import require_head
from vectordb.errors import ConfigurationError
from vectordb.fields import FieldLike
from vectordb.indexes import BM25, VectorIndex, check_index, check_text_index
from vectordb.migration.context import is_offline, is_our_environment, migration_options, run_or_write
from vectordb.models import create_statements, table_names
from vectordb.registry import DEFAULT_TEXT_INDEX, CollectionConfig
from vectordb.schema import models_of
from vectordb.tables import quote
from vectordb.text_index import create_text_index, drop_text_index
from vectordb.validation import check_name


class CollectionOperation(MigrateOperation):
    """An operation that calls one function of `vectordb.schema`."""

    def run(self, connection: Connection, schema_name: str) -> None:
        """Do it."""
        raise NotImplementedError  # pragma: no cover - every operation defines it

    def write(self, schema_name: str) -> list[str]:
        """Return the SQL that does it, without looking at a database.

        Raises:
            ConfigurationError: What it does depends on the registry.
        """
        raise NotImplementedError  # pragma: no cover - every operation defines it


@Operations.register_operation("create_collection")
class CreateCollection(CollectionOperation):
    """Create a collection's tables and index, and register it."""

    def __init__(self, config: CollectionConfig) -> None:
        self.config = config

    @classmethod
    def create_collection(cls, operations: Operations, config: CollectionConfig) -> None:
        """Create the collection that `config` declares."""
        if not isinstance(config, CollectionConfig):
            raise ConfigurationError(f"a collection is declared by CollectionConfig(...), not {config!r:.40}")
        operations.invoke(cls(config))

    def reverse(self) -> MigrateOperation:
        """Return what drops it."""
        return DropCollection(self.config.name, self.config)

    def run(self, connection: Connection, schema_name: str) -> None:
        """Create it."""
        schema.create_collection(connection, self.config, schema_name)

    def write(self, schema_name: str) -> list[str]:
        """Return the DDL, and the row of the registry."""
        config = self.config
        statements = [_written(each) for each in create_statements(models_of(config, schema_name), config.space)]
        if config.text_index is not None:
            _, chunks = table_names(config.name)
            statements += create_text_index(schema_name, chunks, config=config.text_config, index=config.text_index)
        row = config.to_row()
        values = ", ".join(_literal(value) for value in row.values())
        columns = ", ".join(quote(name) for name in row)
        into = quote(schema_name, "collections")
        return [*statements, f"INSERT INTO {into} ({columns}) VALUES ({values})"]  # noqa: S608 - quoted literals


@Operations.register_operation("drop_collection")
class DropCollection(CollectionOperation):
    """Drop a collection's tables with all they hold."""

    def __init__(self, name: str, dropped: CollectionConfig | None = None) -> None:
        self.name = check_name(name)
        self.dropped = dropped

    @classmethod
    def drop_collection(cls, operations: Operations, name: str) -> None:
        """Drop the collection of this name."""
        operations.invoke(cls(name))

    def reverse(self) -> MigrateOperation:
        """Return what creates it again, empty."""
        if self.dropped is None:
            raise ValueError("how to create the collection again is not known")
        return CreateCollection(self.dropped)

    def run(self, connection: Connection, schema_name: str) -> None:
        """Drop it."""
        schema.drop_collection(connection, registry.get_collection(connection, self.name), schema_name)

    def write(self, schema_name: str) -> list[str]:
        """Return the DDL, and what removes the row of the registry."""
        documents, chunks = table_names(self.name)
        return [
            f"DROP TABLE {quote(schema_name, chunks)}, {quote(schema_name, documents)}",
            *(each for each in drop_text_index(schema_name, chunks) if not each.startswith("DROP TRIGGER")),
            f"DELETE FROM {quote(schema_name, 'collections')} WHERE name = {_literal(self.name)}",  # noqa: S608 - quoted
        ]


@Operations.register_operation("add_fields")
class AddFields(CollectionOperation):
    """Declare further fields of a collection."""

    def __init__(self, collection: str, fields: Mapping[str, FieldLike]) -> None:
        self.collection = collection
        self.fields = fields

    @classmethod
    def add_fields(cls, operations: Operations, collection: str, fields: Mapping[str, FieldLike]) -> None:
        """Add their columns and indexes to both tables, as `{"year": int}` declares them."""
        operations.invoke(cls(collection, fields))

    def reverse(self) -> MigrateOperation:
        """Return what drops them."""
        return DropFields(self.collection, list(self.fields))

    def run(self, connection: Connection, schema_name: str) -> None:
        """Add them."""
        config = registry.get_collection(connection, self.collection)
        schema.add_fields(connection, config, self.fields, schema_name)

    def write(self, _: str) -> list[str]:
        """Refuse."""
        raise _only_online("add_fields", "run this revision against the database, without --sql")


@Operations.register_operation("drop_fields")
class DropFields(CollectionOperation):
    """Take fields out of a collection's declaration."""

    def __init__(self, collection: str, names: Iterable[str]) -> None:
        self.collection = collection
        self.names = names

    @classmethod
    def drop_fields(cls, operations: Operations, collection: str, names: Iterable[str]) -> None:
        """Drop their columns and indexes; the metadata stays."""
        operations.invoke(cls(collection, names))

    def run(self, connection: Connection, schema_name: str) -> None:
        """Drop them."""
        config = registry.get_collection(connection, self.collection)
        schema.drop_fields(connection, config, self.names, schema_name)

    def write(self, _: str) -> list[str]:
        """Refuse."""
        raise _only_online("drop_fields", "run this revision against the database, without --sql")


class BuildCollectionIndex(CollectionOperation):
    """Build an index over a collection's embeddings in place of the one there is."""

    def __init__(self, collection: str, index: VectorIndex) -> None:
        check_index(index)
        self.collection = collection
        self.index = index

    def reverse(self) -> MigrateOperation:
        """Return what drops it."""
        return DropCollectionIndex(self.collection)

    def run(self, connection: Connection, schema_name: str) -> None:
        """Build it."""
        config = registry.get_collection(connection, self.collection)
        schema.create_index(connection, config, self.index, schema_name)

    def write(self, schema_name: str) -> list[str]:
        """Refuse."""
        _, chunks = table_names(self.collection)
        form = f'op.create_vector_index("{chunks}", "embedding", …, metric=…, storage=…, schema="{schema_name}")'
        raise _only_online("create_vector_index", f"name its table, as in {form}")


class DropCollectionIndex(CollectionOperation):
    """Drop the index over a collection's embeddings."""

    def __init__(self, collection: str) -> None:
        self.collection = collection

    def run(self, connection: Connection, schema_name: str) -> None:
        """Drop it."""
        config = registry.get_collection(connection, self.collection)
        schema.drop_index(connection, config, schema_name)

    def write(self, schema_name: str) -> list[str]:
        """Refuse."""
        _, chunks = table_names(self.collection)
        form = f'op.drop_vector_index("{chunks}", "embedding", name=…, schema="{schema_name}")'
        raise _only_online("drop_vector_index", f"name its table, as in {form}")


class BuildCollectionTextIndex(CollectionOperation):
    """Build a collection's text index in place of the one there is."""

    def __init__(self, collection: str, index: BM25 | None = None) -> None:
        self.collection = collection
        self.index = DEFAULT_TEXT_INDEX if index is None else index
        check_text_index(self.index)

    def reverse(self) -> MigrateOperation:
        """Return what drops it."""
        return DropCollectionTextIndex(self.collection)

    def run(self, connection: Connection, schema_name: str) -> None:
        """Build it."""
        config = registry.get_collection(connection, self.collection)
        schema.create_text_index(connection, config, self.index, schema_name)

    def write(self, schema_name: str) -> list[str]:
        """Refuse."""
        _, chunks = table_names(self.collection)
        form = f'op.create_text_index("{chunks}", "content_tsv", …, config=…, schema="{schema_name}")'
        raise _only_online("create_text_index", f"name its table, as in {form}")


class DropCollectionTextIndex(CollectionOperation):
    """Drop a collection's text index."""

    def __init__(self, collection: str) -> None:
        self.collection = collection

    def run(self, connection: Connection, schema_name: str) -> None:
        """Drop it."""
        config = registry.get_collection(connection, self.collection)
        schema.drop_text_index(connection, config, schema_name)

    def write(self, schema_name: str) -> list[str]:
        """Refuse."""
        _, chunks = table_names(self.collection)
        form = f'op.drop_text_index("{chunks}", "content_tsv", schema="{schema_name}")'
        raise _only_online("drop_text_index", f"name its table, as in {form}")


@Operations.implementation_for(CollectionOperation)
def _run(operations: Operations, operation: CollectionOperation) -> None:
    schema_name = migration_options(operations).schema
    if is_offline(operations):
        run_or_write(operations, operation.write(schema_name))
        return
    if not is_our_environment(operations):
        require_head(operations.get_bind(), schema_name)
    operation.run(operations.get_bind(), schema_name)


def _only_online(name: str, way_out: str) -> ConfigurationError:
    return ConfigurationError(
        f"op.{name} of a collection reads the registry, so it cannot be written out with --sql; {way_out}"
    )


def _written(statement: ExecutableDDLElement) -> str:
    # A dialect without a driver: no driver's parameters are to be escaped.
    return str(statement.compile(dialect=PGDialect()))  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it


def _literal(value: Any) -> str:
    """Return a value of the registry as SQL has it."""
    if isinstance(value, dict | list):
        return f"{_literal(json.dumps(value))}::jsonb"
    return str(sql.Literal(value).as_string(None)).strip()
