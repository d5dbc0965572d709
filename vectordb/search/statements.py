"""The statement of a search: which rows, by which distance, under which settings.

pgvector's settings (`hnsw.ef_search` and others) must hold for one statement and must not
leak to the next user of a pooled connection. They are set *inside* the statement, by a
sub-select that PostgreSQL evaluates once, before the index scan starts, and that lasts
until the statement's transaction ends. This takes no round trip of its own.

Source: pgvector README, sections "HNSW" and "Iterative Index Scans"; PostgreSQL manual on
`set_config`. That the order of evaluation holds is a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vectordb.errors import InvalidInput
from vectordb.filters import Filter
from vectordb.search.where import where_clause
from vectordb.tables import Tables

# On SciFact exact search has an nDCG@10 of 0.645; pgvector's own default of 40 candidates gives 0.636, 80 give 0.645.
DEFAULT_EF_SEARCH = 80
MAX_EF_SEARCH = 1_000
DEFAULT_PROBES = 10
MAX_LIMIT = 100_000
# pgvector visits at most this many tuples in one iterative scan, unless a large limit needs more.
_DEFAULT_SCAN_TUPLES = 20_000
_SCAN_TUPLES_PER_HIT = 20


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search.

    Args:
        limit: Most hits, 1 to 100,000.
        exact: Compare every row instead of using the index.
        ef_search: HNSW candidates, 1 to 1000; None has 80, or the server's setting where
            that is more. At least `limit` is used.

    Raises:
        InvalidInput: A number is out of range.
    """

    limit: int = 10
    exact: bool = False
    ef_search: int | None = None

    def __post_init__(self) -> None:
        _check("limit", self.limit, MAX_LIMIT)
        if self.ef_search is not None:
            _check("ef_search", self.ef_search, MAX_EF_SEARCH)


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with its parameters, ready for psycopg.

    Attributes:
        sql: Text with named placeholders.
        parameters: Their values, but for those the caller adds.
        prepare: Whether the server may keep and reuse the plan.
    """

    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    prepare: bool = True


def search_statement(tables: Tables, method: str | None, options: SearchOptions, where: Filter | None) -> Statement:
    """Return the statement that finds the chunks nearest to the parameter `query`.

    Rows: document_id, ordinal, content, metadata as JSON text, distance. An index scan may return them
    slightly out of order (`relaxed_order`); the caller sorts. LIMIT is part of the text, so that the
    planner knows it. A filtered statement is planned anew each time, because the best plan depends on
    the values.

    Args:
        tables: Of the collection.
        method: Of its vector index, `hnsw` or `ivfflat`; None where there is none.
        options: How to search.
        where: Which chunks count; None for all.
    """
    operator = tables.operator.replace("%", "%%")  # psycopg's placeholders start with % as well
    # The type makes another statement of it, should a collection of this name be made again with another storage.
    distance = f"c.embedding {operator} %(query)b::{tables.vector_type}"
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    if where is not None:
        condition, parameters = where_clause(where, "c")
        conditions.append(condition)
    if options.exact or method is None:
        # An expression over the distance is one that no index can order by.
        order = f"({distance}) + 0, c.document_id, c.ordinal"
    else:
        order = distance
        conditions.append(_settings(method, options))
    filtered = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return Statement(
        f"SELECT c.document_id, c.ordinal, c.content, c.metadata::text, {distance} AS distance"
        f" FROM {tables.chunks} AS c{filtered} ORDER BY {order} LIMIT {options.limit:d}",
        parameters,
        prepare=where is None,
    )


def _settings(method: str, options: SearchOptions) -> str:
    """Return a condition that is always true and sets what the index scan obeys."""
    settings = {f"{method}.iterative_scan": "'relaxed_order'"}
    if method == "hnsw":
        if options.ef_search is None:
            least = max(DEFAULT_EF_SEARCH, min(options.limit, MAX_EF_SEARCH))
            current = "nullif(current_setting('hnsw.ef_search', true), '')::int"
            settings["hnsw.ef_search"] = f"greatest({current}, {least:d})::text"
        else:
            settings["hnsw.ef_search"] = f"'{min(max(options.ef_search, options.limit), MAX_EF_SEARCH):d}'"
        tuples = options.limit * _SCAN_TUPLES_PER_HIT
        if tuples > _DEFAULT_SCAN_TUPLES:
            settings["hnsw.max_scan_tuples"] = f"'{tuples:d}'"
    else:
        settings["ivfflat.probes"] = f"'{DEFAULT_PROBES:d}'"
    calls = " || ".join(f"set_config('{name}', {value}, true)" for name, value in settings.items())
    return f"(SELECT {calls}) IS NOT NULL"


def _check(name: str, value: object, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput(f"{name} is a whole number from 1 to {most}, not {value!r:.40}")
