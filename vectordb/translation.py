"""PostgreSQL's errors in our words: by SQLSTATE, never by message text, and without a secret or row content."""

from __future__ import annotations

from typing import NoReturn

import psycopg
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from vectordb.errors import (
    ConnectionFailed,
    DatabaseError,
    ExtensionError,
    QueryTimeout,
    SchemaError,
    StorageFull,
    TransactionConflict,
)

_MIGRATE = "run `vectordb migrate` (or `alembic upgrade head`, or `db.migrate()`) against this database"

# SQLSTATE, or its class, to what a program can do about it. Longer keys win.
_ERRORS: dict[str, tuple[type[DatabaseError], str | None]] = {
    "08": (ConnectionFailed, "the connection failed; check that the server is running"),
    "28": (ConnectionFailed, "the server refused the user or the password"),
    "3D000": (ConnectionFailed, "the database does not exist; create it, or correct its name in the URL"),
    "53300": (ConnectionFailed, "the server has no connection left; close some, or raise max_connections"),
    "57P": (ConnectionFailed, "the server is starting up or shutting down; try again"),
    "40": (TransactionConflict, "another transaction got in the way; run it again"),
    "55P03": (TransactionConflict, "a lock was not free in time; run it again"),
    "57014": (QueryTimeout, "the statement took longer than statement_timeout, or was cancelled"),
    "53100": (StorageFull, "the server's disk is full; free some space, what was acknowledged is safe"),
    "42P01": (SchemaError, f"a table of vectordb is missing; {_MIGRATE}"),
    "3F000": (SchemaError, f"the schema of vectordb is missing; {_MIGRATE}"),
    "42703": (SchemaError, f"a table of vectordb has another layout; {_MIGRATE}"),
    "42704": (ExtensionError, f"a type or operator of pgvector is missing; {_MIGRATE}"),
    "25006": (DatabaseError, "the transaction is read-only; begin one that may write, or connect to the primary"),
    "25P02": (DatabaseError, "an earlier statement of the transaction failed; roll it back first, then try again"),
    # Messages of these two classes quote values, and values are the user's content.
    "22": (DatabaseError, "PostgreSQL refused a value"),
    "23": (DatabaseError, "a constraint of the table was violated"),
}


def display_url(url: URL) -> str:
    """Return host, port and database of a URL: nothing that could be a secret."""
    if is_misread(url):
        return "an address with an unescaped @"
    hosts = url.host or url.query.get("host") or "local socket"
    host = hosts if isinstance(hosts, str) else ",".join(hosts)
    return f"{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def raise_translated(error: Exception, url: URL, *, connecting: bool = False, lost: bool = False) -> NoReturn:
    """Raise the error of ours that fits one of psycopg's or SQLAlchemy's.

    The original is not chained: its text may hold row content or parts of the URL.
    """
    original = error.orig if isinstance(error, DBAPIError) else error
    state = sqlstate(error)
    where = display_url(url)
    if state is None:
        if connecting:
            reason = _without_secret(str(original), url)
            raise ConnectionFailed(f"cannot connect to PostgreSQL at {where}: {reason}", connecting=True) from None
        if lost or (isinstance(error, DBAPIError) and error.connection_invalidated):
            raise ConnectionFailed(f"the connection to PostgreSQL at {where} was lost") from None
        raise DatabaseError(f"the driver refused the statement ({type(original).__name__})") from None
    for length in (5, 3, 2):
        if state[:length] in _ERRORS:
            kind, message = _ERRORS[state[:length]]
            raise kind(f"{message}{_constraint(original)} ({where}, SQLSTATE {state})", sqlstate=state) from None
    primary = original.diag.message_primary if isinstance(original, psycopg.Error) else None
    raise DatabaseError(f"PostgreSQL at {where} reports: {primary} (SQLSTATE {state})", sqlstate=state) from None


def _constraint(error: object) -> str:
    """Name the constraint or the column that a row violates: names of the schema, and no content."""
    if not isinstance(error, psycopg.IntegrityError):
        return ""
    named, column, table = error.diag.constraint_name, error.diag.column_name, error.diag.table_name
    what = f"constraint {named!r}" if named else f"column {column!r} may not be NULL" if column else ""
    return f": {what}, table {table!r}" if what else ""


def sqlstate(error: Exception) -> str | None:
    """Return PostgreSQL's code of one of psycopg's or SQLAlchemy's errors, if the server gave one."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return original.sqlstate if isinstance(original, psycopg.Error) else None


def is_misread(url: URL) -> bool:
    """Whether an unescaped @ in the password has moved its end into the host or the database, which are shown."""
    return "@" in f"{url.host or ''}{url.database or ''}"


def _without_secret(text: str, url: URL) -> str:
    """Return the first line of libpq's message, or a stock phrase where it could hold the password."""
    secrets = [str(url.password)] if url.password else []
    secrets += [str(value) for name, value in url.query.items() if "password" in name.lower()]
    if is_misread(url) or any(secret and secret in text for secret in secrets):
        return "check the URL, the user and the password"
    return text.strip().splitlines()[0] if text.strip() else "check the URL and that the server is running"
