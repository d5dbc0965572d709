"""Operations that write. Each is one transaction, or a part of the caller's.

Documents are locked and inserted in the order of their ids, so that concurrent writers of
the same documents wait for each other instead of deadlocking.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import errors as postgres

from vectordb.database import PsycopgConnection
from vectordb.filters import Filter
from vectordb.repository.arrays import bytea_array, int_array, text_array, vector_array
from vectordb.repository.copying import copy_chunks, copy_documents
from vectordb.repository.rows import ChunkRow, ChunkUpdate, DocumentRow, DocumentState, WritePlan
from vectordb.search.where import where_clause
from vectordb.tables import Tables

# From this many rows on COPY is faster than INSERT, in spite of its two further round trips.
_COPY_FROM = 64


def classify_documents(
    connection: PsycopgConnection, tables: Tables, rows: Sequence[DocumentRow], *, lock: bool = False
) -> dict[str, DocumentState]:
    """Hold documents against what is stored; those that are not stored are left out.

    Args:
        connection: In a transaction, if `lock` is asked for.
        tables: Of the collection.
        rows: New versions of documents.
        lock: Keep what is stored as it is until the end of the transaction.

    Round trips: 1.
    """
    found = _execute(
        connection,
        "SELECT d.id, d.content_hash, d.content_hash = u.content_hash,"
        " (d.title, d.uri, d.metadata) IS NOT DISTINCT FROM (u.title, u.uri, u.metadata::jsonb)"
        f" FROM unnest({_DOCUMENT_ARRAYS}) AS u(id, title, uri, content_hash, metadata)"
        f" JOIN {tables.documents} AS d ON d.id = u.id{' ORDER BY d.id FOR UPDATE OF d' if lock else ''}",
        _document_arrays(rows),
    )
    return {id: DocumentState(content_hash, *same) for id, content_hash, *same in found}


def write_documents(connection: PsycopgConnection, tables: Tables, plan: WritePlan) -> set[str]:
    """Carry out a plan in one transaction.

    Returns:
        Ids of documents that another writer got to first since the plan was made. Nothing of
        them was written; they need a new plan.

    Round trips: 2 to 12, whatever the number of rows.
    """
    with connection.transaction():
        overtaken = _lock_documents(connection, tables, plan)
        plan = plan.without(overtaken)
        inserted_first = _insert_documents(connection, tables, plan.new)
        plan = plan.without(inserted_first)
        _update_documents(connection, tables, plan.changed)
        # A chunk is replaced by delete and insert, which with COPY takes half the time of an update; to the index it
        # is the same. The lock on its document keeps everybody else from inserting it in between.
        _delete_chunks(connection, tables, plan.changed_chunks)
        _delete_orphans(connection, tables, plan.chunk_counts)
        _insert_chunks(connection, tables, plan.new_chunks + plan.changed_chunks)
        _update_chunks(connection, tables, plan.kept_chunks)
        _update_metadata(connection, tables, plan.metadata_only)
    return overtaken | inserted_first


def copy_all(
    connection: PsycopgConnection, tables: Tables, documents: Iterable[DocumentRow], chunks: Iterable[ChunkRow]
) -> bool:
    """Copy chunks, and after them their documents, into a collection where none of them is, in one transaction.

    Returns:
        False, with nothing written, if one of them was there, or if row-level security forbids COPY.

    Round trips: 8.
    """
    try:
        with connection.transaction():
            _execute(connection, f"SET CONSTRAINTS {tables.foreign_key} DEFERRED", {})
            copy_chunks(connection, tables, chunks)
            copy_documents(connection, tables, documents)
            _execute(connection, f"SET CONSTRAINTS {tables.foreign_key} IMMEDIATE", {})
    except (postgres.UniqueViolation, postgres.FeatureNotSupported):
        return False
    return True


def delete_documents(
    connection: PsycopgConnection, tables: Tables, ids: Sequence[str] | None, where: Filter | None
) -> int:
    """Delete documents, with their chunks, by id or by filter or by both; return how many there were.

    Round trips: 1.
    """
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    if where is not None:
        condition, parameters = where_clause(where, "d")
        conditions.append(condition)
    if ids is not None:
        conditions.append("d.id = ANY(%(ids)b::text[])")
        parameters["ids"] = text_array(ids)
    cursor = _execute(
        connection,
        f"WITH locked AS (SELECT d.id FROM {tables.documents} AS d WHERE {' AND '.join(conditions)}"
        f" ORDER BY d.id FOR UPDATE) DELETE FROM {tables.documents} AS d USING locked WHERE d.id = locked.id",
        parameters,
    )
    return cursor.rowcount


def _lock_documents(connection: PsycopgConnection, tables: Tables, plan: WritePlan) -> set[str]:
    """Lock the documents that the plan changes and return those that are not as they were."""
    if not plan.changed:
        return set()
    rows = _execute(
        connection,
        f"SELECT id, content_hash FROM {tables.documents} WHERE id = ANY(%(ids)b::text[]) ORDER BY id FOR UPDATE",
        {"ids": text_array([row.id for row in plan.changed])},
    )
    stored = dict(rows)
    return {id for id, content_hash in plan.expected.items() if stored.get(id) != content_hash}


def _insert_documents(connection: PsycopgConnection, tables: Tables, rows: Sequence[DocumentRow]) -> set[str]:
    """Insert documents and return the ids that were there already."""
    rows = sorted(rows, key=lambda row: row.id.encode())
    if len(rows) >= _COPY_FROM:
        try:
            with connection.transaction():
                copy_documents(connection, tables, rows)
            return set()
        except (postgres.UniqueViolation, postgres.FeatureNotSupported):
            # Another writer was faster, or row-level security forbids COPY.
            pass
    if not rows:
        return set()
    inserted = _execute(
        connection,
        f"INSERT INTO {tables.documents} (id, title, uri, content_hash, metadata)"
        " SELECT u.id, u.title, u.uri, u.content_hash, u.metadata::jsonb"
        f" FROM unnest({_DOCUMENT_ARRAYS}) AS u(id, title, uri, content_hash, metadata)"
        ' ORDER BY u.id COLLATE "C" ON CONFLICT (id) DO NOTHING RETURNING id',
        _document_arrays(rows),
    )
    return {row.id for row in rows} - {id for (id,) in inserted}


def _update_documents(connection: PsycopgConnection, tables: Tables, rows: Sequence[DocumentRow]) -> None:
    if rows:
        _execute(
            connection,
            f"UPDATE {tables.documents} AS d SET title = u.title, uri = u.uri, content_hash = u.content_hash,"
            " metadata = u.metadata::jsonb, updated_at = now()"
            f" FROM unnest({_DOCUMENT_ARRAYS}) AS u(id, title, uri, content_hash, metadata) WHERE d.id = u.id",
            _document_arrays(rows),
        )


def _insert_chunks(connection: PsycopgConnection, tables: Tables, rows: Sequence[ChunkRow]) -> None:
    if len(rows) >= _COPY_FROM:
        try:
            with connection.transaction():
                copy_chunks(connection, tables, rows)
            return
        except postgres.FeatureNotSupported:
            pass
    if not rows:
        return
    columns = "content, content_hash, span_start, span_end, tokens, metadata, embedding"
    _execute(
        connection,
        f"INSERT INTO {tables.chunks} (document_id, ordinal, {columns})"
        " SELECT u.document_id, u.ordinal, u.content, u.content_hash, u.span_start, u.span_end, u.tokens,"
        " u.metadata::jsonb, u.embedding"
        " FROM unnest(%(ids)b::text[], %(ordinals)b::int[], %(contents)b::text[], %(hashes)b::bytea[],"
        " %(starts)b::int[], %(ends)b::int[], %(tokens)b::int[], %(metadata)b::text[],"
        f" %(embeddings)b::{tables.vector_type}[])"
        f" AS u(document_id, ordinal, {columns})",
        {
            "ids": text_array([row.document_id for row in rows]),
            "ordinals": int_array([row.ordinal for row in rows]),
            "contents": text_array([row.content for row in rows]),
            "hashes": bytea_array([row.content_hash for row in rows]),
            "starts": int_array([row.span_start for row in rows]),
            "ends": int_array([row.span_end for row in rows]),
            "tokens": int_array([row.tokens for row in rows]),
            "metadata": text_array([row.metadata for row in rows]),
            "embeddings": vector_array([row.embedding for row in rows], tables.element_oid),
        },
    )


def _delete_chunks(connection: PsycopgConnection, tables: Tables, rows: Sequence[ChunkRow]) -> None:
    """Delete what is at the places of these chunks."""
    if rows:
        _execute(
            connection,
            f"DELETE FROM {tables.chunks} AS c USING unnest(%(ids)b::text[], %(ordinals)b::int[]) AS u(id, ordinal)"
            " WHERE c.document_id = u.id AND c.ordinal = u.ordinal",
            {
                "ids": text_array([row.document_id for row in rows]),
                "ordinals": int_array([row.ordinal for row in rows]),
            },
        )


def _delete_orphans(connection: PsycopgConnection, tables: Tables, counts: dict[str, int]) -> None:
    """Delete the chunks beyond the end of documents that became shorter."""
    if counts:
        _execute(
            connection,
            f"DELETE FROM {tables.chunks} AS c USING unnest(%(ids)b::text[], %(counts)b::int[]) AS u(id, count)"
            " WHERE c.document_id = u.id AND c.ordinal >= u.count",
            {"ids": text_array(list(counts)), "counts": int_array(list(counts.values()))},
        )


def _update_chunks(connection: PsycopgConnection, tables: Tables, rows: Sequence[ChunkUpdate]) -> None:
    """Write new places and metadata; embeddings and rows that are right already stay untouched."""
    if rows:
        _execute(
            connection,
            f"UPDATE {tables.chunks} AS c SET span_start = u.span_start, span_end = u.span_end,"
            " metadata = u.metadata::jsonb"
            " FROM unnest(%(ids)b::text[], %(ordinals)b::int[], %(starts)b::int[], %(ends)b::int[],"
            " %(metadata)b::text[]) AS u(document_id, ordinal, span_start, span_end, metadata)"
            " WHERE c.document_id = u.document_id AND c.ordinal = u.ordinal AND"
            " (c.span_start, c.span_end, c.metadata) IS DISTINCT FROM (u.span_start, u.span_end, u.metadata::jsonb)",
            {
                "ids": text_array([row.document_id for row in rows]),
                "ordinals": int_array([row.ordinal for row in rows]),
                "starts": int_array([row.span_start for row in rows]),
                "ends": int_array([row.span_end for row in rows]),
                "metadata": text_array([row.metadata for row in rows]),
            },
        )


def _update_metadata(connection: PsycopgConnection, tables: Tables, metadata: dict[str, str]) -> None:
    """Write the metadata of all chunks of documents, where it differs."""
    if metadata:
        _execute(
            connection,
            f"UPDATE {tables.chunks} AS c SET metadata = u.metadata::jsonb"
            " FROM unnest(%(ids)b::text[], %(metadata)b::text[]) AS u(document_id, metadata)"
            " WHERE c.document_id = u.document_id AND c.metadata IS DISTINCT FROM u.metadata::jsonb",
            {"ids": text_array(list(metadata)), "metadata": text_array(list(metadata.values()))},
        )


_DOCUMENT_ARRAYS = "%(ids)b::text[], %(titles)b::text[], %(uris)b::text[], %(hashes)b::bytea[], %(metadata)b::text[]"


def _document_arrays(rows: Sequence[DocumentRow]) -> dict[str, Any]:
    return {
        "ids": text_array([row.id for row in rows]),
        "titles": text_array([row.title for row in rows]),
        "uris": text_array([row.uri for row in rows]),
        "hashes": bytea_array([row.content_hash for row in rows]),
        "metadata": text_array([row.metadata for row in rows]),
    }


def _execute(
    connection: PsycopgConnection, statement: str, parameters: dict[str, Any]
) -> psycopg.Cursor[tuple[Any, ...]]:
    return connection.execute(statement, parameters, binary=True)
