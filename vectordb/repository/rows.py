"""Rows on their way in and out of the tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class DocumentRow(NamedTuple):
    """A row of the documents' table; `metadata` is JSON text."""

    id: str
    title: str | None
    uri: str | None
    content_hash: bytes
    metadata: str


class ChunkRow(NamedTuple):
    """A row of the chunks' table; `embedding` is in pgvector's binary form."""

    document_id: str
    ordinal: int
    content: str
    content_hash: bytes
    span_start: int
    span_end: int
    tokens: int | None
    metadata: str
    embedding: bytes


class ChunkUpdate(NamedTuple):
    """New place and metadata of a chunk whose text and embedding stay."""

    document_id: str
    ordinal: int
    span_start: int
    span_end: int
    metadata: str


class StoredChunk(NamedTuple):
    """What is kept of a chunk when its document is written anew."""

    ordinal: int
    content_hash: bytes
    embedding: bytes


class DocumentState(NamedTuple):
    """A stored document held against a new version of it.

    Attributes:
        content_hash: Stored.
        same_content: The hashes agree.
        same_attributes: Title, uri and metadata agree.
        outside: It does not match the filter that the caller is confined to.
    """

    content_hash: bytes
    same_content: bool
    same_attributes: bool
    outside: bool


@dataclass(frozen=True, slots=True)
class WritePlan:
    """What one transaction is to write, decided from what was read before.

    Attributes:
        new: Documents that were not stored, by id.
        changed: Documents that were, by id.
        expected: Content hash of each changed document as it was read.
        new_chunks: Chunks of the new documents.
        changed_chunks: Chunks of changed documents, with new text or a new place.
        kept_chunks: Chunks of changed documents of which the text stays where it is.
        metadata_only: Metadata of changed documents whose text is as it was.
        chunk_counts: Chunks that each document with changed text has from now on.
    """

    new: list[DocumentRow] = field(default_factory=list)
    changed: list[DocumentRow] = field(default_factory=list)
    expected: dict[str, bytes] = field(default_factory=dict)
    new_chunks: list[ChunkRow] = field(default_factory=list)
    changed_chunks: list[ChunkRow] = field(default_factory=list)
    kept_chunks: list[ChunkUpdate] = field(default_factory=list)
    metadata_only: dict[str, str] = field(default_factory=dict)
    chunk_counts: dict[str, int] = field(default_factory=dict)

    def ids(self) -> set[str]:
        """Return the ids of all documents that are to be written."""
        return {row.id for row in (*self.new, *self.changed)}

    def without(self, ids: set[str]) -> WritePlan:
        """Return the plan for the other documents."""
        if not ids:
            return self
        return WritePlan(
            [row for row in self.new if row.id not in ids],
            [row for row in self.changed if row.id not in ids],
            self.expected,
            [row for row in self.new_chunks if row.document_id not in ids],
            [row for row in self.changed_chunks if row.document_id not in ids],
            [row for row in self.kept_chunks if row.document_id not in ids],
            {id: metadata for id, metadata in self.metadata_only.items() if id not in ids},
            {id: count for id, count in self.chunk_counts.items() if id not in ids},
        )
