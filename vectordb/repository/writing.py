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
from vectordb.errors import OutsideView
from vectordb.filters import And, Filter
from vectordb.repository.arrays import bytea_array, int_array, text_array, vector_array
from vectordb.repository.copying import copy_chunks, copy_documents
from vectordb.repository.rows import ChunkRow, ChunkUpdate, DocumentRow, DocumentState, WritePlan
from vectordb.search.where import where_clause
from vectordb.tables import Tables

# From this many rows on COPY is faster than INSERT, in spite of its two further round trips.
_COPY_FROM = 64


def classify_documents(
    connection: PsycopgConnection,
    tables: Tables,
    rows: Sequence[DocumentRow],
    *,
    lock: bool = False,
    within: Filter | None = None,
) -> dict[str, DocumentState]:
    """Hold documents against what is stored; those that are not stored are left out.

    Args:
        connection: In a transaction, if `lock` is asked for.
        tables: Of the collection.
        rows: New versions of documents.
        lock: Keep what is stored as it is until the end of the transaction.
        within: What is stored and does not match is said to be outside.

    Round trips: 1.
    """
    outside, parameters = _outside(within, tables)
    found = _execute(
        connection,
        "SELECT d.id, d.content_hash, d.content_hash = u.content_hash,"
        " (d.title, d.uri, d.metadata) IS NOT DISTINCT FROM (u.title, u.uri, u.metadata::jsonb),"
        f" {outside} FROM unnest({_DOCUMENT_ARRAYS}) AS u(id, title, uri, content_hash, metadata)"
        f" JOIN {tables.documents} AS d ON d.id = u.id{' ORDER BY d.id FOR UPDATE OF d' if lock else ''}",
        parameters | _document_arrays(rows),
        filtered=within is not None,
    )
    return {id: DocumentState(*state) for id, *state in found}


def write_documents(
    connection: PsycopgConnection, tables: Tables, plan: WritePlan, *, within: Filter | None = None
) -> set[str]:
    """Carry out a plan in one transaction.

    Args:
        connection: To write to.
        tables: Of the collection.
        plan: Of documents that were within, or were not stored.
        within: What the caller is confined to. If another writer got to any of the documents first, nothing at all
            is written: the new plan may find it outside.

    Returns:
        Ids of documents of which nothing was written, because another writer got to them, or to others in case of
        `within`, since the plan was made. They need a new plan.

    Round trips: 2 to 12, whatever the number of rows.
    """
    planned, whole = plan, within is not None
    with connection.transaction():
        overtaken = _lock_documents(connection, tables, plan, within)
        if not (overtaken and whole):
            overtaken |= _insert_documents(connection, tables, plan.without(overtaken).new)
        if overtaken and whole:
            raise psycopg.Rollback
        plan = plan.without(overtaken)
        _update_documents(connection, tables, plan.changed)
        # A chunk is replaced by delete and insert, which with COPY takes half the time of an update; to the index it
        # is the same. The lock on its document keeps everybody else from inserting it in between.
        _delete_chunks(connection, tables, plan.changed_chunks)
        _delete_orphans(connection, tables, plan.chunk_counts)
        _insert_chunks(connection, tables, plan.new_chunks + plan.changed_chunks)
        _update_chunks(connection, tables, plan.kept_chunks)
        _update_metadata(connection, tables, plan.metadata_only)
    return planned.ids() if overtaken and whole else overtaken


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
    condition, parameters = _selection(tables, ids, where)
    cursor = _execute(
        connection,
        f"WITH locked AS (SELECT d.id FROM {tables.documents} AS d WHERE {condition}"
        f" ORDER BY d.id FOR UPDATE) DELETE FROM {tables.documents} AS d USING locked WHERE d.id = locked.id",
        parameters,
        filtered=where is not None,
    )
    return cursor.rowcount


