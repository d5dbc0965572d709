"""The store's operations: one function each, over a psycopg connection that the caller owns.

Nothing here opens or commits a transaction of its own making, except that a write of
several statements makes sure that it is one.
"""

from vectordb.repository.reading import (
    count_documents,
    get_documents,
    get_vectors,
    is_empty,
    scan_documents,
    search_chunks,
    stored_chunks,
)
from vectordb.repository.rows import ChunkRow, ChunkUpdate, DocumentRow, DocumentState, StoredChunk, WritePlan
from vectordb.repository.writing import classify_documents, copy_all, delete_documents, write_documents

__all__ = [
    "ChunkRow",
    "ChunkUpdate",
    "DocumentRow",
    "DocumentState",
    "StoredChunk",
    "WritePlan",
    "classify_documents",
    "copy_all",
    "count_documents",
    "delete_documents",
    "get_documents",
    "get_vectors",
    "is_empty",
    "scan_documents",
    "search_chunks",
    "stored_chunks",
    "write_documents",
]
