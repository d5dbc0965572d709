"""Searches under filters that leave over 0.1 to 100 % of 100,000 passages, against the best way to run each.

The passages are definitions from WordNet with real embeddings; the filter is on a declared field of random
numbers, on the same number undeclared, or on the subject of the definition, which has much to do with what is near
a query. The best way is the quicker of an exact search and pgvector's iterative scan, each forced, in the same run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg

from benchmarks.data import Passages, nearest, wordnet
from benchmarks.measure import Row, Variant, compare, median, p10
from vectordb import HNSW, Collection, F, Filter, VectorDB
from vectordb.metrics import Storage
from vectordb.vector_types import BinaryParameter
from vectordb.vectors import encode

_LIMIT = 10
_QUERIES = 200
_SHARES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 100.0)
_SUBJECTS = ((5, "animals"), (30, "change"), (41, "social acts"))
_BUCKETS = 1_000
_RECALL = 0.95


def run(db: VectorDB, raw: psycopg.Connection[tuple[object, ...]], rows: int, rounds: int) -> Iterator[Row]:
    """Measure at limit 10, every way on a connection of its own."""
    passages = wordnet(rows, _QUERIES)
    rows = len(passages.ids)
    bucket = np.random.default_rng(5).integers(0, _BUCKETS, rows)
    collection = db.create_collection("bench_filter", dimensions=384, index=None, fields={"bucket": int})
    try:
        collection.upsert_vectors(
            passages.ids,
            passages.documents,
            contents=passages.texts,
            metadata=[
                {"bucket": int(number), "number": int(number), "subject": subject}
                for number, subject in zip(bucket, passages.subjects, strict=True)
            ],
        )
        collection.create_index(HNSW())
        raw.execute("VACUUM ANALYZE vectordb.bench_filter_chunks")
        raw.execute("SET hnsw.iterative_scan = relaxed_order")
        for share in _SHARES:
            below = int(share * _BUCKETS / 100)
            mask = bucket < below
            yield from _measure(raw, collection, passages, f"{share:g} %, declared", F("bucket") < below, mask, rounds)
        for share in (1.0, 10.0):
            below = int(share * _BUCKETS / 100)
            name = f"{share:g} %, undeclared"
            yield from _measure(raw, collection, passages, name, F("number") < below, bucket < below, rounds)
        for subject, name in _SUBJECTS:
            mask = np.asarray(passages.subjects) == subject
            name = f"{100 * mask.mean():.1f} %, {name}"
            yield from _measure(raw, collection, passages, name, F("subject") == subject, mask, rounds)
    finally:
        db.drop_collection("bench_filter")


def _measure(
    raw: psycopg.Connection[tuple[object, ...]],
    collection: Collection,
    passages: Passages,
    name: str,
    where: Filter,
    mask: Any,
    rounds: int,
) -> Iterator[Row]:
    queries = passages.queries

    def forced(strategy: str | None) -> Variant:
        return Variant(
            lambda number: collection.search(queries[number % _QUERIES], limit=_LIMIT, where=where, strategy=strategy)
        )

    variants = {"exact": forced("exact"), "iterative": forced("iterative"), "search": forced(None)}
    if isinstance(where, type(F("bucket") < 1)) and str(where.field) == "bucket":
        variants["raw exact"] = _raw(raw, passages, f"({_DISTANCE}) + 0", int(where.value or 0))  # type: ignore[call-overload] # a number
        variants["raw iterative"] = _raw(raw, passages, _DISTANCE, int(where.value or 0))  # type: ignore[call-overload] # a number
    times = compare(variants, rounds, warm_up=5)
    best = min(p10(seconds) for variant, seconds in times.items() if variant != "search")
    found = {variant: _found(collection, queries, where, variant) for variant in ("iterative", "search")}
    truth = nearest(passages.documents, queries, passages.ids, mask, _LIMIT)
    for variant, seconds in times.items():
        note = ""
        if variant in found:
            recall, fewest, ways = _quality(found[variant], truth)
            note = f", recall {recall:.3f}, {fewest}+ rows" + (f", {ways}" if variant == "search" else "")
        asked = variant == "search"
        yield Row(
            f"filter {name}",
            variant + note,
            p10(seconds),
            median(seconds),
            p10(seconds) / best,
            f"<= 1.3 x best + 0.4 ms, all rows, recall >= {_RECALL}" if asked else "",
            p10(seconds) <= 1.3 * best + 0.4 and recall >= _RECALL and fewest == min(_LIMIT, int(mask.sum()))
            if asked
            else None,
        )


_DISTANCE = "embedding <=> %(query)b"


def _raw(raw: psycopg.Connection[tuple[object, ...]], passages: Passages, order: str, below: int) -> Variant:
    """Return the statement that an application would send itself, planned for its values."""
    encoded = [BinaryParameter(value) for value in encode(passages.queries, Storage.VECTOR)]
    statement = (
        f"SELECT document_id, ordinal, content, metadata, {_DISTANCE} AS distance FROM vectordb.bench_filter_chunks"
        f" WHERE bucket < %(below)s ORDER BY {order} LIMIT {_LIMIT}"
    )
    return Variant(
        lambda number: raw.execute(
            statement, {"query": encoded[number % _QUERIES], "below": below}, prepare=False, binary=True
        ).fetchall()
    )


def _found(collection: Collection, queries: Any, where: Filter, variant: str) -> list[Any]:
    strategy = None if variant == "search" else variant
    return [collection.search(query, limit=_LIMIT, where=where, strategy=strategy) for query in queries]


def _quality(found: list[Any], truth: list[set[str]]) -> tuple[float, int, str]:
    """Return recall, the fewest rows of a search, and which ways were taken."""
    hits = sum(len(true & {hit.document_id for hit in results}) for results, true in zip(found, truth, strict=True))
    total = sum(len(true) for true in truth)
    ways = {results.plan.strategy: 0 for results in found}
    for results in found:
        ways[results.plan.strategy] += 1
    shown = " ".join(f"{way} {count}" for way, count in sorted(ways.items())) if len(ways) > 1 else next(iter(ways))
    return hits / max(total, 1), min(len(results) for results in found), shown
