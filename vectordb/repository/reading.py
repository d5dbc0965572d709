"""Operations that read. Each is one round trip, but for the stream."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from itertools import count, groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectordb import vectors
from vectordb.chunking import join_chunks
from vectordb.database import PsycopgConnection
from vectordb.documents import Document
from vectordb.errors import InvalidInput
from vectordb.fields import FieldType
from vectordb.filters import Field, Filter
from vectordb.metrics import VectorSpace
from vectordb.repository.arrays import bytea_array, text_array
from vectordb.repository.rows import StoredChunk
from vectordb.search.where import where_clause
from vectordb.tables import Tables, quote

Facet = str | int | float | bool

# Names of server-side cursors must differ within a connection.
_streams = count()
_OWN_FACETS = ("id", "title", "uri")
# Columns of these types hold what the metadata does. Numeric is read as another Python type than a number in JSON is,
# and a timestamp is not the string it was made from.
_PLAIN_TYPES = frozenset({FieldType.STR, FieldType.INT, FieldType.BOOL})


def get_documents(
    connection: PsycopgConnection, tables: Tables, ids: list[str], where: Filter | None = None
) -> dict[str, Document]:
    """Return the stored documents among `ids` that match, put together from their chunks."""
    condition, parameters = _where(where, tables)
    rows = connection.execute(
        _select_documents(tables, f"d.id = ANY(%(ids)b::text[]) AND {condition}"),
        {**parameters, "ids": text_array(ids)},
        prepare=_prepare(where),
        binary=True,
    )
    return {str(document.id): document for document in _documents(rows)}


def stream_documents(
    connection: PsycopgConnection, tables: Tables, where: Filter | None, itersize: int = 1000
) -> Generator[Document, None, None]:
    """Yield the documents that match, by id, as they were when the first was asked for.

    Neither side holds more than a part of the result. The server's cursor is closed when the generator is.

    Args:
        connection: In a transaction, which must stay open meanwhile.
        tables: Of the collection.
        where: Which documents.
        itersize: Chunks that are fetched at once.

    Round trips: 4, and 1 for every `itersize` chunks.
    """
    condition, parameters = _where(where, tables)
    with connection.cursor(f"vectordb_stream_{next(_streams)}") as cursor:
        cursor.itersize = itersize
        cursor.execute(_select_documents(tables, condition), parameters, binary=True)
        yield from _documents(cursor)


def _select_documents(tables: Tables, condition: str) -> str:
    """Return a statement for documents with their chunks, in order."""
    return (
        f"SELECT d.id, d.title, d.uri, d.metadata, c.span_start, c.content FROM {tables.documents} AS d"
        f" LEFT JOIN {tables.chunks} AS c ON c.document_id = d.id WHERE {condition} ORDER BY d.id, c.ordinal"
    )


def _documents(rows: Iterable[tuple[Any, ...]]) -> Iterator[Document]:
    """Put documents together from their chunks, one at a time."""
    for (id, title, uri), parts in groupby(rows, key=lambda row: row[:3]):
        chunks = list(parts)
        content = join_chunks((start, text) for *_, start, text in chunks if text is not None)
        yield Document(content, id, title=title, uri=uri, metadata=chunks[0][3])


def is_empty(connection: PsycopgConnection, tables: Tables) -> bool:
    """Return whether there is no document at all."""
    return connection.execute(f"SELECT FROM {tables.documents} LIMIT 1").fetchone() is None


def count_documents(connection: PsycopgConnection, tables: Tables, where: Filter | None) -> int:
    """Return how many documents match."""
    condition, parameters = _where(where, tables)
    row = connection.execute(
        f"SELECT count(*) FROM {tables.documents} AS d WHERE {condition}",
        parameters,
        prepare=_prepare(where),
    ).fetchone()
    assert row is not None  # noqa: S101 - count always has one
    return int(row[0])


def facets(
    connection: PsycopgConnection, tables: Tables, field: Field, where: Filter | None, limit: int | None
) -> list[tuple[Facet, int]]:
    """Count the documents that match by their value of a field; each element of an array counts once per document.

    Args:
        connection: To read from.
        tables: Of the collection.
        field: Of the metadata, or the document's id, title or uri.
        where: Which documents count.
        limit: Most values; None has all.

    Returns:
        Values with their counts, most frequent first, ties by value: false and true, numbers, strings. Documents
        without the field, or with null or an object there, are not counted.

    Raises:
        InvalidInput: The field is another column of the document.
    """
    condition, parameters = _where(where, tables)
    values, order, keys = _values_of(tables, field)
    return connection.execute(
        f"SELECT v.value, count(*) FROM {tables.documents} AS d CROSS JOIN LATERAL ({values}) AS v"
        f" WHERE {condition} GROUP BY v.value ORDER BY count(*) DESC, {order} LIMIT %(limit)s::bigint",
        {**parameters, **keys, "limit": limit},
        prepare=_prepare(where),
        binary=True,
    ).fetchall()


def _values_of(tables: Tables, field: Field) -> tuple[str, str, dict[str, Any]]:
    """Return a sub-select of the values that a document `d` has, how to order them as `v.value`, and parameters."""
    column = _column(tables, field)
    if column is not None:
        return f"SELECT {column} AS value WHERE {column} IS NOT NULL", "v.value", {}
    keys = {f"k{number}": key for number, key in enumerate(field.keys)}
    value = "".join(["d.metadata", *(f" -> %({name})s::text" for name in keys)])
    values = (
        f"SELECT DISTINCT e.value FROM (SELECT {value} AS value) AS f, jsonb_array_elements("
        "CASE jsonb_typeof(f.value) WHEN 'array' THEN f.value ELSE jsonb_build_array(f.value) END) AS e(value)"
        " WHERE jsonb_typeof(e.value) IN ('boolean', 'number', 'string')"
    )
    # jsonb compares strings by the collation of the database, which is another one in every database.
    order = (
        "jsonb_typeof(v.value), CASE jsonb_typeof(v.value) WHEN 'number' THEN (v.value)::numeric END,"
        " (v.value #>> '{}') COLLATE \"C\""
    )
    return values, order, keys


def _column(tables: Tables, field: Field) -> str | None:
    """Return the column that holds just what the field does, if there is one."""
    name = field.keys[0]
    if field.own:
        if name not in _OWN_FACETS:
            raise InvalidInput(f"the facets of {name} would be as many as documents; use {', '.join(_OWN_FACETS)}")
        return f'd.{quote(name)} COLLATE "C"'
    if len(field.keys) == 1 and tables.fields.get(name) in _PLAIN_TYPES:
        return f"d.{quote(name)}"
    return None


def get_vectors(
    connection: PsycopgConnection, tables: Tables, ids: list[str], space: VectorSpace, where: Filter | None = None
) -> dict[str, NDArray[np.float32]]:
    """Return the embeddings of documents that match, each of shape (chunks, dimensions), in order of the chunks."""
    condition, parameters = _where(where, tables)
    if where is not None:
        condition = f"EXISTS (SELECT FROM {tables.documents} AS d WHERE d.id = c.document_id AND {condition})"
    rows = connection.execute(
        f"SELECT c.document_id, {tables.send}(c.embedding) FROM {tables.chunks} AS c"
        f" WHERE c.document_id = ANY(%(ids)b::text[]) AND {condition} ORDER BY c.document_id, c.ordinal",
        {**parameters, "ids": text_array(ids)},
        prepare=_prepare(where),
        binary=True,
    ).fetchall()
    matrix = vectors.decode([bytes(value) for _, value in rows], space)
    found: dict[str, NDArray[np.float32]] = {}
    start = 0
    for id, group in groupby(rows, key=lambda row: row[0]):
        count = sum(1 for _ in group)
        found[id] = matrix[start : start + count]
        start += count
    return found


def stored_chunks(
    connection: PsycopgConnection, tables: Tables, expected: Mapping[str, bytes]
) -> dict[str, list[StoredChunk]]:
    """Return what can be reused of documents that are written anew.

    Args:
        connection: To read from.
        tables: Of the collection.
        expected: Content hash of each document as it was read before; one that has another by now is left out.
    """
    rows = connection.execute(
        f"SELECT c.document_id, c.ordinal, c.content_hash, {tables.send}(c.embedding)"
        " FROM unnest(%(ids)b::text[], %(hashes)b::bytea[]) AS u(id, content_hash)"
        f" JOIN {tables.documents} AS d ON d.id = u.id AND d.content_hash = u.content_hash"
        f" JOIN {tables.chunks} AS c ON c.document_id = d.id ORDER BY c.document_id, c.ordinal",
        {"ids": text_array(list(expected)), "hashes": bytea_array(list(expected.values()))},
        binary=True,
    )
    found: dict[str, list[StoredChunk]] = {}
    for id, ordinal, content_hash, embedding in rows:
        found.setdefault(id, []).append(StoredChunk(ordinal, content_hash, embedding))
    return found


def _prepare(where: Filter | None) -> bool | None:
    """Return whether psycopg may prepare a statement: one with a filter is planned for its values every time."""
    return None if where is None else False


def _where(where: Filter | None, tables: Tables) -> tuple[str, dict[str, Any]]:
    if where is None:
        return "true", {}
    condition, parameters = where_clause(where, "d", tables)
    return f"({condition})", parameters
