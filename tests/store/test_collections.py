"""Collections: made, opened, listed, dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vectordb
from tests.store.conftest import NewCollection
from tests.store.support import rows
from tests.support import HashedEmbedder
from vectordb import HNSW, Chunking, Collection, Document, IVFFlat, VectorDB
from vectordb.errors import CollectionExists, CollectionNotFound, ConfigurationError, InvalidName, VectorDBError

METRICS = ["cosine", "l2", "inner_product", "l1"]


def names(db: VectorDB) -> set[str]:
    return {docs.name for docs in db.collections()}


@pytest.mark.parametrize(
    ("metric", "storage", "index"),
    [
        (metric, storage, HNSW(m=4, ef_construction=16))
        for metric in METRICS
        for storage in ("vector", "halfvec", "sparsevec")
    ]
    + [(metric, storage, IVFFlat(lists=2)) for metric in METRICS[:3] for storage in ("vector", "halfvec")]
    + [
        ("hamming", "bit", HNSW()),
        ("jaccard", "bit", HNSW()),
        ("hamming", "bit", IVFFlat(lists=2)),
        ("cosine", "vector", None),
    ],
)
def test_every_kind(new_collection: NewCollection, home: VectorDB, metric: str, storage: str, index: Any) -> None:
    docs = new_collection(dimensions=5, metric=metric, storage=storage, index=index, text_config="simple")
    assert (docs.dimensions, docs.metric, docs.storage, docs.config.index) == (5, metric, storage, index)
    assert home.collection(docs.name).config == docs.config
    assert [found.options for found in docs.indexes()] == ([] if index is None else [index.options()])
    assert repr(docs) == f"Collection({docs.name!r}, {storage}(5), {metric})"
    docs.upsert_vectors(["a", "b"], [[1, 2, 3, 4, 5], [-1, 2, -3, 4, -5]])
    assert [hit.document_id for hit in docs.search([1, 2, 3, 4, 5])] == ["a", "b"]


@pytest.mark.parametrize("dimensions", [1, 2_000, 4_000, 16_000])
def test_few_and_many_dimensions(new_collection: NewCollection, rng: np.random.Generator, dimensions: int) -> None:
    storage = "halfvec" if 2_000 < dimensions <= 4_000 else "vector"
    docs = new_collection(dimensions=dimensions, storage=storage, index=HNSW() if dimensions <= 4_000 else None)
    matrix = np.round(rng.random((3, dimensions)) + 0.5, 1)
    docs.upsert_vectors(range(3), matrix)
    docs.upsert([Document("text", n, embedding=matrix[n]) for n in range(3)])
    assert len(docs.search(matrix[1])) == 3
    if dimensions > 1:
        assert docs.search(matrix[1])[0].document_id == "1"


@pytest.mark.parametrize(
    "options",
    [
        {"dimensions": 2_001},
        {"dimensions": 4_001, "storage": "halfvec"},
        {"dimensions": 0},
        {"dimensions": 16_001, "index": None},
        {"dimensions": "3"},
        {"dimensions": 3, "metric": "euclid"},
        {"dimensions": 3, "metric": None},
        {"dimensions": 3, "storage": "float"},
        {"dimensions": 3, "metric": "hamming"},
        {"dimensions": 3, "storage": "bit"},
        {"dimensions": 3, "metric": "l1", "index": IVFFlat()},
        {"dimensions": 3, "storage": "sparsevec", "index": IVFFlat()},
        {"dimensions": 3, "index": "hnsw"},
        {"dimensions": 3, "index": HNSW},
        {"dimensions": 3, "index": {"method": "hnsw"}},
        {"dimensions": 3, "chunking": 100},
        {"dimensions": 3, "text_config": None},
        {"dimensions": 3, "text_config": "klingon"},
        {"dimensions": 3, "text_config": "english'); DROP TABLE canary; --"},
    ],
    ids=repr,
)
def test_what_cannot_be(home: VectorDB, options: dict[str, Any]) -> None:
    before = names(home)
    with pytest.raises((ConfigurationError, InvalidName)):
        home.create_collection("impossible", **options)
    assert names(home) == before
    assert rows(home, "SELECT count(*) FROM pg_class WHERE relname LIKE 'impossible%'") == [(0,)]


@pytest.mark.parametrize("index", ["hnsw", HNSW, None, {"method": "hnsw"}])
def test_what_is_no_index(points: Collection, index: Any) -> None:
    before = points.indexes()
    with pytest.raises(ConfigurationError):
        points.create_index(index)
    assert points.indexes() == before
    assert points.config.index == HNSW()


NAMES = [
    "Docs",
    "1a",
    "",
    "a b",
    'a"; DROP SCHEMA vectordb CASCADE; --',
    "a'",
    "á",
    "a\x00",
    "a" * 35,
    "a.b",
    "%s",
    None,
    5,
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_hostile_names(home: VectorDB, name: Any) -> None:
    before = rows(home, "SELECT count(*) FROM pg_class")
    for call in (
        lambda: home.create_collection(name, dimensions=3),
        lambda: home.collection(name),
        lambda: home.get_or_create_collection(name, dimensions=3),
        lambda: home.drop_collection(name),
    ):
        with pytest.raises(InvalidName):
            call()
    assert rows(home, "SELECT count(*) FROM pg_class") == before


@pytest.mark.parametrize("name", ["select", "user", "_", "a" * 34, "table", "x_chunks", "x_documents", "x1"])
def test_odd_names(home: VectorDB, name: str) -> None:
    docs = home.create_collection(name, dimensions=3)
    docs.upsert_vectors(["a"], [[1, 2, 3]])
    assert home.collection(name).count() == len(docs.search([1, 2, 3])) == 1
    home.drop_collection(name)


def test_long_names_do_not_meet(home: VectorDB) -> None:
    """PostgreSQL would cut both to the same 63 bytes, if they were longer."""
    one, other = ("n" * 33 + last for last in "ab")
    home.create_collection(one, dimensions=3).upsert_vectors(["a"], [[1, 2, 3]])
    assert home.create_collection(other, dimensions=3).count() == 0


def test_one_of_the_same_name(points: Collection, home: VectorDB) -> None:
    with pytest.raises(CollectionExists, match=f"open it with db.collection\\('{points.name}'\\)") as caught:
        home.create_collection(points.name, dimensions=3)
    assert caught.value.facts["name"] == points.name


def test_an_unknown_one_and_the_nearest_name(home: VectorDB) -> None:
    home.create_collection("articles", dimensions=3)
    for call in (lambda: home.collection("artikles"), lambda: home.drop_collection("artikles")):
        with pytest.raises(CollectionNotFound, match="did you mean 'articles'") as caught:
            call()
        assert caught.value.facts == {"name": "artikles", "nearest": "articles"}
    with pytest.raises(CollectionNotFound) as caught:
        home.collection("qqqqqqqq")
    assert caught.value.facts["nearest"] is None


def test_dropped_with_everything(new_collection: NewCollection, home: VectorDB, embedder: HashedEmbedder) -> None:
    docs = new_collection(embedder=embedder)
    docs.upsert("text")
    home.drop_collection(docs.name)
    assert docs.name not in names(home)
    assert rows(home, "SELECT count(*) FROM pg_class WHERE relname LIKE :name", name=f"{docs.name}\\_%") == [(0,)]
    for call in (lambda: docs.search("text"), docs.count, lambda: docs.upsert("text"), lambda: list(docs.scan())):
        with pytest.raises(VectorDBError):
            call()
    assert home.create_collection(docs.name, dimensions=7).count() == 0


def test_made_again_as_another_kind(home: VectorDB, rng: np.random.Generator) -> None:
    """Statements that the server has prepared for the old tables must not be used for the new ones."""
    for storage, dimensions in (("vector", 3), ("halfvec", 5), ("sparsevec", 7), ("bit", 9), ("vector", 4)):
        metric = "hamming" if storage == "bit" else "cosine"
        docs = home.create_collection("again", dimensions=dimensions, storage=storage, metric=metric)
        matrix = rng.standard_normal((10, dimensions))
        docs.upsert_vectors(range(10), matrix)
        for number in range(7):
            assert docs.search(matrix[number], exact=True)[0].score > 0.99
            assert len(docs.search(matrix[number])) == 10
            assert docs.vectors(number)[str(number)].shape == (1, dimensions)
            docs.upsert([Document("text", number, embedding=matrix[number])])
            assert docs.get(number).content == "text"
        home.drop_collection("again")


def test_get_or_create(home: VectorDB, embedder: HashedEmbedder) -> None:
    docs = home.get_or_create_collection("maybe", embedder=embedder, chunking=Chunking(size=50, unit="characters"))
    docs.upsert("text")
    again = home.get_or_create_collection("maybe", embedder=embedder)
    assert again.count() == 1
    assert again.config == docs.config
    assert home.get_or_create_collection("maybe", metric="cosine", storage="vector", dimensions=16).count() == 1
    for options in ({"metric": "l2"}, {"storage": "halfvec"}, {"dimensions": 17}):
        with pytest.raises(ConfigurationError, match=f"exists with {next(iter(options))}"):
            home.get_or_create_collection("maybe", **options)


def test_the_default_collection(db: VectorDB) -> None:
    docs = db.collection()
    assert (docs.name, docs.dimensions) == ("default", 384)
    docs.upsert_vectors(["a"], np.eye(1, 384))
    assert rows(db, "SELECT id FROM vectordb.documents") == [("a",)]
    assert names(db) == {"default"}


def test_declared_as_asked(new_collection: NewCollection, home: VectorDB, embedder: HashedEmbedder) -> None:
    docs = new_collection(
        embedder=embedder, chunking=Chunking(size=30, overlap=5, unit="characters"), text_config="german"
    )
    again = home.collection(docs.name, embedder=embedder)
    assert again.config.chunking == Chunking(size=30, overlap=5, unit="characters")
    text = "Ein Satz folgt dem anderen, und einer noch. Und so geht es immer weiter, bis es aufhört."
    again.upsert(Document(text, "a"))
    assert again.get("a").content == text
    assert max(len(hit.content) for hit in again.search("Satz")) <= 30
    table = docs.Chunk.__table__
    assert rows(home, f"SELECT count(*) FROM {table} WHERE content_tsv @@ to_tsquery('german', 'Sätze')") == [(1,)]


def test_a_schema_of_ones_own(database_url: str, monkeypatch: pytest.MonkeyPatch, embedder: HashedEmbedder) -> None:
    monkeypatch.setenv("VECTORDB_SCHEMA", "search_of_ours")
    with vectordb.connect(database_url) as db:
        db.migrate()
        docs = db.create_collection("docs", dimensions=16)
        docs = db.collection("docs", embedder=embedder)
        docs.upsert([Document("Cats purr.", "a"), Document("Trains run.", "b")])
        docs.create_index(HNSW(m=8))
        docs.drop_index()
        docs.create_index(IVFFlat(lists=1))
        assert [index.method for index in docs.indexes()] == ["ivfflat"]
        assert docs.search("cats")[0].document_id == "a"
        with db.transaction():
            docs.upsert("Inside.")
        assert db.collection("docs").config.embedder == embedder.identity
        assert rows(db, "SELECT count(*) FROM search_of_ours.docs_documents") == [(3,)]
        assert names(db) == {"default", "docs"}
        db.drop_collection("docs")
        assert rows(db, "SELECT to_regnamespace('vectordb')") == [(None,)]


def test_pgvector_in_another_schema(database_url: str, embedder: HashedEmbedder) -> None:
    with vectordb.connect(database_url) as db:
        with db.engine.begin() as connection:
            connection.exec_driver_sql('CREATE SCHEMA "Exten sions"')
            connection.exec_driver_sql('CREATE EXTENSION vector SCHEMA "Exten sions"')
        db.migrate()
        for storage, metric in (("vector", "cosine"), ("halfvec", "l2"), ("sparsevec", "l1"), ("bit", "jaccard")):
            docs = db.create_collection(f"docs_{storage}", dimensions=3, storage=storage, metric=metric)
            docs.upsert_vectors(range(100), [[n % 2, 1, n % 5] for n in range(100)])
            assert len(docs.search([1, 1, 1], limit=50)) == 50
            assert docs.vectors("7")["7"].shape == (1, 3)
            docs.create_index(HNSW(m=4))
            docs.upsert([Document("text", n, embedding=[1, 1, 1]) for n in range(100)])
            assert docs.count() == 100
