"""One declaration of metric and storage decides type, operator, operator class and score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vectordb.errors import ConfigurationError
from vectordb.metrics import Metric, Storage, VectorSpace

REAL = [Metric.COSINE, Metric.L2, Metric.INNER_PRODUCT, Metric.L1]
BITS = [Metric.HAMMING, Metric.JACCARD]
# pgvector's README, "Reference": what each method can index.
OPERATOR_CLASSES = {
    ("hnsw", "vector"): {"cosine", "l2", "inner_product", "l1"},
    ("hnsw", "halfvec"): {"cosine", "l2", "inner_product", "l1"},
    ("hnsw", "sparsevec"): {"cosine", "l2", "inner_product", "l1"},
    ("hnsw", "bit"): {"hamming", "jaccard"},
    ("ivfflat", "vector"): {"cosine", "l2", "inner_product"},
    ("ivfflat", "halfvec"): {"cosine", "l2", "inner_product"},
    ("ivfflat", "bit"): {"hamming"},
}


def spaces() -> list[VectorSpace]:
    return [
        VectorSpace(8, metric, storage) for storage in Storage for metric in (BITS if storage is Storage.BIT else REAL)
    ]


@pytest.mark.parametrize("space", spaces(), ids=str)
@pytest.mark.parametrize("method", ["hnsw", "ivfflat"])
def test_every_combination_has_pgvectors_operator_class_or_a_way_out(method: str, space: VectorSpace) -> None:
    if space.metric in OPERATOR_CLASSES.get((method, str(space.storage)), set()):
        short = "ip" if space.metric is Metric.INNER_PRODUCT else space.metric
        assert space.operator_class(method) == f"{space.storage}_{short}_ops"
    else:
        with pytest.raises(ConfigurationError, match="use hnsw"):
            space.operator_class(method)


@pytest.mark.parametrize("storage", list(Storage))
@pytest.mark.parametrize("metric", list(Metric))
def test_bits_and_numbers_have_metrics_of_their_own(storage: Storage, metric: Metric) -> None:
    if (storage is Storage.BIT) == (metric in BITS):
        assert VectorSpace(8, metric, storage).column_type == f"{storage}(8)"
    else:
        with pytest.raises(ConfigurationError, match=f"storage {storage} is compared by"):
            VectorSpace(8, metric, storage)


@pytest.mark.parametrize(
    ("method", "storage", "most", "way_out"),
    [
        ("hnsw", "vector", 2_000, "halfvec"),
        ("hnsw", "halfvec", 4_000, "bit"),
        ("ivfflat", "vector", 2_000, "halfvec"),
        ("ivfflat", "halfvec", 4_000, "bit"),
    ],
)
def test_too_many_dimensions_for_an_index(method: str, storage: str, most: int, way_out: str) -> None:
    assert VectorSpace.of(most, "cosine", storage).operator_class(method)
    with pytest.raises(ConfigurationError, match=f"storage='{way_out}'"):
        VectorSpace.of(most + 1, "cosine", storage).operator_class(method)


@pytest.mark.parametrize(("storage", "most"), [("vector", 16_000), ("halfvec", 16_000), ("bit", 64_000)])
def test_limits_of_a_column(storage: str, most: int) -> None:
    metric = "hamming" if storage == "bit" else "l2"
    assert VectorSpace.of(most, metric, storage).dimensions == Storage(storage).max_dimensions == most
    for dimensions in (0, -1, most + 1):
        with pytest.raises(ConfigurationError, match=f"1 to {most} dimensions, not {dimensions}"):
            VectorSpace.of(dimensions, metric, storage)


@pytest.mark.parametrize("dimensions", ["3", 3.0, None, True])
def test_dimensions_are_a_whole_number(dimensions: Any) -> None:
    with pytest.raises(ConfigurationError, match="whole number"):
        VectorSpace.of(dimensions, "cosine", "vector")


@pytest.mark.parametrize(
    ("metric", "storage"), [("euclid", "vector"), ("cosine", "float"), (3, "vector"), ("l2", None)]
)
def test_unknown_names_list_the_known(metric: Any, storage: Any) -> None:
    with pytest.raises(ConfigurationError, match="is one of"):
        VectorSpace.of(3, metric, storage)


@pytest.mark.parametrize(
    ("storage", "dimensions", "size"),
    [("vector", 384, 1544), ("halfvec", 384, 776), ("bit", 384, 56), ("bit", 9, 10), ("sparsevec", 384, 16)],
)
def test_bytes_of_a_stored_value(storage: str, dimensions: int, size: int) -> None:
    assert Storage(storage).bytes_for(dimensions) == size


@pytest.mark.parametrize(
    ("metric", "distance", "score"),
    [
        ("cosine", 0.0, 1.0),
        ("cosine", 2.0, -1.0),
        ("inner_product", -3.5, 3.5),
        ("l2", 0.0, 1.0),
        ("l2", 3.0, 0.25),
        ("l1", 1.0, 0.5),
        ("hamming", 2.0, 0.75),
        ("hamming", 8.0, 0.0),
        ("jaccard", 0.25, 0.75),
    ],
)
def test_scores(metric: str, distance: float, score: float) -> None:
    space = VectorSpace.of(8, metric, "bit" if metric in BITS else "vector")
    assert space.score(distance) == score


@given(vectors=arrays.arrays(np.float32, (2, 8), elements=st.floats(-10, 10, width=32)))
def test_score_of_a_cosine_distance_is_the_cosine(vectors: Any) -> None:
    a, b = vectors.astype(np.float64)
    if not a.any() or not b.any():
        return
    cosine = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    assert math.isclose(Metric.COSINE.score(1 - cosine, 8), cosine, abs_tol=1e-12)


@given(near=st.floats(0, 1e6), far=st.floats(0, 1e6))
@pytest.mark.parametrize("metric", list(Metric))
def test_a_low_distance_is_a_high_score(metric: Metric, near: float, far: float) -> None:
    near, far = sorted((near, far))
    assert metric.score(near, 8) >= metric.score(far, 8)


@pytest.mark.parametrize("metric", list(Metric))
@given(distance=st.floats(0, 1e6))
def test_a_score_leads_back_to_its_distance(metric: Metric, distance: float) -> None:
    if metric in (Metric.COSINE, Metric.JACCARD):
        distance = distance % 2
    elif metric is Metric.HAMMING:
        distance = float(round(distance) % 9)
    elif metric is Metric.INNER_PRODUCT:
        distance -= 5e5
    assert math.isclose(metric.distance(metric.score(distance, 8), 8), distance, rel_tol=1e-9, abs_tol=1e-6)


@pytest.mark.parametrize("metric", list(Metric))
@given(one=st.floats(allow_nan=False), other=st.floats(allow_nan=False))
def test_the_higher_score_is_the_nearer(metric: Metric, one: float, other: float) -> None:
    low, high = sorted([one, other])
    assert metric.distance(low, 8) >= metric.distance(high, 8)


@pytest.mark.parametrize("metric", [Metric.L2, Metric.L1])
def test_every_distance_reaches_a_score_of_zero(metric: Metric) -> None:
    for score in (0, 0.0, -0.0, -1, -math.inf, 5e-324):
        assert metric.distance(score, 8) == math.inf
