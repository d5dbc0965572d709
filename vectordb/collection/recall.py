"""How much of what an exact search finds the index finds, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectordb.documents import Hit, Results
from vectordb.errors import InvalidInput

_WORST = 10


@dataclass(frozen=True, slots=True)
class Recall:
    """Recall of an index.

    Attributes:
        k: Hits that were asked for.
        mean: Over the queries, 0 to 1.
        per_query: In the order of the queries.
        worst: Places of up to ten queries below 1 in that order, from 0, the worst first.
    """

    k: int
    mean: float
    per_query: tuple[float, ...]
    worst: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return asdict(self)


def measure_recall(
    search_many: Callable[..., list[Results]], queries: NDArray[np.float32], k: int, **options: Any
) -> Recall:
    """Compare what the index finds with what comparing every row finds.

    A hit counts as found when it is no farther than the last of the exact hits, so of equally near ones any will do.

    Args:
        search_many: `Collection.search_many`.
        queries: Vectors, shape (n, dimensions).
        k: Hits per query, at least 1.
        **options: Of the search by the index, such as `ef_search`; `where` goes for both.

    Raises:
        InvalidInput: There is no query, or an option is out of range.

    Round trips: As two calls of `search_many`.
    """
    if len(queries) == 0:
        raise InvalidInput("recall needs queries: a list of texts or vectors, best such as your users ask")
    found = search_many(queries, limit=k, **options)
    exact = search_many(queries, limit=k, exact=True, **{"where": options["where"]} if "where" in options else {})
    shares = [_share(*pair) for pair in zip(found, exact, strict=True)]
    order = sorted(range(len(shares)), key=lambda place: (shares[place], place))
    worst = tuple(place for place in order[:_WORST] if shares[place] < 1)
    return Recall(k, float(np.mean(shares)), tuple(shares), worst)


def _share(found: Results, exact: Results) -> float:
    """Return the share of the exact hits that were found; 1 where there is nothing to find."""
    if not exact:
        return 1.0
    farthest = max(_distance(hit) for hit in exact)
    return min(1.0, sum(_distance(hit) <= farthest for hit in found) / len(exact))


def _distance(hit: Hit) -> float:
    assert hit.distance is not None  # noqa: S101 - vectors were compared
    return hit.distance
