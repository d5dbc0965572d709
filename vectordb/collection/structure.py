"""What a collection is made of: its indexes, its declared fields, and its models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from vectordb import registry, schema
from vectordb.collection.handle import Handle, Where
from vectordb.fields import FieldLike, check_fields
from vectordb.indexes import BM25, VectorIndex
from vectordb.models import CollectionModels
from vectordb.registry import DEFAULT_TEXT_INDEX, CollectionConfig
from vectordb.schema import IndexInfo
from vectordb.text_inspection import TextIndexInfo, inspect_text_index


class Structure(Handle):
    """Indexes, declared fields and models of a collection."""

    _models: CollectionModels | None = None

    @property
    def Document(self) -> type[Any]:  # noqa: N802 - it is a class
        """SQLAlchemy class of its documents, for the application's own sessions and joins."""
        model: type[Any] = self._model_classes().Document
        return model

    @property
    def Chunk(self) -> type[Any]:  # noqa: N802 - it is a class
        """SQLAlchemy class of its chunks, for the application's own sessions and joins."""
        model: type[Any] = self._model_classes().Chunk
        return model

    def create_index(self, index: VectorIndex) -> None:
        """Build an index over the embeddings in place of the one there is; writes wait meanwhile.

        Raises:
            ConfigurationError: pgvector cannot index this storage, metric or number of dimensions so; or this is a
                view.
        """
        self._check_whole("the index")
        with self._database.begin() as connection:
            config = schema.create_index(connection, self._declared(connection), index, self._schema)
        self._redeclare(config)

    def drop_index(self) -> None:
        """Drop the index over the embeddings; searches compare every row from then on.

        Raises:
            ConfigurationError: This is a view.
        """
        self._check_whole("the index")
        with self._database.begin() as connection:
            schema.drop_index(connection, self._declared(connection), self._schema)
            config = self._declared(connection)
        self._redeclare(config)

    def indexes(self) -> list[IndexInfo]:
        """Read the indexes over the embeddings from the catalogue."""
        with self._database.begin() as connection:
            return schema.list_indexes(connection, self._config, self._schema)

    @property
    def text_index(self) -> BM25 | None:
        """How texts are ranked for words; None where there is no text index."""
        return self._config.text_index

    def create_text_index(self, index: BM25 = DEFAULT_TEXT_INDEX) -> None:
        """Build a text index in place of the one there is; writes wait meanwhile, and searches where there is one.

        Raises:
            ConfigurationError: Not a `BM25(...)`; or this is a view.
        """
        self._check_whole("the text index")
        with self._database.begin() as connection:
            config = schema.create_text_index(connection, self._declared(connection), index, self._schema)
        self._redeclare(config)

    def drop_text_index(self) -> None:
        """Drop the text index, which makes writing cheaper; only vectors are searched from then on.

        Raises:
            ConfigurationError: This is a view.
        """
        self._check_whole("the text index")
        with self._database.begin() as connection:
            config = schema.drop_text_index(connection, self._declared(connection), self._schema)
        self._redeclare(config)

    def text_index_info(self) -> TextIndexInfo | None:
        """Read from the catalogue how large the text index is and whether it is whole; None where there is none."""
        if self._config.text_index is None:
            return None
        with self._database.begin() as connection:
            return inspect_text_index(connection, self._config, self._schema)

    def hints(self, where: Where | None = None) -> list[str]:
        """Say what would make a filter quicker: fields of it that no index serves, in tables of 10,000 chunks or more.

        Args:
            where: The filter; None for those of the searches of this program up to now, most frequent first.

        Raises:
            InvalidFilter: The filter cannot be understood.
        """
        condition = self._condition(where)
        return self._database.run(lambda connection: self._planner.hints(connection, condition))

    def add_fields(self, fields: Mapping[str, FieldLike]) -> None:
        """Give keys of the metadata a type, a column in both tables and an index; both tables are rewritten.

        Args:
            fields: Names and types, as `VectorDB.create_collection` takes them.

        Raises:
            ConfigurationError: A field is declared already, or documents have another type there; nothing is changed
                then. Or this is a view.
            InvalidName: A name that cannot be a column's.
        """
        self._check_whole("a declared field")
        with self._database.begin() as connection:
            config = schema.add_fields(connection, self._declared(connection), check_fields(fields), self._schema)
        self._redeclare(config)

    def drop_fields(self, names: str | Iterable[str]) -> None:
        """Take type, column and index from fields; the metadata keeps their values.

        Raises:
            ConfigurationError: A field is not declared; nothing is changed then. Or this is a view.
        """
        self._check_whole("a declared field")
        if isinstance(names, str):
            names = [names]
        with self._database.begin() as connection:
            config = schema.drop_fields(connection, self._declared(connection), list(names), self._schema)
        self._redeclare(config)

    def _declared(self, connection: Connection) -> CollectionConfig:
        return registry.get_collection(connection, self.name)

    def _redeclare(self, config: CollectionConfig) -> None:
        self._models = None
        self._memory.forget()
        self._declare(config)

    def _model_classes(self) -> CollectionModels:
        if self._models is None:
            self._models = schema.models_of(self._config, self._schema)
        return self._models
