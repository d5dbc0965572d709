"""The embedder of a collection: remembered, checked, and built again."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.store.conftest import NewCollection
from tests.support import HashedEmbedder
from vectordb import Collection, Document, FunctionEmbedder, SentenceTransformerEmbedder, UpsertResult, VectorDB
from vectordb.errors import ConfigurationError, EmbedderMismatch, InvalidInput


def named(name: str, dimensions: int = 2, **options: Any) -> FunctionEmbedder:
    return FunctionEmbedder(
        lambda texts: np.ones((len(texts), dimensions)), name=name, dimensions=dimensions, **options
    )


def test_registered_at_creation(new_collection: NewCollection, home: VectorDB) -> None:
    embedder = named("one")
    docs = new_collection(embedder=embedder)
    assert docs.config.embedder == home.collection(docs.name).config.embedder == embedder.identity


def test_registered_with_the_first_text(new_collection: NewCollection, home: VectorDB) -> None:
    name = new_collection(dimensions=2).name
    docs = home.collection(name, embedder=named("one"))
    docs.upsert_vectors(["a"], [[1, 2]])
    docs.upsert(Document("text", "b", embedding=[1, 2]))
    docs.upsert(Document("", "c"))
    docs.search("text")
    assert home.collection(name).config.embedder is None, "nothing was embedded to be stored"
    docs.upsert("text")
    assert docs.config.embedder == home.collection(name).config.embedder == named("one").identity


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (named("other"), "model 'one', not 'other'"),
        (named("one", normalized=True), "normalized False, not True"),
        (named("one", dimensions=3), "dimensions 2, not 3"),
    ],
    ids=["name", "normalisation", "dimensions"],
)
def test_another_one_is_refused(
    new_collection: NewCollection, home: VectorDB, other: FunctionEmbedder, difference: str
) -> None:
    docs = new_collection(embedder=named("one"))
    docs.upsert(Document("text", "a"))
    opened = home.collection(docs.name, embedder=other)
    for call in (
        lambda: opened.upsert(["new text", "more"]),
        lambda: opened.upsert(Document("changed", "a")),
        lambda: opened.search("query"),
    ):
        with pytest.raises(EmbedderMismatch, match=difference) as caught:
            call()
        assert caught.value.facts["registered"] == docs.config.embedder
        assert caught.value.facts["given"] == other.identity
    assert [document.content for document in docs.scan()] == ["text"]
    assert len(opened.search([1, 2])) == 1, "vectors need no embedder"
    assert opened.upsert_vectors(["v"], [[1, 2]]).inserted == 1
    assert opened.upsert(Document("text", "a")).unchanged == 1


def test_another_one_is_refused_where_none_is_registered_but_dimensions_are(
    new_collection: NewCollection, home: VectorDB
) -> None:
    name = new_collection(dimensions=2).name
    opened = home.collection(name, embedder=named("one", dimensions=3))
    for call in (lambda: opened.upsert("text"), lambda: opened.search("query")):
        with pytest.raises(EmbedderMismatch, match="dimensions 3, not 2"):
            call()
    assert opened.count() == 0
    assert home.collection(name).config.embedder is None


def test_a_function_has_to_be_passed_again(new_collection: NewCollection, home: VectorDB) -> None:
    docs = new_collection(embedder=named("one"))
    docs.upsert(Document("text", "a"))
    opened = home.collection(docs.name)
    for call in (lambda: opened.upsert("new text"), lambda: opened.search("query")):
        with pytest.raises(
            ConfigurationError, match=f"was filled by 'one'; pass embedder=… to db.collection\\('{docs.name}'"
        ):
            call()
    assert opened.get("a").content == "text"
    assert opened.upsert(Document("text", "a")).unchanged == 1
    assert home.collection(docs.name, embedder=named("one")).upsert("new text").inserted == 1


def test_dimensions_have_to_be_those_of_the_embedder(home: VectorDB) -> None:
    with pytest.raises(ConfigurationError, match="the embedder makes 2 dimensions, the collection has 3"):
        home.create_collection("mismatch", embedder=named("one"), dimensions=3)
    assert "mismatch" not in [docs.name for docs in home.collections()]


@pytest.mark.parametrize("embedder", [5, HashedEmbedder, object(), b"model"])
def test_what_is_no_embedder(home: VectorDB, embedder: Any) -> None:
    with pytest.raises(InvalidInput):
        home.create_collection("mismatch", embedder=embedder)


def test_any_function_of_texts(new_collection: NewCollection) -> None:
    docs = new_collection(embedder=lambda texts: [[float(len(text)), 1.0] for text in texts])
    docs.upsert(["short", "considerably longer"])
    assert docs.dimensions == 2
    assert docs.search("tiny")[0].content == "short"


@pytest.fixture(scope="module")
def animals(home: VectorDB, model: SentenceTransformerEmbedder) -> Collection:
    """A few documents, embedded by the real model."""
    docs = home.create_collection("animals", embedder=model)
    docs.upsert(
        [
            Document("The kitten fell asleep on the warm windowsill.", "cat", metadata={"n": 1}),
            Document("The central bank raised its interest rate by half a point.", "bank", metadata={"n": 2}),
            Document("Add a pinch of salt and knead the dough for ten minutes.", "bread", metadata={"n": 3}),
            Document("The striker scored twice in the second half.", "football", metadata={"n": 4}),
        ]
    )
    return docs


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("a sleepy pet", "cat"),
        ("monetary policy", "bank"),
        ("how to bake", "bread"),
        ("who won the match?", "football"),
    ],
)
def test_the_real_model_finds_by_meaning(animals: Collection, query: str, best: str) -> None:
    results = animals.search(query)
    assert results[0].document_id == best
    assert len(results) == 4
    assert 0.1 < results[0].score <= 1
    assert results[0].score > results[1].score + 0.05
    assert animals.search(query, where={"n": {"<": 5}}, limit=1)[0].document_id == best
    assert animals.search(query, exact=True) == results


def test_the_real_model_is_built_from_the_registry(
    animals: Collection,
    new_collection: NewCollection,
    home: VectorDB,
    home_url: str,
    model: SentenceTransformerEmbedder,
) -> None:
    """By another handle, and by another process that knows nothing but the URL and the names."""
    empty = new_collection(embedder=model)
    expected = [(hit.document_id, round(hit.score, 4)) for hit in animals.search("a sleepy pet")]
    again = home.collection("animals").search("a sleepy pet")
    assert [(hit.document_id, round(hit.score, 4)) for hit in again] == expected
    program = f"""
import vectordb
with vectordb.connect({home_url!r}) as db:
    found = db.collection("animals").search("a sleepy pet")
    print([(hit.document_id, round(hit.score, 4)) for hit in found])
    print(db.collection({empty.name!r}).upsert("Something new."))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [repr(expected), repr(UpsertResult(inserted=1, chunks=1, embedded=1))]
    assert empty.search("Something new.", mode="vector")[0].score > 0.99


def test_long_texts_are_cut_for_the_real_model(
    new_collection: NewCollection, model: SentenceTransformerEmbedder
) -> None:
    docs = new_collection(embedder=model)
    sentences = [f"Sentence number {n} is about nothing in particular." for n in range(100)]
    sentences[77] = "The submarine surfaced near the icebergs of Greenland."
    text = " ".join(sentences)
    result = docs.upsert(Document(text, "long"))
    assert result.chunks > 3
    assert docs.get("long").content == text
    assert "submarine" in docs.search("ships in the Arctic")[0].content
