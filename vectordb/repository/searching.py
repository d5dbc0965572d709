"""Searches as they are sent: a statement and its queries in, rows out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from vectordb.database import PsycopgConnection
from vectordb.repository.arrays import text_array, vector_array
from vectordb.search.highlights import highlight_expression
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


class RankedRow(NamedTuple):
    """A row of a statement that ranks by text, or by text and vector; `metadata` is JSON text.

    `near` counts the rows of the vector's list, `bound` is the most that a text could score.
    """

    document_id: str
    ordinal: int
    content: str
    metadata: str
    distance: float | None
    score: float
    vector_rank: int | None
    text_rank: int | None
    text_score: float | None
    near: int = 0
    bound: float = 0.0


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


def rank_chunks(
    connection: PsycopgConnection, statement: Statement, text: str, query: bytes | None = None
) -> list[RankedRow]:
    """Return the rows of a search by text, or by text and vector, best first.

    Round trips: 1.
    """
    parameters = {**statement.parameters, "text": text}
    if query is not None:
        parameters["query"] = BinaryParameter(query)
    cursor = connection.execute(statement.sql, parameters, prepare=statement.prepare, binary=True)
    return [RankedRow(*row) for row in cursor.fetchall()]


def highlight(connection: PsycopgConnection, tables: Tables, config: str, texts: list[tuple[str, str]]) -> list[str]:
    """Return texts with the words of a query marked, as `search.highlights.to_html` reads them.

    Args:
        connection: To use.
        tables: Of the collection.
        config: Text search configuration.
        texts: Pairs of a query and a text, both free of NUL.

    Round trips: 1.
    """
    words = (
        f"(SELECT string_agg({tables.functions}open_lexeme(lexeme) || chr(39), '|')::tsquery"
        f" FROM unnest(({tables.functions}text_query(%(config)s::regconfig, g.query)).lexemes) AS lexeme)"
    )
    marked = highlight_expression("g.text", "%(config)s::regconfig", f"coalesce({words}, ''::tsquery)")
    rows = connection.execute(
        f"SELECT {marked} FROM unnest(%(queries)b::text[], %(texts)b::text[]) WITH ORDINALITY AS g(query, text, place)"
        " ORDER BY place",
        {
            "config": config,
            "queries": text_array([query for query, _ in texts]),
            "texts": text_array([text for _, text in texts]),
        },
        prepare=False,
    ).fetchall()
    return [row[0] for row in rows]


def count_chunks(connection: PsycopgConnection, tables: Tables, most: int) -> int:
    """Return how many chunks there are, at most `most`."""
    row = connection.execute(
        f"SELECT count(*) FROM (SELECT FROM {tables.chunks} LIMIT {most:d}) AS found", prepare=False
    ).fetchone()
    assert row is not None  # noqa: S101 - count always has one
    return int(row[0])


def _by_distance(row: Any) -> tuple[float, str, int]:
    return row[4], row[0], row[1]
