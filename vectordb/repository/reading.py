"""Operations that read. Each is one round trip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectordb import vectors
from vectordb.chunking import join_chunks
from vectordb.database import PsycopgConnection
from vectordb.documents import Document, Hit
from vectordb.filters import Filter
from vectordb.metrics import VectorSpace
from vectordb.repository.arrays import bytea_array, text_array
from vectordb.repository.rows import StoredChunk
from vectordb.search.statements import Statement
from vectordb.search.where import where_clause
from vectordb.tables import Tables
from vectordb.vector_types import BinaryParameter


def search_chunks(connection: PsycopgConnection, statement: Statement, query: bytes, space: VectorSpace) -> list[Hit]:
    """Return the hits of a search statement by ascending distance, ties by document and ordinal."""
    rows = connection.execute(
        statement.sql,
        {**statement.parameters, "query": BinaryParameter(query)},
        prepare=statement.prepare,
        binary=True,
    ).fetchall()
    rows.sort(key=_by_distance)
    score = space.score
    return [
        Hit(document_id, ordinal, content, json.loads(metadata), score(distance), distance, rank)
        for rank, (document_id, ordinal, content, metadata, distance) in enumerate(rows, 1)
    ]


def _by_distance(row: tuple[Any, ...]) -> tuple[float, str, int]:
    return row[4], row[0], row[1]


def get_documents(connection: PsycopgConnection, tables: Tables, ids: list[str]) -> dict[str, Document]:
    """Return the stored documents among `ids`, put together from their chunks."""
    selected = f"SELECT id, title, uri, metadata FROM {tables.documents} WHERE id = ANY(%(ids)b::text[])"
    return {
        str(document.id): document for document in _documents(connection, tables, selected, {"ids": text_array(ids)})
    }


def scan_documents(
    connection: PsycopgConnection, tables: Tables, where: Filter | None, after: str | None, limit: int
) -> list[Document]:
    """Return the next documents by id, at most `limit`, after the id `after`."""
    condition, parameters = _where(where)
    if after is not None:
        condition += " AND d.id > %(after)s"
    selected = (
        f"SELECT d.id, d.title, d.uri, d.metadata FROM {tables.documents} AS d WHERE {condition}"
        f" ORDER BY d.id LIMIT {limit:d}"
    )
    return _documents(connection, tables, selected, {**parameters, "after": after})


def _documents(
    connection: PsycopgConnection, tables: Tables, selected: str, parameters: dict[str, Any]
) -> list[Document]:
    rows = connection.execute(
        f"SELECT d.id, d.title, d.uri, d.metadata, c.span_start, c.content FROM ({selected}) AS d"
        f' LEFT JOIN {tables.chunks} AS c ON c.document_id = d.id ORDER BY d.id COLLATE "C", c.ordinal',
        parameters,
        binary=True,
    ).fetchall()
    documents = []
    for (id, title, uri), parts in groupby(rows, key=lambda row: row[:3]):
        chunks = list(parts)
        content = join_chunks((start, text) for *_, start, text in chunks if text is not None)
        documents.append(Document(content, id, title=title, uri=uri, metadata=chunks[0][3]))
    return documents


def is_empty(connection: PsycopgConnection, tables: Tables) -> bool:
    """Return whether there is no document at all."""
    return connection.execute(f"SELECT FROM {tables.documents} LIMIT 1").fetchone() is None


def count_documents(connection: PsycopgConnection, tables: Tables, where: Filter | None) -> int:
    """Return how many documents match."""
    condition, parameters = _where(where)
    row = connection.execute(
        f"SELECT count(*) FROM {tables.documents} AS d WHERE {condition}",
        parameters,
    ).fetchone()
    assert row is not None  # noqa: S101 - count always has one
    return int(row[0])


def get_vectors(
    connection: PsycopgConnection, tables: Tables, ids: list[str], space: VectorSpace
) -> dict[str, NDArray[np.float32]]:
    """Return the embeddings of documents, each of shape (chunks, dimensions), in order of the chunks."""
    rows = connection.execute(
        f"SELECT document_id, {tables.send}(embedding) FROM {tables.chunks}"
        " WHERE document_id = ANY(%(ids)b::text[]) ORDER BY document_id, ordinal",
        {"ids": text_array(ids)},
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


def _where(where: Filter | None) -> tuple[str, dict[str, Any]]:
    return ("true", {}) if where is None else where_clause(where, "d")
