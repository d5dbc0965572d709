"""Bulk load and upsert against a prebuilt COPY BINARY of the same rows into the same tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import psycopg
from numpy.typing import NDArray

from benchmarks.data import clustered_vectors
from benchmarks.measure import FLOOR, FLOOR_AGAIN, Row, Variant, compare, median, p10
from vectordb import VectorDB
from vectordb.collection import Collection

_TABLES = {
    "bench_write_documents": "id, title, uri, content_hash, metadata",
    "bench_write_chunks": (
        "document_id, ordinal, content, content_hash, span_start, span_end, tokens, metadata, embedding"
    ),
}
_PIECE = 1 << 18


def run(db: VectorDB, raw: psycopg.Connection[tuple[object, ...]], rows: int, rounds: int) -> Iterator[Row]:
    """Measure; the tables have their keys, but no vector index, which would take most of the time on both sides."""
    ids = [f"document-{number:07d}" for number in range(rows)]
    matrix = clustered_vectors(rows, 384)
    other = np.roll(matrix, 1, axis=0)
    collection = db.create_collection("bench_write", dimensions=384, index=None)
    try:
        collection.upsert_vectors(ids, matrix)
        streams = {table: _copy_out(raw, table, columns) for table, columns in _TABLES.items()}
        yield from _load(collection, raw, streams, ids, matrix, rounds)
        yield from _upsert(collection, raw, streams, ids, matrix, other, rounds)
    finally:
        db.drop_collection("bench_write")


def _load(
    collection: Collection,
    raw: psycopg.Connection[tuple[object, ...]],
    streams: dict[str, bytes],
    ids: list[str],
    matrix: NDArray[np.float32],
    rounds: int,
) -> Iterator[Row]:
    floor = Variant(lambda _: _copy_in(raw, streams), lambda: _empty(raw))
    ours = Variant(lambda _: collection.upsert_vectors(ids, matrix), lambda: _empty(raw))
    times = compare({FLOOR: floor, FLOOR_AGAIN: floor, "upsert_vectors": ours}, rounds)
    yield from _rows(f"bulk load, {len(ids):,} x 384", times, {"upsert_vectors": 0.9})


def _upsert(
    collection: Collection,
    raw: psycopg.Connection[tuple[object, ...]],
    streams: dict[str, bytes],
    ids: list[str],
    matrix: NDArray[np.float32],
    other: NDArray[np.float32],
    rounds: int,
) -> Iterator[Row]:
    half = len(ids) // 2
    other_ids = [f"new-{id}" for id in ids]

    def fill(count: int) -> None:
        _empty(raw)
        collection.upsert_vectors(ids[:count], matrix[:count])

    floor = Variant(lambda _: _copy_in(raw, streams), lambda: _empty(raw))
    times = compare(
        {
            FLOOR: floor,
            FLOOR_AGAIN: floor,
            "all new, as many stored": Variant(
                lambda _: collection.upsert_vectors(other_ids, matrix), lambda: fill(len(ids))
            ),
            "half new, half changed": Variant(lambda _: collection.upsert_vectors(ids, other), lambda: fill(half)),
            "all changed": Variant(lambda _: collection.upsert_vectors(ids, other), lambda: fill(len(ids))),
            "nothing changed": Variant(lambda _: collection.upsert_vectors(ids, matrix), lambda: fill(len(ids))),
        },
        rounds,
    )
    yield from _rows(
        f"upsert, {len(ids):,} x 384", times, {"all new, as many stored": 0.6, "half new, half changed": 0.6}
    )


def _rows(benchmark: str, times: Mapping[str, Sequence[float]], targets: dict[str, float]) -> Iterator[Row]:
    base = p10(times[FLOOR])
    for name, seconds in times.items():
        ratio = base / p10(seconds)
        target = targets.get(name)
        yield Row(
            benchmark,
            name,
            p10(seconds),
            median(seconds),
            ratio,
            "" if target is None else f">= {target} x floor's speed",
            None if target is None else ratio >= target,
        )


def _copy_out(raw: psycopg.Connection[tuple[object, ...]], table: str, columns: str) -> bytes:
    with raw.cursor() as cursor, cursor.copy(f"COPY vectordb.{table} ({columns}) TO STDOUT (FORMAT binary)") as copy:
        return b"".join(bytes(piece) for piece in copy)


def _copy_in(raw: psycopg.Connection[tuple[object, ...]], streams: dict[str, bytes]) -> None:
    with raw.transaction():
        for table, stream in streams.items():
            statement = f"COPY vectordb.{table} ({_TABLES[table]}) FROM STDIN (FORMAT binary)"
            with raw.cursor() as cursor, cursor.copy(statement) as copy:
                for start in range(0, len(stream), _PIECE):
                    copy.write(stream[start : start + _PIECE])


def _empty(raw: psycopg.Connection[tuple[object, ...]]) -> None:
    raw.execute("TRUNCATE vectordb.bench_write_documents, vectordb.bench_write_chunks")
    raw.execute("CHECKPOINT")
