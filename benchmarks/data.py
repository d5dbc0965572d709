"""Vectors with the structure of real ones: unit length, in clusters, always the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def clustered_vectors(count: int, dimensions: int, *, seed: int = 1, clusters: int = 500) -> NDArray[np.float32]:
    """Return unit vectors around `clusters` centres, shape (count, dimensions), float32."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((clusters, dimensions), dtype=np.float32)
    vectors = centres[generator.integers(0, clusters, count)]
    vectors += 0.8 * generator.standard_normal((count, dimensions), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def recall(found: list[list[str]], queries: NDArray[np.float32], stored: NDArray[np.float32], ids: list[str]) -> float:
    """Return the share of the true nearest neighbours (by cosine) that was found."""
    hits = total = 0
    for query, names in zip(queries, found, strict=True):
        true = np.argpartition(-(stored @ query), len(names))[: len(names)]
        hits += len({ids[i] for i in true} & set(names))
        total += len(names)
    return hits / total
