"""Embeddings in the application's own sessions: the column type on a real server."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from pgvector.psycopg import register_vector
from sqlalchemy.orm import Session

import vectordb
from tests.store.conftest import NewCollection
from tests.store.support import rows
from vectordb import Collection, VectorDB
from vectordb.errors import DimensionMismatch, InvalidVector

STORAGES = [("vector", "cosine"), ("halfvec", "l2"), ("sparsevec", "inner_product"), ("bit", "hamming")]
VECTOR = np.array([1.5, 0, -2, 1 / 3, 0], dtype=np.float32)


def as_stored(storage: str) -> list[float]:
    changed = {"halfvec": VECTOR.astype(np.float16), "bit": VECTOR > 0}.get(storage, VECTOR)
    return [float(number) for number in changed]


def document(docs: Collection, id: str, embedding: Any) -> Any:
    chunk = docs.Chunk(
        ordinal=0, content="text", content_hash=b"", span_start=0, span_end=4, metadata_={"n": 1}, embedding=embedding
    )
    return docs.Document(id=id, content_hash=b"", metadata_={"n": 1}, chunks=[chunk])


@pytest.mark.parametrize(("storage", "metric"), STORAGES)
def test_what_the_session_writes_the_store_reads_and_the_other_way_round(
    new_collection: NewCollection, home: VectorDB, storage: str, metric: str
) -> None:
    docs = new_collection(dimensions=5, storage=storage, metric=metric)
    with Session(home.engine) as session:
        session.add(document(docs, "by session", VECTOR))
        session.commit()
    assert docs.vectors("by session")["by session"].tolist() == [as_stored(storage)]
    assert docs.get("by session").content == "text"
    docs.upsert_vectors(["by store"], [VECTOR], contents=["other"])
    with Session(home.engine) as session:
        for chunk in session.scalars(sa.select(docs.Chunk)):
            assert chunk.embedding.dtype == np.float32
            assert chunk.embedding.tolist() == as_stored(storage)
            assert chunk.document.id == chunk.document_id


@pytest.mark.parametrize(("storage", "metric"), STORAGES)
def test_distances_in_a_select(
    new_collection: NewCollection, home: VectorDB, rng: np.random.Generator, storage: str, metric: str
) -> None:
    docs = new_collection(dimensions=5, storage=storage, metric=metric)
    matrix = rng.standard_normal((50, 5)) + (rng.random((50, 5)) < 0.5)
    docs.upsert_vectors(range(50), matrix)
    distance = docs.Chunk.embedding.distance(matrix[3], metric)
    select = sa.select(docs.Chunk.document_id, distance).order_by(distance, docs.Chunk.document_id).limit(50)
    with Session(home.engine) as session:
        # The index would stop at 40 candidates on a server without iterative scans.
        session.execute(sa.text("SET LOCAL enable_indexscan = off"))
        found = [tuple(row) for row in session.execute(select)]
    assert found == [(hit.document_id, hit.distance) for hit in docs.search(matrix[3], exact=True, limit=50)]


@pytest.mark.parametrize("embedding", [[1, 2], [[1, 2, 3, 4, 5]], [1, 2, 3, 4, float("nan")], "vector", 5])
def test_what_is_no_vector_is_refused(new_collection: NewCollection, home: VectorDB, embedding: Any) -> None:
    docs = new_collection(dimensions=5)
    with Session(home.engine) as session:
        session.add(document(docs, "a", embedding))
        with pytest.raises((sa.exc.StatementError, DimensionMismatch, InvalidVector)):
            session.commit()
    assert docs.count() == 0


def test_an_application_that_registers_pgvectors_own_types(home_url: str, new_collection: NewCollection) -> None:
    name = new_collection(dimensions=5).name
    engine = sa.create_engine(sa.make_url(home_url).set(drivername="postgresql+psycopg"))
    sa.event.listen(engine, "connect", lambda connection, _: register_vector(connection))
    with vectordb.connect(engine) as db:
        docs = db.collection(name)
        docs.upsert_vectors(["a"], [VECTOR])
        assert docs.vectors("a")["a"].tolist() == [VECTOR.tolist()]
        assert docs.search(VECTOR)[0].score == pytest.approx(1)
        with Session(engine) as session:
            assert session.scalars(sa.select(docs.Chunk)).one().embedding.tolist() == VECTOR.tolist()
        assert rows(db, "SELECT 1") == [(1,)]
    engine.dispose()
