"""What PostgreSQL knows, or a sample of the table tells, of how many rows a filter leaves over."""

from __future__ import annotations

import json
import statistics
import time
from typing import Any, NamedTuple

from vectordb.database import PsycopgConnection
from vectordb.search.statements import Statement
from vectordb.tables import SearchedTable
from vectordb.vector_types import BinaryParameter

# Rows that a sample should hold: a share of 1 % is then known to a third of itself.
_SAMPLE_ROWS = 1_200
_LARGER_SAMPLE_ROWS = 6_000
_FEWEST_PAGES = 96
# A table with so many times fewer rows a page than usual is mostly dead rows, and not worth reading more of.
_SPARSEST = 6
_BLOCK = 8_192
_TIMED_QUERIES = 5


class TableSize(NamedTuple):
    """How large the table of chunks is.

    Attributes:
        pages: Of 8 kB, as of now.
        rows: As of the last ANALYZE, scaled to the pages of now; None where there was none.
    """

    pages: int
    rows: float | None


class Sample(NamedTuple):
    """What a sample of the table's pages showed.

    Attributes:
        pages: Looked at.
        rows: Found there.
        matches: Of these.
        microseconds: For each row.
    """

    pages: float
    rows: int
    matches: int
    microseconds: float


def table_size(connection: PsycopgConnection, tables: SearchedTable) -> TableSize:
    """Return the size of the searched table."""
    row = connection.execute(
        f"SELECT pg_relation_size(oid) / {_BLOCK}, reltuples, relpages FROM pg_class WHERE oid = %s::regclass",
        (tables.searched,),
        binary=True,
    ).fetchone()
    assert row is not None  # noqa: S101 - a name that is no table is an error of the cast
    pages, tuples, analyzed = int(row[0]), row[1], row[2]
    return TableSize(pages, tuples / analyzed * pages if tuples >= 0 and analyzed else None)


def explain(connection: PsycopgConnection, tables: SearchedTable, condition: Statement) -> tuple[float, bool]:
    """Return the rows that PostgreSQL's planner expects, and whether an index finds them.

    Args:
        connection: To ask on.
        tables: To be searched.
        condition: On its rows `c`.
    """
    row = connection.execute(
        f"EXPLAIN (FORMAT JSON) SELECT FROM {tables.searched} AS c WHERE {condition.sql}",
        condition.parameters,
        prepare=False,
    ).fetchone()
    assert row is not None  # noqa: S101 - EXPLAIN always has one
    plan = (row[0] if isinstance(row[0], list) else json.loads(row[0]))[0]["Plan"]
    table = tables.searched.rpartition(".")[2].strip('"')
    return float(plan["Plan Rows"]), not _reads_all(plan, table)


def _reads_all(plan: dict[str, Any], table: str) -> bool:
    if plan["Node Type"] == "Seq Scan" and plan.get("Relation Name") == table:
        return True
    return any(_reads_all(part, table) for part in plan.get("Plans", ()))


def sample(
    connection: PsycopgConnection, tables: SearchedTable, condition: Statement, size: TableSize, *, larger: bool = False
) -> Sample:
    """Check a condition on the rows of some pages, the same ones each time; of five times as many if `larger`."""
    share = _share(size, _LARGER_SAMPLE_ROWS if larger else _SAMPLE_ROWS)
    start = time.perf_counter()
    row = connection.execute(
        f"SELECT count(*), count(*) FILTER (WHERE {condition.sql}) FROM {_sampled(tables)}",
        {**condition.parameters, "share": share},
        prepare=False,
    ).fetchone()
    elapsed = time.perf_counter() - start
    assert row is not None  # noqa: S101 - count always has one
    return Sample(share / 100 * size.pages, row[0], row[1], elapsed * 1e6 / max(row[0], 1))


def sample_statement(tables: SearchedTable, size: TableSize) -> Statement:
    """Return a statement that compares the rows of the same pages with the parameter `query`."""
    operator = tables.operator.replace("%", "%%")
    return Statement(
        f"SELECT min(c.{tables.embedding} {operator} %(query)b::{tables.vector_type}) FROM {_sampled(tables)}",
        {"share": _share(size, _SAMPLE_ROWS)},
    )


def _share(size: TableSize, rows: int) -> float:
    """Return the percentage of the table's pages that should hold so many rows."""
    usual = _SAMPLE_ROWS / _FEWEST_PAGES
    per_page = size.rows / size.pages if size.rows and size.pages else usual
    pages = max(_FEWEST_PAGES, rows / max(per_page, usual / _SPARSEST))
    return min(100.0, 100.0 * pages / max(size.pages, 1))


def _sampled(tables: SearchedTable) -> str:
    return f"{tables.searched} AS c TABLESAMPLE SYSTEM (%(share)s::float4) REPEATABLE (1)"


def sample_vectors(connection: PsycopgConnection, tables: SearchedTable, size: TableSize) -> list[bytes]:
    """Return a few embeddings as pgvector has them, to search with."""
    rows = connection.execute(
        f"SELECT {tables.send}(c.{tables.embedding}) FROM {_sampled(tables)}"
        f" WHERE c.{tables.embedding} IS NOT NULL ORDER BY random() LIMIT {_TIMED_QUERIES}",
        {"share": _share(size, _SAMPLE_ROWS)},
        prepare=False,
        binary=True,
    )
    return [bytes(value) for (value,) in rows]


def time_statements(connection: PsycopgConnection, statements: list[Statement], queries: list[bytes]) -> list[float]:
    """Return the microseconds of each search statement: of two runs the better, of several queries the median."""
    seconds: list[list[float]] = [[] for _ in statements]
    for query in queries:
        for taken, statement in zip(seconds, statements, strict=True):
            taken.append(min(_time(connection, statement, query) for _ in range(2)))
    return [statistics.median(taken) * 1e6 for taken in seconds]


def _time(connection: PsycopgConnection, statement: Statement, query: bytes) -> float:
    parameters = {**statement.parameters, "query": BinaryParameter(query)}
    start = time.perf_counter()
    connection.execute(statement.sql, parameters, prepare=False, binary=True).fetchall()
    return time.perf_counter() - start
