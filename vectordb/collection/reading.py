"""What goes out of a collection as it is stored: documents, vectors, counts."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import overload
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from vectordb import documents as values
from vectordb import repository
from vectordb.collection.handle import DocumentId, Handle, Where, check_ids
from vectordb.documents import Facet
from vectordb.errors import DocumentNotFound
from vectordb.filters import Field, Filter
from vectordb.filters.resolving import check_spelling
from vectordb.search.options import SearchOptions


class Reading(Handle):
    """The reading half of a collection."""

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
        wanted = check_ids(ids)
        found = self._database.run(
            lambda connection: repository.get_documents(connection, self._tables, wanted, self._confined_to)
        )
        if not isinstance(ids, (str, int, UUID)):
            return [found[id] for id in wanted if id in found]
        if wanted[0] not in found:
            raise DocumentNotFound(f"{self.name} has no document with the id {wanted[0]!r}", id=wanted[0])
        return found[wanted[0]]

    def vectors(self, ids: DocumentId | Iterable[DocumentId]) -> dict[str, NDArray[np.float32]]:
        """Read embeddings: by document id an array of shape (chunks, dimensions), in order of the chunks.

        Round trips: 1.
        """
        wanted = check_ids(ids)
        return self._database.run(
            lambda connection: repository.get_vectors(
                connection, self._tables, wanted, self._config.space, self._confined_to
            )
        )

    def count(self, where: Where | None = None) -> int:
        """Count documents, all or those that match a filter.

        Round trips: 1.
        """
        condition = self._condition(where)
        return self._database.run(lambda connection: repository.count_documents(connection, self._tables, condition))

    def facets(self, field: str | Sequence[str], *, where: Where | None = None, limit: int | None = 10) -> list[Facet]:
        """Count documents by their values of a field: of the metadata, or `id`, `title` or `uri`.

        Args:
            field: A path, as `F` takes it. Of an array each element counts once for a document.
            where: Which documents count.
            limit: Most values, 1 to 100,000; None has all.

        Returns:
            Pairs of a value and the number of documents that have it, most frequent first, ties by value. Documents
            without the field, or with null or an object there, are not counted. `dict(...)` makes a mapping of it.

        Raises:
            InvalidFilter: The field or the filter cannot be understood.
            InvalidInput: The limit is out of range, or the field is a time.

        Round trips: 1.
        """
        if limit is not None:
            SearchOptions(limit)
        place = Field.of(field)
        check_spelling(place, self._config.fields)
        condition = self._condition(where)
        found = self._database.run(
            lambda connection: repository.facets(connection, self._tables, place, condition, limit)
        )
        return [Facet(*pair) for pair in found]

    def scan(self, where: Where | None = None) -> Generator[values.Document, None, None]:
        """Go through documents by id, all or those that match a filter, in constant memory.

        The documents are as they were when the first was asked for, whatever is written meanwhile. Until the iteration
        ends it holds a connection with an open transaction; inside `VectorDB.transaction` it uses that one.

        Raises:
            InvalidFilter: `where` cannot be understood.

        Round trips: 1 for every 1,000 chunks, and 6; inside a transaction 3.
        """
        condition = self._condition(where)
        return self._stream(condition)

    def _stream(self, condition: Filter | None) -> Generator[values.Document, None, None]:
        with self._database.reading() as connection:
            yield from repository.stream_documents(connection, self._tables, condition)
