"""One vector from examples and counterexamples."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from vectordb.collection.examples import example_vector
from vectordb.errors import InvalidVector
from vectordb.metrics import Metric


def rows(*values: ArrayLike) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


@pytest.mark.parametrize("metric", [Metric.L2, Metric.L1, Metric.INNER_PRODUCT])
def test_the_mean_moved_away_from_the_other_mean(metric: Metric) -> None:
    like, unlike = [rows([1, 2]), rows([3, 4])], [rows([1, 1]), rows([2, 0])]
    assert example_vector(like, [], metric).tolist() == [2, 3]
    assert example_vector(like, unlike, metric).tolist() == [2.5, 5.5]


def test_each_document_counts_once() -> None:
    long, short = rows(*[[0, 1]] * 9), rows([1, 0])
    assert example_vector([long, short], [], Metric.L2).tolist() == [0.5, 0.5]
    assert example_vector([rows([4, 0])], [rows([0, 0], [0, 2]), rows([0, 3])], Metric.L2).tolist() == [8, -2]


def test_under_cosine_length_does_not_count() -> None:
    found = example_vector([rows([100, 0]), rows([0, 0.01])], [], Metric.COSINE)
    assert np.allclose(found, [0.5, 0.5])
    found = example_vector([rows([100, 0])], [rows([0, 7])], Metric.COSINE)
    assert np.allclose(found, [2, -1])


@pytest.mark.parametrize("metric", [Metric.HAMMING, Metric.JACCARD])
def test_bits_of_most(metric: Metric) -> None:
    like = [rows([1, 1, 0, 0]), rows([1, 0, 1, 0]), rows([1, 0, 0, 0])]
    assert example_vector(like, [], metric).tolist() == [1, 0, 0, 0]
    assert example_vector([rows([1, 1, 0, 0])], [rows([0, 1, 1, 0])], metric).tolist() == [1, 1, 0, 0]
    assert example_vector(like[:2], [rows([0, 1, 0, 1])], metric).tolist() == [1, 0, 1, 0]


def test_a_query_that_was_found_comes_back() -> None:
    for metric in Metric:
        vector = example_vector([rows([1, 0, 1])], [], metric)
        assert vector.dtype == np.float32
        assert vector.shape == (3,)
        assert np.allclose(vector / np.linalg.norm(vector), np.array([1, 0, 1]) / np.sqrt(2))


def test_no_direction_is_left() -> None:
    with pytest.raises(InvalidVector, match="cancel each other out"):
        example_vector([rows([1, 2]), rows([-2, -4])], [], Metric.COSINE)
    with pytest.raises(InvalidVector, match="cancel each other out"):
        example_vector([rows([1, 0]), rows([-0.5, 0])], [rows([3, 0]), rows([-3, 0])], Metric.COSINE)
    assert example_vector([rows([1, 2]), rows([-1, -2])], [], Metric.L2).tolist() == [0, 0]


def test_the_caller_keeps_its_vectors() -> None:
    like, unlike = rows([3, 4]), rows([5, 12])
    example_vector([like], [unlike], Metric.COSINE)
    assert like.tolist() == [[3, 4]]
    assert unlike.tolist() == [[5, 12]]
