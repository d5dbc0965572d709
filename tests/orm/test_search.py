"""`Repository.search` against numpy, the BM25 oracle, and the search of a collection with the same rows."""

from __future__ import annotations

import enum
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from sqlalchemy import (
    Engine,
    Enum,
    ForeignKeyConstraint,
    Text,
    create_engine,
    event,
    func,
    insert,
    make_url,
    select,
    text,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    undefer,
    with_loader_criteria,
)

import vectordb
from tests.conftest import Databases
from tests.orm.conftest import plain_engine
from tests.orm.models import DIMENSIONS, Animal, Cat, Category, Dog, Image, Message, Offer, Product, Whale
from tests.support import HashedEmbedder, hashed_words
from tests.text_oracle import Oracle, lexemes
from vectordb import BM25, HNSW, RRF, Bounded, Document, IVFFlat, Metric, RelativeScore, Storage
from vectordb.errors import ConfigurationError
from vectordb.metrics import VectorSpace
from vectordb.orm import embedding_column, text_search_column
from vectordb.orm.hits import EntityResults
from vectordb.orm.repository import Repository

WORDS = ["red", "green", "blue", "shoe", "boot", "hat", "coat", "winter", "summer", "light", "heavy", "wool", "cotton"]
WORDS += ["leather", "rain", "snow"]
ROWS = 250


class Base(DeclarativeBase):
    """Base of the models of this module."""


def spaces() -> list[tuple[Metric, Storage]]:
    """All that a column can be."""
    found = []
    for metric, storage in product(Metric, Storage):
        try:
            VectorSpace(DIMENSIONS, metric, storage).operator_class("hnsw")
        except ConfigurationError:
            continue
        found.append((metric, storage))
    return found


def model_of(metric: Metric, storage: Storage, index: Any = HNSW()) -> type[Any]:  # noqa: B008 - a value
    name = f"{metric}_{storage}_{'plain' if index is None else index.method}"
    columns = {
        "__tablename__": name,
        "id": mapped_column(primary_key=True),
        "__annotations__": {"id": Mapped[int]},
        "vector": embedding_column(DIMENSIONS, metric=metric, storage=storage, index=index),
    }
    return type(name, (Base,), columns)


MODELS = {space: model_of(*space) for space in spaces()}
WITHOUT_INDEX = model_of(Metric.L2, Storage.VECTOR, None)
IVF = model_of(Metric.L2, Storage.VECTOR, IVFFlat(lists=2))


class Colour(enum.Enum):
    """A key that Python cannot sort."""

    RED = "r"
    BLUE = "b"
    GREEN = "g"


class Paint(Base):
    """A composite key with an enumeration; columns called as ours are."""

    __tablename__ = "paints"

    colour: Mapped[Colour] = mapped_column(Enum(Colour), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    score: Mapped[float | None]
    distance: Mapped[float | None]
    key1: Mapped[str | None]
    content: Mapped[str | None] = mapped_column(Text)
    vector: Mapped[Any] = embedding_column(DIMENSIONS, source="content")
    search: Mapped[Any] = text_search_column("content")
    layers: Mapped[list[Layer]] = relationship(lazy="joined", order_by="Layer.id")


class Layer(Base):
    """What an entity is loaded with by a join."""

    __tablename__ = "layers"

    id: Mapped[int] = mapped_column(primary_key=True)
    colour: Mapped[Colour] = mapped_column(Enum(Colour))
    number: Mapped[int]
    __table_args__ = (ForeignKeyConstraint(["colour", "number"], ["paints.colour", "paints.number"]),)


class Page(Base):
    """Texts that a collection has, too."""

    __tablename__ = "pages"

    id: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str | None] = mapped_column(Text)
    embedding: Mapped[Any] = embedding_column(DIMENSIONS, source="content")
    search: Mapped[Any] = text_search_column("content")


def sentences(count: int, seed: int = 0, words: int = 6) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, words)) for _ in range(count)]


