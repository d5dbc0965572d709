"""The models in an application's own sessions, and naive SQL over the same tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from pgvector.psycopg import register_vector
from sqlalchemy import Engine, create_engine, event, func, insert, inspect, make_url, select
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, undefer

import vectordb
from tests.conftest import Databases
from tests.migrations.support import upgrade
from vectordb import Collection, Metric, Storage, VectorDB, errors, models
from vectordb.documents import content_hash
from vectordb.vector_types import VectorColumn

DIMENSIONS = 16


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    """One database; every test has documents or collections of its own."""
    url = databases.create()
    upgrade(url, dimensions=str(DIMENSIONS))
    yield url
    databases.drop(url)


@pytest.fixture(params=["static", "made"])
def docs(db: VectorDB, request: pytest.FixtureRequest) -> Iterator[Collection]:
    """The default collection with its static classes, and one that was made at run time; both empty."""
    if request.param == "made":
        yield db.create_collection("docs", dimensions=DIMENSIONS)
        db.drop_collection("docs")
        return
    yield db.collection()
    # DELETE would leave dead rows in the index, and naive queries through it find fewer rows until the next vacuum.
    with db.engine.begin() as connection:
        connection.exec_driver_sql("TRUNCATE vectordb.documents CASCADE")


@pytest.fixture
def classes(docs: Collection) -> tuple[Any, Any]:
    """The classes of documents and chunks."""
    return (models.Document, models.Chunk) if docs.name == "default" else (docs.Document, docs.Chunk)


def vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)


def document(classes: tuple[Any, Any], id: str, embeddings: Any, **fields: Any) -> Any:
    """Make a document of which the chunks are `id 0`, `id 1`, …"""
    parent, child = classes
    width = len(f"{id} 0")
    chunks = [
        child(
            ordinal=ordinal,
            content=f"{id} {ordinal}",
            content_hash=content_hash(f"{id} {ordinal}", b""),
            span_start=ordinal * width,
            span_end=(ordinal + 1) * width,
            metadata_=fields.get("metadata_", {}),
            embedding=embedding,
        )
        for ordinal, embedding in enumerate(embeddings)
    ]
    return parent(id=id, content_hash=content_hash(id, b""), chunks=chunks, **{"metadata_": {}, **fields})


@contextlib.contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Collect the SQL that is sent."""
    sent: list[str] = []

    def note(*arguments: Any) -> None:
        sent.append(arguments[2])

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def test_rows_of_the_orm_are_documents_of_the_collection(
    db: VectorDB, docs: Collection, classes: tuple[Any, Any]
) -> None:
    stored = vectors(3)
    with Session(db.engine) as session:
        session.add(document(classes, "a", stored, title="On a", metadata_={"lang": "en"}))
        session.add(document(classes, "b", vectors(2, seed=1)))
        session.commit()
    hits = docs.search(stored[1], limit=2, where={"lang": "en"})
    assert (hits[0].document_id, hits[0].ordinal, hits[0].content) == ("a", 1, "a 1")
    assert hits[0].score == pytest.approx(1, abs=1e-6)
    assert (docs.count(), docs.get("a").title, docs.get("a").content) == (2, "On a", "a 0a 1a 2")
    np.testing.assert_array_equal(docs.vectors("a")["a"], stored)


def test_documents_of_the_collection_are_rows_of_the_orm(
    db: VectorDB, docs: Collection, classes: tuple[Any, Any]
) -> None:
    stored = vectors(1)
    docs.upsert_vectors(["a"], stored, contents=["text"], metadata=[{"lang": "en"}])
    with Session(db.engine) as session:
        found = session.get_one(classes[0], "a")
        assert (found.metadata_, found.title, found.created_at.tzinfo is not None) == ({"lang": "en"}, None, True)
        (chunk,) = found.chunks
        assert chunk.document is found
        assert (chunk.content, chunk.span_start, chunk.span_end, chunk.tokens) == ("text", 0, 4, None)
        assert chunk.embedding.dtype == np.float32
        np.testing.assert_array_equal(chunk.embedding, stored[0])


