"""Statements that rank by text: BM25 alone, and fused with the vector.

BM25 is exact. A pass looks at all texts that may reach some score; the best of them are the best of all as soon as
enough reach it. The first scores are guesses, those after are proven by what was found. All passes are one statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vectordb.filters import Filter
from vectordb.fusion import RRF, Bounded, NamedFusion
from vectordb.metrics import Metric, VectorSpace
from vectordb.search.planning import Access
from vectordb.search.statements import (
    Shape,
    Statement,
    distance_expression,
    key_columns,
    key_names,
    search_statement,
)
from vectordb.search.where import where_clause
from vectordb.tables import SearchedTable

# BM25 of a row c under a plan p. The text is read once, with the lexemes of the query labelled A in it, and these are
# taken out. PostgreSQL has no cheap function for the number of positions in a tsvector, but sent with them it is longer
# by two bytes for each.
_LENGTH = (
    "CASE WHEN pg_client_encoding() = getdatabaseencoding()"
    " THEN (octet_length(tsvectorsend(l.content)) - octet_length(tsvectorsend(strip(l.content)))) / 2"
    " ELSE {schema}text_length(l.content) END"
)
_SCORE = (
    "(SELECT sum(p.weights[array_position(p.lexemes, o.lexeme)]"
    " * cardinality(o.positions) / (cardinality(o.positions) + n.norm))"
    " FROM (SELECT setweight(c.{text}, 'A', p.lexemes) AS content OFFSET 0) AS l"
    " CROSS JOIN LATERAL (SELECT p.k1 * (1 - p.b + p.b * {length} / p.average) AS norm OFFSET 0) AS n"
    " CROSS JOIN unnest(ts_filter(l.content, '{{a}}')) AS o)"
)


@dataclass(frozen=True, slots=True)
class Depth:
    """How far a hybrid search looks.

    Attributes:
        limit: Most rows to return.
        candidates: To take from the vector's list and from the text's, each.
    """

    limit: int
    candidates: int


def text_statement(tables: SearchedTable, limit: int, where: Filter | None) -> Statement:
    """Return the statement that finds the best rows by BM25 for the parameter `text`.

    Rows, best first: the key (key1, key2, …), what the table shows (metadata as JSON text), distance, which is NULL,
    score, vector_rank, which is NULL, text_rank, text_score.

    Args:
        tables: To be searched, with a text index.
        limit: Most rows.
        where: Which rows count; None for all.
    """
    parts, parameters = _best_by_text(tables, limit, where)
    shown = _shown(tables, ["k.", "c."])
    source = f"_texts AS k JOIN {tables.searched} AS c ON {_same_key(tables, 'k')}" if tables.shown else "_texts AS k"
    return Statement(
        f"WITH {parts} SELECT {shown}, NULL::float8 AS distance, k.score, NULL::bigint AS vector_rank,"
        f" k.rank AS text_rank, k.score AS text_score FROM {source} ORDER BY k.rank",
        parameters,
        prepare=where is None,
    )


def hybrid_statement(
    tables: SearchedTable,
    space: VectorSpace,
    access: Access,
    depth: Depth,
    fusion: NamedFusion | None,
    where: Filter | None,
    *,
    demanding: bool = False,
) -> Statement:
    """Return the statement that finds the best rows for the parameters `query`, a vector, and `text`.

    Rows, best first: the key (key1, key2, …), what the table shows (metadata as JSON text), distance, score,
    vector_rank, text_rank, text_score, near, which is the number of rows in the vector's list, most, which is the most
    that the text could score. Distance and text score are true ones for every row; a rank is None where the row was not
    in that list.

    Args:
        tables: To be searched, with a text index.
        space: Of the embeddings.
        access: How to reach the vector's list.
        depth: How far to look.
        fusion: What makes one score of two; None returns all candidates, scored 0.
        where: Which rows count; None for all.
        demanding: Whether the text may exclude words, or insist on phrases, which holds for the vector's list, too.
    """
    texts, parameters = _best_by_text(tables, depth.candidates, where)
    near = search_statement(tables, access, Shape(depth.candidates, keys=True, required=demanding), where)
    fused = "0::float8" if fusion is None else _fused(fusion, space, missing=tables.nullable)
    limit = "" if fusion is None else f" LIMIT {depth.limit:d}"
    keys = ", ".join(key_names(tables))
    found = ", ".join([*(f"f.{name}" for name in key_names(tables)), *(f"c.{name}" for name in tables.shown)])
    parts = (
        texts,
        f"_near AS MATERIALIZED ({near.sql})",
        # PostgreSQL takes what an index scan returns for sorted by the distance; by an expression over it, it sorts.
        f"_vectors AS (SELECT n.*, row_number() OVER (ORDER BY distance + 0, {keys}) AS rank FROM _near AS n)",
        f"_found AS (SELECT {keys}, v.distance, v.rank AS vector_rank, k.rank AS text_rank, k.score AS text_score"
        f" FROM _vectors AS v FULL JOIN _texts AS k USING ({keys}))",
        f"_candidates AS MATERIALIZED (SELECT {found}, coalesce(f.distance, {distance_expression(tables)}) AS distance,"
        f" f.vector_rank, f.text_rank, coalesce(f.text_score, {_score(tables)}, 0) AS text_score"
        f" FROM _found AS f JOIN {tables.searched} AS c ON {_same_key(tables, 'f')} CROSS JOIN _plan AS p)",
        "_bound AS MATERIALIZED (SELECT coalesce(sum(weight), 0) AS most FROM _plan, unnest(weights) AS weight)",
        f"_scored AS (SELECT k.*, {fused} AS score FROM _candidates AS k)",
        f"_best AS (SELECT * FROM _scored ORDER BY score DESC, {keys}{limit})",
    )
    return Statement(
        f"WITH {', '.join(parts)} SELECT {_shown(tables, ['', ''])}, distance, score, vector_rank, text_rank,"
        " text_score, (SELECT count(*) FROM _near) AS near, (SELECT most FROM _bound) AS most"
        f" FROM _best ORDER BY score DESC, {keys}",
        {**parameters, **near.parameters},
        prepare=where is None,
    )


def _best_by_text(tables: SearchedTable, limit: int, where: Filter | None) -> tuple[str, dict[str, Any]]:
    """Return the parts of a WITH clause that end in `texts`: the keys, scores and ranks of the best rows."""
    condition, parameters = ("true", {}) if where is None else where_clause(where, "c", tables)
    functions, text = tables.functions, f"c.{tables.text}"
    names = key_names(tables)
    keys = ", ".join(names)
    best = (
        f"SELECT {', '.join(key_columns(tables))}, {_score(tables)} AS score FROM {tables.searched} AS c"
        f" WHERE {functions}lexeme_tiers({text}) @@ passes.condition"
        f" AND (p.required IS NULL OR {text} @@ p.required) AND ({condition})"
        f" ORDER BY score DESC NULLS LAST, {keys} LIMIT {limit:d}"
    )
    arrays = ", ".join(f"array_agg({name} ORDER BY place) AS {name}s" for name in names)
    together = (
        f"SELECT {arrays}, array_agg(score ORDER BY place) AS scores, count(*) AS found, min(score) AS lowest FROM ("
        f"SELECT *, row_number() OVER (ORDER BY score DESC, {keys}) AS place FROM ({best}) AS c WHERE score > 0) AS c"
    )
    # No keys, but of their type and collation.
    none = ", ".join(
        f"(SELECT array_agg(c.{key}) FROM {tables.searched} AS c WHERE false) AS {name}s"
        for key, name in zip(tables.keys, names, strict=True)
    )
    return (
        f"RECURSIVE _plan AS MATERIALIZED (SELECT * FROM {tables.text_plan}(%(text)s, {limit:d})), _passes AS ("
        f"SELECT 0 AS number, p.condition, p.threshold, 0::float8 AS proven, {none},"
        " NULL::float8[] AS scores FROM _plan AS p WHERE p.condition IS NOT NULL"
        f" UNION ALL SELECT passes.number + 1, n.condition, n.threshold, n.proven,"
        f" {', '.join(f'f.{name}s' for name in names)}, f.scores"
        f" FROM _passes AS passes CROSS JOIN _plan AS p CROSS JOIN LATERAL ({together}) AS f"
        f" CROSS JOIN LATERAL {functions}bm25_next(p.lexemes, p.weights, p.average, p.k1, p.b, p.guess,"
        f" f.found, f.lowest, {limit:d}, passes.threshold, passes.proven) AS n"
        " WHERE passes.condition IS NOT NULL"
        "), _texts AS MATERIALIZED ("
        "SELECT t.* FROM (SELECT * FROM _passes ORDER BY number DESC LIMIT 1) AS last,"
        f" unnest({', '.join(f'last.{name}s' for name in names)}, last.scores)"
        f" WITH ORDINALITY AS t({keys}, score, rank))",
        parameters,
    )


def _shown(tables: SearchedTable, prefixes: list[str]) -> str:
    """Return the columns of the key and what the table shows, as they are returned."""
    of_keys, of_shown = prefixes
    columns = [f"{of_keys}{name}" for name in key_names(tables)] + [f"{of_shown}{name}" for name in tables.shown]
    return ", ".join(f"{name}::text" if name.endswith("metadata") else name for name in columns)


def _same_key(tables: SearchedTable, alias: str) -> str:
    pairs = zip(tables.keys, key_names(tables), strict=True)
    return " AND ".join(f"c.{key} = {alias}.{name}" for key, name in pairs)


def _score(tables: SearchedTable) -> str:
    return _SCORE.format(length=_LENGTH.format(schema=tables.functions), text=tables.text)


def _fused(fusion: NamedFusion, space: VectorSpace, *, missing: bool) -> str:
    """Return the score of a candidate k as SQL; `vectordb.fusion` has the formulas."""
    if isinstance(fusion, RRF):
        k = _number(fusion.k)
        lists = zip(fusion.weights, ("vector_rank", "text_rank"), strict=True)
        return " + ".join(f"coalesce({_number(weight)} / ({k} + k.{rank}), 0)" for weight, rank in lists)
    vector = _vector_score(space, "k.distance")
    if missing:
        vector = f"coalesce({vector}, 0)"
    if isinstance(fusion, Bounded):
        text = "coalesce(k.text_score / nullif((SELECT most FROM _bound), 0), 0)"
    else:
        vector, text = _stretched(vector), _stretched("k.text_score")
    return f"{_number(fusion.alpha)} * {vector} + {_number(1 - fusion.alpha)} * {text}"


def _stretched(score: str) -> str:
    least = f"min({score}) OVER ()"
    return f"coalesce(({score} - {least}) / nullif(max({score}) OVER () - {least}, 0), 0)"


def _vector_score(space: VectorSpace, distance: str) -> str:
    """Return a score made of a distance, as `Metric.score` does."""
    if space.metric is Metric.INNER_PRODUCT:
        return f"(-{distance})"
    if space.metric in (Metric.L1, Metric.L2):
        return f"(1 / (1 + {distance}))"
    if space.metric is Metric.HAMMING:
        return f"(1 - {distance} / {space.dimensions:d})"
    return f"(1 - {distance})"


def _number(value: float) -> str:
    return f"{float(value)!r}::float8"
