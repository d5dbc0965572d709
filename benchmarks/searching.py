"""`docs.search(vector)` against the same statement on a bare psycopg connection, prepared and binary."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from benchmarks.data import clustered_vectors, recall
from benchmarks.measure import FLOOR, FLOOR_AGAIN, Row, Variant, compare, median, p10
from vectordb import HNSW, VectorDB
from vectordb.metrics import Storage
from vectordb.vector_types import BinaryParameter
from vectordb.vectors import encode

_STATEMENT = (
    "SELECT document_id, ordinal, content, metadata, embedding <=> %(query)b AS distance"
    " FROM vectordb.bench_search_chunks ORDER BY embedding <=> %(query)b LIMIT 10"
)
_QUERIES = 500


def run(db: VectorDB, raw: psycopg.Connection[tuple[object, ...]], rows: int, rounds: int) -> Iterator[Row]:
    """Measure at ef_search 40 and limit 10, one connection each."""
    ids = [f"document-{number:07d}" for number in range(rows)]
    matrix = clustered_vectors(rows, 384)
    queries = clustered_vectors(_QUERIES, 384, seed=2)
    collection = db.create_collection("bench_search", dimensions=384, index=None)
    try:
        collection.upsert_vectors(
            ids,
            matrix,
            contents=[f"The text of document {id}, some eighty bytes of it, as a passage has." for id in ids],
        )
        collection.create_index(HNSW())
        raw.execute("VACUUM ANALYZE vectordb.bench_search_chunks")
        encoded = [BinaryParameter(value) for value in encode(queries, Storage.VECTOR)]

        def floor(connection: psycopg.Connection[tuple[object, ...]]) -> Variant:
            connection.execute("SET hnsw.ef_search = 40")
            connection.execute("SET hnsw.iterative_scan = relaxed_order")
            return Variant(
                lambda number: connection.execute(
                    _STATEMENT, {"query": encoded[number % _QUERIES]}, prepare=True, binary=True
                ).fetchall()
            )

        def ours(number: int) -> object:
            return collection.search(queries[number % _QUERIES], ef_search=40)

        # Each variant has a connection of its own: a server process that has just run is quicker than one that rested.
        with psycopg.connect(raw.info.dsn, password=raw.info.password, autocommit=True) as second:
            variants = {FLOOR: floor(raw), FLOOR_AGAIN: floor(second), "search": Variant(ours)}
            times = compare(variants, rounds, warm_up=_QUERIES)
        base = p10(times[FLOOR])
        found = [[hit.document_id for hit in collection.search(query, ef_search=40)] for query in queries]
        benchmark = f"search, {rows:,} x 384, limit 10, recall {recall(found, queries, matrix, ids):.3f}"
        for name, seconds in times.items():
            ratio = p10(seconds) / base
            added = (p10(seconds) - base) * 1000
            asked = name == "search"
            yield Row(
                benchmark,
                f"{name} ({added:+.0f} us)" if asked else name,
                p10(seconds),
                median(seconds),
                ratio,
                "<= 1.15 x floor's time and <= +200 us" if asked else "",
                ratio <= 1.15 and added <= 200 if asked else None,
            )
    finally:
        db.drop_collection("bench_search")