def test_chunks_come_in_order_and_go_with_their_document(
    db: VectorDB, docs: Collection, classes: tuple[Any, Any]
) -> None:
    with Session(db.engine) as session:
        made = document(classes, "a", vectors(4))
        made.chunks.reverse()
        session.add_all([made, document(classes, "b", vectors(1))])
        session.commit()
        found = session.get_one(classes[0], "a", populate_existing=True)
        assert [chunk.ordinal for chunk in found.chunks] == [0, 1, 2, 3]
        found.chunks.pop()
        session.commit()
        assert session.scalar(select(func.count()).select_from(classes[1])) == 4
        with statements(db.engine) as sent:
            session.delete(session.get_one(classes[0], "a", populate_existing=True))
            session.commit()
        assert len([sql for sql in sent if sql.startswith("DELETE")]) == 1
        assert list(session.scalars(select(classes[1].document_id))) == ["b"]
    assert docs.count() == 1


def test_an_embedding_is_loaded_when_it_is_read(db: VectorDB, docs: Collection, classes: tuple[Any, Any]) -> None:
    docs.upsert_vectors(range(5), vectors(5))
    with Session(db.engine) as session, statements(db.engine) as sent:
        chunks = list(session.scalars(select(classes[1])))
        assert len(sent) == 1
        assert "embedding" not in sent[0]
        assert all("embedding" in inspect(chunk).unloaded for chunk in chunks)
        chunks[0].embedding  # noqa: B018 - reading is what is tested
        assert len(sent) == 2
        assert "embedding" in sent[1]
        assert "embedding" not in inspect(chunks[0]).unloaded
    with Session(db.engine) as session, statements(db.engine) as sent:
        for chunk in session.scalars(select(classes[1]).options(undefer(classes[1].embedding))):
            assert chunk.embedding.shape == (DIMENSIONS,)
        assert len(sent) == 1


def test_a_rollback_leaves_nothing(db: VectorDB, docs: Collection, classes: tuple[Any, Any]) -> None:
    with Session(db.engine) as session:
        session.add(document(classes, "a", vectors(2)))
        session.flush()
        session.rollback()
    assert docs.count() == 0


def test_a_session_joins_a_transaction_of_the_database(
    db: VectorDB, docs: Collection, classes: tuple[Any, Any]
) -> None:
    with contextlib.suppress(RuntimeError), db.transaction() as connection:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            session.add(document(classes, "a", vectors(2)))
            session.commit()
        assert docs.count() == 1
        raise RuntimeError
    assert docs.count() == 0


@pytest.mark.parametrize("metric", ["cosine", "l2", "l1", "inner_product"])
def test_distances_order_rows(db: VectorDB, docs: Collection, classes: tuple[Any, Any], metric: str) -> None:
    stored, query = vectors(30), vectors(1, seed=5)[0]
    docs.upsert_vectors(range(30), stored)
    expected = {
        "cosine": 1 - stored @ query / np.linalg.norm(stored, axis=1) / np.linalg.norm(query),
        "l2": np.linalg.norm(stored - query, axis=1),
        "l1": np.abs(stored - query).sum(axis=1),
        "inner_product": -(stored @ query),
    }[metric]
    embedding = classes[1].embedding
    method = "max_inner_product" if metric == "inner_product" else f"{metric}_distance"
    with Session(db.engine) as session:
        for distance in (getattr(embedding, method)(query), embedding.distance(query.tolist(), metric)):
            rows = session.execute(select(classes[1].document_id, distance).order_by(distance).limit(5)).all()
            assert [id for id, _ in rows] == [str(i) for i in np.argsort(expected)[:5]]
            assert [value for _, value in rows] == pytest.approx(sorted(expected)[:5], rel=1e-5)


