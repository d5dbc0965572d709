"""The store's operations: one function each, over a psycopg connection that the caller owns.

Nothing here opens or commits a transaction of its own making, except that a write of
several statements makes sure that it is one.
"""

from vectordb.repository.estimating import (
    Sample,
    TableSize,
    explain,
    sample,
    sample_statement,
    sample_vectors,
    table_size,
    time_statements,
)
from vectordb.repository.reading import (
    count_documents,
    facets,
    get_documents,
    get_vectors,
    is_empty,
    stored_chunks,
    stream_documents,
)
from vectordb.repository.rows import ChunkRow, ChunkUpdate, DocumentRow, DocumentState, StoredChunk, WritePlan
from vectordb.repository.searching import (
    FoundRow,
    RankedRow,
    count_rows,
    highlight,
    rank_chunks,
    search_chunks,
    search_many,
)
from vectordb.repository.writing import (
    classify_documents,
    copy_all,
    delete_documents,
    update_metadata,
    write_documents,
)

__all__ = [
    "ChunkRow",
    "ChunkUpdate",
    "DocumentRow",
    "DocumentState",
    "FoundRow",
    "RankedRow",
    "Sample",
    "StoredChunk",
    "TableSize",
    "WritePlan",
    "classify_documents",
    "copy_all",
    "count_documents",
    "count_rows",
    "delete_documents",
    "explain",
    "facets",
    "get_documents",
    "get_vectors",
    "highlight",
    "is_empty",
    "rank_chunks",
    "sample",
    "sample_statement",
    "sample_vectors",
    "search_chunks",
    "search_many",
    "stored_chunks",
    "stream_documents",
    "table_size",
    "time_statements",
    "update_metadata",
    "write_documents",
]
