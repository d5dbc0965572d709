"""Text search against `ts_rank_cd`, `ts_rank` and bm25s in memory; hybrid search against its two halves.

The passages are WordNet's words with their definitions, with real embeddings. Queries come in classes by how common
their words are. `ts_rank_cd` and `ts_rank` rank what the same OR query finds over a GIN index on `content_tsv`, with
the parallelism that PostgreSQL chooses; bm25s scores the same lexemes. Overlap is the share of the ten best by BM25,
as bm25s has it and with ties allowed for, that is found.

Queries of a class differ much, so every variant runs each of them several times, and a ratio is the median over the
queries of one variant's quickest run against another's. What it takes to embed a query is not measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from benchmarks.data import wordnet_entries
from benchmarks.measure import FLOOR, FLOOR_AGAIN, Row, Variant, compare, median, p10
from vectordb import HNSW, Collection, FunctionEmbedder, SentenceTransformerEmbedder, VectorDB
from vectordb.fusion import Bounded
from vectordb.indexes import BM25
from vectordb.metrics import Metric, Storage, VectorSpace
from vectordb.search.planning import Access, Strategy
from vectordb.search.statements import Shape, Statement, search_statement
from vectordb.search.text import Depth, hybrid_statement, text_statement
from vectordb.tables import Tables, collection_tables
from vectordb.vector_types import BinaryParameter
from vectordb.vectors import encode_query

_Connection = psycopg.Connection[tuple[Any, ...]]

_LIMIT = 10
_DEPTH = 40  # of each half of a hybrid search with this limit, as `vectordb.searching.ranked` has it
_QUERIES = 8  # of a class
_HYBRID_QUERIES = 40
_REPETITIONS = 10
_SECONDS = 12.0  # for a class, of which at least two repetitions run
_WORDS = 8  # of a definition that make a natural query
_MANY = 0.85  # share of all passages: 100,000 of WordNet's 117,659
_MANY_MATCHES = 100_000
_COMMON_MS = 50
_MOST = "most match"
_SPACE = VectorSpace(384, Metric.COSINE, Storage.VECTOR)


@dataclass(frozen=True, slots=True)
class _Query:
    """A text, the lexemes that it asks for, each as often as it occurs, and how many passages have one of them."""

    text: str
    lexemes: tuple[str, ...]
    matches: int

    @property
    def tsquery(self) -> str:
        """All lexemes as alternatives."""
        quoted = (lexeme.replace("\\", "\\\\").replace("'", "''") for lexeme in self.lexemes)
        return " | ".join(f"'{lexeme}'" for lexeme in dict.fromkeys(quoted))


class _Reference:
    """BM25 by bm25s over the lexemes that PostgreSQL made."""

    def __init__(self, raw: _Connection, chunks: str) -> None:
        import bm25s

        rows = raw.execute(
            "SELECT document_id, ARRAY(SELECT lexeme FROM unnest(content_tsv), unnest(positions) AS place)"
            f" FROM {chunks}"
        ).fetchall()
        self._places = {id: place for place, (id, _) in enumerate(rows)}
        self._bm25 = bm25s.BM25(method="lucene", k1=BM25().k1, b=BM25().b)
        self._bm25.index([lexemes for _, lexemes in rows], show_progress=False)

    def search(self, query: _Query) -> object:
        """Return the ten best."""
        return self._bm25.retrieve([list(query.lexemes)], k=_LIMIT, show_progress=False)

    def overlap(self, query: _Query, found: Sequence[str]) -> float:
        """Return the share of the ten best that were found."""
        scores: NDArray[np.float32] = self._bm25.get_scores(list(query.lexemes))
        wanted = min(_LIMIT, query.matches)
        least = np.partition(scores, -wanted)[-wanted] * (1 - 1e-5)
        return sum(bool(scores[self._places[id]] >= least) for id in found[:wanted]) / wanted


def run(db: VectorDB, raw: _Connection, rows: int | None) -> Iterator[Row]:
    """Measure at limit 10; `rows` passages, all for None."""
    passages, definitions, matrix = wordnet_entries(rows)
    natural = list(dict.fromkeys(_first_words(text) for text in definitions[:_HYBRID_QUERIES]))
    embedder = _looked_up(natural)
    for config in ("english", "simple"):
        name = f"bench_ranking_{config}"
        collection = db.create_collection(name, embedder=embedder, text_config=config, index=None, text_index=None)
        try:
            collection.upsert_vectors([f"{number:06d}" for number in range(len(passages))], matrix, contents=passages)
            collection.create_text_index()
            chunks = f"vectordb.{name}_chunks"
            raw.execute(f"CREATE INDEX ON {chunks} USING gin (content_tsv)")
            if config == "english":
                collection.create_index(HNSW())
            raw.execute(f"VACUUM ANALYZE {chunks}")
            reference = _Reference(raw, chunks)
            for kind, queries in _classes(raw, chunks, config, definitions).items():
                yield from _measure_text(raw, collection, kind, queries, reference)
            if config == "english":
                yield from _measure_hybrid(raw, collection, natural)
        finally:
            db.drop_collection(name)


def _looked_up(texts: Sequence[str]) -> FunctionEmbedder:
    """Return an embedder that knows the vectors of these texts."""
    known = dict(zip(texts, SentenceTransformerEmbedder().embed(list(texts), input_type="query"), strict=True))
    return FunctionEmbedder(
        lambda asked: np.stack([known[text] for text in asked]), dimensions=384, name="look-up", normalized=True
    )


def _first_words(definition: str) -> str:
    """Return a natural query, without operators."""
    words = definition.replace('"', " ").replace("-", " ").split()
    return " ".join(word for word in words[:_WORDS] if word != "or")


def _classes(raw: _Connection, chunks: str, config: str, definitions: Sequence[str]) -> Mapping[str, list[_Query]]:
    """Return queries by class; a class without any is left out."""
    draw = np.random.default_rng(11)
    lexemes = _lexemes(raw, chunks, config)
    rare = [lexeme for lexeme, texts in lexemes if texts < 50]
    middling = [lexeme for lexeme, texts in lexemes if 50 <= texts < 2_000]
    common = [lexeme for lexeme, _ in lexemes[:50]]

    def drawn(among: list[str], *sizes: int) -> list[str]:
        counts = [min(len(among), sizes[number % len(sizes)]) for number in range(_QUERIES)]
        return [" ".join(draw.choice(among, count, replace=False)) for count in counts]

    stop_words = [" ".join(common[:count]) for count in (4, 6, 8, 12)]
    with_rarer = [f"{words} {draw.choice(middling)}" for words in stop_words[:2]]
    natural = [_first_words(text) for text in definitions[:40]]
    texts = {
        "rare words": drawn(rare, 1, 2, 3),
        "middling words": drawn(middling, 2, 3, 4),
        "common words": drawn(common, 1, 2, 3, 4, 5, 6),
        "definitions": natural[:_QUERIES],
        _MOST: [*stop_words, *with_rarer, *natural],
    }
    found = {kind: [_query(raw, chunks, config, text) for text in given] for kind, given in texts.items()}
    least = _MANY * _one(raw, f"SELECT count(*) FROM {chunks}")
    found[_MOST] = [query for query in found[_MOST] if query.matches >= least][:_QUERIES]
    return {
        f"text, {config}, {kind}": kept
        for kind, queries in found.items()
        if (kept := [query for query in queries if query.matches])
    }


def _lexemes(raw: _Connection, chunks: str, config: str) -> list[tuple[str, int]]:
    """Return lexemes that stand for themselves as words, and their number of passages; the most frequent first."""
    return raw.execute(
        "SELECT word, ndoc FROM ts_stat(%(of)s) WHERE word ~ '^[a-z]+$' AND word <> 'or'"
        " AND tsvector_to_array(to_tsvector(%(config)s::regconfig, word)) = ARRAY[word] ORDER BY ndoc DESC, word",
        {"of": f"SELECT content_tsv FROM {chunks}", "config": config},
    ).fetchall()


def _query(raw: _Connection, chunks: str, config: str, text: str) -> _Query:
    lexemes = _one(
        raw,
        "SELECT ARRAY(SELECT lexeme FROM unnest(to_tsvector(%s::regconfig, %s)), unnest(positions) AS place)",
        config,
        text,
    )
    query = _Query(text, tuple(lexemes), 0)
    return replace(
        query, matches=_one(raw, f"SELECT count(*) FROM {chunks} WHERE content_tsv @@ %s::tsquery", query.tsquery)
    )


def _one(raw: _Connection, statement: str, *values: object) -> Any:
    row = raw.execute(statement, values or None, prepare=False).fetchone()
    return None if row is None else row[0]


def _measure_text(
    raw: _Connection, collection: Collection, kind: str, queries: Sequence[_Query], reference: _Reference
) -> Iterator[Row]:
    chunks = f"vectordb.{collection.name}_chunks"

    def ranked_by(function: str) -> Callable[[_Query], list[str]]:
        sql = (
            f"SELECT document_id, ordinal, content, metadata, {function}(content_tsv, %(asked)s::tsquery) AS score"
            f" FROM {chunks} WHERE content_tsv @@ %(asked)s::tsquery ORDER BY score DESC LIMIT {_LIMIT}"
        )
        return lambda query: [
            row[0] for row in raw.execute(sql, {"asked": query.tsquery}, prepare=False, binary=True).fetchall()
        ]

    def ours(query: _Query) -> list[str]:
        return [hit.document_id for hit in collection.search(query.text, mode="text")]

    ways: dict[str, Callable[[_Query], Any]] = {
        "ts_rank_cd": ranked_by("ts_rank_cd"),
        "ts_rank": ranked_by("ts_rank"),
        "bm25s": reference.search,
        "search": ours,
        "search again": ours,
    }
    started = time.perf_counter()
    found = {name: [way(query) for query in queries] for name, way in ways.items()}
    times = _compared(ways, queries, time.perf_counter() - started)
    for name in ways:
        overlap = None
        if name != "bm25s":
            overlap = float(np.mean([reference.overlap(*pair) for pair in zip(queries, found[name], strict=True)]))
        yield _text_row(kind, name, queries, times, overlap)


def _text_row(
    kind: str, name: str, queries: Sequence[_Query], times: Mapping[str, Sequence[float]], overlap: float | None
) -> Row:
    quickest = _quickest(times[name], queries)
    ratio = float(np.median(quickest / _quickest(times["ts_rank_cd"], queries)))
    matches = [query.matches for query in queries]
    slowest = float(quickest.max()) * 1000
    targets: dict[str, bool] = {}
    if name == "search" and overlap is not None:
        targets["overlap >= 0.99"] = overlap >= 0.99
        targets[f"<= {_COMMON_MS} ms"] = slowest <= _COMMON_MS
        if min(matches) >= _MANY_MATCHES:
            targets["<= 0.1 x ts_rank_cd"] = ratio <= 0.1
    return Row(
        f"{kind} ({int(np.median(matches)):,} match)",
        f"{name} (slowest {slowest:.1f} ms{'' if overlap is None else f', overlap {overlap:.3f}'})",
        p10(times[name]),
        median(times[name]),
        ratio,
        ", ".join(targets),
        all(targets.values()) if targets else None,
    )


def _compared(
    ways: Mapping[str, Callable[[Any], Any]], queries: Sequence[Any], once: float
) -> dict[str, Sequence[float]]:
    """Run every way with every query, as often as time allows; `once` took so many seconds."""
    repetitions = min(_REPETITIONS, max(2, int(_SECONDS / once)))

    def variant(way: Callable[[Any], Any]) -> Variant:
        return Variant(lambda number: way(queries[number % len(queries)]))

    return compare({name: variant(way) for name, way in ways.items()}, repetitions * len(queries))


def _quickest(seconds: Sequence[float], queries: Sequence[Any]) -> NDArray[np.float64]:
    """Return the quickest run of each query."""
    runs: NDArray[np.float64] = np.asarray(seconds).reshape(-1, len(queries))
    quickest: NDArray[np.float64] = runs.min(axis=0)
    return quickest


def _measure_hybrid(raw: _Connection, collection: Collection, texts: Sequence[str]) -> Iterator[Row]:
    tables = _tables(raw, collection.name)
    vectors = {
        text: BinaryParameter(encode_query(vector, _SPACE))
        for text, vector in zip(texts, collection.embedder.embed(list(texts), input_type="query"), strict=True)
    }
    access = Access(Strategy.PLAIN, "hnsw", _DEPTH)
    halves = [search_statement(tables, access, Shape(_DEPTH), None), text_statement(tables, _DEPTH, None)]
    both = [hybrid_statement(tables, _SPACE, access, Depth(_LIMIT, _DEPTH), Bounded(), None)]

    def sent(connection: _Connection, statements: Sequence[Statement]) -> Callable[[str], object]:
        return lambda text: [
            connection.execute(
                each.sql, {"text": text, "query": vectors[text], **each.parameters}, prepare=True, binary=True
            ).fetchall()
            for each in statements
        ]

    def searched(mode: str, limit: int) -> Callable[[str], object]:
        return lambda text: collection.search(text, mode=mode, limit=limit)

    with psycopg.connect(raw.info.dsn, password=raw.info.password, autocommit=True) as second:
        ways = {
            FLOOR: sent(raw, halves),
            FLOOR_AGAIN: sent(second, halves),
            "hybrid statement": sent(raw, both),
            **{
                f"{mode}, limit {limit}": searched(mode, limit)
                for mode in ("vector", "text")
                for limit in (_LIMIT, _DEPTH)
            },
            "search": searched("hybrid", _LIMIT),
        }
        started = time.perf_counter()
        for way in ways.values():
            for text in texts:
                way(text)
        times = _compared(ways, texts, time.perf_counter() - started)
    yield from _hybrid_rows(times, texts)


def _hybrid_rows(times: Mapping[str, Sequence[float]], texts: Sequence[str]) -> Iterator[Row]:
    """Report each way against both halves sent one after the other, and a search against the searches of its halves."""
    quickest = {name: _quickest(seconds, texts) for name, seconds in times.items()}
    benchmark = f"hybrid, limit {_LIMIT}; the floor is both halves, {_DEPTH} rows each, on one connection"

    def row(name: str, shown: str, against: NDArray[np.float64], target: float | None = None) -> Row:
        ratio = float(np.median(quickest[name] / against))
        words = "" if target is None else f"<= {target} x that"
        met = None if target is None else ratio <= target
        return Row(benchmark, shown, p10(times[name]), median(times[name]), ratio, words, met)

    for name in times:
        if name != "search":
            yield row(name, name, quickest[FLOOR], 1.1 if name == "hybrid statement" else None)
    for limit in (_DEPTH, _LIMIT):
        parts = quickest[f"vector, limit {limit}"] + quickest[f"text, limit {limit}"]
        yield row("search", f"search, against vector + text of limit {limit}", parts, 1.1)


def _tables(raw: _Connection, name: str) -> Tables:
    schema = _one(raw, "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'")
    return collection_tables(name, _SPACE, schema="vectordb", extension_schema=schema, element_oid=0, text_index=True)
