"""Ways to search that are compared with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from vectordb.collection import Collection, Where
from vectordb.errors import InvalidInput

_PASSED_ON = ("mode", "fusion", "rerank", "rerank_depth", "ef_search", "where")


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way to search, with a name; what is None is left to the collection. See `Collection.search`.

    Args:
        name: In reports.
        mode: vector, text or hybrid.
        fusion: Of a hybrid search.
        rerank: What orders the first hits anew.
        rerank_depth: How many of them.
        exact: Compare every row instead of using the index.
        ef_search: HNSW candidates.
        truncate_dim: Compare so many leading numbers of the embeddings, of full length 1 again under cosine. This is
            computed in numpy over every embedding of the collection, which has to fit in memory.
        limit: Documents per query, 1 to 100,000; metrics see no more.
        where: Which documents count.

    Raises:
        InvalidInput: The name is empty, or `truncate_dim` is asked for together with anything but `limit` and `where`.
    """

    name: str
    mode: str | None = None
    fusion: Any = None
    rerank: Any = None
    rerank_depth: int | None = None
    exact: bool = False
    ef_search: int | None = None
    truncate_dim: int | None = None
    limit: int = 100
    where: Where | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise InvalidInput("a configuration needs a name")
        if isinstance(self.limit, bool) or not isinstance(self.limit, int) or not 1 <= self.limit <= 100_000:
            raise InvalidInput(f"limit is a whole number from 1 to 100000, not {self.limit!r:.40}")
        if self.truncate_dim is not None:
            self._check_truncated()

    def _check_truncated(self) -> None:
        if self.mode not in (None, "vector") or self.fusion or self.rerank or self.rerank_depth or self.ef_search:
            raise InvalidInput(
                f"{self.name}: truncate_dim compares every embedding in numpy; it goes with limit and where alone"
            )

    def search_options(self) -> dict[str, Any]:
        """Return the arguments of `Collection.search` that are given."""
        given = {name: getattr(self, name) for name in _PASSED_ON if getattr(self, name) is not None}
        return {**given, "exact": True} if self.exact else given

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults as JSON-ready values."""
        defaults = Configuration("defaults")
        chosen = {item.name: getattr(self, item.name) for item in fields(self)}
        plain = (str, int, float)
        return {
            name: value if isinstance(value, plain) else describe(value)
            for name, value in chosen.items()
            if name == "name" or value != getattr(defaults, name)
        }


def default_configurations(docs: Collection) -> list[Configuration]:
    """Return search by vectors and, where the collection has a text index, by text and by both."""
    if docs.config.text_index is None:
        return [Configuration("vector")]
    return [Configuration(mode, mode=mode) for mode in ("vector", "text", "hybrid")]


def check_configurations(configurations: Sequence[Configuration]) -> list[Configuration]:
    """Return configurations of which each has a name of its own.

    Raises:
        InvalidInput: There is none, or two have one name.
    """
    chosen = list(configurations)
    names = [configuration.name for configuration in chosen]
    if not names:
        raise InvalidInput("name at least one configuration to evaluate")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InvalidInput(f"two configurations have the name {twice[0]!r:.60}; tell them apart")
    return chosen


def describe(value: object) -> str:
    """Return a function by its name, an object without a text form by its class, anything else as it shows itself."""
    if type(value).__repr__ is object.__repr__:
        return type(value).__name__
    name = getattr(value, "__qualname__", None)
    return name if isinstance(name, str) else repr(value)
