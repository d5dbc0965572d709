"""Recall of a collection's index on the queries of its users."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vectordb.collection import Collection, Where
from vectordb.collection.recall import Recall, measure_recall
from vectordb.errors import InvalidInput


def recall(
    docs: Collection,
    queries: Iterable[str | ArrayLike],
    k: int = 10,
    *,
    ef_search: int | None = None,
    where: Where | None = None,
) -> Recall:
    """Measure how much of what an exact search finds the index finds.

    Args:
        docs: The collection.
        queries: Texts, which are embedded, or vectors.
        k: Hits per query that count.
        ef_search: HNSW candidates, see `Collection.search`.
        where: Filter of every query.

    Raises:
        InvalidInput: There is no query, they are of both kinds, or an option is out of range.
        Others: As `Collection.search_many`.
    """
    given = list(queries)
    texts = [query for query in given if isinstance(query, str)]
    if texts and len(texts) < len(given):
        raise InvalidInput("recall takes texts or vectors, not both in one call")
    vectors = docs.embedder.embed(texts, input_type="query") if texts else np.asarray(given, dtype=np.float32)
    options: dict[str, Any] = {"ef_search": ef_search, "where": where}
    return measure_recall(docs.search_many, vectors, k, **options)