def update_metadata(
    connection: PsycopgConnection,
    tables: Tables,
    set: str,
    remove: Sequence[str],
    ids: Sequence[str] | None,
    where: Filter | None,
    within: Filter | None,
) -> int:
    """Set and remove keys of the metadata of documents and of their chunks, in one transaction.

    Args:
        connection: To write to.
        tables: Of the collection.
        set: Keys with their new values, a JSON object.
        remove: Keys that go, before the others are set.
        ids: Which documents; None for any.
        where: Which of them; None for all.
        within: What the caller is confined to: which of them, and what they must match afterwards.

    Returns:
        How many documents are different from before.

    Raises:
        OutsideView: A document would not match `within` any more. Nothing is changed.

    Round trips: 3, or 4 if any document is different.
    """
    condition, parameters = _selection(tables, ids, And(tuple(part for part in (where, within) if part is not None)))
    with connection.transaction():
        rows = _execute(
            connection,
            "WITH locked AS (SELECT d.id, (d.metadata - %(remove)b::text[]) || %(set)s::jsonb AS metadata"
            f" FROM {tables.documents} AS d WHERE {condition} ORDER BY d.id FOR UPDATE)"
            f" UPDATE {tables.documents} AS d SET metadata = locked.metadata, updated_at = now() FROM locked"
            " WHERE d.id = locked.id AND d.metadata IS DISTINCT FROM locked.metadata RETURNING d.id",
            parameters | {"remove": text_array(remove), "set": set},
            filtered=True,
        )
        changed = [id for (id,) in rows]
        if changed:
            _copy_metadata(connection, tables, changed, within)
    return len(changed)


def _copy_metadata(connection: PsycopgConnection, tables: Tables, ids: Sequence[str], within: Filter | None) -> None:
    """Give changed documents' metadata to their chunks, and check that the documents are still within.

    A statement of its own, begun after the documents are locked: else it would miss the chunks that another writer,
    for whose lock we waited, has put in place of those that were there.
    """
    outside, parameters = _outside(within, tables)
    found = _execute(
        connection,
        f"WITH copied AS (UPDATE {tables.chunks} AS c SET metadata = d.metadata FROM {tables.documents} AS d"
        " WHERE d.id = ANY(%(ids)b::text[]) AND c.document_id = d.id AND c.metadata IS DISTINCT FROM d.metadata)"
        f" SELECT d.id FROM {tables.documents} AS d WHERE d.id = ANY(%(ids)b::text[]) AND {outside} LIMIT 1",
        parameters | {"ids": text_array(ids)},
        filtered=within is not None,
    ).fetchone()
    if found is not None:
        raise OutsideView(
            f"the document {found[0]!r} would leave this view of the collection; change what the view is confined to"
            " only through the collection itself",
            id=found[0],
        )


def _outside(within: Filter | None, tables: Tables) -> tuple[str, dict[str, Any]]:
    """Return the condition that a document does not match, and its parameters."""
    if within is None:
        return "false", {}
    condition, parameters = where_clause(within, "d", tables)
    return f"({condition}) IS NOT TRUE", parameters


def _selection(tables: Tables, ids: Sequence[str] | None, where: Filter | None) -> tuple[str, dict[str, Any]]:
    """Return the condition for documents by id and by filter, and its parameters."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    if where is not None:
        condition, parameters = where_clause(where, "d", tables)
        conditions.append(f"({condition})")
    if ids is not None:
        conditions.append("d.id = ANY(%(ids)b::text[])")
        parameters = parameters | {"ids": text_array(ids)}
    return " AND ".join(conditions), parameters


def _lock_documents(connection: PsycopgConnection, tables: Tables, plan: WritePlan, within: Filter | None) -> set[str]:
    """Lock the documents that the plan changes and return those that are not as they were, or are outside."""
    if not plan.changed:
        return set()
    outside, parameters = _outside(within, tables)
    rows = _execute(
        connection,
        f"SELECT d.id, d.content_hash FROM {tables.documents} AS d"
        f" WHERE d.id = ANY(%(ids)b::text[]) AND NOT {outside} ORDER BY d.id FOR UPDATE",
        parameters | {"ids": text_array([row.id for row in plan.changed])},
        filtered=within is not None,
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
    connection: PsycopgConnection, statement: str, parameters: dict[str, Any], *, filtered: bool = False
) -> psycopg.Cursor[tuple[Any, ...]]:
    """Run a statement; one with a filter is planned for its values every time, and so never prepared."""
    return connection.execute(statement, parameters, prepare=False if filtered else None, binary=True)
