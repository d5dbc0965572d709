"""How near two vectors are, and how a vector is stored.

One declaration, a pair of `Metric` and `Storage`, decides the column type, the SQL
operator, the operator class of the index, and the score. Nothing else repeats it.

Source: pgvector README, sections "Querying", "HNSW", "IVFFlat" and "Reference".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from vectordb.errors import ConfigurationError

_E = TypeVar("_E", bound=StrEnum)

# Of a sparse vector that pgvector can index.
MOST_NON_ZEROS = 1_000


class Metric(StrEnum):
    """What "near" means. Distances are pgvector's (low is near), scores the opposite."""

    COSINE = "cosine"
    L2 = "l2"
    INNER_PRODUCT = "inner_product"
    L1 = "l1"
    HAMMING = "hamming"
    JACCARD = "jaccard"

    @property
    def operator(self) -> str:
        """Pgvector's distance operator, for example `<=>`."""
        return _OPERATORS[self]

    def score(self, distance: float, dimensions: int) -> float:
        """Turn a distance into a score, high is near.

        Args:
            distance: What the operator returned; for inner_product the negative dot product.
            dimensions: Of the collection; hamming counts differing bits.

        Returns:
            cosine: the cosine similarity, -1 to 1. inner_product: the dot product. l2, l1:
            1 / (1 + distance), 0 to 1. hamming: the share of equal bits. jaccard: 1 - distance.
        """
        return _SCORES[self](distance, dimensions)

    def distance(self, score: float, dimensions: int) -> float:
        """Turn a score into the distance that has it; the inverse of `score`.

        Args:
            score: On the metric's scale; beyond its range the distance is infinite or below any other.
            dimensions: Of the collection.
        """
        return _DISTANCES[self](score, dimensions)


class Storage(StrEnum):
    """pgvector's column types: 4 bytes a dimension, 2 bytes, 1 bit, or only what is not zero."""

    VECTOR = "vector"
    HALFVEC = "halfvec"
    BIT = "bit"
    SPARSEVEC = "sparsevec"

    @property
    def max_dimensions(self) -> int:
        """The most dimensions a column of this type can have."""
        return _MAX_DIMENSIONS[self]

    def bytes_for(self, dimensions: int) -> int:
        """Bytes that one stored value takes; for sparsevec the least it can take."""
        if self is Storage.VECTOR:
            return 8 + 4 * dimensions
        if self is Storage.HALFVEC:
            return 8 + 2 * dimensions
        if self is Storage.BIT:
            return 8 + (dimensions + 7) // 8
        return 16

    def most_bytes_for(self, dimensions: int) -> int:
        """Bytes that one stored value can take."""
        if self is Storage.SPARSEVEC:
            return 16 + 8 * min(dimensions, MOST_NON_ZEROS)
        return self.bytes_for(dimensions)


_OPERATORS = {
    Metric.COSINE: "<=>",
    Metric.L2: "<->",
    Metric.INNER_PRODUCT: "<#>",
    Metric.L1: "<+>",
    Metric.HAMMING: "<~>",
    Metric.JACCARD: "<%>",
}

_SCORES: dict[Metric, Callable[[float, int], float]] = {
    Metric.COSINE: lambda distance, _: 1.0 - distance,
    Metric.L2: lambda distance, _: 1.0 / (1.0 + distance),
    Metric.INNER_PRODUCT: lambda distance, _: -distance,
    Metric.L1: lambda distance, _: 1.0 / (1.0 + distance),
    Metric.HAMMING: lambda distance, dimensions: 1.0 - distance / dimensions,
    Metric.JACCARD: lambda distance, _: 1.0 - distance,
}


def _from_share(score: float, _: int) -> float:
    return 1.0 / score - 1.0 if score > 0 else math.inf


_DISTANCES: dict[Metric, Callable[[float, int], float]] = {
    Metric.COSINE: lambda score, _: 1.0 - score,
    Metric.L2: _from_share,
    Metric.INNER_PRODUCT: lambda score, _: -score,
    Metric.L1: _from_share,
    Metric.HAMMING: lambda score, dimensions: (1.0 - score) * dimensions,
    Metric.JACCARD: lambda score, _: 1.0 - score,
}

_MAX_DIMENSIONS = {
    Storage.VECTOR: 16_000,
    Storage.HALFVEC: 16_000,
    Storage.BIT: 64_000,
    Storage.SPARSEVEC: 1_000_000_000,
}

_SHORT_NAMES = {
    Metric.COSINE: "cosine",
    Metric.L2: "l2",
    Metric.INNER_PRODUCT: "ip",
    Metric.L1: "l1",
    Metric.HAMMING: "hamming",
    Metric.JACCARD: "jaccard",
}