def test_a_select_composes_with_joins_and_metadata(db: VectorDB, docs: Collection, classes: tuple[Any, Any]) -> None:
    parent, child = classes
    docs.upsert_vectors(range(20), vectors(20), metadata=[{"n": n, "even": n % 2 == 0} for n in range(20)])
    query = vectors(20)[3]
    nearest = (
        select(child)
        .join(child.document)
        .where(parent.metadata_["even"].as_boolean(), parent.metadata_["n"].as_integer() < 10)
        .order_by(child.embedding.cosine_distance(query))
    )
    with Session(db.engine) as session:
        found = [int(chunk.document_id) for chunk in session.scalars(nearest)]
    hits = docs.search(query, exact=True, where={"even": True, "n": {"<": 10}}, limit=20)
    assert found == [int(hit.document_id) for hit in hits]
    assert len(found) == 5


def test_an_embedding_can_be_replaced(db: VectorDB, docs: Collection, classes: tuple[Any, Any]) -> None:
    docs.upsert_vectors(["a"], vectors(1))
    with Session(db.engine) as session:
        chunk = session.get_one(classes[1], ("a", 0))
        assert chunk.embedding is not None
        chunk.embedding = vectors(1, seed=9)[0].tolist()
        session.commit()
        np.testing.assert_array_equal(chunk.embedding, vectors(1, seed=9)[0])


@pytest.mark.parametrize("count", [1, 2, 1500])
def test_rows_are_inserted_in_bulk(db: VectorDB, docs: Collection, classes: tuple[Any, Any], count: int) -> None:
    common = {"content": "", "content_hash": b"", "span_start": 0, "span_end": 0, "metadata_": {}}
    with Session(db.engine) as session:
        session.execute(insert(classes[0]), [{"id": "a", "content_hash": b"", "metadata_": {}}])
        embeddings = vectors(count)
        rows = [
            {**common, "document_id": "a", "ordinal": n, "embedding": embedding}
            for n, embedding in enumerate(embeddings)
        ]
        session.execute(insert(classes[1]), rows)
        session.commit()
    np.testing.assert_array_equal(docs.vectors("a")["a"], embeddings)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ([1.0, 2.0], errors.DimensionMismatch),
        ([1.0] * (DIMENSIONS + 1), errors.DimensionMismatch),
        ([float("nan")] * DIMENSIONS, errors.InvalidVector),
        ([float("inf")] * DIMENSIONS, errors.InvalidVector),
        ([1e39] * DIMENSIONS, errors.InvalidVector),
        (np.ones((1, DIMENSIONS)), errors.InvalidVector),
        (["x"] * DIMENSIONS, errors.InvalidVector),
        ("a text", errors.InvalidVector),
        (5, errors.InvalidVector),
        ([], errors.DimensionMismatch),
    ],
    ids=["short", "long", "nan", "inf", "too large", "matrix", "strings", "text", "number", "empty"],
)
def test_a_bad_embedding_is_refused_by_its_column(db: VectorDB, bad: Any, error: type[Exception]) -> None:
    """SQLAlchemy wraps what a type raises; the error itself is its `orig`."""
    docs = db.get_or_create_collection("bad", dimensions=DIMENSIONS)
    with Session(db.engine) as session:
        session.add(document((docs.Document, docs.Chunk), "a", [bad]))
        with pytest.raises(StatementError) as caught:
            session.commit()
    assert isinstance(caught.value.orig, error)
    with Session(db.engine) as session, pytest.raises(StatementError) as caught:
        session.scalars(select(docs.Chunk).order_by(docs.Chunk.embedding.l2_distance(bad))).all()
    assert isinstance(caught.value.orig, error)
    assert docs.count() == 0


