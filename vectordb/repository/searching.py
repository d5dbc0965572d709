"""Searches as they are sent: a statement and its queries in, rows out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from vectordb.database import PsycopgConnection
from vectordb.repository.arrays import text_array, vector_array
from vectordb.search.highlights import highlight_expression
from vectordb.search.statements import Statement
from vectordb.tables import SearchedTable, Tables
from vectordb.vector_types import BinaryParameter


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


def search_chunks(
    connection: PsycopgConnection, statement: Statement, query: bytes, parameters: Mapping[str, Any] | None = None
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
) -> list[list[FoundRow]]:
    """Return the rows of a search with many queries, for each query as `search_chunks` does.

    Round trips: 1.
    """
    rows = connection.execute(
        statement.sql,
        {**statement.parameters, "queries": vector_array(queries, tables.element_oid)},
        prepare=statement.prepare,
        binary=True,
    ).fetchall()
    found: list[list[FoundRow]] = [[] for _ in queries]
    for number, *row in rows:
        found[number - 1].append(FoundRow(*row))
    for part in found:
        part.sort(key=_by_distance)
    return found


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


def count_rows(connection: PsycopgConnection, tables: SearchedTable, most: int) -> int:
    """Return how many rows have an embedding, at most `most`."""
    condition = f" WHERE c.{tables.embedding} IS NOT NULL" if tables.nullable else ""
    row = connection.execute(
        f"SELECT count(*) FROM (SELECT FROM {tables.searched} AS c{condition} LIMIT {most:d}) AS found", prepare=False
    ).fetchone()
    assert row is not None  # noqa: S101 - count always has one
    return int(row[0])


def _by_distance(row: Any) -> tuple[float, str, int]:
    return row[4], row[0], row[1]
