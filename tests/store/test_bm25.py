"""Search by text against BM25 in numpy and against bm25s: the same chunks, in the same order, with the same scores."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random
from typing import Any

import bm25s
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.store.conftest import NewCollection
from tests.text_oracle import Oracle, assert_same, keys, lexemes
from vectordb import BM25, Collection, Results, VectorDB

GLOSSES, QUERIES = 8_000, 500


def tiny(count: int) -> NDArray[np.float32]:
    """Return vectors that do not matter."""
    return np.ones((count, 2), dtype=np.float32)


def store(docs: Collection, texts: list[str]) -> None:
    docs.upsert_vectors(range(len(texts)), tiny(len(texts)), contents=texts)


def bare(db: VectorDB, name: str, texts: list[str], **options: Any) -> Collection:
    """Make a collection of texts whose vectors do not matter."""
    docs = db.create_collection(name, dimensions=2, index=None, **options)
    store(docs, texts)
    return docs


@pytest.fixture(scope="module")
def glosses(datasets: Path) -> list[str]:
    """Every fourteenth definition of WordNet, many with some words repeated, and a few very long texts."""
    with gzip.open(datasets / "wordnet30_glosses.jsonl.gz", "rt", encoding="utf-8") as file:
        entries = [json.loads(line) for line in file][::14][:GLOSSES]
    texts = [f"{' '.join(entry['words'])} {entry['text']}" for entry in entries]
    random = Random(3)
    for place in random.sample(range(len(texts)), 400):
        texts[place] += f" {random.choice(texts[place].split())}" * random.choice([1, 2, 5, 300])
    for place in random.sample(range(len(texts)), 20):
        texts[place] = " ".join(random.sample(texts, 200))
    return texts


@pytest.fixture(scope="module", params=["english", "simple"])
def dictionary(request: pytest.FixtureRequest, home: VectorDB, glosses: list[str]) -> Collection:
    """The definitions; only to be read."""
    return bare(home, f"dictionary_{request.param}", glosses, text_config=request.param)


@pytest.fixture(scope="module")
def reference(home: VectorDB, dictionary: Collection) -> Oracle:
    return Oracle.now(home, dictionary)


@pytest.fixture(scope="module")
def queries(glosses: list[str]) -> list[str]:
    """Rare, middling and common words, 1 to 12 of them, some repeated."""
    words = np.array([word for text in glosses for word in text.split() if word.isalpha() and word.lower() != "or"])
    known, counts = np.unique(words, return_counts=True)
    common = known[np.argsort(-counts)][:150]
    classes = [known[counts <= 2], known[(counts > 2) & (counts < 60)], common, words]
    random = np.random.default_rng(4)
    made = []
    for number in range(QUERIES):
        pool = classes[number % 4] if number % 5 else random.choice(np.concatenate([c[:200] for c in classes]), 30)
        chosen = random.choice(pool, random.integers(1, 13))
        if number % 7 == 0:
            chosen = random.choice(chosen[:4], len(chosen))
        made.append(" ".join(chosen))
    return made


@pytest.fixture(scope="module")
def asked(home: VectorDB, dictionary: Collection, queries: list[str]) -> list[dict[str, int]]:
    """The lexemes of the queries."""
    with home.engine.connect() as connection:
        return lexemes(connection, dictionary.config.text_config, queries)


@pytest.fixture(scope="module")
def found(dictionary: Collection, queries: list[str]) -> list[Results]:
    """What the library finds for them."""
    return [dictionary.search(query, mode="text") for query in queries]


def test_as_the_definition(
    reference: Oracle, queries: list[str], asked: list[dict[str, int]], found: list[Results]
) -> None:
    # Of so many the engine does not look at all.
    assert sum(len(reference.best(words)) > 400 for words in asked) > 40
    for query, words, hits in zip(queries, asked, found, strict=True):
        assert_same(hits, reference.best(words, 10), query)


@pytest.mark.parametrize("limit", [1, 100, 1_000, 100_000])
def test_however_many(
    dictionary: Collection, reference: Oracle, queries: list[str], asked: list[dict[str, int]], limit: int
) -> None:
    for query, words in list(zip(queries, asked, strict=True))[limit % 17 :: 50 if limit > 100 else 10]:
        hits = dictionary.search(query, mode="text", limit=limit)
        assert_same(hits, reference.best(words, limit), query)
        assert [hit.text_rank for hit in hits] == list(range(1, len(hits) + 1))


def test_as_bm25s(reference: Oracle, asked: list[dict[str, int]], found: list[Results]) -> None:
    """Another implementation, on the same tokens."""
    tokens: list[list[str]] = [[] for _ in reference.keys]
    for lexeme, (places, counts) in reference.postings.items():
        for place, count in zip(places, counts, strict=True):
            tokens[place] += [lexeme] * int(count)
    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75, dtype="float64")
    index.index(tokens, show_progress=False)
    place = {key: number for number, key in enumerate(reference.keys)}
    overlap = []
    for words, hits in zip(asked, found, strict=True):
        known = [lexeme for lexeme, count in words.items() if lexeme in reference.postings for _ in range(count)]
        if not known:
            assert len(hits) == 0
            continue
        scores = index.get_scores(known)
        best = np.sort(scores)[::-1][:10]
        theirs = np.array([scores[place[key]] for key in keys(hits)])
        np.testing.assert_allclose([hit.score for hit in hits], theirs, rtol=1e-4, err_msg=str(words))
        assert len(hits) == np.count_nonzero(best)
        overlap.append(np.mean(theirs >= best[len(hits) - 1] * (1 - 1e-6)))
    assert np.mean(overlap) >= 0.99


@pytest.mark.parametrize(
    "index", [BM25(k1=0), BM25(k1=0.5, b=0), BM25(k1=2, b=1), BM25(k1=1000, b=1), BM25(b=0), BM25(k1=3, b=0.1)], ids=str
)
def test_other_parameters(home: VectorDB, glosses: list[str], queries: list[str], index: BM25) -> None:
    docs = bare(home, f"parameters_{hash(index) % 10**9}", glosses[:1_500], text_index=index)
    assert docs.text_index == index
    reference = Oracle.now(home, docs)
    with home.engine.connect() as connection:
        asked = lexemes(connection, "english", queries)
    for query, words in list(zip(queries, asked, strict=True))[::8]:
        assert_same(docs.search(query, mode="text", limit=5), reference.best(words, 5), query)


def test_a_word_that_is_everywhere(home: VectorDB, new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=2, text_config="simple")
    store(docs, [f"the {'the ' * (n % 5)}{'cat ' * (n % 3)}{n}" for n in range(1_200)])
    reference = Oracle.now(home, docs)
    for query in ("the", "the cat", "the the cat", "the 77", "cat 5 7 9 the", "the the the"):
        words = {word: query.split().count(word) for word in query.split()}
        for limit in (1, 10, 500, 2_000):
            hits = docs.search(query, mode="text", limit=limit)
            assert_same(hits, reference.best(words, limit), query)
            assert all(hit.score > 0 for hit in hits)


def test_texts_of_all_lengths(home: VectorDB, new_collection: NewCollection) -> None:
    """From one word to more than a tsvector tells apart: 255 places of a word, the first 16,383 of a text."""
    docs = new_collection(dimensions=2, text_config="simple")
    random = Random(6)
    vocabulary = [f"w{n}" for n in range(40)]
    sizes = [1, 2, 5, 20, 100, 1_000, 5_000, 16_382, 16_384, 20_000]
    store(docs, [" ".join(random.choices(vocabulary, k=sizes[n % 10])) for n in range(100)])
    reference = Oracle.now(home, docs)
    assert reference.lengths.max() > 1_000
    for _ in range(40):
        words = random.choices([*vocabulary, "never"], k=random.randint(1, 9))
        hits = docs.search(" ".join(words), mode="text", limit=10)
        assert_same(hits, reference.best({word: words.count(word) for word in words}, 10), words)


def test_hits_of_text_alone_have_nothing_of_a_vector(dictionary: Collection) -> None:
    hits = dictionary.search("small animal", mode="text")
    assert hits.plan is not None
    assert (hits.plan.mode, hits.plan.strategy) == ("text", "exact")
    for hit in hits:
        assert (hit.distance, hit.vector_rank, hit.vector_score, hit.rerank_score) == (None,) * 4
        assert hit.score == hit.text_score


# What prunes must not lose: few words, many ties, long repeats.


@pytest.fixture(scope="module")
def scratch(home: VectorDB) -> Collection:
    """Emptied and filled again for every example."""
    return home.create_collection("scratch", dimensions=2, index=None, text_config="simple")


WORDS = st.sampled_from(["a", "b", "c", "d", "ee", "f", "g", "hh", "i", "j", "kkk", "l"])


@st.composite
def corpora(draw: st.DrawFn) -> list[str]:
    """Texts of few words, some of them hundreds of times; enough of them that the engine prunes."""
    few = draw(st.lists(st.lists(st.tuples(WORDS, st.sampled_from([1, 1, 1, 2, 3, 60])), max_size=6), min_size=1))
    forms = [" ".join(f"{word} " * times for word, times in form) for form in few]
    seed, size = draw(st.integers(0, 2**32)), draw(st.sampled_from([20, 300, 900]))
    random = Random(seed)
    skew = [random.paretovariate(0.7) for _ in forms]
    return random.choices(forms, skew, k=size)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(corpora(), st.lists(st.lists(WORDS, min_size=1, max_size=14), min_size=6, max_size=6), st.data())
def test_pruning_loses_nothing(
    home: VectorDB, scratch: Collection, texts: list[str], asked: list[list[str]], data: st.DataObject
) -> None:
    with home.engine.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {scratch.Document.__table__.fullname} CASCADE")
    store(scratch, texts)
    reference = Oracle.now(home, scratch)
    for words in asked:
        limit = data.draw(st.sampled_from([1, 2, 5, 10, 40]))
        hits = scratch.search(" ".join(words), mode="text", limit=limit)
        assert_same(hits, reference.best({word: words.count(word) for word in words}, limit), (words, limit))
