"""`Repository.upsert` of an application's rows against a prebuilt COPY BINARY of the same rows into the same table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import psycopg
from sqlalchemy import Text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks.data import clustered_vectors
from benchmarks.measure import FLOOR, FLOOR_AGAIN, Row, Variant, compare, median, p10
from vectordb import FunctionEmbedder, VectorDB
from vectordb.orm import Repository, embedding_column

_COLUMNS = "id, title, body, price, embedding, embedding_hash"
_PIECE = 1 << 18


class _Base(DeclarativeBase):
    """Base of the benchmark's model."""


class Product(_Base):
    """Rows as an application has them; without a vector index, which would take most of the time on both sides."""

    __tablename__ = "bench_orm_products"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    price: Mapped[float]
    embedding = embedding_column(384, source="body", index=None)


def run(db: VectorDB, raw: psycopg.Connection[tuple[object, ...]], rows: int, rounds: int) -> Iterator[Row]:
    """Measure; texts are embedded beforehand, by a function that looks their vectors up."""
    matrix = clustered_vectors(rows, 384)
    texts = [
        f"Text number {number} about a product, with some words to say what it is good for." for number in range(rows)
    ]
    vectors = dict(zip(texts, matrix, strict=True))
    embedder = FunctionEmbedder(
        lambda some: np.stack([vectors[text] for text in some]), dimensions=384, name="prepared", batch_size=1_000
    )
    repository = Repository(Product, embedder=embedder)
    plain = [
        {"id": number, "title": f"Product {number}", "body": text, "price": number / 7}
        for number, text in enumerate(texts)
    ]
    changed = [{**row, "body": texts[number - 1]} for number, row in enumerate(plain)]
    with_vectors = [{**row, "embedding": vector} for row, vector in zip(plain, matrix, strict=True)]
    _Base.metadata.drop_all(db.engine)
    _Base.metadata.create_all(db.engine)
    try:
        _upsert(db, repository, plain)
        stream = _copy_out(raw)

        def filled() -> None:
            _empty(raw)
            _upsert(db, repository, plain)

        empty, floor = lambda: _empty(raw), Variant(lambda _: _copy_in(raw, stream), lambda: _empty(raw))
        times = compare(
            {
                FLOOR: floor,
                FLOOR_AGAIN: floor,
                "texts, all new": Variant(lambda _: _upsert(db, repository, plain), empty),
                "vectors, all new": Variant(lambda _: _upsert(db, repository, with_vectors), empty),
                "texts, all changed": Variant(lambda _: _upsert(db, repository, changed), filled),
                "nothing changed": Variant(lambda _: _upsert(db, repository, plain), filled),
            },
            rounds,
        )
        yield from _rows(f"Repository.upsert, {rows:,} x 384", times, {"texts, all new": 0.6, "vectors, all new": 0.6})
    finally:
        _Base.metadata.drop_all(db.engine)


def _upsert(db: VectorDB, repository: Repository[Product], rows: Sequence[Mapping[str, Any]]) -> None:
    with Session(db.engine) as session, session.begin():
        repository.upsert(session, rows)


def _rows(benchmark: str, times: Mapping[str, Sequence[float]], targets: Mapping[str, float]) -> Iterator[Row]:
    base = p10(times[FLOOR])
    for name, seconds in times.items():
        ratio, target = base / p10(seconds), targets.get(name)
        yield Row(
            benchmark,
            name,
            p10(seconds),
            median(seconds),
            ratio,
            "" if target is None else f">= {target} x floor's speed",
            None if target is None else ratio >= target,
        )


def _copy_out(raw: psycopg.Connection[tuple[object, ...]]) -> bytes:
    statement = f"COPY {Product.__tablename__} ({_COLUMNS}) TO STDOUT (FORMAT binary)"
    with raw.cursor() as cursor, cursor.copy(statement) as copy:
        return b"".join(bytes(piece) for piece in copy)


def _copy_in(raw: psycopg.Connection[tuple[object, ...]], stream: bytes) -> None:
    statement = f"COPY {Product.__tablename__} ({_COLUMNS}) FROM STDIN (FORMAT binary)"
    with raw.transaction(), raw.cursor() as cursor, cursor.copy(statement) as copy:
        for start in range(0, len(stream), _PIECE):
            copy.write(stream[start : start + _PIECE])


def _empty(raw: psycopg.Connection[tuple[object, ...]]) -> None:
    raw.execute(f"TRUNCATE {Product.__tablename__}")
    raw.execute("CHECKPOINT")
