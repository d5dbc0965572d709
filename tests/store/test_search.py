"""Search by text and by vector: what may be asked, and what is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from tests.store.conftest import NewCollection
from tests.store.support import rows
from tests.support import HashedEmbedder, hashed_words
from vectordb import Collection, Document, F, FunctionEmbedder, Results, VectorDB
from vectordb.errors import (
    ConfigurationError,
    DimensionMismatch,
    EmbeddingError,
    InvalidFilter,
    InvalidInput,
    InvalidText,
    InvalidVector,
)

TEXTS = ["Cats purr when they are content.", "Trains run on rails.", "Bread is baked of flour and water."]


@pytest.fixture
def filled(docs: Collection) -> Collection:
    docs.upsert([Document(text, n, metadata={"n": n, "tags": ["a", {"b": None}]}) for n, text in enumerate(TEXTS)])
    return docs


def test_by_text(filled: Collection, embedder: HashedEmbedder) -> None:
    embedder.seen.clear()
    results = filled.search("trains on rails")
    assert embedder.seen == ["trains on rails"]
    assert results[0].content == TEXTS[1]
    assert results[0].metadata == {"n": 1, "tags": ["a", {"b": None}]}
    assert (results[0].document_id, results[0].ordinal, results[0].vector_rank) == ("1", 0, 1)
    assert results[0].distance is not None
    assert results[0].vector_score is not None
    assert math.isclose(results[0].vector_score, 1 - results[0].distance)


def test_by_the_vector_of_the_text(filled: Collection) -> None:
    [vector] = hashed_words(["trains on rails"])
    by_text = filled.search("trains on rails", mode="vector")
    for query in (vector, vector.tolist(), tuple(vector.tolist()), vector.astype(np.float64), vector.astype(">f4")):
        assert filled.search(query) == by_text


def test_results_print_and_go_to_json(filled: Collection) -> None:
    results = filled.search("trains on rails", limit=2)
    assert isinstance(results, Results)
    assert str(results).splitlines()[0].endswith(TEXTS[1])
    assert len(str(results).splitlines()) == 2
    assert [hit["content"] for hit in json.loads(json.dumps(results.to_dicts()))] == [hit.content for hit in results]


def test_queries_and_documents_may_be_embedded_differently(new_collection: NewCollection) -> None:
    asked: list[str] = []

    def embed(texts: list[str], input_type: str) -> Any:
        asked.append(input_type)
        return [[1.0, float(len(text))] for text in texts]

    docs = new_collection(embedder=embed, dimensions=2)
    docs.upsert("text")
    docs.search("query")
    assert asked[-2:] == ["document", "query"]


def test_nothing_to_find(docs: Collection, points: Collection) -> None:
    assert docs.search("anything") == Results([])
    assert points.search([1, 2, 3], exact=True, limit=5) == Results([])
    assert points.search([1, 2, 3], where={"a": 1}) == Results([])


@pytest.mark.parametrize("query", ["", " ", "\n\t "])
def test_an_empty_query(filled: Collection, query: str) -> None:
    with pytest.raises(InvalidInput, match="the query is empty"):
        filled.search(query)


@pytest.mark.parametrize("query", ["NUL \x00", "lone \ud800 surrogate"])
def test_a_query_that_is_no_text(filled: Collection, query: str) -> None:
    with pytest.raises(InvalidText, match="the query holds"):
        filled.search(query)


def test_hostile_queries_are_only_text(filled: Collection, home: VectorDB) -> None:
    for query in ("'; DROP TABLE canary; --", "%s %(query)s %", "$1", "\\", "a" * 100_000, "\U0001f600"):
        assert len(filled.search(query)) == 3
        assert len(filled.search(query, where=F(query[:100]) != query[:100], exact=True)) == 3


def test_text_without_an_embedder(points: Collection, home: VectorDB) -> None:
    points.upsert_vectors(["a"], [[1, 2, 3]])
    with pytest.raises(ConfigurationError, match="has no embedder; pass embedder=…"):
        points.search("text")
    with pytest.raises(ConfigurationError, match="has no embedder; pass embedder=…"):
        points.upsert("text")
    assert points.count() == 1
    assert len(points.search([1, 2, 3])) == 1


@pytest.mark.parametrize("filled", [True, False])
@pytest.mark.parametrize("dimensions", [0, 1, 2, 4, 384])
def test_another_number_of_dimensions(points: Collection, dimensions: int, *, filled: bool) -> None:
    if filled:
        points.upsert_vectors(["a"], [[1, 2, 3]])
    with pytest.raises(DimensionMismatch) as caught:
        points.search(np.ones(dimensions))
    assert caught.value.facts == {"expected": 3, "actual": dimensions, "position": 0}


@pytest.mark.parametrize(
    "query",
    [
        [math.nan, 0, 1],
        [math.inf, 0, 1],
        [0, 0, -math.inf],
        [0, 0, 0],
        [1e-30, 0, 0],
        [3e38, 3e38, 0],
        [1e39, 0, 0],
        5,
        2.5,
        b"abc",
        {},
        {"a": 1},
        {1, 2, 3},
        object(),
        ["a", "b", "c"],
        ["1", "2", "3"],
        [None, 1, 2],
        [[1, 2, 3]],
        [[1, 2], [3]],
        [1j, 2, 3],
        [10**400, 0, 0],
    ],
    ids=lambda value: ascii(value)[:30],
)
@pytest.mark.parametrize("filled", [True, False])
def test_what_is_no_vector(points: Collection, query: Any, *, filled: bool) -> None:
    if filled:
        points.upsert_vectors(["a"], [[1, 2, 3]])
    with pytest.raises(InvalidVector):
        points.search(query)
    if isinstance(query, list) and all(type(number) is float for number in query):
        with pytest.raises(InvalidVector):
            points.search(np.array(query, dtype=np.float32))
    assert len(points.search([1, 2, 3])) == int(filled)


@pytest.mark.parametrize(("metric", "storage"), [("l2", "vector"), ("inner_product", "halfvec"), ("l1", "sparsevec")])
def test_zero_is_a_place_like_any_other_where_only_cosine_needs_a_direction(
    new_collection: NewCollection, metric: str, storage: str
) -> None:
    docs = new_collection(dimensions=3, metric=metric, storage=storage)
    docs.upsert_vectors(["zero", "one"], [[0, 0, 0], [1, 1, 1]])
    assert {hit.document_id for hit in docs.search([0, 0, 0])} == {"zero", "one"}


@pytest.mark.parametrize("length", [1e-15, 1.0, 1e15])
def test_long_and_short_vectors_are_compared_as_well(new_collection: NewCollection, length: float) -> None:
    docs = new_collection(dimensions=3)
    docs.upsert_vectors(["near", "far"], [[length, 0, 0], [0, 0, length]])
    for exact in (True, False):
        found = docs.search([length, length / 10, 0], exact=exact)
        assert [hit.document_id for hit in found] == ["near", "far"]
        assert all(math.isfinite(hit.score) for hit in found)


@pytest.mark.parametrize("metric", ["l2", "inner_product", "l1"])
def test_no_distance_is_ever_nan(new_collection: NewCollection, metric: str) -> None:
    docs = new_collection(dimensions=2, metric=metric)
    for vectors in ([[3e38, 3e38]], [[1e30, 1e30]]):
        with pytest.raises(InvalidVector):
            docs.upsert_vectors(["a"], vectors)
    docs.upsert_vectors(["a", "b"], [[6e17, 6e17], [-6e17, 6e17]])
    for query in ([6e17, -6e17], [1, -1]):
        assert all(math.isfinite(hit.score) for hit in docs.search(query))


def test_halfvec_overflows_nowhere(new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=3, metric="l2", storage="halfvec")
    for number in (65505, 65519, 65520, 1e6):
        with pytest.raises(InvalidVector, match="exceeds 65504"):
            docs.upsert_vectors(["a"], [[number, 0, 0]])
        with pytest.raises(InvalidVector, match="exceeds 65504"):
            docs.search([number, 0, 0])
    docs.upsert_vectors(["a"], [[65504, -65504, 0]])
    assert docs.search([65504, -65504, 0])[0].distance == 0


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": 100_001},
        {"limit": 1.0},
        {"limit": "10"},
        {"limit": None},
        {"limit": True},
        {"ef_search": 0},
        {"ef_search": 1_001},
        {"ef_search": "40"},
        {"min_score": "0.5"},
        {"min_score": [1]},
        {"min_score": math.nan},
        {"min_score": True},
    ],
    ids=repr,
)
def test_options_out_of_range(filled: Collection, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(options))):
        filled.search("cats", **options)
    assert len(filled.search("cats")) == 3


@pytest.mark.parametrize("where", ["n = 1", 5, [F("n") == 1], F("n"), {"n": [1]}, {"n": {"in": []}}, {"n\x00": 1}])
def test_filters_that_are_none(filled: Collection, where: Any) -> None:
    with pytest.raises(InvalidFilter):
        filled.search("cats", where=where)
    assert len(filled.search("cats")) == 3


def test_arguments_are_checked_before_the_query_is_embedded(filled: Collection, embedder: HashedEmbedder) -> None:
    embedder.seen.clear()
    for options in ({"limit": 0}, {"where": "n = 1"}, {"min_score": "high"}):
        with pytest.raises(InvalidInput):
            filled.search("cats", **options)
    assert embedder.seen == []


def test_an_embedder_that_fails(new_collection: NewCollection) -> None:
    answers: list[Any] = [[[1.0, 2.0]]]
    docs = new_collection(embedder=FunctionEmbedder(lambda texts: answers[0], dimensions=2, name="fails"))
    docs.upsert("text")
    for answer in ([[1.0, 2.0, 3.0]], [[math.nan, 1.0]], [], [[1.0, 2.0]] * 2, "vector", None):
        answers[0] = answer
        with pytest.raises(EmbeddingError):
            docs.search("query")
        with pytest.raises(EmbeddingError):
            docs.upsert("other text")
    answers[0] = [[0.0, 0.0]]
    with pytest.raises(InvalidVector):
        docs.search("query")
    with pytest.raises(InvalidVector):
        docs.upsert("other text")
    answers[0] = [[1.0, 2.0]]
    assert docs.count() == len(docs.search("query")) == 1


def test_hostile_ids_names_and_values_touch_nothing_else(docs: Collection, home: VectorDB) -> None:
    rows_before = rows(home, "SELECT count(*) FROM pg_class")
    attacks = [
        "'; DROP TABLE vectordb.collections; --",
        'x"; DROP SCHEMA vectordb CASCADE; --',
        "1) OR true --",
        "%(query)s",
        "{a,b}",
        'a","b',
        "NULL",
        "\\",
    ]
    docs.upsert([Document(text, text, title=text, uri=text, metadata={text: text}) for text in attacks])
    for text in attacks:
        key = json.dumps(text)
        assert docs.get(text) == Document(text, text, title=text, uri=text, metadata={text: text})
        assert [document.id for document in docs.scan(where=F([text]) == text)] == [text]
        assert [hit.document_id for hit in docs.search(text, where={key: {">=": text, "<=": text}})] == [text]
        assert docs.count({key: {"!=": text}}) == len(attacks) - 1
        assert list(docs.vectors(text)) == [text]
    for text in attacks:
        assert docs.delete(text, where={json.dumps(text): text}) == 1
    assert docs.count() == 0
    assert rows(home, "SELECT count(*) FROM pg_class") == rows_before
