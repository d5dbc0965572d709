"""Where the rows of a search come from: a connection of ours, or a session of the application's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from vectordb import repository
from vectordb.database import PsycopgConnection
from vectordb.repository import FoundRow, RankedRow
from vectordb.search.statements import Statement
from vectordb.tables import Tables


class Source(Protocol):
    """Runs the statements of a search.

    Attributes:
        connection: What a search is planned on.
        keep: Whether each statement has to leave pgvector's settings as they were.
    """

    @property
    def connection(self) -> PsycopgConnection: ...  # noqa: D102 - see the class

    @property
    def keep(self) -> bool: ...  # noqa: D102 - see the class

    def nearest(
        self, statement: Statement, query: bytes, parameters: Mapping[str, Any] | None = None
    ) -> list[FoundRow]:
        """Return the rows for one vector by ascending distance, ties by key."""
        ...

    def nearest_to_each(self, statement: Statement, queries: list[bytes]) -> list[list[FoundRow]]:
        """Return the rows for each of many vectors."""
        ...

    def ranked(self, statement: Statement, text: str, query: bytes | None = None) -> list[RankedRow]:
        """Return the rows for a text, or for a text and a vector, best first."""
        ...


class ChunkSource:
    """Reads the chunks of a collection.

    Args:
        connection: In autocommit mode, or in a transaction that goes on.
        tables: Of the collection.
    """

    __slots__ = ("_tables", "connection", "keep")

    def __init__(self, connection: PsycopgConnection, tables: Tables) -> None:
        self.connection = connection
        self.keep = not connection.autocommit
        self._tables = tables

    def nearest(
        self, statement: Statement, query: bytes, parameters: Mapping[str, Any] | None = None
    ) -> list[FoundRow]:
        """Return the rows for one vector by ascending distance, ties by document and ordinal."""
        return repository.search_chunks(self.connection, statement, query, parameters)

    def nearest_to_each(self, statement: Statement, queries: list[bytes]) -> list[list[FoundRow]]:
        """Return the rows for each of many vectors."""
        return repository.search_many(self.connection, self._tables, statement, queries)

    def ranked(self, statement: Statement, text: str, query: bytes | None = None) -> list[RankedRow]:
        """Return the rows for a text, or for a text and a vector, best first."""
        return repository.rank_chunks(self.connection, statement, text, query)