_REAL_METRICS = (Metric.COSINE, Metric.L2, Metric.INNER_PRODUCT, Metric.L1)
_BIT_METRICS = (Metric.HAMMING, Metric.JACCARD)

# Access method and storage -> (most dimensions, metrics) that pgvector can index.
_INDEXABLE: dict[tuple[str, Storage], tuple[int, tuple[Metric, ...]]] = {
    ("hnsw", Storage.VECTOR): (2_000, _REAL_METRICS),
    ("hnsw", Storage.HALFVEC): (4_000, _REAL_METRICS),
    ("hnsw", Storage.BIT): (64_000, _BIT_METRICS),
    ("hnsw", Storage.SPARSEVEC): (1_000_000_000, _REAL_METRICS),
    ("ivfflat", Storage.VECTOR): (2_000, _REAL_METRICS[:3]),
    ("ivfflat", Storage.HALFVEC): (4_000, _REAL_METRICS[:3]),
    ("ivfflat", Storage.BIT): (64_000, (Metric.HAMMING,)),
}


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """Everything about a column of vectors: how many numbers, how stored, how compared.

    Args:
        dimensions: Numbers per vector, 1 to the storage's limit.
        metric: What "near" means.
        storage: The column's type.

    Raises:
        ConfigurationError: pgvector has no such combination.
    """

    dimensions: int
    metric: Metric = Metric.COSINE
    storage: Storage = Storage.VECTOR

    @classmethod
    def of(cls, dimensions: int, metric: Metric | str, storage: Storage | str) -> VectorSpace:
        """Return a space from names, for example `"cosine"` and `"halfvec"`.

        Raises:
            ConfigurationError: An unknown name, or no such combination.
        """
        return cls(dimensions, _choice(Metric, metric, "metric"), _choice(Storage, storage, "storage"))

    def __post_init__(self) -> None:
        if isinstance(self.dimensions, bool) or not isinstance(self.dimensions, int):
            raise ConfigurationError(f"dimensions is a whole number, not {type(self.dimensions).__name__}")
        if not 1 <= self.dimensions <= self.storage.max_dimensions:
            raise ConfigurationError(
                f"{self.storage} holds 1 to {self.storage.max_dimensions} dimensions, not {self.dimensions}"
            )
        metrics = _BIT_METRICS if self.storage is Storage.BIT else _REAL_METRICS
        if self.metric not in metrics:
            raise ConfigurationError(f"storage {self.storage} is compared by {_names(metrics)}, not by {self.metric}")

    @property
    def column_type(self) -> str:
        """The type as written in SQL, for example `halfvec(1024)`."""
        return f"{self.storage}({self.dimensions})"

    def operator_class(self, method: str) -> str:
        """Return the operator class of an index, for example `halfvec_l2_ops`.

        Args:
            method: `hnsw` or `ivfflat`.

        Raises:
            ConfigurationError: pgvector cannot index this column with this method; the
                message names what it can.
        """
        limit, metrics = _INDEXABLE.get((method, self.storage), (0, ()))
        if self.metric not in metrics:
            others = [
                name
                for (name, storage), (_, can) in _INDEXABLE.items()
                if storage is self.storage
                if self.metric in can
            ]
            raise ConfigurationError(
                f"pgvector has no {method} index for {self.storage} by {self.metric}; "
                f"use {' or '.join(others) or 'no index'}"
            )
        if self.dimensions > limit:
            raise ConfigurationError(
                f"{method} indexes {self.storage} up to {limit} dimensions, not {self.dimensions}; "
                + (
                    "use storage='halfvec' (up to 4000), fewer dimensions (truncate_dim) or index=None"
                    if self.storage is Storage.VECTOR
                    else "use fewer dimensions (truncate_dim), storage='bit' or index=None"
                )
            )
        return f"{self.storage}_{_SHORT_NAMES[self.metric]}_ops"

    def score(self, distance: float) -> float:
        """Turn a distance into a score, high is near; see `Metric.score`."""
        return self.metric.score(distance, self.dimensions)

    def distance(self, score: float) -> float:
        """Turn a score into the distance that has it; see `Metric.distance`."""
        return self.metric.distance(score, self.dimensions)


def _choice(kind: type[_E], value: str, name: str) -> _E:
    try:
        return kind(value)
    except ValueError:
        raise ConfigurationError(f"{name} is one of {_names(tuple(kind))}, not {str(value)[:40]!r}") from None


def _names(values: tuple[StrEnum, ...]) -> str:
    return ", ".join(str(value) for value in values)
