"""What every part of a collection's handle shares: where the collection is, what it is, and what it is confined to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause
from sqlalchemy.sql.visitors import iterate

from vectordb.binding import EmbedderBinding
from vectordb.database import Database
from vectordb.embedders import Embedder
from vectordb.errors import ConfigurationError, InvalidFilter, InvalidText
from vectordb.extension import Extension
from vectordb.filters import And, Expression, Filter, as_filter, resolve
from vectordb.filters.nodes import is_empty, walk
from vectordb.metrics import Metric, Storage
from vectordb.planner import Memory, Planner
from vectordb.registry import CollectionConfig
from vectordb.searching import Searcher
from vectordb.tables import Tables, collection_tables
from vectordb.validation import check_id
from vectordb.views import View

DocumentId = str | int | UUID
# A filter, its JSON form, or a SQLAlchemy expression over the collection's models.
Where = Filter | Mapping[str, Any] | Any


class Handle:
    """State of a handle on a collection.

    Args:
        database: Where the collection lives.
        config: Its declaration, as registered.
        extension: pgvector as installed there.
        embedder: To use instead of building the registered one.
        memory: What is known of the collection, shared by all handles on it; None starts without.
    """

    def __init__(
        self,
        database: Database,
        config: CollectionConfig,
        *,
        extension: Extension,
        embedder: Embedder | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._database = database
        self._schema = database.schema
        self._extension = extension
        self._binding = EmbedderBinding(database, config, embedder)
        self._view: View | None = None
        self._memory = memory if memory is not None else Memory()
        self._declare(config)

    def _declare(self, config: CollectionConfig) -> None:
        """Take a declaration, as at the beginning and after it was changed."""
        self._config = config
        self._tables: Tables = collection_tables(
            config.name,
            config.space,
            schema=self._schema,
            extension_schema=self._extension.schema,
            element_oid=self._extension.oids[config.space.storage],
            fields=config.fields,
            text_index=config.text_index is not None,
        )
        self._planner = Planner(self._tables, config.space, self._memory)
        method = None if config.index is None else config.index.method
        self._searcher = Searcher(self._database, self._tables, config.space, self._planner, method)

    def __repr__(self) -> str:
        space = self._config.space
        view = "" if self._view is None else ", a view"
        return f"Collection({self.name!r}, {space.column_type}, {space.metric}{view})"

    @property
    def name(self) -> str:
        """Its name."""
        return self._config.name

    @property
    def config(self) -> CollectionConfig:
        """Its declaration."""
        return replace(self._config, embedder=self._binding.identity)

    @property
    def dimensions(self) -> int:
        """Numbers per embedding."""
        return self._config.space.dimensions

    @property
    def metric(self) -> Metric:
        """What "near" means."""
        return self._config.space.metric

    @property
    def storage(self) -> Storage:
        """How embeddings are stored."""
        return self._config.space.storage

    @property
    def fields(self) -> Mapping[str, str]:
        """Declared fields of the metadata, name to type."""
        return {name: str(kind) for name, kind in self._config.fields.items()}

    @property
    def embedder(self) -> Embedder:
        """The embedder of this collection, checked against the registered identity.

        Raises:
            ConfigurationError: None was given, and none can be built from the registry.
            EmbedderMismatch: The one that was given makes other vectors.
        """
        return self._binding.for_reading()

    def _condition(self, where: Where | None) -> Filter | None:
        """Return the filter that a caller gives, within the view; None where everything counts."""
        given = as_filter(where)
        if given is not None and is_empty(given):
            given = None
        if given is not None:
            given = resolve(given, self._config.fields)
        if self._view is None:
            return given
        if given is not None:
            _check_no_raw_sql(given)
        return self._view.where if given is None else And((self._view.where, given))

    @property
    def _confined_to(self) -> Filter | None:
        return None if self._view is None else self._view.where

    def _check_whole(self, what: str) -> None:
        """Check that this is no view."""
        if self._view is not None:
            raise ConfigurationError(
                f"{what} is a matter of the whole collection, not of a view; call it on db.collection(...)"
            )


def _check_no_raw_sql(where: Filter) -> None:
    """Check that a filter holds no SQL as text, which could close the parenthesis that confines it to a view.

    Raises:
        InvalidFilter: It does.
    """
    for part in walk(where):
        if isinstance(part, Expression) and any(map(_is_raw_sql, iterate(part.clause))):
            raise InvalidFilter(
                "in a view, a SQLAlchemy expression cannot hold SQL as text() or literal_column(), because nothing "
                "would confine it; write it with columns and operators",
                path="",
            )


def _is_raw_sql(element: Any) -> bool:
    text = element.text if isinstance(element, TextClause) else getattr(element, "is_literal", False) and element.name
    # SQLAlchemy itself writes `SELECT *` and `SELECT 1` so, in exists() and count().
    return bool(text) and text not in ("*", "1")


def check_ids(ids: DocumentId | Iterable[DocumentId]) -> list[str]:
    """Return one id or several as text.

    Raises:
        InvalidText: One is empty, too long, or of a wrong type.
    """
    if isinstance(ids, (str, int, UUID)):
        return [check_id(ids)]
    if isinstance(ids, (bytes, bytearray, Mapping)) or not isinstance(ids, Iterable):
        raise InvalidText(f"ids are str, int or UUID, one or many, not {type(ids).__name__}")
    return [check_id(id) for id in ids]
