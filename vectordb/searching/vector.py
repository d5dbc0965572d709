"""Search by vector: planned, sent, completed where the index held too little, grouped, varied and cut."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import numpy as np

from vectordb import repository, vectors
from vectordb.documents import SearchPlan
from vectordb.filters import Filter
from vectordb.metrics import VectorSpace
from vectordb.planner import Planner
from vectordb.repository import FoundRow
from vectordb.repository.arrays import text_array
from vectordb.search.diversity import diversify
from vectordb.search.options import MAX_LIMIT, SearchOptions
from vectordb.search.planning import EXACT, Access, Decision, Strategy
from vectordb.search.statements import (
    Shape,
    Statement,
    grouped_statement,
    search_statement,
    unfiltered_access,
)
from vectordb.searching.source import Source
from vectordb.tables import SearchedTable, Tables

Row = TypeVar("Row", bound=tuple[Any, ...])

# Candidates that are looked at for a choice of various or grouped hits, and how often more are fetched.
_CANDIDATES_PER_HIT = 4
_FEWEST_CANDIDATES = 50
_MOST_CANDIDATES = 4_000


class Found(NamedTuple):
    """Rows by distance, and how they were found."""

    rows: Sequence[FoundRow]
    plan: SearchPlan


class VectorSearcher:
    """Runs searches by vector over one table; safe to share between threads.

    Args:
        tables: To be searched; groups and variety are for the chunks of a collection.
        space: Of its embeddings.
        planner: Of the table.
        method: Of its vector index; None where there is none.
    """

    def __init__(self, tables: SearchedTable, space: VectorSpace, planner: Planner, method: str | None) -> None:
        self._tables = tables
        self._space = space
        self._planner = planner
        self._method = method
        self._unfiltered = lru_cache(maxsize=64)(self._unfiltered_search)

    def find(self, source: Source, query: bytes, options: SearchOptions, where: Filter | None) -> Found:
        """Return the rows nearest to a vector.

        Round trips: 1 without a filter; see `Planner.decide` for the others, and one more where the index held too
        few rows. Grouped, varied and later pages take several.
        """
        if options.limit is None:
            return self._within(source, query, options, where)
        if options.diversity is not None:
            return self._varied(source, query, options, where)
        if options.offset:
            return self._page(source, query, options, where)
        return self._first(source, query, options.limit, options, where)

    def _first(self, source: Source, query: bytes, wanted: int, options: SearchOptions, where: Filter | None) -> Found:
        """Return the nearest rows, or those of the nearest documents, without regard to the offset."""
        if options.per_group is not None:
            return self._grouped(source, query, wanted, options.per_group, options, where)
        return self._nearest(source, query, wanted, options, where)

    @property
    def _chunks(self) -> Tables:
        assert isinstance(self._tables, Tables)  # noqa: S101 - groups are of chunks
        return self._tables

    # The nearest rows: every other search is made of these.

    def _nearest(
        self,
        source: Source,
        query: bytes,
        wanted: int,
        options: SearchOptions,
        where: Filter | None,
        *,
        embeddings: bool = False,
    ) -> Found:
        """Return the nearest rows, `wanted` of them unless fewer match."""
        if where is None and options.strategy is None and not embeddings:
            return self._nearest_of_all(source, query, wanted, options)
        decision = self.decide(source, wanted, options, where)
        shape = Shape(wanted, embeddings=embeddings)
        [found] = self._completed(source, [query], shape, decision, where, options)
        return found

    def _nearest_of_all(self, source: Source, query: bytes, wanted: int, options: SearchOptions) -> Found:
        """Return the nearest rows of the table; the statement is made once."""
        statement, decision, plan = self._unfiltered(wanted, options.ef_search, source.keep)
        rows = source.nearest(statement, query)
        following = self.following(source, wanted, decision, None, len(rows), options)
        if following is None:
            return Found(rows, plan)
        return self._run(source, query, Shape(wanted), following, None)

    def decide(self, source: Source, wanted: int, options: SearchOptions, where: Filter | None) -> Decision:
        """Return how to reach so many rows."""
        if where is None:
            if options.strategy is Strategy.EXACT:
                return Decision(EXACT, "asked for")
            return Decision(unfiltered_access(self._method, wanted, options.ef_search), "there is no filter")
        return self._planner.decide(
            source.connection,
            where,
            method=self._method,
            wanted=wanted,
            ef_search=options.ef_search,
            forced=options.strategy,
        )

    def _run(self, source: Source, query: bytes, shape: Shape, decision: Decision, where: Filter | None) -> Found:
        statement = search_statement(self._tables, kept(decision.access, source), shape, where)
        return Found(source.nearest(statement, query)[: shape.limit], search_plan(decision))

    def _completed(
        self,
        source: Source,
        queries: Sequence[bytes],
        shape: Shape,
        decision: Decision,
        where: Filter | None,
        options: SearchOptions,
    ) -> list[Found]:
        """Run searches together, and those that found fewer rows than match in another way."""
        found: dict[int, Found] = {}
        left, way, again = list(range(len(queries))), decision, False
        while True:
            several = shape if len(left) == 1 else replace(shape, many=True)
            statement = search_statement(self._tables, kept(way.access, source), several, where)
            plan = search_plan(way)
            given = [queries[number] for number in left]
            if several.many:
                rows_of_each = source.nearest_to_each(statement, given)
            else:
                rows_of_each = [source.nearest(statement, given[0])]
            found |= {number: Found(rows[: shape.limit], plan) for number, rows in zip(left, rows_of_each, strict=True)}
            left = [number for number in left if len(found[number].rows) < shape.limit]
            if not left:
                break
            fewest = min(len(found[number].rows) for number in left)
            following = self.following(source, shape.limit, way, where, fewest, options, again=again)
            if following is None:
                break
            way, again = following, True
        if where is not None and options.strategy is Strategy.ITERATIVE:
            found |= {number: Found(found[number].rows, found[number].plan.incomplete()) for number in left}
        return [found[number] for number in range(len(queries))]

    def following(
        self,
        source: Source,
        wanted: int,
        way: Decision,
        where: Filter | None,
        found: int,
        options: SearchOptions,
        *,
        again: bool = False,
    ) -> Decision | None:
        """Return what to do after a way that found so many rows; None where they suffice, or no other is allowed."""
        if found >= wanted or way.access.strategy is Strategy.EXACT:
            return None
        if where is None:
            whole = repository.count_rows(source.connection, self._tables, wanted) <= found
            return None if whole else Decision(EXACT, "the index held too few rows")
        if options.strategy is Strategy.ITERATIVE:
            return None
        if way.access.strategy is Strategy.PLAIN and not again:
            return self._planner.decide_again(source.connection, way, wanted=wanted, found=found)
        return replace(way, access=EXACT, reason="the index gave up before enough rows matched")

    def _unfiltered_search(
        self, limit: int, ef_search: int | None, keep: bool
    ) -> tuple[Statement, Decision, SearchPlan]:
        access = replace(unfiltered_access(self._method, limit, ef_search), keep=keep)
        reason = "there is no index" if access.strategy is Strategy.EXACT else "there is no filter"
        decision = Decision(access, reason)
        return search_statement(self._tables, access, Shape(limit), None), decision, search_plan(decision)

    def find_each(
        self, source: Source, queries: list[bytes], options: SearchOptions, where: Filter | None
    ) -> list[Found]:
        """Return the rows nearest to each vector.

        Round trips: As `find`, for all of them together where only the nearest are asked for.
        """
        if not options.is_simple:
            return [self.find(source, query, options, where) for query in queries]
        assert options.limit is not None  # noqa: S101 - simple options have one
        decision = self.decide(source, options.limit, options, where)
        return self._completed(source, queries, Shape(options.limit), decision, where, options)

    # Everything that is more than the nearest rows.

    def _within(self, source: Source, query: bytes, options: SearchOptions, where: Filter | None) -> Found:
        """Return all rows that reach the score, at most 100,000."""
        assert options.min_score is not None  # noqa: S101 - checked by the options
        farthest = self._space.distance(options.min_score)
        # The score itself is compared afterwards; rounding must not lose a row before that.
        farthest += 1e-6 * max(1.0, abs(farthest))
        statement = search_statement(self._tables, EXACT, Shape(MAX_LIMIT, within=True), where)
        rows = source.nearest(statement, query, {"farthest": farthest})
        plan = search_plan(Decision(EXACT, "all rows that reach a score are asked for"))
        return Found(rows, plan if len(rows) < MAX_LIMIT else plan.incomplete())

    def _page(self, source: Source, query: bytes, options: SearchOptions, where: Filter | None) -> Found:
        """Return a later page: pages are cut from one order that does not depend on the page.

        The order is that of windows of limit, twice, four times … as many rows or documents, each without those of
        the windows before. An index that looks at more candidates may find a row that it missed before; it comes on a
        later page then, and no row comes twice or is left out.
        """
        assert options.limit is not None  # noqa: S101 - checked by the options
        offset, end = options.offset, options.offset + options.limit
        decision = self.decide(source, options.limit, options, where)
        if decision.access.strategy is Strategy.EXACT:
            if options.per_group is None:
                return self._run(source, query, Shape(options.limit, offset), decision, where)
            statement = grouped_statement(
                self._chunks, where, limit=options.limit, offset=offset, per_group=options.per_group
            )
            return Found(source.nearest(statement, query), search_plan(decision))
        pages: dict[Any, list[FoundRow]] = {}
        window = options.limit
        while True:
            found = self._first(source, query, window, options, where)
            places: dict[Any, list[FoundRow]] = {}
            for row in found.rows:
                places.setdefault((row[0], row[1]) if options.per_group is None else row[0], []).append(row)
            pages |= places
            if len(pages) >= end or len(places) < window or window >= MAX_LIMIT:
                page = [row for rows in list(pages.values())[offset:end] for row in rows]
                cut = len(pages) < end and len(places) >= window
                return Found(sorted(page, key=_by_distance), found.plan.incomplete() if cut else found.plan)
            window = min(2 * window, MAX_LIMIT)

    def _grouped(
        self,
        source: Source,
        query: bytes,
        documents: int,
        per_group: int,
        options: SearchOptions,
        where: Filter | None,
    ) -> Found:
        """Return the nearest documents, with the nearest chunks of each."""
        decision = self.decide(source, documents, options, where)
        wanted = max(_FEWEST_CANDIDATES, documents * per_group * _CANDIDATES_PER_HIT)
        while decision.access.strategy is not Strategy.EXACT and wanted <= _MOST_CANDIDATES:
            found = self._nearest(source, query, wanted, options, where)
            ids = list(dict.fromkeys(row[0] for row in found.rows))[:documents]
            if len(ids) == documents or len(found.rows) < wanted:
                rows = found.rows
                if per_group > 1:
                    # The second nearest chunk of a document may be far behind the nearest of others.
                    statement = grouped_statement(
                        self._chunks, where, limit=documents, offset=0, per_group=per_group, of_documents=True
                    )
                    rows = source.nearest(statement, query, {"ids": text_array(ids)})
                return Found(best_of_each(rows, ids, per_group), found.plan)
            wanted *= _CANDIDATES_PER_HIT
        exact = Decision(EXACT, decision.reason if decision.access == EXACT else "every document has to be looked at")
        statement = grouped_statement(self._chunks, where, limit=documents, offset=0, per_group=per_group)
        return Found(source.nearest(statement, query), search_plan(exact))

    def _varied(self, source: Source, query: bytes, options: SearchOptions, where: Filter | None) -> Found:
        """Return hits that are near the query and unlike each other."""
        assert options.limit is not None  # noqa: S101 - checked by the options
        assert options.diversity is not None  # noqa: S101 - so it was asked for
        pool = max(_FEWEST_CANDIDATES, options.limit * _CANDIDATES_PER_HIT)
        score, least = self._space.score, -math.inf if options.min_score is None else options.min_score
        while True:
            found = self._nearest(source, query, pool, options, where, embeddings=True)
            rows = [row for row in found.rows if score(row[4]) >= least]
            if options.per_group is None:
                break
            more = len(rows) == pool
            rows = best_of_each(rows, dict.fromkeys(row[0] for row in rows), options.per_group)
            if not more or len(rows) >= options.limit or pool == MAX_LIMIT:
                break
            pool = min(MAX_LIMIT, pool * _CANDIDATES_PER_HIT)
        chosen = diversify(
            np.array([score(row[4]) for row in rows], dtype=np.float64),
            vectors.decode([bytes(row[5]) for row in rows], self._space),
            self._space.metric,
            diversity=options.diversity,
            limit=options.limit,
        )
        return Found([rows[position] for position in chosen], found.plan)


def kept(access: Access, source: Source) -> Access:
    """Return how to reach the rows, and leave the settings as they were where the source says so."""
    return replace(access, keep=True) if source.keep else access


def best_of_each(rows: Iterable[Row], ids: Iterable[str], per_group: int) -> list[Row]:
    """Return the first rows of each document among `ids`, in the order they have."""
    left = dict.fromkeys(ids, per_group)
    best = []
    for row in rows:
        if left.get(row[0], 0) > 0:
            left[row[0]] -= 1
            best.append(row)
    return best


def _by_distance(row: FoundRow) -> tuple[float, str, int]:
    return row[4], row[0], row[1]


def search_plan(decision: Decision) -> SearchPlan:
    """Return how a search was run, as the caller is told."""
    estimate = decision.estimate
    access = decision.access
    return SearchPlan(
        str(access.strategy),
        decision.reason,
        None if estimate is None else round(estimate.matches),
        None if estimate is None else round(estimate.rows),
        access.candidates if access.method == "hnsw" else None,
        None if estimate is None or not estimate.hints else "; ".join(estimate.hints),
    )