def test_naive_sql_uses_the_index(db: VectorDB, url: str) -> None:
    docs = db.create_collection("naive", dimensions=DIMENSIONS)
    docs.upsert_vectors(range(3000), vectors(3000), contents=[f"text {n}" for n in range(3000)])
    query = "SELECT content FROM vectordb.naive_chunks ORDER BY embedding <=> {} LIMIT 5"
    vector = str(vectors(3000)[7].tolist())
    index = "Index Scan using naive_chunks_embedding_hnsw_idx on naive_chunks"
    with psycopg.connect(url, autocommit=True) as connection:
        for analyzed in (False, True):
            if analyzed:
                connection.execute("ANALYZE vectordb.naive_chunks")
            plan = connection.execute("EXPLAIN " + query.format("%s"), [vector]).fetchall()
            assert index in str(plan), plan
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute("PREPARE nearest AS " + query.format("$1"))
        plan = connection.execute(f"EXPLAIN EXECUTE nearest ('{vector}')").fetchall()
        assert index in str(plan), plan
        assert connection.execute(query.format("%s"), [vector]).fetchall()[0] == ("text 7",)
    with db.engine.connect() as session:
        chunk = docs.Chunk
        nearest = select(chunk.content).order_by(chunk.embedding.cosine_distance(vectors(3000)[7])).limit(5)

        def explain(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
            return f"EXPLAIN {statement}", parameters

        event.listen(session, "before_cursor_execute", explain, retval=True)
        assert index in "\n".join(session.scalars(nearest))


def test_the_models_work_in_another_schema(db: VectorDB, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORDB_SCHEMA", "search")
    monkeypatch.setenv("VECTORDB_DIMENSIONS", str(DIMENSIONS))
    with vectordb.connect(url) as other:
        other.migrate()
        made = other.create_collection("docs", dimensions=DIMENSIONS)
        for docs, classes in (
            (other.collection(), (models.Document, models.Chunk)),
            (made, (made.Document, made.Chunk)),
        ):
            with Session(other.engine) as session:
                session.add(document(classes, "a", vectors(1)))
                session.commit()
            with other.transaction() as connection, Session(connection) as session:
                session.add(document(classes, "b", vectors(1, seed=1)))
                session.flush()
            assert [hit.document_id for hit in docs.search(vectors(1, seed=1)[0])] == ["b", "a"]
            docs.upsert_vectors(["c"], vectors(1, seed=2), contents=["text"])
            with Session(other.engine) as session:
                assert session.get_one(classes[1], ("c", 0)).content == "text"
            docs.create_index(vectordb.IVFFlat(lists=1))
            assert [index.method for index in docs.indexes()] == ["ivfflat"]
    assert db.collection().count() == 0
    with pytest.raises(errors.CollectionNotFound):
        db.collection("docs")


def test_an_engine_that_has_registered_pgvector_itself_works(url: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))

    @event.listens_for(engine, "connect")
    def _(connection: psycopg.Connection, *_: Any) -> None:
        register_vector(connection)
        connection.commit()

    with vectordb.connect(engine) as db:
        for storage in ("vector", "halfvec", "sparsevec", "bit"):
            metric = "hamming" if storage == "bit" else "l2"
            docs = db.create_collection(f"registered_{storage}", dimensions=3, storage=storage, metric=metric)
            docs.upsert_vectors(["a"], [[0, 1, 1]])
            assert len(docs.search([0, 1, 1])) == 1
            with Session(db.engine) as session:
                assert session.get_one(docs.Chunk, ("a", 0)).embedding.tolist() == [0, 1, 1]
    engine.dispose()


@pytest.mark.parametrize("storage", Storage)
@pytest.mark.parametrize("count", [1, 5])
def test_a_column_of_the_applications_own_model(db: VectorDB, storage: Storage, count: int) -> None:
    """With a key from a sequence SQLAlchemy writes INSERT … SELECT … FROM (VALUES …), where types are guessed."""

    class Base(DeclarativeBase):
        pass

    class Item(Base):
        __tablename__ = "items"
        id: Mapped[int] = mapped_column(primary_key=True)
        embedding: Mapped[NDArray[np.float32] | None] = mapped_column(VectorColumn(storage, 3))

    Base.metadata.create_all(db.engine)
    with Session(db.engine) as session:
        items = [Item(embedding=[n % 2, 1, 0]) for n in range(count)] + [Item(embedding=None)]
        session.add_all(items)
        session.commit()
        assert [np.asarray(item.embedding).tolist() for item in items[:-1]] == [[n % 2, 1, 0] for n in range(count)]
        assert items[-1].embedding is None
        distance = Item.embedding.distance([0, 1, 0], Metric.JACCARD if storage is Storage.BIT else Metric.L1)
        nearest = select(Item).where(Item.embedding.is_not(None)).order_by(distance)
        assert session.scalars(nearest).first() is items[0]
    Base.metadata.drop_all(db.engine)
