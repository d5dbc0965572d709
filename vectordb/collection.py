"""A collection: documents in, hits out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from numbers import Real
from typing import Any, overload
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import Connection

from vectordb import documents as values
from vectordb import registry, repository, schema, vectors
from vectordb.binding import EmbedderBinding
from vectordb.database import Database
from vectordb.documents import Hit, Results, UpsertResult
from vectordb.embedders import Embedder
from vectordb.errors import (
    DocumentNotFound,
    InvalidInput,
    InvalidText,
)
from vectordb.extension import Extension
from vectordb.filters import Filter, as_filter
from vectordb.indexes import VectorIndex
from vectordb.loading import check_batch, load_vectors
from vectordb.metrics import Metric, Storage
from vectordb.models import CollectionModels
from vectordb.registry import CollectionConfig
from vectordb.schema import IndexInfo
from vectordb.search.statements import SearchOptions, Statement, search_statement
from vectordb.tables import Tables, collection_tables
from vectordb.upserting import DocumentLike, Progress, Upsert, as_documents, prepare_documents
from vectordb.validation import check_id, check_text

DocumentId = str | int | UUID
Where = Filter | Mapping[str, Any]

_UPSERT_BATCH = 512
_MOST_PER_BATCH = 10_000
_SCAN_PAGE = 1_000


class Collection:
    """A handle on one collection; made by `VectorDB.collection` and its siblings.

    Cheap to make and safe to share between threads. Every call is checked before anything
    is written, and runs in a transaction of its own unless `VectorDB.transaction` is open.

    Args:
        database: Where the collection lives.
        config: Its declaration, as registered.
        extension: pgvector as installed there.
        embedder: To use instead of building the registered one.
    """

    def __init__(
        self,
        database: Database,
        config: CollectionConfig,
        *,
        extension: Extension,
        embedder: Embedder | None = None,
    ) -> None:
        self._database = database
        self._config = config
        self._schema = database.schema
        self._extension = extension
        self._binding = EmbedderBinding(database, config, embedder)
        self._tables: Tables = collection_tables(
            config.name,
            config.space,
            schema=database.schema,
            extension_schema=extension.schema,
            element_oid=extension.oids[config.space.storage],
        )
        self._unfiltered = lru_cache(maxsize=64)(self._unfiltered_statement)
        self._models: CollectionModels | None = None

    def __repr__(self) -> str:
        space = self._config.space
        return f"Collection({self.name!r}, {space.column_type}, {space.metric})"

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
    def Document(self) -> type[Any]:  # noqa: N802 - it is a class
        """SQLAlchemy class of its documents, for the application's own sessions and joins."""
        model: type[Any] = self._model_classes().Document
        return model

    @property
    def Chunk(self) -> type[Any]:  # noqa: N802 - it is a class
        """SQLAlchemy class of its chunks, for the application's own sessions and joins."""
        model: type[Any] = self._model_classes().Chunk
        return model

    def upsert(
        self,
        documents: DocumentLike | Iterable[DocumentLike],
        *,
        batch_size: int = _UPSERT_BATCH,
        on_progress: Progress | None = None,
    ) -> UpsertResult:
        """Store documents: cut into chunks, embedded, inserted or put in place of what was there.

        Text that is stored already is not embedded again; of a changed document only the chunks
        that changed are. Calling twice with the same documents changes nothing the second time.

        Args:
            documents: One or many of str, `Document` or mapping with its fields. A sequence is checked
                as a whole before anything is written, an iterator batch by batch.
            batch_size: Documents per transaction, 1 to 10,000. When a batch fails, those before it are stored.
            on_progress: Called with the texts embedded so far, and those known to need it.

        Returns:
            Exact counts.

        Raises:
            InvalidInput: Or the kind that fits: text, id, metadata or vector are wrong.
            DuplicateDocument: The same id twice in one call, or in one batch of an iterator.
            EmbedderMismatch: Not the embedder that fills this collection.
            ConfigurationError: The collection has no embedder and a document has no embedding.
            EmbeddingError: The embedder failed.
            DatabaseError: Or the kind that fits.

        Round trips: 3 to 15 per batch.
        """
        _check_number("batch_size", batch_size, _MOST_PER_BATCH)
        call = Upsert(
            self._database,
            self._tables,
            self._config.space,
            self._binding.for_writing,
            self._binding.chunker,
            on_progress,
        )
        given = as_documents(documents)
        if isinstance(given, Sequence):
            return call.run(prepare_documents(given, self._config.space), batch_size)
        result = UpsertResult()
        position = 0
        while batch := list(islice(given, batch_size)):
            result += call.run(prepare_documents(batch, self._config.space, start=position), batch_size)
            position += len(batch)
        return result

    def upsert_vectors(
        self,
        ids: Sequence[DocumentId],
        embeddings: ArrayLike,
        *,
        contents: Sequence[str] | None = None,
        metadata: Sequence[Mapping[str, Any]] | None = None,
    ) -> UpsertResult:
        """Store documents of which the embeddings are known; each is one chunk.

        New documents go in by binary COPY. A collection filled this way should get its index
        afterwards: `create_collection(..., index=None)`, then `create_index`.

        Args:
            ids: Of the documents, n of them, no two the same.
            embeddings: Shape (n, dimensions), numbers; float32 in C order is used without a copy.
            contents: Texts, n of them; None leaves them empty.
            metadata: Of the documents, n of them; None leaves it empty.

        Returns:
            Exact counts.

        Raises:
            InvalidInput: Lengths differ, or the kind that fits: vector, id, text, metadata.
            DuplicateDocument: The same id twice.
            DatabaseError: Or the kind that fits.

        Round trips: about 10 for every 10,000 documents. One transaction when the collection is empty, else
        one for every 10,000.
        """
        space = self._config.space
        batch = check_batch(ids, vectors.as_matrix(embeddings, space), contents, metadata)
        return load_vectors(self._database, self._tables, space, batch)

    def search(
        self,
        query: str | ArrayLike,
        *,
        limit: int = 10,
        where: Where | None = None,
        min_score: float | None = None,
        exact: bool = False,
        ef_search: int | None = None,
    ) -> Results:
        """Find the chunks nearest to a query, best first.

        Args:
            query: Text to embed, or a vector of shape (dimensions,).
            limit: Most hits, 1 to 100,000. That many come back when that many match.
            where: Which documents count: a filter such as `F("year") >= 2020`, or its JSON form.
            min_score: Leave out hits below this score; see `vectordb.metrics.Metric.score` for the range.
            exact: Compare every row instead of using the index.
            ef_search: HNSW candidates, 1 to 1000: more is better recall, slower. None has 80, or the
                server's setting where that is more. At least `limit` is used.

        Returns:
            Hits by descending score, ties by document id and ordinal.

        Raises:
            InvalidVector: The query is no finite vector, or has no direction under cosine.
            DimensionMismatch: It has another number of dimensions.
            InvalidFilter: `where` cannot be understood.
            InvalidInput: Another argument is out of range.
            EmbedderMismatch: Not the embedder that fills this collection.
            ConfigurationError: A text query, and the collection has no embedder.
            DatabaseError: Or the kind that fits.

        Round trips: 1.
        """
        options = SearchOptions(limit, exact, ef_search)
        _check_min_score(min_score)
        condition = as_filter(where)
        if condition is None:
            statement = self._unfiltered(options)
        else:
            statement = search_statement(self._tables, self._index_method, options, condition)
        encoded = self._encode_query(query)
        space = self._config.space
        hits: list[Hit] = self._database.run(
            lambda connection: repository.search_chunks(connection, statement, encoded, space)
        )
        return Results(hits if min_score is None else [hit for hit in hits if hit.score >= min_score])

    @overload
    def get(self, ids: DocumentId) -> values.Document: ...  # type: ignore[overload-overlap] # a str is an Iterable[str]
    @overload
    def get(self, ids: Iterable[DocumentId]) -> list[values.Document]: ...
    def get(self, ids: DocumentId | Iterable[DocumentId]) -> values.Document | list[values.Document]:
        """Read documents by id, their content put together from the chunks.

        Args:
            ids: One id, or several.

        Returns:
            For one id its document; for several a list in the order asked, without those that do not exist.

        Raises:
            DocumentNotFound: One id was asked for, and there is no such document.
            InvalidText: An id is empty, too long, or of a wrong type.

        Round trips: 1.
        """
        single = isinstance(ids, (str, int, UUID))
        wanted = _ids(ids)
        found = self._database.run(lambda connection: repository.get_documents(connection, self._tables, wanted))
        if not single:
            return [found[id] for id in wanted if id in found]
        if wanted[0] not in found:
            raise DocumentNotFound(f"{self.name} has no document with the id {wanted[0]!r}", id=wanted[0])
        return found[wanted[0]]

    def vectors(self, ids: DocumentId | Iterable[DocumentId]) -> dict[str, NDArray[np.float32]]:
        """Read embeddings: by document id an array of shape (chunks, dimensions), in order of the chunks.

        Round trips: 1.
        """
        wanted = _ids(ids)
        return self._database.run(
            lambda connection: repository.get_vectors(connection, self._tables, wanted, self._config.space)
        )

    def delete(self, ids: DocumentId | Iterable[DocumentId] | None = None, *, where: Where | None = None) -> int:
        """Delete documents with their chunks, by id, by filter, or those that fit both.

        Returns:
            How many there were.

        Raises:
            InvalidInput: Neither ids nor a filter; to empty a collection, drop it.

        Round trips: 1.
        """
        if ids is None and (where is None or (isinstance(where, Mapping) and not where)):
            raise InvalidInput("delete needs ids or where; to delete everything, drop the collection")
        wanted = None if ids is None else _ids(ids)
        condition = as_filter(where)
        return self._database.run(
            lambda connection: repository.delete_documents(connection, self._tables, wanted, condition)
        )

    def count(self, where: Where | None = None) -> int:
        """Count documents, all or those that match a filter.

        Round trips: 1.
        """
        condition = as_filter(where)
        return self._database.run(lambda connection: repository.count_documents(connection, self._tables, condition))

    def scan(self, where: Where | None = None) -> Iterator[values.Document]:
        """Go through documents by id, all or those that match a filter, without holding a transaction.

        Documents that are written meanwhile may or may not appear; none appears twice.

        Round trips: 1 for every 1,000 documents.
        """
        condition = as_filter(where)
        after: str | None = None
        while True:
            page = self._database.run(
                lambda connection, after=after: repository.scan_documents(  # type: ignore[misc] # binds the loop's value
                    connection, self._tables, condition, after, _SCAN_PAGE
                )
            )
            yield from page
            if len(page) < _SCAN_PAGE:
                return
            after = str(page[-1].id)

    def create_index(self, index: VectorIndex) -> None:
        """Build an index over the embeddings in place of the one there is; writes wait meanwhile.

        Raises:
            ConfigurationError: pgvector cannot index this storage, metric or number of dimensions so.
        """
        with self._database.begin() as connection:
            self._config = schema.create_index(connection, self._declared(connection), index, self._schema)
        self._forget_index()

    def drop_index(self) -> None:
        """Drop the index over the embeddings; searches compare every row from then on."""
        with self._database.begin() as connection:
            schema.drop_index(connection, self._declared(connection), self._schema)
            self._config = self._declared(connection)
        self._forget_index()

    def indexes(self) -> list[IndexInfo]:
        """Read the indexes over the embeddings from the catalogue."""
        with self._database.begin() as connection:
            return schema.list_indexes(connection, self._config, self._schema)

    @property
    def embedder(self) -> Embedder:
        """The embedder of this collection, checked against the registered identity.

        Raises:
            ConfigurationError: None was given, and none can be built from the registry.
            EmbedderMismatch: The one that was given makes other vectors.
        """
        return self._binding.for_reading()

    def _encode_query(self, query: str | ArrayLike) -> bytes:
        if isinstance(query, str):
            text = check_text(query, "the query")
            if not text.strip():
                raise InvalidInput("the query is empty; search for a text or a vector")
            query = self.embedder.embed([text], input_type="query")[0]
        return vectors.encode_query(query, self._config.space)

    @property
    def _index_method(self) -> str | None:
        return None if self._config.index is None else self._config.index.method

    def _unfiltered_statement(self, options: SearchOptions) -> Statement:
        return search_statement(self._tables, self._index_method, options, None)

    def _forget_index(self) -> None:
        self._unfiltered.cache_clear()
        self._models = None

    def _declared(self, connection: Connection) -> CollectionConfig:
        return registry.get_collection(connection, self.name)

    def _model_classes(self) -> CollectionModels:
        if self._models is None:
            self._models = schema.models_of(self._config, self._schema)
        return self._models


def _ids(ids: DocumentId | Iterable[DocumentId]) -> list[str]:
    if isinstance(ids, (str, int, UUID)):
        return [check_id(ids)]
    if isinstance(ids, (bytes, bytearray, Mapping)) or not isinstance(ids, Iterable):
        raise InvalidText(f"ids are str, int or UUID, one or many, not {type(ids).__name__}")
    return [check_id(id) for id in ids]


def _check_number(name: str, value: object, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput(f"{name} is a whole number from 1 to {most}, not {value!r:.40}")


def _check_min_score(value: object) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, Real) or math.isnan(value)):
        raise InvalidInput(f"min_score is a number, not {value!r:.40}")
