"""Searching by examples: one vector from documents that are liked and documents that are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vectordb.errors import InvalidVector
from vectordb.metrics import Metric
from vectordb.vectors import FloatMatrix


def example_vector(like: Sequence[FloatMatrix], unlike: Sequence[FloatMatrix], metric: Metric) -> FloatMatrix:
    """Return the mean of what is liked, moved away from the mean of what is not.

    Each document counts once, however many chunks it has: `likes + (likes - dislikes)`, the strategy that Qdrant calls
    average vector. Under cosine every vector counts with length 1. Bits are those that most of the examples have.

    Args:
        like: Embeddings of documents, each of shape (chunks, dimensions); at least one.
        unlike: Likewise; may be empty.
        metric: Of the collection.

    Returns:
        Shape (dimensions,), float32.

    Raises:
        InvalidVector: The examples cancel each other out.
    """
    vector = _mean(like, metric)
    if unlike:
        vector = 2.0 * vector - _mean(unlike, metric)
    if metric in (Metric.HAMMING, Metric.JACCARD):
        vector = (vector >= 0.5).astype(np.float64)
    if metric is Metric.COSINE and np.linalg.norm(vector) < 1e-9:
        raise InvalidVector("the examples cancel each other out, so that no direction is left; choose others")
    return vector.astype(np.float32)


def _mean(documents: Sequence[FloatMatrix], metric: Metric) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    means = []
    for matrix in documents:
        rows = matrix.astype(np.float64)
        if metric is Metric.COSINE:
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
        means.append(rows.mean(axis=0))
    result: np.ndarray[tuple[int], np.dtype[np.float64]] = np.mean(means, axis=0)
    return result
