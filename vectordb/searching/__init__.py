"""How a search is run, by vector, by text, or by both."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from vectordb import repository
from vectordb.database import Database, PsycopgConnection
from vectordb.documents import Results
from vectordb.errors import ConfigurationError, DatabaseError
from vectordb.filters import Filter
from vectordb.metrics import VectorSpace
from vectordb.planner import Planner
from vectordb.search.options import SearchOptions
from vectordb.searching.ranked import Query, RankedSearcher
from vectordb.searching.vector import VectorSearcher
from vectordb.tables import Tables

__all__ = ["Query", "Searcher"]

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
        self._vectors = VectorSearcher(tables, space, planner, method)
        self._ranked = RankedSearcher(tables, space, self._vectors)

    def search(self, query: bytes | Query, options: SearchOptions, where: Filter | None) -> Results:
        """Return the hits for a vector, or for a text.

        Round trips: As `VectorSearcher.search` or `RankedSearcher.search`; inside a transaction 2 more, to restore
        settings.
        """
        if isinstance(query, bytes):
            return self._run_kept(lambda connection: self._vectors.search(connection, query, options, where))
        return self._run_ranked(lambda connection: self._ranked.search(connection, query, options, where))

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
            return self._run_kept(lambda connection: self._vectors.search_many(connection, vectors, options, where))
        return self._run_ranked(
            lambda connection: [self._ranked.search(connection, query, options, where) for query in texts]
        )

    def _run_ranked(self, work: Callable[[PsycopgConnection], T]) -> T:
        try:
            return self._run_kept(work)
        except DatabaseError as error:
            if getattr(error, "sqlstate", None) != _UNDEFINED_FUNCTION:
                raise
            raise ConfigurationError(
                "the collection has no text index any more; open it anew with db.collection(...), and make one by "
                "docs.create_text_index() or search with mode='vector'"
            ) from error

    def _run_kept(self, work: Callable[[PsycopgConnection], T]) -> T:
        """Run statements, and leave pgvector's settings as they were, also where these are part of a transaction."""
        return self._database.run(
            lambda connection: (
                work(connection) if connection.autocommit else repository.keeping_settings(connection, work)
            )
        )
