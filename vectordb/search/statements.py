"""The statements of a search: which rows, by which distance, under which settings.

pgvector's settings (`hnsw.ef_search` and others) must hold for one statement and must not
leak to the next user of a pooled connection. They are set *inside* the statement, by a
sub-select that PostgreSQL evaluates once, before the index scan starts, and that lasts
until the statement's transaction ends. This takes no round trip of its own.

Source: pgvector README, sections "HNSW" and "Iterative Index Scans"; PostgreSQL manual on
`set_config`. That the order of evaluation holds is a test. In a transaction that goes on, the statement
also puts them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vectordb.filters import Filter
from vectordb.search.planning import (
    DEFAULT_EF_SEARCH,
    DEFAULT_PROBES,
    DEFAULT_VISITS,
    MAX_EF_SEARCH,
    Access,
    Strategy,
)
from vectordb.search.where import where_clause
from vectordb.tables import SearchedTable, Tables

_VISITS_PER_HIT = 20
# Times work_mem; what pgvector may use to remember the rows it has visited.
_SCAN_MEMORY = 4
# What pgvector has where nobody set anything.
_USUAL_SETTINGS = {
    "hnsw.ef_search": "40",
    "hnsw.iterative_scan": "off",
    "hnsw.max_scan_tuples": "20000",
    "hnsw.scan_mem_multiplier": "1",
    "ivfflat.iterative_scan": "off",
    "ivfflat.probes": "1",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a search statement returns.

    Attributes:
        limit: Most rows, for each query.
        offset: Rows to leave out first; only of an exact search is that the whole truth.
        many: Whether there are several queries; each row starts with the number of its query, from 1.
        embeddings: Whether each row ends with its embedding, in pgvector's binary form.
        within: Whether only rows up to the distance of the parameter `farthest` count; exact searches only.
        keys: Whether rows are made of the key and the distance only; not with `many` or `embeddings`.
        required: Whether only texts count that match `required` of the statement's `plan`, where it has any.
    """

    limit: int
    offset: int = 0
    many: bool = False
    embeddings: bool = False
    within: bool = False
    keys: bool = False
    required: bool = False


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


def search_statement(tables: SearchedTable, access: Access, shape: Shape, where: Filter | None) -> Statement:
    """Return the statement that finds the rows nearest to the parameter `query`, or `queries`.

    Rows: the key (key1, key2, …), what the table shows (metadata as JSON text), distance. An index scan may return
    them slightly out of order (`relaxed_order`); the caller sorts. LIMIT is part of the text, so that the planner
    knows it. A filtered statement is planned anew each time, because the best plan depends on the values.

    Args:
        tables: To be searched.
        access: How to reach the rows.
        shape: What to return.
        where: Which rows count; None for all.
    """
    distance = distance_expression(tables, "q.query" if shape.many else None)
    shown = () if shape.keys else tables.shown
    columns = ", ".join([*key_columns(tables), *(f"c.{name}" for name in shown)])
    conditions, parameters = _conditions(tables, access, where)
    if shape.within:
        conditions.append(f"{distance} <= %(farthest)s::float8")
    if shape.required:
        required = "(SELECT required FROM _plan)"
        conditions.append(f"({required} IS NULL OR c.{tables.text} @@ {required})")
    source = f"{tables.searched} AS c{_where(conditions)}"
    limit = f"LIMIT {max(shape.limit, access.rows):d}{f' OFFSET {shape.offset:d}' if shape.offset else ''}"
    embedding = f"c.{tables.embedding}"
    if access.strategy is Strategy.EXACT:
        # An expression over the distance is one that no index can order by. What is returned is made of the rows that
        # are left, not of all that are compared.
        order = ", ".join(["distance", *(f"c.{key}" for key in tables.keys)])
        compared = f", {embedding} AS embedding" if shape.embeddings else ""
        source = (
            f"(SELECT {columns}, ({distance}) + 0 AS distance{compared} FROM {source} ORDER BY {order} {limit}) AS c"
        )
        columns = ", ".join(f"c.{name}" for name in [*key_names(tables), *shown])
        distance, limit, embedding = "c.distance", "", "c.embedding"
    order = f" ORDER BY {distance} {limit}" if limit else ""
    sent = f", {tables.send}({embedding})" if shape.embeddings else ""
    columns = columns.replace("c.metadata", "c.metadata::text AS metadata")
    found = f"SELECT {columns}, {distance} AS distance{sent} FROM {source}{order}"
    if shape.many:
        found = (
            f"SELECT q.number, found.* FROM unnest(%(queries)b::{tables.vector_type}[])"
            f" WITH ORDINALITY AS q(query, number) CROSS JOIN LATERAL ({found}) AS found"
        )
    if access.keep and access.strategy is not Strategy.EXACT:
        found = _keeping_settings(found, access)
    return Statement(found, parameters, prepare=where is None)


def key_names(tables: SearchedTable) -> list[str]:
    """Return what the columns of the key are called in the rows of our statements."""
    return [f"key{number}" for number in range(1, len(tables.keys) + 1)]


def key_columns(tables: SearchedTable) -> list[str]:
    """Return the key of a row c, called so."""
    return [f"c.{key} AS {name}" for key, name in zip(tables.keys, key_names(tables), strict=True)]


