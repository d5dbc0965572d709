"""Alembic operations for collections and their indexes; `VectorDB` runs the same DDL.

Importing this module adds to `alembic.op`: `create_collection`, `drop_collection`, `add_fields`, `drop_fields`,
`create_vector_index`, `drop_vector_index`, `create_text_index` and `drop_text_index`. Each takes the schema of the
migration's options; in an application's own environment, that of `VECTORDB_SCHEMA`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from alembic.operations import MigrateOperation, Operations
from sqlalchemy import Connection

from vectordb import registry, schema
from vectordb.errors import ConfigurationError
from vectordb.fields import FieldLike
from vectordb.indexes import BM25, VectorIndex
from vectordb.migration.options import MigrationOptions
from vectordb.registry import DEFAULT_TEXT_INDEX, CollectionConfig
from vectordb.settings import Settings


class _Operation(MigrateOperation):
    """An operation that calls one function of `vectordb.schema`."""

    def run(self, connection: Connection, schema_name: str) -> None:
        raise NotImplementedError  # pragma: no cover - every operation defines it


@Operations.register_operation("create_collection")
class CreateCollection(_Operation):
    """Create a collection's tables and index, and register it."""

    def __init__(self, config: CollectionConfig) -> None:
        self.config = config

    @classmethod
    def create_collection(cls, operations: Operations, config: CollectionConfig) -> None:
        """Create the collection that `config` declares."""
        operations.invoke(cls(config))

    def run(self, connection: Connection, schema_name: str) -> None:
        """Create it."""
        schema.create_collection(connection, self.config, schema_name)


@Operations.register_operation("drop_collection")
class DropCollection(_Operation):
    """Drop a collection's tables with all they hold."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def drop_collection(cls, operations: Operations, name: str) -> None:
        """Drop the collection of this name."""
        operations.invoke(cls(name))

    def run(self, connection: Connection, schema_name: str) -> None:
        """Drop it."""
        schema.drop_collection(connection, registry.get_collection(connection, self.name), schema_name)


@Operations.register_operation("add_fields")
class AddFields(_Operation):
    """Declare further fields of a collection."""

    def __init__(self, collection: str, fields: Mapping[str, FieldLike]) -> None:
        self.collection = collection
        self.fields = fields

    @classmethod
    def add_fields(cls, operations: Operations, collection: str, fields: Mapping[str, FieldLike]) -> None:
        """Add their columns and indexes to both tables, as `{"year": int}` declares them."""
        operations.invoke(cls(collection, fields))

    def run(self, connection: Connection, schema_name: str) -> None:
        """Add them."""
        config = registry.get_collection(connection, self.collection)
        schema.add_fields(connection, config, self.fields, schema_name)


@Operations.register_operation("drop_fields")
class DropFields(_Operation):
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


@Operations.register_operation("create_vector_index")
class CreateVectorIndex(_Operation):
    """Build an index over a collection's embeddings in place of the one there is."""

    def __init__(self, collection: str, index: VectorIndex) -> None:
        self.collection = collection
        self.index = index

    @classmethod
    def create_vector_index(cls, operations: Operations, collection: str, index: VectorIndex) -> None:
        """Build it; the operator class follows from the collection's metric and storage."""
        operations.invoke(cls(collection, index))

    def run(self, connection: Connection, schema_name: str) -> None:
        """Build it."""
        config = registry.get_collection(connection, self.collection)
        schema.create_index(connection, config, self.index, schema_name)


@Operations.register_operation("drop_vector_index")
class DropVectorIndex(_Operation):
    """Drop the index over a collection's embeddings."""

    def __init__(self, collection: str) -> None:
        self.collection = collection

    @classmethod
    def drop_vector_index(cls, operations: Operations, collection: str) -> None:
        """Drop it; searches become exact scans."""
        operations.invoke(cls(collection))

    def run(self, connection: Connection, schema_name: str) -> None:
        """Drop it."""
        config = registry.get_collection(connection, self.collection)
        schema.drop_index(connection, config, schema_name)


@Operations.register_operation("create_text_index")
class CreateTextIndex(_Operation):
    """Build a collection's text index in place of the one there is."""

    def __init__(self, collection: str, index: BM25) -> None:
        self.collection = collection
        self.index = index

    @classmethod
    def create_text_index(cls, operations: Operations, collection: str, index: BM25 | None = None) -> None:
        """Build it over the collection's text search configuration; `index` is `BM25()` unless given."""
        # Alembic writes this signature out as source text, in which a default can be no object.
        operations.invoke(cls(collection, index or DEFAULT_TEXT_INDEX))

    def run(self, connection: Connection, schema_name: str) -> None:
        """Build it."""
        config = registry.get_collection(connection, self.collection)
        schema.create_text_index(connection, config, self.index, schema_name)


@Operations.register_operation("drop_text_index")
class DropTextIndex(_Operation):
    """Drop a collection's text index."""

    def __init__(self, collection: str) -> None:
        self.collection = collection

    @classmethod
    def drop_text_index(cls, operations: Operations, collection: str) -> None:
        """Drop it, with its statistics and triggers; only vectors are searched from then on."""
        operations.invoke(cls(collection))

    def run(self, connection: Connection, schema_name: str) -> None:
        """Drop it."""
        config = registry.get_collection(connection, self.collection)
        schema.drop_text_index(connection, config, schema_name)


@Operations.implementation_for(CreateCollection)
@Operations.implementation_for(DropCollection)
@Operations.implementation_for(AddFields)
@Operations.implementation_for(DropFields)
@Operations.implementation_for(CreateVectorIndex)
@Operations.implementation_for(DropVectorIndex)
@Operations.implementation_for(CreateTextIndex)
@Operations.implementation_for(DropTextIndex)
def _run(operations: Operations, operation: _Operation) -> None:
    if operations.get_context().as_sql:
        raise ConfigurationError(
            "the operations on collections look at the database, so they cannot be written out with --sql"
        )
    operation.run(operations.get_bind(), migration_options(operations).schema)


def migration_options(operations: Any) -> MigrationOptions:
    """Return the options that the running migration was given; in an application's own environment, the settings.

    Args:
        operations: `alembic.op`.
    """
    options = operations.get_context().opts.get("vectordb_options")
    return options if isinstance(options, MigrationOptions) else MigrationOptions.of(Settings())
