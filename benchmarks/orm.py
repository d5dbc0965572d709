"""`Repository` against floors: a prebuilt COPY BINARY of the same rows, and the same query on a bare connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks.data import clustered_vectors
from benchmarks.measure import FLOOR, FLOOR_AGAIN, Row, Variant, compare, median, p10
from vectordb import FunctionEmbedder, VectorDB
from vectordb.metrics import Storage
from vectordb.orm import Repository, VectorColumn, embedding_column
from vectordb.vector_types import BinaryParameter
from vectordb.vectors import encode

_COLUMNS = "id, title, body, price, embedding, embedding_hash"
_PIECE = 1 << 18
_WRITTEN = 10_000
_STATEMENT = (
    "SELECT id, title, body, price, embedding <=> %(query)b AS distance"
    " FROM bench_orm_products {where} ORDER BY embedding <=> %(query)b LIMIT 10"
)
_QUERIES = 500


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


class _Prepared(FunctionEmbedder):
    """Looks vectors up that were made beforehand, with nothing around it that would be measured, too."""

    def __init__(self, matrix: NDArray[np.float32], texts: Sequence[str]) -> None:
        self._matrix, self._places = matrix, {text: number for number, text in enumerate(texts)}
        super().__init__(self.embed, dimensions=matrix.shape[1], name="prepared")

    def embed(self, texts: Sequence[str], **_: object) -> NDArray[np.float32]:
        """Return the vectors of texts."""
        return self._matrix[[self._places[text] for text in texts]]


def run(
    db: VectorDB, raw: psycopg.Connection[tuple[object, ...]], rows: int, rounds: int, searches: int
) -> Iterator[Row]:
    """Measure upserts of 10,000 rows, and searches among all of them.

    Args:
        db: Of the sessions.
        raw: For the floors.
        rows: To search among.
        rounds: Of upserts.
        searches: Rounds of searches.
    """
    _Base.metadata.drop_all(db.engine)
    _Base.metadata.create_all(db.engine)
    try:
        yield from _writes(db, raw, min(_WRITTEN, rows), rounds)
        yield from _searches(db, raw, rows, searches)
    finally:
        _Base.metadata.drop_all(db.engine)


def _writes(db: VectorDB, raw: psycopg.Connection[tuple[object, ...]], rows: int, rounds: int) -> Iterator[Row]:
    """Measure; texts are embedded beforehand, by a function that looks their vectors up."""
    matrix = clustered_vectors(rows, 384)
    plain = _products(rows)
    embedder = _Prepared(matrix, [row["body"] for row in plain])
    repository = Repository(Product, embedder=embedder)
    changed = [{**row, "body": plain[number - 1]["body"]} for number, row in enumerate(plain)]
    with_vectors = [{**row, "embedding": vector} for row, vector in zip(plain, matrix, strict=True)]
    _empty(raw)
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
    base, asked = p10(times[FLOOR]), {"texts, all new": 0.6, "vectors, all new": 0.6}
    for name, seconds in times.items():
        ratio, target = base / p10(seconds), asked.get(name)
        yield Row(
            f"Repository.upsert, {rows:,} x 384",
            name,
            p10(seconds),
            median(seconds),
            ratio,
            "" if target is None else f">= {target} x floor's speed",
            None if target is None else ratio >= target,
        )


def _searches(db: VectorDB, raw: psycopg.Connection[tuple[object, ...]], rows: int, rounds: int) -> Iterator[Row]:
    """Measure; every search builds its entities anew."""
    matrix, queries = clustered_vectors(rows, 384), clustered_vectors(_QUERIES, 384, seed=2)
    repository = Repository(Product, embedder=_Prepared(matrix, ()))
    _empty(raw)
    products = zip(_products(rows), matrix, strict=True)
    _upsert(db, repository, ({**row, "embedding": vector} for row, vector in products))
    raw.execute(f"CREATE INDEX ON {Product.__tablename__} USING hnsw (embedding vector_cosine_ops)")
    raw.execute(f"VACUUM ANALYZE {Product.__tablename__}")
    encoded = [BinaryParameter(value) for value in encode(queries, Storage.VECTOR)]

    def floor(connection: psycopg.Connection[tuple[object, ...]], where: str = "") -> Variant:
        connection.execute("SET hnsw.ef_search = 80")
        connection.execute("SET hnsw.iterative_scan = relaxed_order")
        statement = _STATEMENT.format(where=where)
        return Variant(
            lambda number: connection.execute(
                statement, {"query": encoded[number % _QUERIES]}, prepare=True, binary=True
            ).fetchall()
        )

    with (
        psycopg.connect(raw.info.dsn, password=raw.info.password, autocommit=True) as second,
        psycopg.connect(raw.info.dsn, password=raw.info.password, autocommit=True) as third,
        Session(db.engine) as session,
        Session(db.engine) as bare,
    ):

        def ours(where: Sequence[Any] = ()) -> Variant:
            return Variant(
                lambda number: repository.search(session, queries[number % _QUERIES], ef_search=80, where=where),
                session.expunge_all,
            )

        def bare_orm() -> Variant:
            """The least that entities cost: a SELECT of the ORM, made beforehand."""
            for name, value in (("hnsw.ef_search", "80"), ("hnsw.iterative_scan", "relaxed_order")):
                bare.execute(select(func.set_config(name, value, False)))
            distance = Product.embedding.cosine_distance(bindparam("query", type_=VectorColumn("vector", 384)))
            statement = select(Product, distance.label("distance")).order_by(distance).limit(10)
            return Variant(
                lambda number: bare.execute(statement, {"query": queries[number % _QUERIES]}).all(), bare.expunge_all
            )

        half = rows // 14
        filtered = f"price < {half}"
        variants = {
            FLOOR: floor(raw),
            FLOOR_AGAIN: floor(second),
            "SELECT of the ORM": bare_orm(),
            "search": ours(),
            f"floor, {filtered}": floor(third, f"WHERE {filtered}"),
            f"search, {filtered}": ours((Product.price < half,)),
        }
        times = compare(variants, rounds, warm_up=_QUERIES)
    for name, seconds in times.items():
        base = p10(times[f"floor, {filtered}" if name.endswith(filtered) else FLOOR])
        ratio, added = p10(seconds) / base, (p10(seconds) - base) * 1000
        is_ours = name.startswith(("search", "SELECT"))
        yield Row(
            f"Repository.search, {rows:,} x 384, limit 10",
            f"{name} ({added:+.0f} us)" if is_ours else name,
            p10(seconds),
            median(seconds),
            ratio,
            "<= 1.3 x floor's time and <= +400 us" if name == "search" else "",
            ratio <= 1.3 and added <= 400 if name == "search" else None,
        )


def _products(rows: int) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "title": f"Product {number}",
            "body": f"Text number {number} about a product, with some words to say what it is good for.",
            "price": number / 7,
        }
        for number in range(rows)
    ]


def _upsert(db: VectorDB, repository: Repository[Product], rows: Iterable[Mapping[str, Any]]) -> None:
    with Session(db.engine) as session, session.begin():
        repository.upsert(session, rows)


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