def matrix_for(metric: Metric) -> NDArray[np.float32]:
    """Vectors of small whole numbers, each of them three times, none of them all zeros."""
    rng = np.random.default_rng(5)
    if metric in (Metric.HAMMING, Metric.JACCARD):
        matrix = rng.integers(0, 2, (ROWS, DIMENSIONS))
    else:
        matrix = rng.integers(-3, 4, (ROWS, DIMENSIONS))
    matrix[:, 0] = 1
    return matrix[np.arange(ROWS) // 3].astype(np.float32)


def distances(metric: Metric, matrix: NDArray[Any], query: NDArray[Any]) -> NDArray[np.float64]:
    m: Any = matrix.astype(np.float64)
    q: Any = query.astype(np.float64)
    if metric is Metric.COSINE:
        return np.asarray(1 - m @ q / (np.linalg.norm(m, axis=1) * np.linalg.norm(q)))
    if metric is Metric.L2:
        return np.asarray(np.linalg.norm(m - q, axis=1))
    if metric is Metric.INNER_PRODUCT:
        return np.asarray(-(m @ q))
    if metric in (Metric.L1, Metric.HAMMING):
        return np.asarray(np.abs(m - q).sum(axis=1))
    return np.asarray(1 - (np.minimum(m, q).sum(axis=1) / np.maximum(m, q).sum(axis=1)))


def assert_nearest(results: EntityResults[Any], expected: NDArray[np.float64], limit: int, offset: int = 0) -> None:
    """Check rows with ids from 0 against their distances; those without a vector have NaN."""
    best = np.sort(expected[~np.isnan(expected)])[offset : offset + limit]
    found = [(hit.distance, hit.entity.id) for hit in results]
    np.testing.assert_allclose(np.array([distance for distance, _ in found]), best, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        np.array([distance for distance, _ in found]), expected[[id for _, id in found]], rtol=1e-5, atol=1e-6
    )
    assert found == sorted(found)
    assert len({id for _, id in found}) == len(found)


@pytest.fixture(scope="module")
def own_url(databases: Databases) -> Iterator[str]:
    url = databases.create()
    engine = plain_engine(url)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for (metric, _), model in [*MODELS.items(), ((Metric.L2, 0), WITHOUT_INDEX), ((Metric.L2, 0), IVF)]:
            rows = [model(id=id, vector=vector) for id, vector in enumerate(matrix_for(metric))]
            session.add_all([*rows, *(model(id=ROWS + id) for id in range(20))])
        session.commit()
    engine.dispose()
    yield url
    databases.drop(url)


@pytest.fixture(scope="module")
def own_engine(own_url: str) -> Iterator[Engine]:
    engine = plain_engine(own_url)
    yield engine
    engine.dispose()


@pytest.fixture
def own(own_engine: Engine) -> Iterator[Session]:
    """A session of which nothing stays."""
    with own_engine.connect() as connection:
        transaction = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


@pytest.mark.parametrize("space", list(MODELS), ids=lambda space: "-".join(space))
def test_all_metrics_and_storages_agree_with_numpy(own: Session, space: tuple[Metric, Storage]) -> None:
    repository = Repository(MODELS[space], HashedEmbedder())
    matrix = matrix_for(space[0])
    query = matrix[7] if space[0] in (Metric.HAMMING, Metric.JACCARD) else matrix[7] + np.float32(0.5)
    expected = np.append(distances(space[0], matrix, query), [np.nan] * 20)
    for limit, offset in [(1, 0), (10, 0), (10, 10), (50, 200), (400, 0), (40, 300)]:
        assert_nearest(repository.search(own, query, limit=limit, offset=offset, exact=True), expected, limit, offset)
    assert_nearest(repository.search(own, query, limit=400), expected, 400)
    assert_nearest(repository.search(own, query, limit=10, ef_search=1000), expected, 10)
    model = MODELS[space]
    some = repository.search(own, query, where=model.id % 7 == 3, strategy="iterative", limit=30, ef_search=1000)
    assert some.plan.strategy == "iterative"
    wanted = np.where(np.arange(ROWS + 20) % 7 == 3, expected, np.nan)
    assert_nearest(some, wanted, 30)
    nearest = [(row[1], row[0].id) for row in own.execute(repository.nearest(query).limit(400))]
    np.testing.assert_allclose([d for d, _ in nearest], np.sort(expected[:ROWS]), rtol=1e-5, atol=1e-6)
    score = repository.search(own, query, limit=30, exact=True)[-1].score
    least = repository.search(own, query, limit=None, min_score=score)
    assert len(least) >= 30
    assert all(hit.score >= score for hit in least)
    assert len(least) == np.sum(expected[:ROWS] <= least[-1].distance + 1e-6)  # type: ignore[operator]


@pytest.mark.parametrize("model", [WITHOUT_INDEX, IVF])
def test_a_model_with_another_index_or_none(own: Session, model: Any) -> None:
    repository = Repository(model, HashedEmbedder())
    matrix = matrix_for(Metric.L2)
    expected = np.append(distances(Metric.L2, matrix, matrix[3] + 0.5), [np.nan] * 20)
    found = repository.search(own, matrix[3] + 0.5, limit=300)
    assert_nearest(found, expected, 300)
    assert repository.search(own, matrix[3], limit=5).plan.strategy == ("exact" if model is WITHOUT_INDEX else "plain")


def test_pages_neither_repeat_nor_lose_a_row(own: Session) -> None:
    model = MODELS[Metric.COSINE, Storage.VECTOR]
    repository = Repository(model, HashedEmbedder())
    query = matrix_for(Metric.COSINE)[11]
    for exact, where in product([True, False], [(), (model.id % 2 == 0)]):
        seen = [
            hit.entity.id
            for offset in range(0, 300, 17)
            for hit in repository.search(own, query, limit=17, offset=offset, exact=exact, where=where)
        ]
        assert sorted(seen) == [id for id in range(ROWS) if where == () or id % 2 == 0]


def test_ranks_go_on_over_pages(own: Session) -> None:
    repository = Repository(MODELS[Metric.L2, Storage.VECTOR], HashedEmbedder())
    page = repository.search(own, matrix_for(Metric.L2)[0], limit=5, offset=10)
    assert [hit.vector_rank for hit in page] == [11, 12, 13, 14, 15]
    assert [hit.text_rank for hit in page] == [None] * 5


# Keys, names, schemas, inheritance.


def test_a_key_that_python_cannot_sort_and_columns_called_as_ours(own: Session) -> None:
    repository = Repository(Paint, HashedEmbedder())
    own.add_all([Paint(colour=c, number=n, content="same words", score=n, key1="k") for n in range(5) for c in Colour])
    own.flush()
    own.add_all([Layer(id=10 * n + k, colour=Colour.BLUE, number=n) for n in range(5) for k in range(3)])
    repository.upsert(own, own.scalars(select(Paint)).unique().all())
    own.expire_all()
    order = [(c, n) for c in Colour for n in range(5)]  # of the enumeration
    for mode in ("vector", "text", "hybrid"):
        for exact in (True, False):
            found = repository.search(own, "same words", mode=mode, exact=exact, limit=20)
            assert sorted((list(Colour).index(h.entity.colour), h.entity.number) for h in found) == [
                (list(Colour).index(c), n) for c, n in order
            ]
        found = repository.search(own, "same words", mode=mode, limit=4, offset=4)
        assert len(found) == 4
    hit = next(h for h in repository.search(own, "same words", limit=20) if h.entity.colour is Colour.BLUE)
    assert len(hit.entity.layers) == 3
    by_vector = repository.search(own, "same words", mode="vector", exact=True, limit=20)
    assert [(h.entity.colour, h.entity.number) for h in by_vector] == order
    scores = list(own.execute(repository.ranked("same words")).unique())
    assert len(scores) == 15
    assert all(score == pytest.approx(scores[0][1]) and score < 2 for _, score in scores)
    custom = repository.search(own, "same words", fusion=lambda candidates: np.zeros(len(candidates)), limit=20)
    assert len(custom) == 15


def test_names_that_need_quotes(session: Session) -> None:
    repository = Repository(Message, HashedEmbedder())
    texts = sentences(40)
    repository.upsert(session, [{"channel": f"c{n % 3}", "number": n, "content": t} for n, t in enumerate(texts)])
    repository.upsert(session, [{"channel": "none", "number": 99, "content": None}])
    expected = distances(Metric.L2, hashed_words(texts), hashed_words(["red coat"])[0])
    asked: list[dict[str, Any]] = [{"exact": True}, {}, {"where": Message.number >= 0}]
    for options in [*asked, {"where": Message.channel.like("c%")}]:
        found = repository.search(session, "red coat", mode="vector", limit=50, **options)
        assert len(found) == 40
        np.testing.assert_allclose(np.array([hit.distance for hit in found]), np.sort(expected), rtol=1e-5)
        keys = [(hit.distance, hit.entity.channel, hit.entity.number) for hit in found]
        assert keys == sorted(keys)
    assert len(repository.search(session, "red", mode="text", where=Message.content.contains("red"), limit=50)) > 5
    assert len(session.execute(repository.ranked("red coat", where=Message.channel == "c1").limit(9)).all()) == 9
    assert len(session.execute(repository.nearest("red coat").where(Message.channel == "c1").limit(9)).all()) == 9


def test_another_schema(session: Session) -> None:
    repository = Repository(Offer, HashedEmbedder())
    repository.upsert(session, [{"id": id, "description": t} for id, t in enumerate(sentences(30))])
    for mode in ("vector", "text", "hybrid"):
        assert repository.search(session, "red coat", mode=mode, where=Offer.id > 3, limit=3).entities
    assert len(session.execute(repository.ranked("red coat").limit(4)).all()) == 4


def test_two_embeddings_and_a_key_that_is_a_uuid(session: Session) -> None:
    captions, pixels = (
        Repository(Image, HashedEmbedder(), column="caption_embedding"),
        Repository(Image, column="pixels"),
    )
    rng = np.random.default_rng(1)
    images = [Image(caption=t, tags=None, pixels=rng.random(8, dtype=np.float32)) for t in sentences(30)]
    captions.upsert(session, images)
    vector = rng.random(8, dtype=np.float32)
    found = pixels.search(session, vector, limit=30, exact=True)
    expected = {
        id(image): -float(np.asarray(image.pixels).astype(np.float16).astype(np.float64) @ vector) for image in images
    }
    np.testing.assert_allclose(np.array([h.distance for h in found]), np.sort(list(expected.values())), rtol=1e-2)
    found_by_index = pixels.search(session, vector, limit=30)
    assert {h.entity.id for h in found_by_index} == {image.id for image in images}
    assert captions.search(session, f"{images[4].caption} (untagged)", limit=1, exact=True)[0].score > 0.999


@pytest.fixture
def zoo(session: Session) -> list[str]:
    names = sentences(45, words=2)
    for number, name in enumerate(names):
        kind = (Cat, Dog, Whale)[number % 3]
        extra = {"song": name} if kind is Whale else {"tricks": name} if kind is Dog else {}
        session.add(kind(name=name, **extra))
    session.flush()
    Repository(Animal, HashedEmbedder(), column="embedding").upsert(session, session.scalars(select(Animal)).all())
    for model, column in ((Dog, "tricks_embedding"), (Whale, "song_embedding")):
        rows = session.scalars(select(model)).all()
        Repository[Any](model, HashedEmbedder(), column=column).upsert(session, rows)
    return names


@pytest.mark.parametrize("model", [Cat, Dog, Whale])
def test_only_entities_of_the_class_and_enough_of_them(session: Session, zoo: list[str], model: type[Animal]) -> None:
    repository = Repository(model, HashedEmbedder(), column="embedding")
    place = [Cat, Dog, Whale].index(model)
    expected = np.sort(distances(Metric.COSINE, hashed_words(zoo[place::3]), hashed_words(["red"])[0]))
    asked: list[dict[str, Any]] = [{"exact": True}, {"strategy": "iterative"}, {}]
    for options in asked:
        found = repository.search(session, "red", limit=15, **options)
        assert [type(entity) for entity in found.entities] == [model] * 15
        np.testing.assert_allclose(np.array([hit.distance for hit in found]), expected, rtol=1e-5, atol=1e-6)
    rows = session.execute(repository.nearest("red").limit(15)).all()
    np.testing.assert_allclose([row.distance for row in rows], expected, rtol=1e-5, atol=1e-6)


def test_a_table_of_the_class_needs_no_condition(session: Session, zoo: list[str]) -> None:
    songs = Repository(Whale, HashedEmbedder(), column="song_embedding")
    found = songs.search(session, "red", limit=20, mode="vector")
    assert len(found) == 15
    assert found.plan.reason == "there is no filter"
    # Columns of the parent's table are there without a join.
    assert {h.entity.name for h in songs.search(session, "red", limit=20, where=Whale.name.like("%red%"))} == {
        name for name in zoo[2::3] if "red" in name
    }
    assert len(songs.search(session, "red", mode="text", limit=20)) == sum("red" in name for name in zoo[2::3])
    everyone = Repository(Animal, HashedEmbedder()).search(session, "red", limit=45)
    assert Counter(type(entity) for entity in everyone.entities) == {Cat: 15, Dog: 15, Whale: 15}


# Text, and both.


@pytest.fixture
def pages(own: Session) -> list[str]:
    texts = sentences(120, seed=3)
    Repository(Page, HashedEmbedder()).upsert(own, [{"id": id, "content": t} for id, t in enumerate(texts)])
    own.execute(text("UPDATE pages SET embedding = NULL, embedding_hash = NULL WHERE id % 10 = 9"))
    return texts


def oracle(session: Session) -> Oracle:
    rows = session.connection().exec_driver_sql(
        "SELECT lpad(id::text, 5, '0'), id, array_agg(lexeme), array_agg(cardinality(positions))"
        " FROM pages, unnest(search) GROUP BY id"
    )
    return Oracle([tuple(row) for row in rows], BM25())


def test_bm25_is_that_of_the_oracle(own: Session, pages: list[str]) -> None:
    repository = Repository(Page, HashedEmbedder())
    for query in ("red coat", "winter boots of leather", "snow snow rain", "nothing"):
        [words] = lexemes(own.connection(), "english", [query])
        for limit, offset in ((5, 0), (200, 0), (10, 20)):
            found = repository.search(own, query, mode="text", limit=limit, offset=offset)
            expected = oracle(own).best(words)[offset : offset + limit]
            assert [hit.entity.id for hit in found] == [key[1] for key, _ in expected]
            np.testing.assert_allclose([hit.score for hit in found], [score for _, score in expected], rtol=1e-12)
            assert [hit.text_rank for hit in found] == list(range(offset + 1, offset + len(found) + 1))
        some = repository.search(own, query, mode="text", limit=200, where=Page.id < 40)
        assert [hit.entity.id for hit in some] == [key[1] for key, _ in oracle(own).best(words) if key[1] < 40]
        rows = own.execute(repository.ranked(query, mode="text")).all()
        assert [row[0].id for row in rows] == [key[1] for key, _ in oracle(own).best(words)]
        np.testing.assert_allclose([row.score for row in rows], [score for _, score in oracle(own).best(words)])
        least = repository.search(own, query, mode="text", limit=None, min_score=0.9)
        assert [hit.entity.id for hit in least] == [k[1] for k, s in oracle(own).best(words) if s >= 0.9]


def test_rows_without_a_vector_are_found_by_text(own: Session, pages: list[str]) -> None:
    repository = Repository(Page, HashedEmbedder())
    assert len(repository.search(own, "red", mode="vector", limit=500)) == 108
    assert len(repository.search(own, "red", mode="vector", limit=500, exact=True)) == 108
    assert len(repository.search(own, "red", mode="vector", limit=None, min_score=-2)) == 108
    with_word = {id for id, content in enumerate(pages) if "red" in content}
    for mode in ("text", "hybrid"):
        found = repository.search(own, "red", mode=mode, limit=500)
        bare = [hit for hit in found if hit.entity.id % 10 == 9]
        assert {hit.entity.id for hit in bare} == {id for id in with_word if id % 10 == 9}
        assert all(hit.distance is None and hit.vector_score is None and hit.vector_rank is None for hit in bare)


def test_a_collection_finds_the_same(own: Session, pages: list[str], url: str) -> None:
    repository, embedder = Repository(Page, HashedEmbedder()), HashedEmbedder()
    own.execute(text("DELETE FROM pages WHERE id % 10 = 9"))
    fusions = [None, Bounded(0.3), RRF(), RelativeScore(0.7), "rrf", lambda c: 0.1 * c.vector_scores + c.text_scores]
    asked: list[dict[str, Any]] = [{"mode": "text"}, {"mode": "vector"}, *({"fusion": fusion} for fusion in fusions)]
    with vectordb.connect(url) as db:
        docs = db.create_collection("docs", embedder=embedder, chunking=None)
        docs.upsert([Document(content, f"{id:03}") for id, content in enumerate(pages) if id % 10 != 9])
        for query, options in product(("red coat", '"red coat"', "red -coat", "red"), asked):
            # Which of several rows at one distance an index finds is up to it.
            theirs = docs.search(query, limit=15, exact=True, **options)
            ours = repository.search(own, query, limit=15, exact=True, **options)
            assert [f"{hit.entity.id:03}" for hit in ours] == [hit.document_id for hit in theirs], (query, options)
            for name in ("score", "distance", "vector_rank", "vector_score", "text_rank", "text_score"):
                # None becomes NaN.
                mine, other = (np.array([getattr(hit, name) for hit in hits], dtype=float) for hits in (ours, theirs))
                np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-7, err_msg=name)
            assert theirs.plan is not None
            assert ours.plan.mode == theirs.plan.mode


