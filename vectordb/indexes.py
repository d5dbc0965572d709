"""The two index methods of pgvector, and the ranking of the text index, as values.

Source: pgvector README, sections "HNSW" and "IVFFlat".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from vectordb.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class HNSW:
    """A graph index: high recall, no training, slower to build.

    Args:
        m: Neighbours per node, 2 to 100. More is better recall, more memory.
        ef_construction: Candidates kept while building, 4 to 1000, at least 2 * m.

    Raises:
        ConfigurationError: A value is out of range.
    """

    method: ClassVar[str] = "hnsw"
    m: int = 16
    ef_construction: int = 64

    def __post_init__(self) -> None:
        _check_range("m", self.m, 2, 100)
        _check_range("ef_construction", self.ef_construction, 4, 1000)
        if self.ef_construction < 2 * self.m:
            raise ConfigurationError(f"ef_construction must be at least 2 * m: {self.ef_construction} < {2 * self.m}")

    def options(self) -> dict[str, int]:
        """Return what goes into `WITH (...)`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class IVFFlat:
    """A list index: quick to build on a filled table, needs data to train on.

    Args:
        lists: Clusters, 1 to 32768; about rows / 1000 up to a million rows.

    Raises:
        ConfigurationError: `lists` is out of range.
    """

    method: ClassVar[str] = "ivfflat"
    lists: int = 100

    def __post_init__(self) -> None:
        _check_range("lists", self.lists, 1, 32_768)

    def options(self) -> dict[str, int]:
        """Return what goes into `WITH (...)`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class BM25:
    """A text index, and how it ranks: `Okapi BM25 <https://en.wikipedia.org/wiki/Okapi_BM25>`_ in Lucene's form.

    Args:
        k1: How much a word counts more when it is repeated, 0 to 1000; 0 is not at all.
        b: How much a long text is held against it, 0 to 1; 0 is not at all.

    Raises:
        ConfigurationError: A value is out of range.
    """

    k1: float = 1.2
    b: float = 0.75

    def __post_init__(self) -> None:
        object.__setattr__(self, "k1", _number("k1", self.k1, 1000))
        object.__setattr__(self, "b", _number("b", self.b, 1))

    def to_dict(self) -> dict[str, float]:
        """Return the index as JSON for the registry; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, float]) -> BM25:
        """Rebuild an index from the registry's JSON."""
        return cls(**value)


VectorIndex = HNSW | IVFFlat


def check_index(value: object) -> None:
    """Check that a value declares an index.

    Raises:
        ConfigurationError: It does not.
    """
    if not isinstance(value, VectorIndex):
        raise ConfigurationError(f"an index is HNSW(...) or IVFFlat(...), not {value!r:.40}")


def check_text_index(value: object) -> None:
    """Check that a value declares a text index.

    Raises:
        ConfigurationError: It does not.
    """
    if not isinstance(value, BM25):
        raise ConfigurationError(f"a text index is BM25(...), not {value!r:.40}")


def index_to_dict(index: VectorIndex | None) -> dict[str, Any] | None:
    """Return the index as JSON for the registry; `index_from_dict` is the inverse."""
    return None if index is None else {"method": index.method, **index.options()}


def index_from_dict(value: Mapping[str, Any] | None) -> VectorIndex | None:
    """Rebuild an index from the registry's JSON.

    Raises:
        ConfigurationError: The method is unknown.
    """
    if value is None:
        return None
    options = {name: option for name, option in value.items() if name != "method"}
    for kind in (HNSW, IVFFlat):
        if value.get("method") == kind.method:
            return kind(**options)
    raise ConfigurationError(f"unknown index method {value.get('method')!r}; known are hnsw and ivfflat")


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationError(f"{name} is a whole number from {low} to {high}, not {value!r}")


def _number(name: str, value: float, most: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ConfigurationError(f"{name} is a number from 0 to {most}, not {value!r:.40}")
    return float(value)