def grouped_statement(
    tables: Tables, where: Filter | None, *, limit: int, offset: int, per_group: int, of_documents: bool = False
) -> Statement:
    """Return the exact search for the nearest documents, with the nearest chunks of each.

    Rows: as those of `search_statement`, without order.

    Args:
        tables: Of the collection.
        where: Which chunks count; None for all.
        limit: Most documents.
        offset: Documents to leave out first.
        per_group: Most chunks of a document.
        of_documents: Whether only documents in the parameter `ids` count.
    """
    conditions, parameters = _conditions(tables, Access(Strategy.EXACT), where)
    if of_documents:
        conditions.append("c.document_id = ANY(%(ids)b::text[])")
    near = (
        f"SELECT c.document_id, c.ordinal, ({distance_expression(tables)}) + 0 AS distance"
        f" FROM {tables.chunks} AS c{_where(conditions)}"
    )
    in_documents = (
        "SELECT near.*, row_number() OVER (PARTITION BY document_id ORDER BY distance, ordinal) AS place,"
        f" min(distance) OVER (PARTITION BY document_id) AS best FROM ({near}) AS near"
    )
    ranked = (
        "SELECT places.*, dense_rank() OVER (ORDER BY best, document_id) AS number"
        f" FROM ({in_documents}) AS places WHERE place <= {per_group:d}"
    )
    return Statement(
        "SELECT c.document_id, c.ordinal, c.content, c.metadata::text AS metadata, ranked.distance"
        f" FROM ({ranked}) AS ranked JOIN {tables.chunks} AS c"
        " ON c.document_id = ranked.document_id AND c.ordinal = ranked.ordinal"
        f" WHERE ranked.number > {offset:d} AND ranked.number <= {offset + limit:d}",
        parameters,
        prepare=where is None,
    )


def distance_expression(tables: SearchedTable, query: str | None = None) -> str:
    """Return the distance of a row c from a query, which is the parameter `query` unless another one is named."""
    operator = tables.operator.replace("%", "%%")  # psycopg's placeholders start with % as well
    # The type makes another statement of it, should a collection of this name be made again with another storage.
    return f"c.{tables.embedding} {operator} {query or f'%(query)b::{tables.vector_type}'}"


def _conditions(tables: SearchedTable, access: Access, where: Filter | None) -> tuple[list[str], dict[str, Any]]:
    exact = access.strategy is Strategy.EXACT
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    if where is not None:
        condition, parameters = where_clause(where, "c", tables, as_join=exact)
        # No other index serves `IS TRUE`, so that the rows come from the index over the embeddings.
        conditions.append(condition if exact else f"({condition}) IS TRUE")
    if not exact:
        conditions.append(settings_condition(access))
    if tables.nullable:
        # PostgreSQL may sort all rows instead of using the index.
        conditions.append(f"c.{tables.embedding} IS NOT NULL")
    return conditions, parameters


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def settings_condition(access: Access) -> str:
    """Return a condition that is always true and sets what the index scan obeys."""
    before = " FROM _before" if access.keep else ""
    calls = " || ".join(f"set_config('{name}', {value}, true)" for name, value in _settings(access).items())
    return f"(SELECT {calls}{before}) IS NOT NULL"


def _settings(access: Access) -> dict[str, str]:
    """Return the settings of an index scan, as SQL expressions."""
    once = access.strategy is Strategy.PLAIN and access.filtered
    settings = {f"{access.method}.iterative_scan": "'off'" if once else f"'{access.order}'"}
    if access.method == "hnsw":
        if access.explicit:
            settings["hnsw.ef_search"] = f"'{access.candidates:d}'"
        else:
            current = "nullif(current_setting('hnsw.ef_search', true), '')::int"
            settings["hnsw.ef_search"] = f"greatest({current}, {access.candidates:d})::text"
        if access.visits != DEFAULT_VISITS:
            settings["hnsw.max_scan_tuples"] = f"'{access.visits:d}'"
        if access.strategy is Strategy.ITERATIVE:
            settings["hnsw.scan_mem_multiplier"] = f"'{_SCAN_MEMORY:d}'"
    else:
        settings["ivfflat.probes"] = f"'{DEFAULT_PROBES:d}'"
    return settings


def _keeping_settings(found: str, access: Access) -> str:
    """Return a statement that leaves the settings as they were before it, for a transaction that goes on.

    What was set is read first, as what sets it reads from there; it is set again after all rows were found, as it waits
    for their number.
    """
    names = list(_settings(access))
    read = ", ".join(
        f"coalesce(nullif(current_setting('{name}', true), ''), '{_USUAL_SETTINGS[name]}') AS s{number}"
        for number, name in enumerate(names)
    )
    write = " || ".join(f"set_config('{name}', s{number}, true)" for number, name in enumerate(names))
    return (
        f"WITH _before AS MATERIALIZED (SELECT {read}), _found AS MATERIALIZED ({found}) SELECT _found.* FROM _found"
        f" WHERE (SELECT {write} FROM _before WHERE (SELECT count(*) FROM _found) >= 0) IS NOT NULL"
    )


def unfiltered_access(method: str | None, limit: int, ef_search: int | None) -> Access:
    """Return how a search without a filter reaches its rows."""
    if method is None:
        return Access(Strategy.EXACT)
    candidates = min(max(DEFAULT_EF_SEARCH if ef_search is None else ef_search, limit), MAX_EF_SEARCH)
    visits = max(DEFAULT_VISITS, limit * _VISITS_PER_HIT)
    return Access(Strategy.PLAIN, method, candidates, explicit=ef_search is not None, visits=visits)
