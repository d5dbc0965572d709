"""Searches under filters that leave over 0.1 to 100 % of 100,000 passages, against the best way to run each.

The passages are definitions from WordNet with real embeddings; the filter is on a declared field of random
numbers, on the same number undeclared, or on the subject of the definition, which has much to do with what is near
a query. The best way is the quicker of an exact search and pgvector's iterative scan with as many candidates as a
search has by default, each as a statement of its own on a bare connection, in the same run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray

from benchmarks.data import Passages, nearest, wordnet
from benchmarks.measure import Row, Variant, compare, median, p10
from vectordb import HNSW, Collection, F, Filter, Results, VectorDB
from vectordb.metrics import Storage
from vectordb.search.planning import DEFAULT_EF_SEARCH
from vectordb.vector_types import BinaryParameter
from vectordb.vectors import encode

_LIMIT = 10
_QUERIES = 200
_SHARES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 100.0)
_UNDECLARED_SHARES = (0.1, 1.0, 10.0)
_SUBJECTS = {5: "animals", 30: "change", 41: "social acts"}
_BUCKETS = 1_000
_RECALL = 0.95
_DISTANCE = "embedding <=> %(query)b"


@dataclass(frozen=True, slots=True)
class _Case:
    """A filter, the same in plain SQL, and the passages that it leaves over."""

    name: str
    where: Filter
    condition: str
    mask: NDArray[np.bool_]


def run(db: VectorDB, raw: psycopg.Connection[tuple[object, ...]], rows: int, rounds: int) -> Iterator[Row]:
    """Measure at limit 10."""
    passages = wordnet(rows, _QUERIES)
    bucket = np.random.default_rng(5).integers(0, _BUCKETS, len(passages.ids))
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
        raw.execute(f"SET hnsw.ef_search = {DEFAULT_EF_SEARCH}")
        for case in _cases(bucket, np.asarray(passages.subjects)):
            yield from _measure(raw, collection, passages, case, rounds)
    finally:
        db.drop_collection("bench_filter")


def _cases(bucket: NDArray[np.int64], subjects: NDArray[np.int64]) -> Iterator[_Case]:
    for share in _SHARES:
        below = int(share * _BUCKETS / 100)
        yield _Case(f"{share:g} %, declared", F("bucket") < below, f"bucket < {below}", bucket < below)
    for share in _UNDECLARED_SHARES:
        below = int(share * _BUCKETS / 100)
        condition = f"(metadata ->> 'number')::int < {below}"
        yield _Case(f"{share:g} %, undeclared", F("number") < below, condition, bucket < below)
    for subject, name in _SUBJECTS.items():
        mask = subjects == subject
        condition = f"""metadata @> '{{"subject": {subject}}}'"""
        yield _Case(f"{100 * mask.mean():.1f} %, {name}", F("subject") == subject, condition, mask)


def _measure(
    raw: psycopg.Connection[tuple[object, ...]], collection: Collection, passages: Passages, case: _Case, rounds: int
) -> Iterator[Row]:
    queries = passages.queries
    encoded = [BinaryParameter(value) for value in encode(queries, Storage.VECTOR)]

    def statement(order: str) -> Variant:
        sql = (
            f"SELECT document_id, ordinal, content, metadata, {_DISTANCE} AS distance FROM vectordb.bench_filter_chunks"
            f" WHERE {case.condition} ORDER BY {order} LIMIT {_LIMIT}"
        )
        # Planned for its values every time, as a filtered statement must be.
        return Variant(
            lambda number: raw.execute(
                sql, {"query": encoded[number % _QUERIES]}, prepare=False, binary=True
            ).fetchall()
        )

    variants = {
        "exact": statement(f"({_DISTANCE}) + 0"),
        "iterative": statement(_DISTANCE),
        "search": Variant(lambda number: collection.search(queries[number % _QUERIES], where=case.where)),
    }
    # A server process maps a page of shared memory when it first touches it, which takes longer than to read it.
    for number in range(2 * _QUERIES):
        variants["iterative"].run(number)
        variants["search"].run(number)
    times = compare(variants, rounds, warm_up=5)
    best = min(p10(times["exact"]), p10(times["iterative"]))
    truth = nearest(passages.documents, queries, passages.ids, case.mask, _LIMIT)
    found = [collection.search(query, where=case.where) for query in queries]
    recall, fewest = _quality(found, truth)
    ways = Counter(results.plan.strategy for results in found if results.plan is not None)
    for name, seconds in times.items():
        asked = name == "search"
        met = p10(seconds) <= 1.3 * best + 0.4 and recall >= _RECALL and fewest == min(_LIMIT, int(case.mask.sum()))
        shown = ", ".join(f"{way} {count}" for way, count in ways.most_common())
        yield Row(
            f"filter {case.name}",
            f"search: recall {recall:.3f}, {fewest}+ rows; {shown}" if asked else name,
            p10(seconds),
            median(seconds),
            p10(seconds) / best,
            f"<= 1.3 x best + 0.4 ms, all rows, recall >= {_RECALL}" if asked else "",
            met if asked else None,
        )


def _quality(found: list[Results], truth: list[set[str]]) -> tuple[float, int]:
    """Return recall, and the fewest rows of a search."""
    hits = sum(len(true & {hit.document_id for hit in results}) for results, true in zip(found, truth, strict=True))
    return hits / max(1, sum(map(len, truth))), min(map(len, found))
