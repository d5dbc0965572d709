"""What goes into a collection, and what is changed or deleted in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from numpy.typing import ArrayLike

from vectordb import repository, vectors
from vectordb.collection.handle import DocumentId, Handle, Where, check_ids
from vectordb.documents import UpsertResult
from vectordb.errors import InvalidInput
from vectordb.fields import check_metadata
from vectordb.filters import as_filter
from vectordb.filters.nodes import is_empty
from vectordb.loading import check_batch, load_vectors
from vectordb.upserting import DocumentLike, Progress, Upsert, as_documents, prepare_documents
from vectordb.validation import metadata_json

_UPSERT_BATCH = 512
_MOST_PER_BATCH = 10_000


class Writing(Handle):
    """The writing half of a collection."""

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
            InvalidMetadata: Also where a declared field has a value of another type.
            DuplicateDocument: The same id twice in one call, or in one batch of an iterator.
            OutsideView: In a view, a document that does not belong to it, or the id of one outside.
            EmbedderMismatch: Not the embedder that fills this collection.
            ConfigurationError: The collection has no embedder and a document has no embedding, or the view is
                read-only.
            EmbeddingError: The embedder failed.
            DatabaseError: Or the kind that fits.

        Round trips: 3 to 15 per batch.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or not 1 <= batch_size <= _MOST_PER_BATCH:
            raise InvalidInput(f"batch_size is a whole number from 1 to {_MOST_PER_BATCH}, not {batch_size!r:.40}")
        space, fields, view = self._config.space, self._config.fields, self._view
        call = Upsert(
            self._database,
            self._tables,
            space,
            self._binding.for_writing,
            self._binding.chunker,
            on_progress,
            view,
        )
        given = as_documents(documents)
        if isinstance(given, Sequence):
            return call.run(prepare_documents(given, space, fields=fields, view=view), batch_size)
        result = UpsertResult()
        position = 0
        while batch := list(islice(given, batch_size)):
            result += call.run(prepare_documents(batch, space, start=position, fields=fields, view=view), batch_size)
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
            OutsideView: In a view, a document that does not belong to it, or the id of one outside.
            DatabaseError: Or the kind that fits.

        Round trips: about 10 for every 10,000 documents. One transaction when the collection is empty, else
        one for every 10,000.
        """
        space = self._config.space
        matrix = vectors.as_matrix(embeddings, space)
        batch = check_batch(ids, matrix, contents, metadata, fields=self._config.fields, view=self._view)
        return load_vectors(self._database, self._tables, space, batch, view=self._view)

    def patch_metadata(
        self,
        metadata: Mapping[str, Any],
        *,
        remove: Iterable[str] = (),
        ids: DocumentId | Iterable[DocumentId] | None = None,
        where: Where | None = None,
    ) -> int:
        """Set and remove keys of the metadata of documents, and leave texts and embeddings as they are.

        Args:
            metadata: Keys at the top level with their new values; other keys stay.
            remove: Keys that go.
            ids: Which documents, by id.
            where: Which documents, by a filter; with `ids` those that fit both. `{}` means all documents.

        Returns:
            How many documents are different from before.

        Raises:
            InvalidInput: Neither ids nor a filter, or a key both set and removed.
            InvalidMetadata: JSON cannot hold it, or a declared field has a value of another type.
            OutsideView: A document would leave the view; nothing is changed then.

        Round trips: 3 or 4; one transaction.
        """
        if ids is None and where is None:
            raise InvalidInput("patch_metadata needs ids or where; where={} means all documents")
        if isinstance(remove, (str, bytes)) or not isinstance(remove, Iterable):
            raise InvalidInput("remove is a list of keys of the metadata")
        encoded = metadata_json(metadata)
        check_metadata(metadata, self._config.fields)
        gone = list(remove)
        if not all(isinstance(key, str) for key in gone):
            raise InvalidInput("remove is a list of keys of the metadata, which are str")
        metadata_json(dict.fromkeys(gone))
        if both := set(gone) & set(metadata):
            raise InvalidInput(f"the key {min(both)!r:.60} is both set and removed")
        if self._view is not None:
            self._view.check_writable()
        wanted = None if ids is None else check_ids(ids)
        condition = self._condition(where)
        return self._database.run(
            lambda connection: repository.update_metadata(
                connection, self._tables, encoded, gone, wanted, condition, self._confined_to
            )
        )

    def delete(self, ids: DocumentId | Iterable[DocumentId] | None = None, *, where: Where | None = None) -> int:
        """Delete documents with their chunks, by id, by filter, or those that fit both.

        Returns:
            How many there were.

        Raises:
            InvalidInput: Neither ids nor a filter; to empty a collection, drop it.

        Round trips: 1.
        """
        given = as_filter(where)
        if ids is None and (given is None or is_empty(given)):
            raise InvalidInput("delete needs ids or where; to delete everything, drop the collection")
        wanted = None if ids is None else check_ids(ids)
        condition = self._condition(where)
        return self._database.run(
            lambda connection: repository.delete_documents(connection, self._tables, wanted, condition)
        )
