"""How a search is run, by vector, by text, or by both."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

from vectordb.database import Database
from vectordb.documents import Hit, Results, SearchPlan
from vectordb.errors import ConfigurationError, DatabaseError
from vectordb.filters import Filter
from vectordb.metrics import VectorSpace
from vectordb.planner import Planner
from vectordb.search.options import SearchOptions
from vectordb.searching.ranked import Query, Ranked, RankedSearcher
from vectordb.searching.source import ChunkSource, Source
from vectordb.searching.vector import Found, VectorSearcher
from vectordb.tables import Tables

__all__ = ["Found", "Query", "Ranked", "RankedSearcher", "Searcher", "Source", "VectorSearcher"]

T = TypeVar("T")

_UNDEFINED_FUNCTION = "42883"


class Searcher:
    """Runs searches over the chunks of one collection; safe to share between threads.

    Args:
        database: Where the collection lives.
        tables: Of the collection.
        space: Of its embeddings.
        planner: Of the collection.
        method: Of its vector index; None where there is none.
    """

    def __init__(
        self, database: Database, tables: Tables, space: VectorSpace, planner: Planner, method: str | None
    ) -> None:
        self._database = database
        self._tables = tables
        self._space = space
        self._vectors = VectorSearcher(tables, space, planner, method)
        self._ranked = RankedSearcher(tables, space, self._vectors)

    def search(self, query: bytes | Query, options: SearchOptions, where: Filter | None) -> Results:
        """Return the hits for a vector, or for a text.

        Round trips: As `VectorSearcher.find` or `RankedSearcher.find`.
        """
        if isinstance(query, bytes):
            return self._near(self._run(lambda source: self._vectors.find(source, query, options, where)), options)
        return self._best(self._run_ranked(lambda source: self._ranked.find(source, query, options, where)), options)

    def search_many(
        self, queries: list[bytes] | list[Query], options: SearchOptions, where: Filter | None
    ) -> list[Results]:
        """Return the hits for each vector, or for each text.

        Round trips: As `search`; for all vectors together where only the nearest are asked for.
        """
        if not queries:
            return []
        vectors = [query for query in queries if isinstance(query, bytes)]
        texts = [query for query in queries if isinstance(query, Query)]
        if vectors:
            found = self._run(lambda source: self._vectors.find_each(source, vectors, options, where))
            return [self._near(part, options) for part in found]
        ranked = self._run_ranked(lambda source: [self._ranked.find(source, query, options, where) for query in texts])
        return [self._best(part, options) for part in ranked]

    def _run_ranked(self, work: Callable[[Source], T]) -> T:
        try:
            return self._run(work)
        except DatabaseError as error:
            if getattr(error, "sqlstate", None) != _UNDEFINED_FUNCTION:
                raise
            raise ConfigurationError(
                "the collection has no text index any more; open it anew with db.collection(...), and make one by "
                "docs.create_text_index() or search with mode='vector'"
            ) from error

    def _run(self, work: Callable[[Source], T]) -> T:
        return self._database.run(lambda connection: work(ChunkSource(connection, self._tables)))

    def _near(self, found: Found, options: SearchOptions) -> Results:
        """Return rows by distance as hits."""
        score, rows = self._space.score, found.rows
        # One text is read much quicker than many short ones.
        metadata = json.loads(f"[{','.join([row[3] for row in rows])}]")
        hits = [
            Hit(row[0], row[1], row[2], entry, value := score(row[4]), row[4], rank, value)
            for rank, (row, entry) in enumerate(zip(rows, metadata, strict=True), options.offset + 1)
        ]
        return _reaching(hits, found.plan, options)

    def _best(self, found: Ranked, options: SearchOptions) -> Results:
        """Return rows by score as hits."""
        metadata = json.loads(f"[{','.join([row.metadata for row in found.rows])}]")
        hits = [
            Hit(
                row.document_id,
                row.ordinal,
                row.content,
                entry,
                row.score,
                row.distance,
                row.vector_rank,
                None if row.distance is None else self._space.score(row.distance),
                row.text_rank,
                row.text_score,
            )
            for row, entry in zip(found.rows, metadata, strict=True)
        ]
        return _reaching(hits, found.plan, options)


def _reaching(hits: list[Hit], plan: SearchPlan, options: SearchOptions) -> Results:
    if options.min_score is not None:
        least = options.min_score
        hits = [hit for hit in hits if hit.score >= least]
    return Results(hits, plan)
