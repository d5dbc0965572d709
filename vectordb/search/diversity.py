"""Hits that are near the query and unlike each other: maximal marginal relevance.

Source: Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering
documents and producing summaries", SIGIR 1998.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vectordb.metrics import Metric
from vectordb.vectors import FloatMatrix


def diversify(
    scores: NDArray[np.float64], embeddings: FloatMatrix, metric: Metric, *, diversity: float, limit: int
) -> list[int]:
    """Choose hits one after the other, each the best by `(1 - d) * score - d * nearness to those chosen`.

    Args:
        scores: Of the candidates against the query, shape (n,), best first.
        embeddings: Of the candidates, shape (n, dimensions).
        metric: By which scores were made; nearness of two candidates is on the same scale.
        diversity: d, 0 (nothing but the score) to 1.
        limit: How many to choose.

    Returns:
        Positions of the chosen candidates in order, at most `limit` of them.
    """
    prepared = _prepared(embeddings, metric)
    worth = (1.0 - diversity) * scores
    nearest = np.full(len(scores), -np.inf)
    left = np.ones(len(scores), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < min(limit, len(scores)):
        penalty = diversity * nearest if chosen else 0.0
        position = int(np.argmax(np.where(left, worth - penalty, -np.inf)))
        chosen.append(position)
        left[position] = False
        nearest = np.maximum(nearest, _nearness(prepared, prepared[position], metric))
    return chosen


def _prepared(embeddings: FloatMatrix, metric: Metric) -> NDArray[np.float64]:
    matrix = embeddings.astype(np.float64)
    if metric is Metric.COSINE:
        matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-300)
    return matrix


def _nearness(matrix: NDArray[np.float64], vector: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    """Return the score of each row against a vector; see `Metric.score`."""
    if metric in (Metric.COSINE, Metric.INNER_PRODUCT):
        return np.asarray(matrix @ vector)
    if metric is Metric.L2:
        return np.asarray(1.0 / (1.0 + np.linalg.norm(matrix - vector, axis=1)))
    different = np.abs(matrix - vector).sum(axis=1)
    if metric is Metric.L1:
        return np.asarray(1.0 / (1.0 + different))
    if metric is Metric.HAMMING:
        return np.asarray(1.0 - different / matrix.shape[1])
    both, either = np.minimum(matrix, vector).sum(axis=1), np.maximum(matrix, vector).sum(axis=1)
    return np.asarray(np.divide(both, either, out=np.zeros_like(both), where=either > 0))
