"""How documents become rows: checked, held against what is stored, cut, embedded, written.

Embedding takes far longer than anything else, so it happens outside any transaction and
only for texts that have no vector yet. The write then checks that the documents are still
as they were read; those that another writer got to first are planned again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from vectordb import repository, vectors
from vectordb.chunking import Chunker, TextChunk
from vectordb.database import Database, PsycopgConnection
from vectordb.documents import DOCUMENT_FIELDS, Document, UpsertResult, content_hash, derived_id
from vectordb.embedders import Embedder
from vectordb.errors import DuplicateDocument, InvalidInput, TransactionConflict
from vectordb.fields import FieldType, check_metadata
from vectordb.filters import Filter
from vectordb.metrics import VectorSpace
from vectordb.repository import ChunkRow, ChunkUpdate, DocumentRow, DocumentState, StoredChunk, WritePlan
from vectordb.tables import Tables
from vectordb.validation import (
    MAX_TITLE_BYTES,
    MAX_URI_BYTES,
    check_id,
    check_short_text,
    check_text,
    metadata_json,
)
from vectordb.views import View, refuse_outside

DocumentLike = str | Document | Mapping[str, Any]
Progress = Callable[[int, int], None]

# How often a batch is planned again when other writers keep changing the same documents.
_MOST_PLANS = 20


class Prepared(NamedTuple):
    """A checked document.

    Attributes:
        row: As it is to be stored.
        content: Its text.
        embedding: Given with it, in pgvector's binary form; None has the text cut and embedded.
    """

    row: DocumentRow
    content: str
    embedding: bytes | None


def as_documents(documents: DocumentLike | Iterable[DocumentLike]) -> Sequence[DocumentLike] | Iterator[DocumentLike]:
    """Return one document as a list of one; anything else as it is, if it can be gone through.

    Raises:
        InvalidInput: Neither a document nor an iterable of documents.
    """
    if isinstance(documents, (str, Document, Mapping)):
        return [documents]
    if isinstance(documents, Sequence):
        return documents
    if isinstance(documents, Iterable):
        return iter(documents)
    raise InvalidInput(f"documents are str, Document or mappings, one or many, not {type(documents).__name__}")


def prepare_documents(
    documents: Iterable[DocumentLike],
    space: VectorSpace,
    *,
    start: int = 0,
    fields: Mapping[str, FieldType] | None = None,
    view: View | None = None,
) -> list[Prepared]:
    """Check documents and give ids to those that have none.

    Args:
        documents: To be stored.
        space: Of the collection's embeddings.
        start: Number of the first document in the user's input.
        fields: Declared ones; metadata is checked for their types.
        view: Completes the metadata; every document must belong to it.

    Raises:
        InvalidInput: Of the kind that fits; the message says which document, counted from 0.
        DuplicateDocument: The same id twice.
        OutsideView: A document does not belong to the view.
        ConfigurationError: The view can only be read.
    """
    if view is not None:
        view.check_writable()
    prepared: list[Prepared] = []
    seen: set[str] = set()
    for position, value in enumerate(documents, start):
        try:
            document = _prepare(_document(value), space, fields, view)
        except InvalidInput as error:
            raise type(error)(f"document {position}: {error}", **{**error.facts, "document": position}) from None
        if document.row.id in seen:
            raise DuplicateDocument(
                f"document {position}: the id {document.row.id!r} occurs twice in one call; keep one of the two"
                " (documents without an id get the same one when they are equal in everything)",
                id=document.row.id,
                document=position,
            )
        seen.add(document.row.id)
        prepared.append(document)
    return prepared


def _document(value: object) -> Document:
    if isinstance(value, Document):
        return value
    if isinstance(value, str):
        return Document(value)
    if not isinstance(value, Mapping):
        raise InvalidInput(f"a document is a str, Document or mapping, not {type(value).__name__}")
    unknown = sorted(str(name) for name in set(value) - DOCUMENT_FIELDS)
    if unknown:
        raise InvalidInput(
            f"a document has no field {unknown[0][:40]!r}; it has {', '.join(sorted(DOCUMENT_FIELDS))}; "
            "anything else goes into metadata"
        )
    if "content" not in value:
        raise InvalidInput("a document has a field 'content' with its text")
    return Document(**value)


def _prepare(
    document: Document, space: VectorSpace, fields: Mapping[str, FieldType] | None, view: View | None
) -> Prepared:
    content = check_text(document.content, "content")
    title = check_short_text(document.title, "the title", MAX_TITLE_BYTES)
    uri = check_short_text(document.uri, "the uri", MAX_URI_BYTES)
    metadata = metadata_json(document.metadata if view is None else view.complete(document.metadata))
    embedding = None
    if document.embedding is not None:
        embedding = vectors.encode(vectors.as_vector(document.embedding, space), space.storage)[0]
    id = derived_id(content, title, uri, metadata) if document.id is None else check_id(document.id)
    if fields or view is not None:
        stored = json.loads(metadata)
        check_metadata(stored, fields or {})
        if view is not None:
            view.check(stored, {"id": id, "title": title, "uri": uri})
    return Prepared(DocumentRow(id, title, uri, content_hash(content, embedding or b""), metadata), content, embedding)


class _Draft(NamedTuple):
    """A chunk of a document that is to be written."""

    document: DocumentRow
    chunk: TextChunk
    content_hash: bytes


class _Outcome(NamedTuple):
    """What became of a batch.

    Attributes:
        plan: What was to be written.
        overtaken: Ids of documents that another writer got to first; nothing of them was written.
        embedded: Texts that the embedder was given.
    """

    plan: WritePlan
    overtaken: set[str]
    embedded: int


@dataclass(slots=True)
class Upsert:
    """One call of upsert over a collection.

    Args:
        database: To read from and write to.
        tables: Of the collection.
        space: Of the collection's embeddings.
        embedder: Returns the embedder; called when the first text needs one.
        chunker: Returns what cuts texts; called at the same moment.
        progress: Called with the texts embedded so far, and those known to need it.
        view: What is stored outside it is never written over. A batch is then written as a whole or not at all.

    Raises:
        OutsideView: Of `run`; an id is that of a document outside the view.
    """

    database: Database
    tables: Tables
    space: VectorSpace
    embedder: Callable[[], Embedder]
    chunker: Callable[[], Chunker]
    progress: Progress | None = None
    view: View | None = None
    _done: int = 0
    _known: int = 0

    def run(self, documents: Iterable[Prepared], batch_size: int) -> UpsertResult:
        """Upsert all documents, one transaction for every `batch_size` of them."""
        result = UpsertResult()
        iterator = iter(documents)
        while batch := list(islice(iterator, batch_size)):
            result += self._upsert_batch(batch)
        return result

    def _upsert_batch(self, batch: list[Prepared]) -> UpsertResult:
        result = UpsertResult()
        embeddings: dict[bytes, bytes] = {}
        for attempt in range(_MOST_PLANS):
            # Documents that other writers got to first twice are locked the next time, so that it ends. By then
            # their texts are embedded.
            plan, overtaken, embedded = (
                self._in_the_open(batch, embeddings) if attempt < 2 else self._locked(batch, embeddings)
            )
            result += _count(batch, plan.without(overtaken), overtaken, embedded)
            batch = [document for document in batch if document.row.id in overtaken]
            if not batch:
                return result
        raise TransactionConflict("other writers keep changing the same documents; try again when they are done")

    def _in_the_open(self, batch: list[Prepared], embeddings: dict[bytes, bytes]) -> _Outcome:
        """Read, plan and embed outside any transaction, then write."""
        states, stored = self.database.run(lambda connection: self._read(connection, batch, lock=False))
        plan, embedded = self._plan(batch, states, stored, embeddings)
        overtaken = self.database.run(lambda connection: self._write(connection, plan))
        return _Outcome(plan, overtaken, embedded)

    def _locked(self, batch: list[Prepared], embeddings: dict[bytes, bytes]) -> _Outcome:
        """Read, plan and write in one transaction."""

        def work(connection: PsycopgConnection) -> _Outcome:
            with connection.transaction():
                plan, embedded = self._plan(batch, *self._read(connection, batch, lock=True), embeddings)
                return _Outcome(plan, self._write(connection, plan), embedded)

        return self.database.run(work)

    @property
    def _within(self) -> Filter | None:
        return None if self.view is None else self.view.where

    def _write(self, connection: PsycopgConnection, plan: WritePlan) -> set[str]:
        return repository.write_documents(connection, self.tables, plan, within=self._within)

    def _read(
        self, connection: PsycopgConnection, batch: list[Prepared], *, lock: bool
    ) -> tuple[dict[str, DocumentState], dict[str, list[StoredChunk]]]:
        """Return how the documents are stored, and the chunks of those with another text."""
        rows = [document.row for document in batch]
        states = repository.classify_documents(connection, self.tables, rows, lock=lock, within=self._within)
        if self.view is not None:
            refuse_outside(id for id, state in states.items() if state.outside)
        changed = {id: state.content_hash for id, state in states.items() if not state.same_content}
        return states, repository.stored_chunks(connection, self.tables, changed) if changed else {}

    def _plan(
        self,
        batch: list[Prepared],
        states: Mapping[str, DocumentState],
        stored: Mapping[str, list[StoredChunk]],
        embeddings: dict[bytes, bytes],
    ) -> tuple[WritePlan, int]:
        """Decide what to write; `embeddings` by content hash grows. Also return how many texts were embedded."""
        plan = WritePlan()
        to_cut: list[Prepared] = []
        for document in batch:
            row, state = document.row, states.get(document.row.id)
            if state is None:
                plan.new.append(row)
                to_cut.append(document)
            elif not (state.same_content and state.same_attributes):
                plan.changed.append(row)
                plan.expected[row.id] = state.content_hash
                if state.same_content:
                    plan.metadata_only[row.id] = row.metadata
                else:
                    to_cut.append(document)
        drafts = self._cut(to_cut, embeddings)
        kept = {(id, chunk.ordinal): chunk.content_hash for id, chunks in stored.items() for chunk in chunks}
        embeddings.update((chunk.content_hash, chunk.embedding) for chunks in stored.values() for chunk in chunks)
        moving = [draft for draft in drafts if kept.get((draft.document.id, draft.chunk.ordinal)) != draft.content_hash]
        embedded = self._embed(moving, embeddings)
        plan.chunk_counts.update((document.row.id, 0) for document in to_cut if document.row.id in plan.expected)
        for draft in drafts:
            id, ordinal = draft.document.id, draft.chunk.ordinal
            if id not in plan.expected:
                plan.new_chunks.append(_chunk_row(draft, embeddings))
                continue
            plan.chunk_counts[id] += 1
            if kept.get((id, ordinal)) == draft.content_hash:
                plan.kept_chunks.append(
                    ChunkUpdate(id, ordinal, draft.chunk.start, draft.chunk.end, draft.document.metadata)
                )
            else:
                plan.changed_chunks.append(_chunk_row(draft, embeddings))
        return plan, embedded

    def _cut(self, documents: list[Prepared], embeddings: dict[bytes, bytes]) -> list[_Draft]:
        """Cut texts into chunks; a document with an embedding of its own is one chunk."""
        texts = [document for document in documents if document.embedding is None and document.content]
        pieces = self.chunker().split([document.content for document in texts]) if texts else []
        chunks = {document.row.id: piece for document, piece in zip(texts, pieces, strict=True)}
        drafts: list[_Draft] = []
        for document in documents:
            row = document.row
            if document.embedding is not None:
                embeddings[row.content_hash] = document.embedding
                whole = TextChunk(0, document.content, 0, len(document.content), None)
                drafts.append(_Draft(row, whole, row.content_hash))
            else:
                drafts.extend(_Draft(row, chunk, content_hash(chunk.content)) for chunk in chunks.get(row.id, ()))
        return drafts

    def _embed(self, drafts: list[_Draft], embeddings: dict[bytes, bytes]) -> int:
        """Embed each text that has no embedding yet, once, and return how many there were."""
        missing = {draft.content_hash: draft.chunk.content for draft in drafts if draft.content_hash not in embeddings}
        if not missing:
            return 0
        self._known += len(missing)
        self._report(0)
        matrix = self.embedder().embed(list(missing.values()), input_type="document", on_progress=self._report)
        encoded = vectors.encode(vectors.as_matrix(matrix, self.space), self.space.storage)
        embeddings.update(zip(missing, encoded, strict=True))
        return len(missing)

    def _report(self, embedded: int) -> None:
        self._done += embedded
        if self.progress is not None:
            self.progress(self._done, self._known)


def _chunk_row(draft: _Draft, embeddings: Mapping[bytes, bytes]) -> ChunkRow:
    document, chunk = draft.document, draft.chunk
    return ChunkRow(
        document.id,
        chunk.ordinal,
        chunk.content,
        draft.content_hash,
        chunk.start,
        chunk.end,
        chunk.tokens,
        document.metadata,
        embeddings[draft.content_hash],
    )


def _count(batch: list[Prepared], written: WritePlan, overtaken: set[str], embedded: int) -> UpsertResult:
    return UpsertResult(
        inserted=len(written.new),
        updated=len(written.changed),
        unchanged=len(batch) - len(written.new) - len(written.changed) - len(overtaken),
        chunks=len(written.new_chunks) + len(written.changed_chunks),
        embedded=embedded,
    )