def test_a_fusion_in_python(own: Session, pages: list[str]) -> None:
    repository = Repository(Page, HashedEmbedder())
    found = repository.search(own, "red coat", fusion=lambda c: c.text_scores, limit=10)
    by_text = repository.search(own, "red coat", mode="text", limit=10)
    assert [hit.entity.id for hit in found] == [hit.entity.id for hit in by_text]
    # What has no vector scores 0 by it, as with the fusions that SQL knows.
    nearest = repository.search(own, "red coat", fusion=lambda c: c.vector_scores, limit=10)
    assert all(hit.distance is not None for hit in nearest)
    assert nearest[0].vector_rank == 1


# Entities.


@pytest.fixture
def products(session: Session) -> list[Product]:
    session.add_all([Category(id=id, name=f"cat{id}") for id in range(3)])
    rows = [
        Product(id=id, category_id=id % 3, price=float(id), title=t[:8], body=t) for id, t in enumerate(sentences(30))
    ]
    session.flush()
    Repository(Product, HashedEmbedder()).upsert(session, rows)
    session.flush()
    return rows


def test_entities_are_those_of_the_session(session: Session, products: list[Product]) -> None:
    repository = Repository(Product, HashedEmbedder())
    found = repository.search(session, "red coat", limit=30)
    assert {id(hit.entity) for hit in found} == {id(product) for product in products}
    with session.no_autoflush:
        products[0].price = 1234.0
        again = repository.search(session, "red coat", limit=30)
        assert products[0].price == 1234.0
        assert products[0] in session.dirty
        assert products[0] in again.entities
        assert not repository.search(session, "red coat", where=Product.price == 1234.0)
    assert repository.search(session, "red coat", where=Product.price == 1234.0).entities == [products[0]]


