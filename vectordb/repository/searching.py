"""Searches as they are sent: a statement and its queries in, rows out."""

from __future__ import annotations

from typing import Any, NamedTuple

from vectordb.database import PsycopgConnection
from vectordb.repository.arrays import text_array, vector_array
from vectordb.search.statements import Statement
from vectordb.tables import Tables
from vectordb.vector_types import BinaryParameter


class FoundRow(NamedTuple):
    """A row of a search statement; `metadata` is JSON text, `embedding` is there only where it was asked for."""

    document_id: str
    ordinal: int
    content: str
    metadata: str
    distance: float
    embedding: bytes = b""


def search_chunks(
    connection: PsycopgConnection, statement: Statement, query: bytes, parameters: dict[str, Any] | None = None
) -> list[FoundRow]:
    """Return the rows of a search by ascending distance, ties by document and ordinal.

    Round trips: 1.
    """
    rows = connection.execute(
        statement.sql,
        {**statement.parameters, **(parameters or {}), "query": BinaryParameter(query)},
        prepare=statement.prepare,
        binary=True,
    ).fetchall()
    rows.sort(key=_by_distance)
    return rows  # type: ignore[return-value] # plain tuples are quicker, and of the same order


def search_many(
    connection: PsycopgConnection,
    tables: Tables,
    statement: Statement,
    queries: list[bytes],
    parameters: dict[str, Any] | None = None,
) -> list[list[FoundRow]]:
    """Return the rows of a search with many queries, for each query as `search_chunks` does.

    Round trips: 1.
    """
    rows = connection.execute(
        statement.sql,
        {**statement.parameters, **(parameters or {}), "queries": vector_array(queries, tables.element_oid)},
        prepare=statement.prepare,
        binary=True,
    ).fetchall()
    found: list[list[FoundRow]] = [[] for _ in queries]
    for number, *row in rows:
        found[number - 1].append(FoundRow(*row))
    for part in found:
        part.sort(key=_by_distance)
    return found


def search_documents(
    connection: PsycopgConnection, statement: Statement, query: bytes, ids: list[str] | None = None
) -> list[FoundRow]:
    """Return the rows of a search for documents, as `search_chunks` does."""
    return search_chunks(connection, statement, query, {} if ids is None else {"ids": text_array(ids)})


def count_chunks(connection: PsycopgConnection, tables: Tables, most: int) -> int:
    """Return how many chunks there are, at most `most`."""
    row = connection.execute(
        f"SELECT count(*) FROM (SELECT FROM {tables.chunks} LIMIT {most:d}) AS found", prepare=False
    ).fetchone()
    assert row is not None  # noqa: S101 - count always has one
    return int(row[0])


def _by_distance(row: Any) -> tuple[float, str, int]:
    return row[4], row[0], row[1]
