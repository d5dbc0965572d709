"""Filters and views under search by text and hybrid search: the rows that the oracle lets through, ranked as always."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
import sqlalchemy as sa

from tests.store.conftest import NewCollection
from tests.store.test_filter_fuzz import DOCUMENTS, SEED, Corpus, drawn, filled
from tests.support import ALL_FIELDS, HOSTILE_NAMES, HOSTILE_TEXTS, HashedEmbedder, hashed_words
from tests.text_oracle import Oracle, assert_same, keys
from vectordb import Collection, F, FunctionEmbedder, VectorDB
from vectordb.errors import VectorDBError
from vectordb.filters import And

WORDS = ["cat", "dog", "bird", "fish", "bee", "ant"]
QUERIES = [["cat"], ["dog", "bee"], ["ant", "ant", "fish", "cat"]]


@dataclass
class Library:
    """Hostile documents with texts of their own."""

    corpus: Corpus
    docs: Collection
    oracle: Oracle


@pytest.fixture(scope="module", params=[ALL_FIELDS, {}], ids=["declared", "undeclared"])
def library(request: pytest.FixtureRequest, home: VectorDB) -> Library:
    """Only to be read."""
    name = "text_declared" if request.param else "text_undeclared"
    same = FunctionEmbedder(lambda texts: np.ones((len(texts), 3), dtype=np.float32), dimensions=3, name="all the same")
    docs = home.create_collection(name, embedder=same, fields=request.param, text_config="simple")
    corpus = filled(docs, home, SEED, ALL_FIELDS, tell=bool(request.param))
    random = Random(SEED)
    chunks = docs.Chunk.__table__
    with home.engine.begin() as connection:
        for id in corpus.metadata:
            text = " ".join(random.choices(WORDS, [5, 3, 2, 1, 1, 1], k=random.choice([1, 2, 5, 9])))
            connection.execute(sa.update(chunks).where(chunks.c.document_id == id).values(content=text))
        return Library(corpus, docs, Oracle.of(connection, docs))


@pytest.fixture(scope="module")
def embedded(home: VectorDB) -> Collection:
    """Texts with an embedder, and an expression or two to confine them."""
    docs = home.create_collection("text_embedded", embedder=HashedEmbedder(), fields={"n": int}, text_config="simple")
    random = Random(1)
    texts = [" ".join(random.choices(WORDS, k=5)) for _ in range(300)]
    docs.upsert_vectors(
        range(300), hashed_words(texts), contents=texts, metadata=[{"n": n, "even": n % 2 == 0} for n in range(300)]
    )
    return docs


@pytest.mark.parametrize("round", range(60))
def test_text_under_any_filter(library: Library, round: int) -> None:
    library.corpus.hostile._random.seed(f"text {SEED} {round}")
    where, matching = drawn(library.corpus)
    for words in QUERIES:
        asked = {word: words.count(word) for word in words}
        for limit in (3, DOCUMENTS):
            hits = library.docs.search(" ".join(words), mode="text", where=where, limit=limit)
            assert_same(hits, library.oracle.best(asked, limit, matching), f"FUZZ_SEED={SEED}: {where!r}")
    hybrid = library.docs.search("cat dog", where=where, limit=DOCUMENTS)
    assert {hit.document_id for hit in hybrid} == matching, where
    if where != And(()):
        view = library.docs.where(where)
        assert_same(view.search("cat dog", mode="text"), library.oracle.best({"cat": 1, "dog": 1}, 10, matching), where)


def test_a_filter_changes_no_score(embedded: Collection) -> None:
    """Statistics are those of the whole collection, and so a score means the same under every filter."""
    for mode in ("text", "hybrid"):
        every = {hit.document_id: hit.score for hit in embedded.search("cat bee", mode=mode, limit=300, exact=True)}
        some = embedded.search("cat bee", mode=mode, where=F("n") < 20, limit=300)
        assert len(some) > 5
        for hit in some:
            assert hit.score == pytest.approx(every[hit.document_id], rel=1e-6)


@pytest.mark.parametrize("mode", ["text", "hybrid", None])
@pytest.mark.parametrize("kind", ["filter", "json", "own", "undeclared", "expression", "chunk expression"])
def test_all_ways_to_confine(embedded: Collection, kind: str, mode: str | None) -> None:
    document, chunk = embedded.Document, embedded.Chunk
    ways = {
        "filter": F("n") < 40,
        "json": (F("n") < 40).to_dict(),
        "own": F("id").in_([str(n) for n in range(40)]),
        "undeclared": (F("even") == True) & (F("n") < 40),  # noqa: E712 - builds a filter
        "expression": document.n < 40,
        "chunk expression": sa.and_(chunk.content.like("%bee%"), chunk.n < 40),
    }
    where = ways[kind]
    hits = embedded.search("bee", mode=mode, where=where, limit=300)
    assert {hit.document_id for hit in hits} <= {str(n) for n in range(40)}
    containing = {hit.document_id for hit in hits if "bee" in hit.content}
    expected = [n for n in range(40) if kind != "undeclared" or n % 2 == 0]
    contents = {hit.document_id: hit.content for hit in embedded.search("bee", mode="text", limit=300)}
    assert containing == {str(n) for n in expected if str(n) in contents}
    if mode != "text" and kind != "chunk expression":
        assert len(hits) == len(expected)
    view = embedded.where(where) if kind != "chunk expression" else None
    if view is not None:
        assert view.search("bee", mode=mode, limit=300) == hits
        assert keys(view.search("bee", mode=mode, where=F("n") >= 10, limit=300)) == [
            key for key in keys(hits) if int(key[0]) >= 10
        ]
        assert len(view.search("bee", mode=mode, where=F("n") >= 40)) == 0


HOSTILE = [*HOSTILE_NAMES, *HOSTILE_TEXTS, "'; DROP TABLE canary; --", "$1 $$ $a$", "%(text)s %(w0)s", "\\'; SELECT 1"]


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_queries_are_never_sql(home: VectorDB, new_collection: NewCollection, mode: str) -> None:
    docs = new_collection(embedder=HashedEmbedder(), text_config="simple")
    texts = [f"canary {text}" for text in HOSTILE]
    docs.upsert_vectors(range(len(texts)), hashed_words(texts), contents=texts, metadata=[{"a": 1}] * len(texts))
    for text in HOSTILE:
        for query in (f"canary {text}", f'canary "{text}', f"canary -{text or 'x'}", f'{text}" or canary'):
            hits = docs.search(query, mode=mode, highlight=True, limit=100, where=F("a") == 1)
            assert all(hit.content in texts for hit in hits)
    assert docs.count() == len(texts)
    assert len(docs.search("canary", mode=mode, limit=100)) == len(texts)


@pytest.mark.parametrize(
    "config", [*HOSTILE_NAMES, "english'::regconfig); DROP TABLE x; --", "simple'", "pg_catalog", None]
)
def test_configurations_are_never_sql(home: VectorDB, config: str | None) -> None:
    before = [collection.name for collection in home.collections()]
    with pytest.raises(VectorDBError):
        home.create_collection("never", dimensions=2, text_config=config)  # type: ignore[arg-type] # what is wrong
    assert [collection.name for collection in home.collections()] == before