def test_vectors_and_text_are_not_read(session: Session, products: list[Product], engine: Engine) -> None:
    session.expunge_all()
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", note := lambda *a: sent.append(a[2]))
    hit = Repository(Product, HashedEmbedder()).search(session, "red coat", limit=1)[0]
    event.remove(engine, "before_cursor_execute", note)
    ours = sent[-1].split("FROM products", 1)[0]
    assert "embedding" not in ours
    assert "search" not in ours
    assert "embedding" not in hit.entity.__dict__
    assert np.asarray(hit.entity.embedding).shape == (DIMENSIONS,)


def test_loader_options(session: Session, products: list[Product]) -> None:
    repository = Repository(Product, HashedEmbedder())
    for option in (selectinload(Product.category), joinedload(Product.category)):
        session.expunge_all()
        hit = repository.search(session, "red coat", limit=3, options=[option])[0]
        assert hit.entity.__dict__["category"].name == f"cat{hit.entity.category_id}"
    session.expunge_all()
    hit = repository.search(session, "red coat", limit=3, options=joinedload(Product.category))[0]
    assert hit.entity.__dict__["category"].name == f"cat{hit.entity.category_id}"
    session.expunge_all()
    deep = [joinedload(Product.category).joinedload(Category.products)]
    found = repository.search(session, "red coat", limit=5, options=deep, where=Product.price > 3)
    assert len(found) == 5
    assert all(len(hit.entity.category.__dict__["products"]) == 10 for hit in found)
    session.expunge_all()
    hit = repository.search(session, "red coat", limit=1, options=[undefer(Product.embedding)])[0]
    assert hit.entity.__dict__["embedding"].dtype == np.float32
    cheap = with_loader_criteria(Product, Product.price < 10)
    found = repository.search(session, "red coat", limit=30, options=[cheap])
    assert {hit.entity.price for hit in found} == {float(price) for price in range(10)}


