from __future__ import annotations

import numpy as np
import pytest

from vectordb import HNSW, Collection, F, VectorDB
from vectordb.errors import InvalidInput
from vectordb.evaluation import Dataset


@pytest.fixture(scope="module")
def poor(home: VectorDB) -> Collection:
    """A collection whose index loses much: random vectors, few neighbours."""
    docs = home.create_collection("poor", dimensions=64, index=None)
    random = np.random.default_rng(3)
    vectors = random.standard_normal((3_000, 64)).astype(np.float32)
    docs.upsert_vectors([str(n) for n in range(3_000)], vectors, metadata=[{"half": n % 2} for n in range(3_000)])
    docs.create_index(HNSW(m=4, ef_construction=8))
    return docs


def test_recall_is_the_share_of_the_exact_hits(poor: Collection) -> None:
    queries = np.random.default_rng(4).standard_normal((30, 64)).astype(np.float32)
    few, many = (poor.recall(queries, 10, ef_search=ef) for ef in (10, 400))
    shares = []
    for query in queries:
        found, exact = poor.search(query, ef_search=10), poor.search(query, exact=True)
        shares.append(len({hit.document_id for hit in found} & {hit.document_id for hit in exact}) / 10)
    assert few.per_query == tuple(shares)
    assert few.mean == pytest.approx(np.mean(shares))
    assert few.mean + 0.2 < many.mean <= 1
    assert few.k == 10
    worst = [few.per_query[place] for place in few.worst]
    assert worst == sorted(few.per_query)[:10]
    assert few.to_dict()["worst"] == few.worst


def test_recall_of_texts(abstracts: Collection, cranfield: Dataset) -> None:
    assert abstracts.recall(list(cranfield.queries.values())[:50], 10).mean > 0.98


def test_a_filter_goes_for_both(poor: Collection) -> None:
    queries = np.random.default_rng(4).standard_normal((3, 64)).astype(np.float32)
    assert 0 < poor.recall(queries, where=F("half") == 1).mean <= 1
    assert poor.recall(queries, where=F("half") == 2).per_query == (1.0, 1.0, 1.0)


def test_of_equally_near_documents_any_will_do(home: VectorDB) -> None:
    docs = home.create_collection("equal", dimensions=2)
    docs.upsert_vectors([str(n) for n in range(300)], [[0.0, 1.0]] * 300)
    assert docs.recall([[0.0, 1.0], [1.0, 1.0]], 10).mean == 1.0


def test_bad_queries_are_refused(poor: Collection) -> None:
    with pytest.raises(InvalidInput, match="recall needs queries"):
        poor.recall([])
    with pytest.raises(InvalidInput, match="query is empty"):
        poor.recall([" "])
    with pytest.raises(InvalidInput, match="k is a whole number"):
        poor.recall([[1.0] * 64], 0)
