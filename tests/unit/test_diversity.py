"""Maximal marginal relevance against a slow oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.store.test_search_exact import distances
from vectordb.metrics import Metric
from vectordb.search.diversity import diversify

BITS = (Metric.HAMMING, Metric.JACCARD)


def near(one: NDArray[np.float64], other: NDArray[np.float64], metric: Metric) -> float:
    [distance] = distances(one[None, :], other, str(metric))
    return metric.score(float(distance), len(one))


def slowly(
    scores: NDArray[np.float64], rows: NDArray[np.float64], metric: Metric, diversity: float, limit: int
) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < min(limit, len(scores)):
        left = [place for place in range(len(scores)) if place not in chosen]
        worth = [
            (1 - diversity) * scores[place]
            - (diversity * max(near(rows[place], rows[other], metric) for other in chosen) if chosen else 0)
            for place in left
        ]
        # Rounding may tell equal ones apart, so those that are hardly worse count as equal: the first is chosen.
        best = max(worth)
        chosen.append(next(place for place, value in zip(left, worth, strict=True) if value >= best - 1e-9))
    return chosen


@pytest.mark.parametrize("metric", list(Metric))
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 12),
    limit=st.integers(1, 15),
    diversity=st.sampled_from([0, 0.0, 0.2, 0.5, 0.9, 1.0, 1]),
)
def test_as_chosen_slowly(metric: Metric, seed: int, count: int, limit: int, diversity: float) -> None:
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, 5)).astype(np.float32)
    if metric in BITS:
        rows = (rows > 0).astype(np.float32)
    exact = rows.astype(np.float64)
    query = random.standard_normal(5) if metric not in BITS else np.ones(5)
    scores = np.sort([near(row, query, metric) for row in exact])[::-1] + np.linspace(1e-6, 0, count)
    found = diversify(scores, rows, metric, diversity=diversity, limit=limit)
    assert sorted(set(found)) == sorted(found)
    assert len(found) == min(limit, count)
    if metric not in BITS:
        assert found == slowly(scores, exact, metric, diversity, limit)
    if diversity == 0:
        assert found == list(range(min(limit, count)))


def test_equal_ones_come_last() -> None:
    rows = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=np.float32)
    scores = np.array([0.9, 0.9, 0.9, 0.1])
    assert diversify(scores, rows, Metric.COSINE, diversity=0.6, limit=4) == [0, 3, 1, 2]


@pytest.mark.parametrize("metric", list(Metric))
def test_nothing_to_choose_from(metric: Metric) -> None:
    assert diversify(np.array([]), np.empty((0, 4), dtype=np.float32), metric, diversity=0.5, limit=3) == []


def test_zeros_have_no_direction_and_no_bits_in_common() -> None:
    rows = np.zeros((3, 4), dtype=np.float32)
    for metric in Metric:
        assert diversify(np.array([3.0, 2.0, 1.0]), rows, metric, diversity=0.5, limit=3) == [0, 1, 2]


def test_the_caller_keeps_its_embeddings() -> None:
    rows = np.full((3, 4), 5, dtype=np.float32)
    diversify(np.array([3.0, 2.0, 1.0]), rows, Metric.COSINE, diversity=0.5, limit=3)
    assert (rows == 5).all()
