"""`connect` and `VectorDB`: opening a database, making and finding collections, transactions."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import create_engine, make_url

import vectordb
from tests.conftest import Databases
from tests.migrations.support import rows, upgrade
from tests.support import HashedEmbedder
from vectordb import BM25, HNSW, Chunking, IVFFlat, VectorDB, errors
from vectordb.validation import check_name

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    """One database; every test has collections of its own."""
    url = databases.create()
    upgrade(url, dimensions="3")
    yield url
    databases.drop(url)


def test_connect_sends_nothing() -> None:
    with vectordb.connect(NOWHERE) as db:
        assert repr(db) == "VectorDB('127.0.0.1:1/none')"
        with pytest.raises(
            errors.ConnectionFailed, match=r"cannot connect to PostgreSQL at 127\.0\.0\.1:1/none"
        ) as caught:
            db.collections()
    assert caught.value.retryable


def test_a_url_and_a_path_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="not both"):
        vectordb.connect(NOWHERE, path=tmp_path)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_schemes_that_mean_postgresql(url: str, scheme: str) -> None:
    with vectordb.connect(url.replace("postgresql:", f"{scheme}:")) as db:
        assert db.collection().name == "default"


@pytest.mark.parametrize("scheme", ["mysql", "postgresql+asyncpg", "postgre", "sqlite"])
def test_other_schemes_are_refused(scheme: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=re.escape(f"not with {scheme}://")):
        vectordb.connect(f"{scheme}://h/d")


def test_the_environment_names_the_database(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORDB_URL", url)
    with vectordb.connect() as db:
        assert db.collection().name == "default"
    with vectordb.connect(NOWHERE) as db:
        assert "none" in repr(db)


def test_an_engine_stays_its_owners(url: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with vectordb.connect(engine) as db:
        assert db.engine is engine
        db.collections()
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined] # a QueuePool
    engine.dispose()


def test_a_closed_database_keeps_no_connection(url: str) -> None:
    with vectordb.connect(url) as db:
        db.collections()
        pool = db.engine.pool
    assert pool.checkedin() == 0  # type: ignore[attr-defined] # a QueuePool


def test_an_engine_of_another_driver_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match="psycopg"):
        vectordb.connect(create_engine("sqlite://"))


def test_a_pool_that_is_used_up_is_a_failed_connection(url: str) -> None:
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), pool_size=1, max_overflow=0, pool_timeout=0.05
    )
    with vectordb.connect(engine) as db, engine.connect(), pytest.raises(errors.ConnectionFailed, match="QueuePool"):
        db.collections()
    engine.dispose()


def test_a_collection_is_created_found_listed_and_dropped(databases: Databases) -> None:
    url = databases.create()
    upgrade(url, dimensions="3")
    with vectordb.connect(url) as db:
        made = db.create_collection("docs", dimensions=4, metric="l2", storage="halfvec", index=IVFFlat(lists=3))
        found = db.collection("docs")
        assert found.config == made.config
        assert (found.name, found.dimensions, found.metric, found.storage) == ("docs", 4, "l2", "halfvec")
        assert repr(found) == "Collection('docs', halfvec(4), l2)"
        assert [docs.name for docs in db.collections()] == ["default", "docs"]
        db.drop_collection("docs")
        assert [docs.name for docs in db.collections()] == ["default"]
        assert rows(url, "SELECT count(*) FROM pg_class WHERE relname ~ 'docs'") == [(0,)]
        db.create_collection("docs", dimensions=5)
        assert db.collection("docs").dimensions == 5
        db.drop_collection("default")
        with pytest.raises(errors.CollectionNotFound, match="'default'"):
            db.collection()
    databases.drop(url)


def test_creating_twice_is_an_error_that_changes_nothing(db: VectorDB) -> None:
    db.create_collection("twice", dimensions=3).upsert_vectors(["a"], np.ones((1, 3)))
    with pytest.raises(errors.CollectionExists, match=re.escape("db.collection('twice')")) as caught:
        db.create_collection("twice", dimensions=4)
    assert caught.value.facts == {"name": "twice"}
    assert db.collection("twice").dimensions == 3
    assert db.collection("twice").count() == 1


def test_an_unknown_collection_names_the_nearest(db: VectorDB) -> None:
    db.create_collection("articles", dimensions=3)
    for use in (db.collection, db.drop_collection):
        with pytest.raises(errors.CollectionNotFound, match="did you mean 'articles'") as caught:
            use("artcles")
        assert caught.value.facts == {"name": "artcles", "nearest": "articles"}
        with pytest.raises(errors.CollectionNotFound, match=r"there are .*articles") as caught:
            use("zzz")
        assert caught.value.facts["nearest"] is None


HOSTILE = [
    "",
    "Docs",
    "größe",
    "a b",
    'a"b',
    "a'b",
    "a;DROP TABLE x",
    "a.b",
    "1a",
    "a-b",
    "a\x00",
    "a\n",
    "a$b",
    "%s",
    "\ud800",
    "\uff41",
    "x" * 35,
    "x" * 63 + "a",
    "é" * 20,
    None,
    5,
    b"docs",
]


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_a_hostile_name_is_refused_before_anything_is_sent(name: Any) -> None:
    with vectordb.connect(NOWHERE) as db:
        for use in (db.collection, db.drop_collection):
            with pytest.raises(errors.InvalidName):
                use(name)
        for create in (db.create_collection, db.get_or_create_collection):
            with pytest.raises(errors.InvalidName) as caught:
                create(name, dimensions=3)
    suggestion = re.search(r"try '(.*)'", str(caught.value))
    if suggestion:
        assert check_name(suggestion[1])


@pytest.mark.parametrize("name", ["select", "user", "documents", "collections", "alembic_version", "public", "_", "x_"])
def test_a_word_of_sql_is_a_name_as_good_as_any(db: VectorDB, url: str, name: str) -> None:
    docs = db.create_collection(name, dimensions=3)
    docs.upsert_vectors(["a"], np.ones((1, 3)), contents=["text"])
    assert docs.get("a").content == "text"
    assert len(docs.search(np.ones(3))) == 1
    assert rows(url, f"SELECT content FROM vectordb.{name}_chunks") == [("text",)]
    db.drop_collection(name)
    assert db.collection().count() == 0


@pytest.mark.parametrize("index", [HNSW(), IVFFlat()])
def test_the_longest_names_stay_whole(db: VectorDB, url: str, index: HNSW | IVFFlat) -> None:
    """Two names of 34 bytes that differ in the last one; no identifier made from them may be cut off at 63."""
    for end in "ab":
        name = index.method + "x" * (33 - len(index.method)) + end
        assert len(name) == 34
        docs = db.create_collection(name, dimensions=3, index=index)
        docs.upsert_vectors([end], np.ones((1, 3)))
        identifiers = {
            identifier
            for (identifier,) in rows(
                url,
                "SELECT relname FROM pg_class WHERE relname LIKE %s UNION SELECT conname FROM pg_constraint"
                " WHERE conrelid::regclass::text LIKE %s AND contype IN ('p', 'f')",
                f"{name}%",
                f"%{name}%",
            )
        }
        assert identifiers == {
            f"{name}_documents",
            f"{name}_documents_pkey",
            f"{name}_documents_metadata_idx",
            f"{name}_chunks",
            f"{name}_chunks_pkey",
            f"{name}_chunks_metadata_idx",
            f"{name}_chunks_document_id_fkey",
            f"{name}_chunks_embedding_{index.method}_idx",
            f"{name}_chunks_content_tsv_idx",
            f"{name}_chunks_lexemes",
            f"{name}_chunks_lexemes_pkey",
            f"{name}_chunks_text_changes",
            f"{name}_chunks_text_changes_pkey",
            f"{name}_chunks_text_changes_id_seq",
        }
        assert [document.id for document in docs.scan()] == [end]


def test_get_or_create_finds_what_it_created(db: VectorDB) -> None:
    first = db.get_or_create_collection("found", dimensions=3, index=HNSW(m=8), chunking=Chunking(overlap=3))
    second = db.get_or_create_collection("found", dimensions=3, metric="cosine", storage="vector")
    assert first.config == second.config
    assert second.config.index == HNSW(m=8)
    assert db.get_or_create_collection("found").config == first.config
    # How a collection is indexed may change in its life.
    assert db.get_or_create_collection("found", index=None).config == first.config


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("dimensions", 4),
        ("metric", "l2"),
        ("metric", "cosin"),
        ("storage", "halfvec"),
        ("text_config", "simple"),
        ("text_index", BM25(b=0.5)),
        ("text_index", None),
        ("chunking", Chunking(overlap=4)),
    ],
)
def test_get_or_create_refuses_another_space(db: VectorDB, option: str, value: object) -> None:
    db.get_or_create_collection("space", dimensions=3)
    with pytest.raises(errors.ConfigurationError, match=f"exists with {option} .*, not {re.escape(str(value))}"):
        db.get_or_create_collection("space", **{option: value})
    assert repr(db.collection("space")) == "Collection('space', vector(3), cosine)"


@pytest.mark.parametrize("exists", [True, False])
def test_get_or_create_refuses_a_misspelt_option_either_way(db: VectorDB, exists: bool) -> None:
    name = "here" if exists else "not_here"
    if exists:
        db.create_collection(name, dimensions=3)
    with pytest.raises(TypeError, match="dimension"):
        db.get_or_create_collection(name, dimension=3)


def test_sixteen_threads_that_get_or_create_make_one_collection(db: VectorDB, url: str) -> None:
    ready = threading.Barrier(16)

    def work(number: int) -> str:
        ready.wait(30)
        docs = db.get_or_create_collection("raced", dimensions=3)
        docs.upsert_vectors([number], np.ones((1, 3)))
        return docs.name

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(16))) == ["raced"] * 16
    assert db.collection("raced").count() == 16
    assert rows(url, "SELECT count(*) FROM vectordb.collections WHERE name = 'raced'") == [(1,)]


def test_an_embedder_gives_its_dimensions_and_is_registered(db: VectorDB, embedder: HashedEmbedder) -> None:
    docs = db.create_collection("embedded", embedder=embedder)
    assert docs.dimensions == 16
    assert docs.config.embedder == embedder.identity
    with pytest.raises(errors.ConfigurationError, match="16 dimensions, the collection has 3"):
        db.create_collection("other", embedder=embedder, dimensions=3)
    with pytest.raises(errors.CollectionNotFound):
        db.collection("other")


def test_another_embedder_is_refused_when_it_is_used(db: VectorDB, embedder: HashedEmbedder) -> None:
    db.create_collection("mine", embedder=embedder).upsert("a text")
    other = HashedEmbedder(8)
    for open_collection in (db.collection, db.get_or_create_collection):
        docs = open_collection("mine", embedder=other)
        with pytest.raises(errors.EmbedderMismatch, match="dimensions 16, not 8") as caught:
            docs.search("text")
        assert caught.value.facts == {"registered": embedder.identity, "given": other.identity}
        with pytest.raises(errors.EmbedderMismatch):
            docs.upsert("another text")
    assert other.seen == []
    assert db.collection("mine").count() == 1


def test_a_transaction_takes_everything_back(db: VectorDB) -> None:
    kept = db.create_collection("kept_rows", dimensions=3)
    with contextlib.suppress(RuntimeError), db.transaction():
        db.create_collection("taken_back", dimensions=3).upsert_vectors(["a"], np.ones((1, 3)))
        kept.upsert_vectors(["a"], np.ones((1, 3)))
        assert (db.collection("taken_back").count(), kept.count()) == (1, 1)
        raise RuntimeError
    assert kept.count() == 0
    with pytest.raises(errors.CollectionNotFound):
        db.collection("taken_back")


def test_an_error_inside_a_transaction_leaves_the_rest_of_it_usable(db: VectorDB) -> None:
    with db.transaction():
        docs = db.create_collection("in_transaction", dimensions=3)
        with pytest.raises(errors.CollectionExists):
            db.create_collection("in_transaction", dimensions=3)
        with pytest.raises(errors.ConfigurationError):
            db.create_collection("not_that", dimensions=3, text_config="klingon")
        docs.upsert_vectors(["a"], np.ones((1, 3)))
    assert db.collection("in_transaction").count() == 1


def test_a_transaction_in_a_transaction_is_refused(db: VectorDB) -> None:
    with db.transaction(), pytest.raises(errors.ConfigurationError, match="open already"), db.transaction():
        pass


def test_migrate_if_new_brings_the_tables_once(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORDB_DIMENSIONS", "3")
    with vectordb.connect(database_url) as db:
        db.migrate_if_new()
        db.collection().upsert_vectors(["a"], np.ones((1, 3)))
        db.migrate_if_new()
        assert db.collection().count() == 1


def test_fields_are_declared_when_a_collection_is_created(db: VectorDB) -> None:
    docs = db.create_collection("with_fields", dimensions=3, fields={"year": int, "lang": "str"})
    assert docs.config.fields == db.collection("with_fields").config.fields == {"lang": "str", "year": "int"}
    assert db.create_collection("without_fields", dimensions=3).config.fields == {}


def test_fields_that_cannot_be_are_refused_before_anything_is_sent() -> None:
    with vectordb.connect(NOWHERE) as nowhere:
        with pytest.raises(errors.ConfigurationError, match=r"one of str, int, float, bool, datetime"):
            nowhere.create_collection("docs", dimensions=3, fields={"year": "number"})
        with pytest.raises(errors.InvalidName, match="'title'"):
            nowhere.create_collection("docs", dimensions=3, fields={"title": str})


def test_get_or_create_compares_fields(db: VectorDB) -> None:
    name = "compared_fields"
    db.get_or_create_collection(name, dimensions=3, fields={"year": int, "lang": str})
    for same in ({"lang": "str", "year": int}, None):
        assert db.get_or_create_collection(name, fields=same).config.fields == {"lang": "str", "year": "int"}
    for other, shown in (({"year": int}, "year: int"), ({"year": float, "lang": str}, "year: float"), ({}, "none")):
        with pytest.raises(
            errors.ConfigurationError, match=f"exists with fields lang: str, year: int, not .*{shown}; use another name"
        ):
            db.get_or_create_collection(name, fields=other)
