"""Changing metadata alone: nothing is embedded, and everything that is made of metadata follows."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from tests.store.conftest import NewCollection
from tests.store.support import PARAGRAPHS, rows, text_of
from tests.support import HashedEmbedder
from vectordb import Chunking, Collection, Document, F, VectorDB
from vectordb.errors import DatabaseError, InvalidFilter, InvalidInput, InvalidMetadata, InvalidText
from vectordb.filters import And


@pytest.fixture
def docs(new_collection: NewCollection, embedder: HashedEmbedder) -> Collection:
    docs = new_collection(
        embedder=embedder, chunking=Chunking(size=40, unit="characters"), fields={"year": int, "lang": str}
    )
    docs.upsert([Document(text_of(*PARAGRAPHS), n, metadata={"year": 2000 + n, "keep": [n, None]}) for n in range(5)])
    embedder.seen.clear()
    return docs


def stored(db: VectorDB, docs: Collection) -> list[tuple[Any, ...]]:
    """Return what a patch must leave alone."""
    chunks = docs.Chunk.__table__
    return rows(
        db,
        f"SELECT document_id, ordinal, content, content_hash, embedding::text, span_start, tokens FROM {chunks}"
        " ORDER BY 1, 2",
    )


def columns(db: VectorDB, docs: Collection, id: str) -> set[tuple[Any, ...]]:
    """Return declared columns and metadata of a document and its chunks, which must all be the same."""
    found = rows(db, f"SELECT year, lang, metadata::text FROM {docs.Document.__table__} WHERE id = :id", id=id)
    found += rows(db, f"SELECT year, lang, metadata::text FROM {docs.Chunk.__table__} WHERE document_id = :id", id=id)
    assert len(found) > 2
    return set(found)


def test_keys_are_set_and_removed_everywhere(docs: Collection, home: VectorDB, embedder: HashedEmbedder) -> None:
    before = stored(home, docs)
    assert (
        docs.patch_metadata({"lang": "de", "new": {"a": 1}}, remove=["year", "nothing"], where=F("year") >= 2003) == 2
    )
    assert docs.get("3").metadata == {"keep": [3, None], "lang": "de", "new": {"a": 1}}
    assert columns(home, docs, "3") == {(None, "de", '{"new": {"a": 1}, "keep": [3, null], "lang": "de"}')}
    assert columns(home, docs, "2") == {(2002, None, '{"keep": [2, null], "year": 2002}')}
    assert embedder.seen == []
    assert {hit.document_id for hit in docs.search("cats", where=F("lang") == "de", limit=50)} == {"3", "4"}
    assert {hit.metadata["new"]["a"] for hit in docs.search("cats", where=F("new.a") == 1)} == {1}
    assert docs.count(F("year") >= 2003) == 0
    assert stored(home, docs) == before


def test_the_same_document_is_written_again_afterwards(docs: Collection, embedder: HashedEmbedder) -> None:
    docs.patch_metadata({"lang": "de"}, ids=1)
    same = Document(text_of(*PARAGRAPHS), 1, metadata={"year": 2001, "keep": [1, None], "lang": "de"})
    assert docs.upsert(same).unchanged == 1
    original = Document(text_of(*PARAGRAPHS), 1, metadata={"year": 2001, "keep": [1, None]})
    assert docs.upsert(original).updated == 1
    assert docs.get("1") == Document(text_of(*PARAGRAPHS), "1", metadata={"year": 2001, "keep": [1, None]})
    assert docs.count(F("lang").exists()) == 0
    assert embedder.seen == [], "the text is the same"
    docs.patch_metadata({}, remove=["year", "keep"], ids=2)
    assert docs.upsert(Document("New text.", 2)).updated == 1
    assert docs.get("2").metadata == {}


def test_which_documents(docs: Collection) -> None:
    assert docs.patch_metadata({"a": 1}, ids=[1, 2, 2, "missing"]) == 2
    assert docs.patch_metadata({"a": 1}, ids=[1, 2, 3]) == 1, "only what is different is counted"
    assert docs.patch_metadata({"b": 1}, ids=[1, 2], where=F("year") == 2001) == 1
    assert docs.patch_metadata({"c": 1}, where={}) == docs.patch_metadata({"c": 2}, where=And(())) == 5
    assert docs.patch_metadata({"c": 3}, where=docs.Document.id.in_(["1", "4"])) == 2
    assert docs.patch_metadata({"c": 4}, where=docs.Chunk.ordinal == 3) == 5
    assert docs.patch_metadata({"d": 1}, ids=[]) == docs.patch_metadata({"d": 1}, ids="missing") == 0
    assert docs.patch_metadata({}, where={}) == docs.patch_metadata({}, remove=["z"], where={}) == 0


def test_values_keep_their_type(docs: Collection) -> None:
    values: dict[str, Any] = {"null": None, "big": 10**30, "float": 0.1, "true": True, "text": "1", "é\"'%s": {"": []}}
    assert docs.patch_metadata(values, ids=0) == 1
    assert docs.get("0").metadata == {"year": 2000, "keep": [0, None], **values}
    assert docs.patch_metadata(values, ids=0) == 0
    assert docs.patch_metadata({"year": None}, ids=0) == 1
    assert docs.get("0").metadata["year"] is None
    assert docs.patch_metadata({}, remove=["é\"'%s", "null"], ids=0) == 1
    assert {"é\"'%s", "null"} & set(docs.get("0").metadata) == set()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, InvalidInput),
        ({"where": {"year": {"bigger": 1}}}, InvalidFilter),
        ({"where": "year = 1"}, InvalidFilter),
        ({"ids": [None]}, InvalidText),
        ({"ids": 1, "remove": "year"}, InvalidInput),
        ({"ids": 1, "remove": b"year"}, InvalidInput),
        ({"ids": 1, "remove": 5}, InvalidInput),
        ({"ids": 1, "remove": [5]}, InvalidInput),
        ({"ids": 1, "remove": ["a\x00"]}, InvalidInput),
        ({"ids": 1, "remove": ["\ud800"]}, InvalidInput),
        ({"ids": 1, "remove": [["a"]]}, InvalidInput),
        ({"ids": 1, "remove": ["a"]}, InvalidInput),
        ({"ids": 1, "metadata": None}, InvalidMetadata),
        ({"ids": 1, "metadata": "a"}, InvalidMetadata),
        ({"ids": 1, "metadata": [1]}, InvalidMetadata),
        ({"ids": 1, "metadata": {"a": object()}}, InvalidMetadata),
        ({"ids": 1, "metadata": {"a": float("nan")}}, InvalidMetadata),
        ({"ids": 1, "metadata": {"a": "\x00"}}, InvalidInput),
        ({"ids": 1, "metadata": {1: 1}}, InvalidMetadata),
        ({"ids": 1, "metadata": {"year": "2001"}}, InvalidMetadata),
        ({"ids": 1, "metadata": {"year": True}}, InvalidMetadata),
        ({"ids": 1, "metadata": {"lang": 5}}, InvalidMetadata),
        ({"ids": 1, "metadata": {"year": 2**70}}, InvalidMetadata),
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_what_is_refused_changes_nothing(docs: Collection, arguments: dict[str, Any], error: type[Exception]) -> None:
    before = list(docs.scan())
    with pytest.raises(error):
        docs.patch_metadata(**{"metadata": {"a": 1}, **arguments})
    assert list(docs.scan()) == before


def test_within_a_transaction(docs: Collection, home: VectorDB) -> None:
    with contextlib.suppress(RuntimeError), home.transaction():
        assert docs.patch_metadata({"a": 1}, where={}) == 5
        raise RuntimeError
    assert docs.count(F("a") == 1) == 0
    with home.transaction():
        docs.patch_metadata({"a": 1}, ids=1)
        docs.patch_metadata({"a": 2}, where=F("a") == 1)
    assert docs.get("1").metadata["a"] == 2


def test_all_or_nothing_where_the_database_refuses(docs: Collection, home: VectorDB) -> None:
    table = docs.Document.__table__
    with home.transaction() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD CHECK (id <> '3' OR NOT metadata ? 'bad')")
    before = list(docs.scan())
    with pytest.raises(DatabaseError):
        docs.patch_metadata({"bad": 1}, where={})
    assert list(docs.scan()) == before
