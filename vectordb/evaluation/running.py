"""Runs of a data set's queries: what a configuration finds for each, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from vectordb.collection import Collection, Where
from vectordb.documents import Hit
from vectordb.errors import InvalidInput
from vectordb.evaluation.configuration import Configuration
from vectordb.evaluation.metrics import Run
from vectordb.metrics import Metric

_MOST_CHUNKS = 100_000
_READ_AT_ONCE = 1_000

OnQuery = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Found:
    """What one configuration found.

    Attributes:
        run: By query, by document: the score, high is near.
        seconds: Of each search, embedding of the query included; empty where the database did not search.
    """

    run: Run
    seconds: tuple[float, ...]


def run_queries(
    docs: Collection, queries: Mapping[str, str], configuration: Configuration, on_query: OnQuery = lambda: None
) -> Found:
    """Search for every query, one after the other.

    A document counts once, with its best chunk: where chunks of one document take places of others, the search is
    repeated for more chunks until there are `limit` documents.

    Args:
        docs: To search in.
        queries: Texts by id.
        configuration: How to search.
        on_query: Called after each.

    Raises:
        Errors: As `Collection.search`.
    """
    if configuration.truncate_dim is not None:
        return _run_truncated(docs, queries, configuration, configuration.truncate_dim, on_query)
    options = configuration.search_options()
    run: dict[str, Mapping[str, float]] = {}
    seconds: list[float] = []
    for text in list(queries.values())[:1]:
        search_documents(docs, text, configuration.limit, options)  # loads models, which is no part of a search
    for query, text in queries.items():
        start = time.perf_counter()
        documents = search_documents(docs, text, configuration.limit, options)
        seconds.append(time.perf_counter() - start)
        run[query] = scores_of(documents)
        on_query()
    return Found(run, tuple(seconds))


def search_documents(docs: Collection, text: str, limit: int, options: Mapping[str, object]) -> list[Hit]:
    """Return the best hit of each of the first documents, best first."""
    chunks = limit
    while True:
        hits = docs.search(text, limit=chunks, **options)  # type: ignore[arg-type] # checked by `search` itself
        best: dict[str, Hit] = {}
        for hit in hits:
            best.setdefault(hit.document_id, hit)
        if len(best) >= limit or len(hits) < chunks or chunks >= _MOST_CHUNKS:
            return list(best.values())[:limit]
        chunks = min(4 * chunks, _MOST_CHUNKS)


def scores_of(hits: Sequence[Hit]) -> dict[str, float]:
    """Return the score of each document.

    A reranker gives the first hits scores of another scale than the rest has. Where scores do not fall from hit to hit,
    places take their stead, so that the order is that of the hits.
    """
    scores = [hit.score for hit in hits]
    if any(later > earlier for earlier, later in pairwise(scores)):
        scores = [-float(place) for place in range(len(hits))]
    return {hit.document_id: score for hit, score in zip(hits, scores, strict=True)}


def _run_truncated(
    docs: Collection, queries: Mapping[str, str], configuration: Configuration, dimensions: int, on_query: OnQuery
) -> Found:
    if not 1 <= dimensions <= docs.dimensions:
        raise InvalidInput(
            f"truncate_dim is from 1 to {docs.dimensions}, the collection's dimensions, not {dimensions}"
        )
    if docs.metric not in (Metric.COSINE, Metric.INNER_PRODUCT, Metric.L2):
        raise InvalidInput(f"truncate_dim goes with the metrics cosine, inner_product and l2, not with {docs.metric}")
    ids, matrix = _read_embeddings(docs, dimensions, configuration.where)
    matrix = _scaled(matrix, docs.metric)
    wanted = docs.embedder.embed(list(queries.values()), input_type="query")[:, :dimensions]
    run: dict[str, Mapping[str, float]] = {}
    for query, vector in zip(queries, _scaled(wanted, docs.metric), strict=True):
        run[query] = _nearest(ids, _scores(matrix, vector, docs.metric), configuration.limit)
        on_query()
    return Found(run, ())


def _read_embeddings(docs: Collection, dimensions: int, where: Where | None) -> tuple[list[str], NDArray[np.float32]]:
    """Return the leading numbers of all embeddings, and the document of each."""
    ids: list[str] = []
    parts: list[NDArray[np.float32]] = [np.empty((0, dimensions), dtype=np.float32)]
    for batch in _batches(docs, where):
        for id, chunks in docs.vectors(batch).items():
            ids += [id] * len(chunks)
            parts.append(chunks[:, :dimensions].astype(np.float32))
    return ids, np.concatenate(parts)


def _batches(docs: Collection, where: Where | None) -> Iterator[list[str]]:
    documents = docs.scan(where)
    while batch := [str(document.id) for document in islice(documents, _READ_AT_ONCE)]:
        yield batch


def _scaled(matrix: NDArray[np.float32], metric: Metric) -> NDArray[np.float32]:
    if metric is not Metric.COSINE:
        return matrix
    scaled: NDArray[np.float32] = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-30)
    return scaled


def _scores(matrix: NDArray[np.float32], vector: NDArray[np.float32], metric: Metric) -> NDArray[np.float32]:
    if metric is Metric.L2:
        return np.asarray(1.0 / (1.0 + np.linalg.norm(matrix - vector, axis=1)), dtype=np.float32)
    products: NDArray[np.float32] = matrix @ vector
    return products


def _nearest(ids: Sequence[str], scores: NDArray[np.float32], limit: int) -> dict[str, float]:
    best: dict[str, float] = {}
    for place in np.argsort(-scores, kind="stable"):
        best.setdefault(ids[place], float(scores[place]))
        if len(best) == limit:
            break
    return best
