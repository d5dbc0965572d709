"""Searches as they are sent: a statement and its queries in, rows out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from vectordb.database import PsycopgConnection
from vectordb.repository.arrays import text_array, vector_array
from vectordb.search.statements import Statement
from vectordb.tables import Tables
from vectordb.vector_types import BinaryParameter

T = TypeVar("T")


class FoundRow(NamedTuple):
    """A row of a search statement; `metadata` is JSON text, `embedding` is there only where it was asked for."""

    document_id: str
    ordinal: int
    content: str
    metadata: str
    distance: float
    embedding: bytes = b""


# What searches set, and what pgvector has where nobody did.
_SETTINGS = {
    "hnsw.ef_search": "40",
    "hnsw.iterative_scan": "off",
    "hnsw.max_scan_tuples": "20000",
    "hnsw.scan_mem_multiplier": "1",
    "ivfflat.iterative_scan": "off",
    "ivfflat.probes": "1",
}
_READ_SETTINGS = ", ".join(f"coalesce(current_setting('{name}', true), '{usual}')" for name, usual in _SETTINGS.items())
_WRITE_SETTINGS = ", ".join(f"set_config('{name}', %s, true)" for name in _SETTINGS)


def keeping_settings(connection: PsycopgConnection, work: Callable[[PsycopgConnection], T]) -> T:
    """Call `work`, and leave pgvector's settings as they were: in a transaction that goes on after a search.

    Round trips: 2, and those of `work`.
    """
    before = connection.execute(f"SELECT {_READ_SETTINGS}").fetchone()
    result = work(connection)
    connection.execute(f"SELECT {_WRITE_SETTINGS}", before)
    return result


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
