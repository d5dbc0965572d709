"""The psycopg connection beneath a session, inside its transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors as postgres
from psycopg.abc import AdaptContext
from sqlalchemy import Column, Dialect, Table
from sqlalchemy.orm import Session
from sqlalchemy.util import await_only

from vectordb.orm import sessions
from vectordb.orm.mapping import ModelMapping


class SessionConnection:
    """Runs statements on the connection of a session's transaction.

    Args:
        session: A sync one, or the sync side of an `AsyncSession`.
        mapping: Of the model, by which a session of several databases chooses one.

    Raises:
        ConfigurationError: The session uses another driver.
        DatabaseError: Its transaction has failed and was not rolled back.
    """

    def __init__(self, session: Session, mapping: ModelMapping) -> None:
        self.connection = sessions.connected(session, mapping.mapper)
        self._driver = sessions.driver(self.connection)

    @property
    def dialect(self) -> Dialect:
        """Of the connection."""
        return self.connection.dialect

    @property
    def adapters(self) -> AdaptContext:
        """The psycopg connection, whose adapters dump and load the application's types."""
        return self.connection.connection.driver_connection  # type: ignore[return-value] # sessions.driver has checked

    def quote(self, name: str) -> str:
        """Return an identifier as a statement writes it."""
        return self.dialect.identifier_preparer.quote(name)

    def table(self, table: Table) -> str:
        """Return a table's name with the schema that the connection puts in place of the declared one."""
        preparer = self.dialect.identifier_preparer
        translated = self.connection.get_execution_options().get("schema_translate_map") or {}
        schema = translated.get(table.schema, table.schema)
        name = preparer.quote(table.name)
        return name if schema is None else f"{preparer.quote_schema(schema)}.{name}"

    def execute(self, statement: str, parameters: Mapping[str, Any], *, binary: bool = False) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows.

        Raises:
            DatabaseError: Or the subclass that fits.
        """
        with sessions.translated(self.connection):
            return self._driver.execute(statement, parameters, binary=binary).fetchall()

    def copy(self, statement: str, pieces: Iterable[bytes]) -> bool:
        """Send a stream of rows; return False, with nothing written, if one was there or row-level security forbids it.

        Raises:
            DatabaseError: Or the subclass that fits.
        """
        with sessions.translated(self.connection):
            self._driver.execute("SAVEPOINT vectordb_copy", prepare=False)
            try:
                _copy(self.adapters, statement, pieces)
            except (postgres.UniqueViolation, postgres.FeatureNotSupported, postgres.WrongObjectType):
                self._driver.execute("ROLLBACK TO vectordb_copy", prepare=False)
                return False
            self._driver.execute("RELEASE vectordb_copy", prepare=False)
        return True

    @property
    def in_transaction(self) -> bool:
        """Whether statements are in a transaction, and not each in its own."""
        driver: Any = self.adapters
        return not driver.autocommit

    def loaded(self, columns: Sequence[Column[Any]], values: Sequence[Any]) -> tuple[Any, ...]:
        """Return values of columns as the ORM would load them."""
        loaded = []
        for column, value in zip(columns, values, strict=True):
            process = column.type.dialect_impl(self.dialect).result_processor(self.dialect, None)
            loaded.append(value if process is None else process(value))
        return tuple(loaded)


def _copy(driver: Any, statement: str, pieces: Iterable[bytes]) -> None:
    if isinstance(driver, psycopg.AsyncConnection):
        await_only(_copy_async(driver, statement, pieces))
        return
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in pieces:
            copy.write(piece)


async def _copy_async(driver: psycopg.AsyncConnection[Any], statement: str, pieces: Iterable[bytes]) -> None:
    async with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in pieces:
            await copy.write(piece)
