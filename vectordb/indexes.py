"""The two index methods of pgvector as values.

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


VectorIndex = HNSW | IVFFlat


def check_index(value: object) -> None:
    """Check that a value declares an index.

    Raises:
        ConfigurationError: It does not.
    """
    if not isinstance(value, VectorIndex):
        raise ConfigurationError(f"an index is HNSW(...) or IVFFlat(...), not {value!r:.40}")


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