def test_results_are_a_sequence(session: Session, products: list[Product]) -> None:
    found = Repository(Product, HashedEmbedder()).search(session, "red coat", limit=5)
    assert len(found) == 5
    assert isinstance(found[:2], EntityResults)
    assert found[:2].entities == found.entities[:2]
    assert found[-1] is list(found)[-1]
    assert "EntityResults(5 hits)" in repr(found)


# Round trips, and threads.


@pytest.fixture
def round_trips(own_url: str, tmp_path: Path) -> Iterator[Callable[[Callable[[Session], Any]], int]]:
    """Counts the round trips of a call in a transaction that has begun."""
    url = make_url(own_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, pool_size=1, max_overflow=0)

    def count(call: Callable[[Session], Any]) -> int:
        with Session(engine) as session:
            driver = session.connection().connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            session.execute(text("SELECT 1"))  # so that the transaction has begun
            trace = os.open(tmp_path / "trace", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            driver.pgconn.trace(trace)
            call(session)
            driver.pgconn.untrace()
            os.close(trace)
        lines = (tmp_path / "trace").read_text(errors="replace").splitlines()
        sent = Counter(found[1] for line in lines if (found := re.search(r"\tF\t\d+\t(\w+)", line)))
        assert sent, "the trace is empty"
        return sent["Sync"] + sent["Query"]

    yield count
    engine.dispose()


def test_statement_counts(round_trips: Callable[..., int], own_engine: Engine) -> None:
    repository = Repository(Page, HashedEmbedder())
    with Session(own_engine) as session:
        repository.upsert(session, [{"id": id, "content": t} for id, t in enumerate(sentences(100))])
        session.commit()
    calls: list[dict[str, Any]] = [{"mode": "vector"}, {"mode": "text"}, {}, {"mode": "vector", "exact": True}]
    for options in calls:
        for _ in range(7):
            round_trips(lambda session, options=options: repository.search(session, "red coat", **options))
        assert round_trips(lambda session, o=options: repository.search(session, "red coat", **o)) == 1, options
    where: dict[str, Any] = {"where": Page.id < 50, "strategy": "iterative", "mode": "vector"}
    first = round_trips(lambda session: repository.search(session, "red coat", **where))
    assert 2 <= first <= 4
    assert round_trips(lambda session: repository.search(session, "red coat", **where)) == 1
    fresh = Repository(Page, HashedEmbedder())
    assert round_trips(lambda session: fresh.search(session, "red coat")) == 3  # the catalogue, and the embedder
    with Session(own_engine) as session:
        session.execute(text("DELETE FROM pages"))
        session.commit()


def test_threads_share_a_repository(own_engine: Engine) -> None:
    model = MODELS[Metric.L2, Storage.VECTOR]
    repository, matrix = Repository(model, HashedEmbedder()), matrix_for(Metric.L2)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for number in range(12):
                query, least = matrix[(seed * 31 + number * 7) % ROWS] + np.float32(0.25), number * 5
                with Session(own_engine) as session:
                    found = repository.search(session, query, limit=8, where=model.id >= least, exact=number % 2 == 0)
                    expected = distances(Metric.L2, matrix, query)
                    expected[:least] = np.nan
                    assert_nearest(found, np.append(expected, [np.nan] * 20), 8)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_connections_that_differ_in_their_search_path(databases: Databases) -> None:
    url = databases.create()
    engine = plain_engine(url)
    embedder = HashedEmbedder()
    with engine.begin() as connection:
        connection.execute(text("CREATE EXTENSION vector"))
    for tenant in ("one", "two"):
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {tenant}"))
            connection.execute(text(f"SET LOCAL search_path = {tenant}, public"))
            Page.__table__.create(connection)  # type: ignore[attr-defined]
            with Session(connection) as session:
                texts = sentences(20, seed=len(tenant)) if tenant == "one" else ["hat"] * 5
                Repository(Page, embedder).upsert(session, [{"id": i, "content": t} for i, t in enumerate(texts)])
                session.commit()
    repository = Repository(Page, embedder)
    counts = []
    for tenant in ("one", "two", "one", "two"):
        with Session(engine) as session:
            session.execute(text(f"SET LOCAL search_path = {tenant}, public"))
            for mode in ("vector", "text", "hybrid"):
                found = repository.search(session, "hat", mode=mode, limit=30, where=Page.id < 100)
                assert all(hit.entity.content == "hat" for hit in found) == (tenant == "two")
            counts.append(len(repository.search(session, "hat", mode="vector", limit=30)))
    engine.dispose()
    databases.drop(url)
    assert counts == [20, 5, 20, 5]


def test_a_schema_translate_map(databases: Databases) -> None:
    url = databases.create()
    engine = plain_engine(url)
    with engine.begin() as connection:
        connection.execute(text('CREATE SCHEMA "Tenant A"'))
    tenant = engine.execution_options(schema_translate_map={None: "Tenant A"})
    Base.metadata.create_all(tenant, tables=[Page.__table__])  # type: ignore[list-item]
    repository = Repository(Page, HashedEmbedder())
    with Session(tenant) as session:
        session.execute(insert(Page), [{"id": i, "content": t} for i, t in enumerate(sentences(20))])
        repository.upsert(session, session.scalars(select(Page)).all())
        other = select(Page.id).where(Page.id < 9)
        for mode in ("vector", "text", "hybrid"):
            found = repository.search(session, "red coat", mode=mode, where=[Page.id.in_(other)], limit=30)
            assert found
            assert all(hit.entity.id < 9 for hit in found)
        assert session.scalar(select(func.count()).select_from(Page)) == 20
        assert len(session.execute(repository.nearest("red").limit(3)).all()) == 3
    engine.dispose()
    databases.drop(url)
