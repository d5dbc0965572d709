"""What PostgreSQL makes of an expression: compared is what it prints, never what people write.

`'english'::regconfig`, casts and parentheses come back from the catalogue otherwise than they were written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from vectordb.errors import ConfigurationError
from vectordb.schema import run_sql
from vectordb.tables import quote
from vectordb.translation import sqlstate

_T = TypeVar("_T")
COPY = "vectordb_compared"
QUOTED_COPY = quote("pg_temp", COPY)


def on_empty_copy(connection: Connection, table: str, statements: Sequence[str], look: Callable[[], _T]) -> _T | None:
    """Run DDL over an empty copy of a table, look at what came of it, and take it all back.

    Args:
        connection: In a transaction.
        table: Quoted.
        statements: Over `QUOTED_COPY`.
        look: Reads what is wanted.

    Returns:
        What `look` returned; None where PostgreSQL refuses a statement.

    Raises:
        ConfigurationError: Nothing may be written here.
    """
    savepoint = connection.begin_nested()
    try:
        run_sql(connection, [f"CREATE TEMPORARY TABLE {quote(COPY)} (LIKE {table})", *statements])
        return look()
    except DBAPIError as error:
        if sqlstate(error) == "25006":
            raise ConfigurationError(
                "PostgreSQL compares definitions by means of a temporary table, for which this connection is "
                "read-only; connect to the primary, as a role that may write"
            ) from None
        return None
    finally:
        savepoint.rollback()
