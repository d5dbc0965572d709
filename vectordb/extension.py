"""The extension pgvector: found, created, and held to a version that is safe.

Source: pgvector's CHANGELOG. Before 0.8.2 a parallel HNSW build can overflow a buffer
(CVE-2026-3172); before 0.8.4 vacuum can damage an HNSW index.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from vectordb.errors import ExtensionError

OLDEST = (0, 8, 2)
RECOMMENDED = (0, 8, 4)
CREATED_HERE = "vector data type and ivfflat and hnsw access methods; created by vectordb"

_CREATE = "CREATE EXTENSION vector"


class OldExtensionWarning(UserWarning):
    """pgvector works, but has known faults that a later version mends."""


@dataclass(frozen=True, slots=True)
class Extension:
    """pgvector as installed in a database.

    Attributes:
        version: For example `0.8.6`.
        schema: Where its types and operators live.
        oids: Type name to oid, for `vector`, `halfvec`, `sparsevec` and `bit`.
    """

    version: str
    schema: str
    oids: dict[str, int]


def find_extension(connection: Connection) -> Extension | None:
    """Look pgvector up in the catalogue.

    Round trips: 1.
    """
    rows = connection.execute(
        text(
            "SELECT e.extversion, n.nspname, t.typname, t.oid::bigint FROM pg_extension e"
            " JOIN pg_namespace n ON n.oid = e.extnamespace"
            " JOIN pg_type t ON t.typname IN ('vector', 'halfvec', 'sparsevec') AND t.typnamespace = n.oid"
            " OR t.oid = 'pg_catalog.bit'::regtype WHERE e.extname = 'vector'"
        )
    ).all()
    if not rows:
        return None
    return Extension(rows[0][0], rows[0][1], {row[2]: row[3] for row in rows})


def require_extension(connection: Connection) -> Extension:
    """Return pgvector, old but workable versions with a warning.

    Raises:
        ExtensionError: Not installed in this database, or older than 0.8.2.
    """
    extension = find_extension(connection)
    if extension is None:
        raise ExtensionError(
            "this database has no pgvector; run `vectordb migrate`, or as an administrator: " + _CREATE,
            statement=_CREATE,
        )
    version = tuple(int(part) for part in re.findall(r"\d+", extension.version)[:3])
    if version < OLDEST:
        statement = "ALTER EXTENSION vector UPDATE"
        raise ExtensionError(
            f"pgvector {extension.version} is unsafe, vectordb needs 0.8.2 or later; install it on the server, "
            f"then as an administrator: {statement}",
            statement=statement,
        )
    if version < RECOMMENDED:
        warnings.warn(
            f"pgvector {extension.version} can damage an HNSW index during vacuum; 0.8.4 or later is recommended",
            OldExtensionWarning,
            stacklevel=2,
        )
    return extension


def ensure_extension(connection: Connection, schema: str) -> Extension:
    """Create pgvector where it is missing, and check its version.

    Args:
        connection: In a transaction.
        schema: Of vectordb, where pgvector goes only if the search_path names no other: other roles should
            find its operators, too.

    Raises:
        ExtensionError: This role may not create it, or the server does not have it; the
            message holds the exact SQL for the administrator.
    """
    if find_extension(connection) is None:
        try:
            with connection.begin_nested():
                connection.execute(text(f"{_CREATE} SCHEMA {_first_other_schema(connection, schema)}"))
                connection.execute(text(f"COMMENT ON EXTENSION vector IS '{CREATED_HERE}'"))
        except DBAPIError as error:
            state = error.orig.sqlstate if isinstance(error.orig, psycopg.Error) else None
            database = connection.engine.url.database
            if state == "42501":
                raise ExtensionError(
                    f"this role may not create pgvector; as an administrator, in the database {database!r}, run: "
                    f"{_CREATE}; then migrate again",
                    sqlstate=state,
                    statement=_CREATE,
                ) from None
            if state in ("0A000", "58P01"):
                raise ExtensionError(
                    "the server does not have pgvector; install it there (https://github.com/pgvector/pgvector, "
                    f"package postgresql-NN-pgvector on Debian), then run: {_CREATE}",
                    sqlstate=state,
                    statement=_CREATE,
                ) from None
            raise
    return require_extension(connection)


def _first_other_schema(connection: Connection, schema: str) -> str:
    """Return, quoted, the first schema of the search_path that is not `schema`; that one if there is none."""
    path: list[str] = connection.scalar(text("SELECT current_schemas(false)::text[]")) or []
    return sql.Identifier(next((name for name in path if name != schema), schema)).as_string(None)


def drop_extension_if_ours(connection: Connection) -> None:
    """Drop pgvector if `ensure_extension` created it, this role owns it, and nothing else uses it."""
    comment = connection.scalar(
        text("SELECT obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname = 'vector'")
    )
    if comment != CREATED_HERE:
        return
    try:
        with connection.begin_nested():
            connection.execute(text("DROP EXTENSION vector"))
    except DBAPIError as error:
        # 2BP01: the application's own tables use it by now. 42501: it belongs to another role.
        if not isinstance(error.orig, psycopg.Error) or error.orig.sqlstate not in ("2BP01", "42501"):
            raise
