"""The second stage of a search: its best hits, ordered anew by a reranker."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vectordb.documents import Hit, Results
from vectordb.errors import InvalidInput
from vectordb.rerankers import Reranker, check_reranker, rerank_scores
from vectordb.search.options import SearchOptions, check_whole

DEFAULT_DEPTH = 50
MAX_DEPTH = 1_000


@dataclass(frozen=True, slots=True)
class Reranking:
    """What a reranker is to do with the hits of a search.

    Args:
        reranker: Scores texts for a query.
        depth: Hits, or documents of a grouped search, that it sees; None has 50, or `limit` where that is more.

    Raises:
        InvalidInput: It is no reranker, or the depth is out of range.
    """

    reranker: Reranker
    depth: int | None = None

    def __post_init__(self) -> None:
        check_reranker(self.reranker)
        if self.depth is not None:
            check_whole("rerank_depth", self.depth, 1, MAX_DEPTH)

    def first_stage(self, options: SearchOptions) -> SearchOptions:
        """Return what to search for, so that the reranker sees enough.

        Raises:
            InvalidInput: The options do not go with a reranker.
        """
        if options.limit is None or options.diversity is not None:
            raise InvalidInput("rerank does not go with limit=None or diversity, which have an order of their own")
        end = options.offset + options.limit
        # The same for all pages of one limit, so that these are cut from one order.
        depth = max(DEFAULT_DEPTH, options.limit) if self.depth is None else self.depth
        if not end <= depth <= MAX_DEPTH:
            raise InvalidInput(
                f"with rerank, offset + limit is at most rerank_depth, and that is at most {MAX_DEPTH}; they are {end} "
                f"and {depth}"
            )
        return replace(options, limit=depth, offset=0, min_score=None)

    def apply(self, query: str, results: Results, options: SearchOptions) -> Results:
        """Return the hits that the options ask for, in the order of the reranker's scores.

        Raises:
            RerankingError: The reranker failed, or did not return one finite number for each text.
        """
        scores = rerank_scores(self.reranker, query, [hit.content for hit in results])
        hits = [
            hit._replace(score=float(score), rerank_score=float(score))
            for hit, score in zip(results, scores, strict=True)
            if options.min_score is None or score >= options.min_score
        ]
        hits.sort(key=lambda hit: (-hit.score, hit.document_id, hit.ordinal))
        return Results(_page(hits, options), results.plan)


def _page(hits: list[Hit], options: SearchOptions) -> list[Hit]:
    assert options.limit is not None  # noqa: S101 - checked for the first stage
    page = slice(options.offset, options.offset + options.limit)
    if options.per_group is None:
        return hits[page]
    documents = set(list(dict.fromkeys(hit.document_id for hit in hits))[page])
    return [hit for hit in hits if hit.document_id in documents]
