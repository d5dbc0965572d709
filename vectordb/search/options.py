"""What a caller may ask of a search, checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from numbers import Integral, Real
from typing import Any

from vectordb.errors import InvalidInput
from vectordb.fusion import DEFAULT_FUSION, Fusion, RelativeScore, check_fusion
from vectordb.metrics import Metric
from vectordb.search.planning import MAX_EF_SEARCH, Strategy
from vectordb.validation import check_text

MAX_LIMIT = 100_000
# Every choice is compared with four candidates for each hit, so that time grows with the square of the limit.
MAX_VARIED = 1_000


class Mode(StrEnum):
    """What a search goes by: the vector, the words (BM25), or both."""

    VECTOR = "vector"
    TEXT = "text"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search.

    Args:
        limit: Most hits, or most documents where hits are grouped, 1 to 100,000. None has all that reach `min_score`.
        offset: Hits to leave out first, 0 to 100,000.
        min_score: Least score of a hit.
        strategy: `exact` or `iterative`; None leaves it to the planner.
        ef_search: HNSW candidates, 1 to 1000; None has 80, or the server's setting where that is more. At least
            `limit` is used.
        per_group: Most hits of a document; None does not group.
        diversity: 0 to 1, with a limit up to 1,000; None does not trade nearness for variety.
        mode: What the search goes by.
        fusion: Of a hybrid search.

    Raises:
        InvalidInput: A number is out of range, or two of them do not go together.
    """

    limit: int | None = 10
    offset: int = 0
    min_score: float | None = None
    strategy: Strategy | None = None
    ef_search: int | None = None
    per_group: int | None = None
    diversity: float | None = None
    mode: Mode = Mode.VECTOR
    fusion: Fusion = DEFAULT_FUSION

    def __post_init__(self) -> None:
        if self.mode is not Mode.VECTOR and self.diversity is not None:
            raise InvalidInput("diversity compares vectors; pass mode='vector' as well")
        if self.mode is Mode.HYBRID and self.limit is None:
            raise InvalidInput("limit=None goes with mode='vector' or mode='text'")
        if self.limit is not None:
            check_whole("limit", self.limit, 1, MAX_LIMIT)
        elif self.min_score is None:
            raise InvalidInput("limit=None returns all hits that reach a score; pass min_score as well, or a limit")
        elif self.offset or self.per_group or self.diversity is not None or self.strategy is Strategy.ITERATIVE:
            raise InvalidInput("limit=None compares every row; it goes with min_score and where, and nothing else")
        check_whole("offset", self.offset, 0, MAX_LIMIT)
        if self.ef_search is not None:
            check_whole("ef_search", self.ef_search, 1, MAX_EF_SEARCH)
        if self.per_group is not None:
            check_whole("per_group", self.per_group, 1, MAX_EF_SEARCH)
        _check_real("min_score", self.min_score, -math.inf, math.inf)
        _check_real("diversity", self.diversity, 0.0, 1.0)
        if self.diversity is not None:
            self._check_varied()

    def _check_varied(self) -> None:
        if self.offset:
            raise InvalidInput("diversity and offset exclude each other: what is varied depends on all hits before")
        if self.limit is not None and self.limit > MAX_VARIED:
            raise InvalidInput(f"with diversity, limit is at most {MAX_VARIED}, not {self.limit}")
        if self.per_group is not None and self.per_group > 1:
            raise InvalidInput("with diversity, only the best chunk of each document counts; leave per_group out")

    @property
    def is_simple(self) -> bool:
        """Whether the nearest rows are all that is asked for."""
        return self.limit is not None and self.offset == 0 and self.per_group is None and self.diversity is None


def check_mode(mode: object) -> Mode:
    """Return the mode that a caller names.

    Raises:
        InvalidInput: There is none of that name.
    """
    try:
        return Mode(mode)  # type: ignore[arg-type] # whatever it is, it is compared with the names
    except ValueError:
        raise InvalidInput(f"mode is 'vector', 'text', 'hybrid' or None, not {_shown(mode)}") from None


def choose_fusion(given: Any, mode: Mode, metric: Metric, *, is_normalized: Callable[[], bool]) -> Fusion:
    """Return the fusion of a search.

    Args:
        given: By the caller; None has the one that suits the scores.
        mode: Of the search.
        metric: Of the vectors.
        is_normalized: Tells whether they have length 1; asked only where it matters.

    Raises:
        InvalidInput: It is none, or the search is not hybrid.
    """
    if given is not None:
        if mode is not Mode.HYBRID:
            raise InvalidInput(f"fusion goes with a hybrid search, and this one goes by {mode}")
        return check_fusion(given)
    if mode is Mode.HYBRID and metric is Metric.INNER_PRODUCT and not is_normalized():
        return RelativeScore()
    return DEFAULT_FUSION


def check_query(query: str) -> str:
    """Return the text that a caller looks for.

    Raises:
        InvalidInput: It is empty.
        InvalidText: It holds what PostgreSQL cannot store.
    """
    if not check_text(query, "the query").strip():
        raise InvalidInput("the query is empty; search for a text or a vector")
    return query


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Check that a value is a whole number within a range.

    Raises:
        InvalidInput: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        raise InvalidInput(f"{name} is a whole number from {least} to {most}, not {_shown(value)}")


def _check_real(name: str, value: object, least: float, most: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real) or not least <= _as_float(value) <= most:
        between = "" if math.isinf(least) else f" from {least:g} to {most:g}"
        raise InvalidInput(f"{name} is a number{between}, not {_shown(value)}")


def _as_float(value: Real) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _shown(value: object) -> str:
    try:
        return f"{value!r:.40}"
    except ValueError:  # Python writes no number of thousands of digits
        return f"a huge {type(value).__name__}"
