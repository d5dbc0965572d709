"""Search by text, and by text and vector together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vectordb.documents import SearchPlan
from vectordb.filters import And, Field, Filter, In
from vectordb.fusion import RRF, Bounded, Candidates, RelativeScore, fused_scores
from vectordb.metrics import VectorSpace
from vectordb.repository import RankedRow
from vectordb.search.options import MAX_LIMIT, Mode, SearchOptions
from vectordb.search.text import Depth, hybrid_statement, text_statement
from vectordb.searching.source import Source
from vectordb.searching.vector import VectorSearcher, best_of_each, kept, search_plan
from vectordb.tables import SearchedTable

# Rows from each of the two lists. As both scores of every row are true ones, few are enough: on SciFact and Cranfield
# nDCG@10 is the same to three digits with 20 from each list and with 200.
_FEWEST_CANDIDATES = 40
_CANDIDATES_PER_HIT = 2
# Rows that are looked at for each hit when only the best ones of a document count.
_ROWS_PER_GROUPED_HIT = 4
_FEWEST_ROWS = 50
# What may be a phrase or an exclusion.
_DEMAND = re.compile(r"[\"\u201c\u201d\u201e]|(^|\s)-")
# All texts with a phrase are found by their words; by the vector, few of them are worth a long way along the index.
_VISITS_FOR_PHRASE = 2_000
_TEXT_PLAN = SearchPlan("exact", "text is ranked exactly", mode=str(Mode.TEXT))


class Query(NamedTuple):
    """What to look for: a text, and for a hybrid search its vector as well."""

    text: str
    vector: bytes | None


class Ranked(NamedTuple):
    """Rows, best first, and how they were found."""

    rows: Sequence[RankedRow]
    plan: SearchPlan


class RankedSearcher:
    """Runs searches by text and hybrid ones over one table; safe to share between threads.

    Args:
        tables: To be searched; groups are for the chunks of a collection.
        space: Of its embeddings.
        vectors: Decides how to reach the vector's list.
    """

    def __init__(self, tables: SearchedTable, space: VectorSpace, vectors: VectorSearcher) -> None:
        self._tables = tables
        self._space = space
        self._vectors = vectors

    def find(self, source: Source, query: Query, options: SearchOptions, where: Filter | None) -> Ranked:
        """Return the best rows.

        Round trips: 1, those of planning a filter, and one more where the index held too few rows. Groups, and later
        pages of a hybrid search, take several.
        """
        if options.per_group is not None:
            return self._grouped(source, query, options, where)
        return self._page(source, query, options, where)

    def _page(self, source: Source, query: Query, options: SearchOptions, where: Filter | None) -> Ranked:
        end = MAX_LIMIT if options.limit is None else options.offset + options.limit
        if query.vector is None or options.offset == 0:
            found = self._best(source, query, end, options, where)
            return Ranked(found.rows[options.offset :], found.plan)
        # As by vector alone: windows of once, twice, four times … as many rows, each without those before, have one
        # order for every page.
        assert options.limit is not None  # noqa: S101 - an offset goes with a limit
        rows: dict[tuple[str, int], RankedRow] = {}
        window = options.limit
        while True:
            found = self._best(source, query, window, options, where)
            for row in found.rows:
                rows.setdefault((row.document_id, row.ordinal), row)
            if len(rows) >= end or len(found.rows) < window or window >= MAX_LIMIT:
                return Ranked(list(rows.values())[options.offset : end], found.plan)
            window = min(2 * window, MAX_LIMIT)

    def _grouped(self, source: Source, query: Query, options: SearchOptions, where: Filter | None) -> Ranked:
        """Return the best documents, with the best chunks of each."""
        assert options.limit is not None  # noqa: S101 - checked by the options
        assert options.per_group is not None  # noqa: S101 - so it was asked for
        end = options.offset + options.limit
        rows: dict[tuple[str, int], RankedRow] = {}
        documents: dict[str, None] = {}
        # As of single hits: windows of once, twice, four times … as many documents have one order for every page.
        window = options.limit
        while True:
            found, ids = self._best_documents(source, query, window, options, where)
            documents |= dict.fromkeys(ids)
            rows = {_key(row): row for row in found.rows} | rows
            if len(documents) >= end or len(ids) < window:
                break
            window *= 2
        page = list(documents)[options.offset : end]
        if options.per_group > 1 and page and isinstance(options.fusion, Bounded):
            # The second best chunk of a document may be far behind the best of others. Its score is the same among any
            # candidates, its ranks are not.
            these: Filter = In(Field(("id",), own=True), tuple(page))
            these = these if where is None else And((where, these))
            others = self._best(source, query, MAX_LIMIT, options, these).rows
            rows |= {_key(row): _unranked(row, query) for row in others if _key(row) not in rows}
        best = sorted(rows.values(), key=lambda row: (-row.score, row.document_id, row.ordinal))
        return Ranked(best_of_each(best, page, options.per_group), found.plan)

    def _best_documents(
        self, source: Source, query: Query, documents: int, options: SearchOptions, where: Filter | None
    ) -> tuple[Ranked, list[str]]:
        """Return rows in which so many documents occur, unless fewer match, and the ids of these documents."""
        assert options.per_group is not None  # noqa: S101 - documents are asked for
        wanted = max(_FEWEST_ROWS, _ROWS_PER_GROUPED_HIT * documents * options.per_group)
        while True:
            wanted = min(wanted, MAX_LIMIT)
            found = self._best(source, query, wanted, options, where)
            ids = list(dict.fromkeys(row.document_id for row in found.rows))[:documents]
            if len(ids) == documents or len(found.rows) < wanted or wanted == MAX_LIMIT:
                return found, ids
            wanted *= _ROWS_PER_GROUPED_HIT

    def _best(self, source: Source, query: Query, wanted: int, options: SearchOptions, where: Filter | None) -> Ranked:
        """Return the best rows, `wanted` of them unless fewer match."""
        if query.vector is None:
            statement = text_statement(self._tables, wanted, where)
            return Ranked(source.ranked(statement, query.text), _TEXT_PLAN)
        return self._hybrid(source, query, query.vector, wanted, options, where)

    def _hybrid(
        self,
        source: Source,
        query: Query,
        vector: bytes,
        wanted: int,
        options: SearchOptions,
        where: Filter | None,
    ) -> Ranked:
        depth = Depth(wanted, min(MAX_LIMIT, max(_FEWEST_CANDIDATES, _CANDIDATES_PER_HIT * wanted)))
        fusion = options.fusion if isinstance(options.fusion, (Bounded, RelativeScore, RRF)) else None
        decision = self._vectors.decide(source, depth.candidates, options, where)
        demand = _DEMAND.search(query.text)
        phrase = demand is not None and not demand[0].endswith("-")
        again = False
        while True:
            access = decision.access
            if phrase:
                access = replace(access, visits=min(access.visits, _VISITS_FOR_PHRASE))
            access = kept(access, source)
            statement = hybrid_statement(
                self._tables, self._space, access, depth, fusion, where, demanding=demand is not None
            )
            rows = source.ranked(statement, query.text, vector)
            if phrase or (where is None and len(rows) >= wanted):
                break
            near = rows[0].near if rows else 0
            following = self._vectors.following(source, depth.candidates, decision, where, near, options, again=again)
            if following is None:
                break
            decision, again = following, True
        if fusion is None:
            rows = self._fused(rows, options)[:wanted]
        return Ranked(rows, replace(search_plan(decision), mode=str(Mode.HYBRID)))

    def _fused(self, rows: list[RankedRow], options: SearchOptions) -> list[RankedRow]:
        """Return candidates in the order of a fusion that only Python knows."""
        candidates = Candidates(
            # As in SQL: what has no vector scores 0 by it.
            np.array([0.0 if row.distance is None else self._space.score(row.distance) for row in rows]),
            np.array([row.text_score or 0.0 for row in rows]),
            np.array([row.vector_rank or 0 for row in rows]),
            np.array([row.text_rank or 0 for row in rows]),
            rows[0].bound if rows else 0.0,
        )
        scores = fused_scores(options.fusion, candidates)
        scored = [row._replace(score=float(score)) for row, score in zip(rows, scores, strict=True)]
        return sorted(scored, key=lambda row: (-row.score, row.document_id, row.ordinal))


def _key(row: RankedRow) -> tuple[str, int]:
    return row.document_id, row.ordinal


def _unranked(row: RankedRow, query: Query) -> RankedRow:
    """Return a row of a hybrid search without its ranks, where these are among other candidates than before."""
    return row if query.vector is None else row._replace(vector_rank=None, text_rank=None)
