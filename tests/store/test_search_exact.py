"""Exact search against brute force in numpy: every metric, every storage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tests.store.conftest import NewCollection
from vectordb import Collection, F, Metric

Matrix = NDArray[np.float64]

SPACES = [
    *[
        (metric, storage)
        for storage in ("vector", "halfvec", "sparsevec")
        for metric in ("cosine", "l2", "inner_product", "l1")
    ],
    ("hamming", "bit"),
    ("jaccard", "bit"),
]


def as_stored(matrix: Matrix, storage: str) -> Matrix:
    """Return the numbers that the column holds."""
    if storage == "bit":
        return (matrix > 0).astype(np.float64)
    return matrix.astype(np.float16 if storage == "halfvec" else np.float32).astype(np.float64)


def distances(matrix: Matrix, query: Matrix, metric: str) -> Matrix:
    """Return pgvector's distances, in float64."""
    if metric == "cosine":
        return np.asarray(1 - matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query))
    if metric == "l2":
        return np.asarray(np.linalg.norm(matrix - query, axis=1))
    if metric == "inner_product":
        return -(matrix @ query)
    if metric == "l1":
        return np.asarray(np.abs(matrix - query).sum(axis=1))
    if metric == "hamming":
        return np.asarray((matrix != query).sum(axis=1).astype(np.float64))
    both, either = np.minimum(matrix, query).sum(axis=1), np.maximum(matrix, query).sum(axis=1)
    return np.asarray(1 - np.divide(both, either, out=np.zeros(len(matrix)), where=both > 0))


def scores(found: Matrix, metric: str, dimensions: int) -> Matrix:
    """Return the scores that the design promises."""
    if metric in ("cosine", "jaccard"):
        return 1 - found
    if metric == "inner_product":
        return -found
    return 1 - found / dimensions if metric == "hamming" else 1 / (1 + found)


@pytest.mark.parametrize(("metric", "storage"), SPACES)
def test_as_numpy_finds(new_collection: NewCollection, rng: np.random.Generator, metric: str, storage: str) -> None:
    dimensions, count = 24, 200
    docs = new_collection(dimensions=dimensions, metric=metric, storage=storage)
    matrix = rng.standard_normal((count, dimensions))
    matrix[rng.random(matrix.shape) < 0.3] = 0
    docs.upsert_vectors(range(count), matrix)
    for query in rng.standard_normal((5, dimensions)):
        expected = distances(as_stored(matrix, storage), as_stored(query, storage), metric)
        for limit in (1, 7, 200, 300):
            found = docs.search(query, limit=limit, exact=True)
            assert len(found) == min(limit, count)
            here = np.array([hit.distance for hit in found])
            assert np.allclose(here, expected[[int(hit.document_id) for hit in found]], rtol=1e-4, atol=1e-5)
            assert np.allclose(here, np.sort(expected)[:limit], rtol=1e-4, atol=1e-5)
            assert np.allclose([hit.score for hit in found], scores(here, metric, dimensions))
            assert [hit.vector_rank for hit in found] == list(range(1, len(found) + 1))
            order = [(hit.distance, hit.document_id, hit.ordinal) for hit in found]
            assert order == sorted(order)


@pytest.fixture(scope="module")
def one_collection_per_metric() -> dict[str, Collection]:
    return {}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    matrix=arrays.arrays(np.float32, (12, 4), elements=st.sampled_from([-2, -1, -0.5, 0, 0.5, 1, 3, 1e-6, 1e6])),
    query=arrays.arrays(np.float32, 4, elements=st.sampled_from([-1, 0, 1, 0.25])),
    limit=st.integers(1, 13),
)
@pytest.mark.parametrize("metric", ["cosine", "l2", "inner_product", "l1"])
def test_as_numpy_finds_among_ties(
    new_collection: NewCollection,
    one_collection_per_metric: dict[str, Collection],
    metric: str,
    matrix: NDArray[np.float32],
    query: NDArray[np.float32],
    limit: int,
) -> None:
    if metric == "cosine":
        matrix[~matrix.any(axis=1)] = 1
        query = query if query.any() else query + 1
    docs = one_collection_per_metric.get(metric) or new_collection(dimensions=4, metric=metric)
    one_collection_per_metric[metric] = docs
    docs.upsert_vectors(range(12), matrix)
    expected = distances(matrix.astype(np.float64), query.astype(np.float64), metric)
    found = docs.search(query, limit=limit, exact=True)
    assert np.allclose(np.array([hit.distance for hit in found]), np.sort(expected)[:limit], rtol=1e-5, atol=1e-5)
    order = [(hit.distance, hit.document_id) for hit in found]
    assert order == sorted(order)
    again = docs.search(query, limit=12, exact=True)
    assert found == again[:limit], "ties are cut at the same place whatever the limit"


def test_equal_distances_are_ordered_by_id_and_ordinal(points: Collection, docs: Collection) -> None:
    ids = ["b", "a", "é", "Z", "10", "9"]
    points.upsert_vectors(ids, [[1, 2, 3]] * 6)
    assert [hit.document_id for hit in points.search([1, 2, 3], exact=True)] == ["10", "9", "Z", "a", "b", "é"]
    assert [hit.document_id for hit in points.search([1, 2, 3], exact=True, limit=2)] == ["10", "9"]
    docs.upsert({"id": "x", "content": "\n\n".join(["The same words, again."] * 4)})
    assert [hit.ordinal for hit in docs.search("words", exact=True)] == [0, 1, 2, 3]


@pytest.mark.parametrize("metric", list(Metric))
def test_min_score_cuts_on_the_scale_of_scores(
    new_collection: NewCollection, rng: np.random.Generator, metric: Metric
) -> None:
    storage = "bit" if metric in (Metric.HAMMING, Metric.JACCARD) else "vector"
    docs = new_collection(dimensions=8, metric=metric, storage=storage)
    docs.upsert_vectors(range(50), rng.standard_normal((50, 8)))
    query = rng.standard_normal(8)
    every = docs.search(query, limit=50, exact=True)
    threshold = every[20].score
    found = docs.search(query, limit=50, exact=True, min_score=threshold)
    assert list(found) == [hit for hit in every if hit.score >= threshold]
    assert 21 <= len(found) < 50
    assert len(docs.search(query, limit=50, min_score=every[0].score + 1e-3)) == 0
    assert len(docs.search(query, limit=50, exact=True, min_score=every[-1].score)) == 50


def test_exact_search_among_filtered_rows(points: Collection, rng: np.random.Generator) -> None:
    matrix = rng.standard_normal((300, 3))
    points.upsert_vectors(range(300), matrix, metadata=[{"group": n % 10} for n in range(300)])
    query = rng.standard_normal(3)
    group = np.arange(3, 300, 10)
    order = group[np.argsort(distances(matrix[group], query, "cosine"))]
    found = points.search(query, where=F("group") == 3, limit=12, exact=True)
    assert [int(hit.document_id) for hit in found] == order[:12].tolist()
