"""Search by vector: planned, sent, completed where the index held too little, grouped, varied and cut."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import numpy as np

from vectordb import repository, vectors
from vectordb.database import PsycopgConnection
from vectordb.documents import Hit, Results, SearchPlan
from vectordb.filters import Filter
from vectordb.metrics import VectorSpace
from vectordb.planner import Planner
from vectordb.repository import FoundRow
from vectordb.search.diversity import diversify
from vectordb.search.options import MAX_LIMIT, SearchOptions
from vectordb.search.planning import EXACT, Decision, Strategy
from vectordb.search.statements import (
    Shape,
    Statement,
    grouped_statement,
    search_statement,
    unfiltered_access,
)
from vectordb.tables import Tables

Row = TypeVar("Row", bound=tuple[Any, ...])

# Candidates that are looked at for a choice of various or grouped hits, and how often more are fetched.
_CANDIDATES_PER_HIT = 4
_FEWEST_CANDIDATES = 50
_MOST_CANDIDATES = 4_000


class _Found(NamedTuple):
    """Rows by distance, and how they were found."""

    rows: Sequence[FoundRow]
    plan: SearchPlan


class VectorSearcher:
    """Runs searches by vector over the chunks of one collection; safe to share between threads.

    Args:
        tables: Of the collection.
        space: Of its embeddings.
        planner: Of the collection.
        method: Of its vector index; None where there is none.
    """

    def __init__(self, tables: Tables, space: VectorSpace, planner: Planner, method: str | None) -> None:
        self._tables = tables
        self._space = space
        self._planner = planner
        self._method = method
        self._unfiltered = lru_cache(maxsize=64)(self._unfiltered_search)

    def search(
        self, connection: PsycopgConnection, query: bytes, options: SearchOptions, where: Filter | None
    ) -> Results:
        """Return the hits nearest to a vector.

        Round trips: 1 without a filter; see `Planner.decide` for the others, and one more where the index held too
        few rows. Grouped, varied and later pages take several.
        """
        if options.limit is None:
            found = self._within(connection, query, options, where)
        elif options.diversity is not None:
            found = self._varied(connection, query, options, where)
        elif options.offset:
            found = self._page(connection, query, options, where)
        else:
            found = self._first(connection, query, options.limit, options, where)
        return self._results(found, options)

    def _first(
        self, connection: PsycopgConnection, query: bytes, wanted: int, options: SearchOptions, where: Filter | None
    ) -> _Found:
        """Return the nearest rows, or those of the nearest documents, without regard to the offset."""
        if options.per_group is not None:
            return self._grouped(connection, query, wanted, options.per_group, options, where)
        return self._nearest(connection, query, wanted, options, where)

    def _results(self, found: _Found, options: SearchOptions) -> Results:
        score, rows = self._space.score, found.rows
        # One text is read much quicker than many short ones.
        metadata = json.loads(f"[{','.join([row[3] for row in rows])}]")
        hits = [
            Hit(row[0], row[1], row[2], entry, value := score(row[4]), row[4], rank, value)
            for rank, (row, entry) in enumerate(zip(rows, metadata, strict=True), options.offset + 1)
        ]
        if options.min_score is not None:
            least = options.min_score
            hits = [hit for hit in hits if hit.score >= least]
        return Results(hits, found.plan)

    # The nearest rows: every other search is made of these.

    def _nearest(
        self,
        connection: PsycopgConnection,
        query: bytes,
        wanted: int,
        options: SearchOptions,
        where: Filter | None,
        *,
        embeddings: bool = False,
    ) -> _Found:
        """Return the nearest rows, `wanted` of them unless fewer match."""
        if where is None and options.strategy is None and not embeddings:
            return self._nearest_of_all(connection, query, wanted, options)
        decision = self.decide(connection, wanted, options, where)
        shape = Shape(wanted, embeddings=embeddings)
        [found] = self._completed(connection, [query], shape, decision, where, options)
        return found

    def _nearest_of_all(
        self, connection: PsycopgConnection, query: bytes, wanted: int, options: SearchOptions
    ) -> _Found:
        """Return the nearest rows of the table; the statement is made once."""
        statement, decision, plan = self._unfiltered(wanted, options.ef_search)
        rows = repository.search_chunks(connection, statement, query)
        following = self.following(connection, wanted, decision, None, len(rows), options)
        if following is None:
            return _Found(rows, plan)
        return self._run(connection, query, Shape(wanted), following, None)

    def decide(
        self, connection: PsycopgConnection, wanted: int, options: SearchOptions, where: Filter | None
    ) -> Decision:
        """Return how to reach so many rows."""
        if where is None:
            if options.strategy is Strategy.EXACT:
                return Decision(EXACT, "asked for")
            return Decision(unfiltered_access(self._method, wanted, options.ef_search), "there is no filter")
        return self._planner.decide(
            connection,
            where,
            method=self._method,
            wanted=wanted,
            ef_search=options.ef_search,
            forced=options.strategy,
        )

    def _run(
        self, connection: PsycopgConnection, query: bytes, shape: Shape, decision: Decision, where: Filter | None
    ) -> _Found:
        statement = search_statement(self._tables, decision.access, shape, where)
        return _Found(repository.search_chunks(connection, statement, query)[: shape.limit], search_plan(decision))

    def _completed(
        self,
        connection: PsycopgConnection,
        queries: Sequence[bytes],
        shape: Shape,
        decision: Decision,
        where: Filter | None,
        options: SearchOptions,
    ) -> list[_Found]:
        """Run searches together, and those that found fewer rows than match in another way."""
        found: dict[int, _Found] = {}
        left, way, again = list(range(len(queries))), decision, False
        while True:
            several = shape if len(left) == 1 else replace(shape, many=True)
            statement, plan = search_statement(self._tables, way.access, several, where), search_plan(way)
            given = [queries[number] for number in left]
            if several.many:
                rows_of_each = repository.search_many(connection, self._tables, statement, given)
            else:
                rows_of_each = [repository.search_chunks(connection, statement, given[0])]
            found |= {
                number: _Found(rows[: shape.limit], plan) for number, rows in zip(left, rows_of_each, strict=True)
            }
            left = [number for number in left if len(found[number].rows) < shape.limit]
            if not left:
                break
            fewest = min(len(found[number].rows) for number in left)
            following = self.following(connection, shape.limit, way, where, fewest, options, again=again)
            if following is None:
                break
            way, again = following, True
        if where is not None and options.strategy is Strategy.ITERATIVE:
            found |= {number: _Found(found[number].rows, found[number].plan.incomplete()) for number in left}
        return [found[number] for number in range(len(queries))]

    def following(
        self,
        connection: PsycopgConnection,
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
            whole = repository.count_chunks(connection, self._tables, wanted) <= found
            return None if whole else Decision(EXACT, "the index held too few rows")
        if options.strategy is Strategy.ITERATIVE:
            return None
        if way.access.strategy is Strategy.PLAIN and not again:
            return self._planner.decide_again(connection, way, wanted=wanted, found=found)
        return replace(way, access=EXACT, reason="the index gave up before enough rows matched")

    def _unfiltered_search(self, limit: int, ef_search: int | None) -> tuple[Statement, Decision, SearchPlan]:
        access = unfiltered_access(self._method, limit, ef_search)
        reason = "there is no index" if access.strategy is Strategy.EXACT else "there is no filter"
        decision = Decision(access, reason)
        return search_statement(self._tables, access, Shape(limit), None), decision, search_plan(decision)

    def search_many(
        self, connection: PsycopgConnection, queries: list[bytes], options: SearchOptions, where: Filter | None
    ) -> list[Results]:
        """Return the hits nearest to each vector.

        Round trips: As `search`, for all of them together where only the nearest are asked for.
        """
        if not options.is_simple:
            return [self.search(connection, query, options, where) for query in queries]
        assert options.limit is not None  # noqa: S101 - simple options have one
        decision = self.decide(connection, options.limit, options, where)
        found = self._completed(connection, queries, Shape(options.limit), decision, where, options)
        return [self._results(part, options) for part in found]

    # Everything that is more than the nearest rows.

    def _within(
        self, connection: PsycopgConnection, query: bytes, options: SearchOptions, where: Filter | None
    ) -> _Found:
        """Return all rows that reach the score, at most 100,000."""
        assert options.min_score is not None  # noqa: S101 - checked by the options
        farthest = self._space.distance(options.min_score)
        # The score itself is compared afterwards; rounding must not lose a row before that.
        farthest += 1e-6 * max(1.0, abs(farthest))
        statement = search_statement(self._tables, EXACT, Shape(MAX_LIMIT, within=True), where)
        rows = repository.search_chunks(connection, statement, query, {"farthest": farthest})
        plan = search_plan(Decision(EXACT, "all rows that reach a score are asked for"))
        return _Found(rows, plan if len(rows) < MAX_LIMIT else plan.incomplete())

    def _page(
        self, connection: PsycopgConnection, query: bytes, options: SearchOptions, where: Filter | None
    ) -> _Found:
        """Return a later page: pages are cut from one order that does not depend on the page.

        The order is that of windows of limit, twice, four times … as many rows or documents, each without those of
        the windows before. An index that looks at more candidates may find a row that it missed before; it comes on a
        later page then, and no row comes twice or is left out.
        """
        assert options.limit is not None  # noqa: S101 - checked by the options
        offset, end = options.offset, options.offset + options.limit
        decision = self.decide(connection, options.limit, options, where)
        if decision.access.strategy is Strategy.EXACT:
            if options.per_group is None:
                return self._run(connection, query, Shape(options.limit, offset), decision, where)
            statement = grouped_statement(
                self._tables, where, limit=options.limit, offset=offset, per_group=options.per_group
            )
            return _Found(repository.search_documents(connection, statement, query), search_plan(decision))
        pages: dict[Any, list[FoundRow]] = {}
        window = options.limit
        while True:
            found = self._first(connection, query, window, options, where)
            places: dict[Any, list[FoundRow]] = {}
            for row in found.rows:
                places.setdefault((row[0], row[1]) if options.per_group is None else row[0], []).append(row)
            pages |= places
            if len(pages) >= end or len(places) < window or window >= MAX_LIMIT:
                page = [row for rows in list(pages.values())[offset:end] for row in rows]
                cut = len(pages) < end and len(places) >= window
                return _Found(sorted(page, key=_by_distance), found.plan.incomplete() if cut else found.plan)
            window = min(2 * window, MAX_LIMIT)

    def _grouped(
        self,
        connection: PsycopgConnection,
        query: bytes,
        documents: int,
        per_group: int,
        options: SearchOptions,
        where: Filter | None,
    ) -> _Found:
        """Return the nearest documents, with the nearest chunks of each."""
        decision = self.decide(connection, documents, options, where)
        wanted = max(_FEWEST_CANDIDATES, documents * per_group * _CANDIDATES_PER_HIT)
        while decision.access.strategy is not Strategy.EXACT and wanted <= _MOST_CANDIDATES:
            found = self._nearest(connection, query, wanted, options, where)
            ids = list(dict.fromkeys(row[0] for row in found.rows))[:documents]
            if len(ids) == documents or len(found.rows) < wanted:
                rows = found.rows
                if per_group > 1:
                    # The second nearest chunk of a document may be far behind the nearest of others.
                    statement = grouped_statement(
                        self._tables, where, limit=documents, offset=0, per_group=per_group, of_documents=True
                    )
                    rows = repository.search_documents(connection, statement, query, ids)
                return _Found(best_of_each(rows, ids, per_group), found.plan)
            wanted *= _CANDIDATES_PER_HIT
        exact = Decision(EXACT, decision.reason if decision.access == EXACT else "every document has to be looked at")
        statement = grouped_statement(self._tables, where, limit=documents, offset=0, per_group=per_group)
        return _Found(repository.search_documents(connection, statement, query), search_plan(exact))

    def _varied(
        self, connection: PsycopgConnection, query: bytes, options: SearchOptions, where: Filter | None
    ) -> _Found:
        """Return hits that are near the query and unlike each other."""
        assert options.limit is not None  # noqa: S101 - checked by the options
        assert options.diversity is not None  # noqa: S101 - so it was asked for
        pool = max(_FEWEST_CANDIDATES, options.limit * _CANDIDATES_PER_HIT)
        score, least = self._space.score, -math.inf if options.min_score is None else options.min_score
        while True:
            found = self._nearest(connection, query, pool, options, where, embeddings=True)
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
        return _Found([rows[position] for position in chosen], found.plan)


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
