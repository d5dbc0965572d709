"""Alembic as a library: bring a database to this version's tables and back.

The revisions live in `migrations/` (in the wheel: `vectordb/_migrations`). The same ones run
from `alembic upgrade head`, `vectordb migrate` and `VectorDB.migrate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.engine import Engine

from vectordb.database import SCHEMA
from vectordb.errors import SchemaError
from vectordb.scripts import scripts_folder
from vectordb.tables import quote

if TYPE_CHECKING:
    from alembic.config import Config

    from vectordb.bootstrap.options import MigrationOptions

# Newest revision of `migrations/versions`; a test compares the two.
HEAD = "0004"
VERSION_TABLE = "alembic_version"
# Guards every bootstrap, migration and creation of a collection in a database: "vectordb" in ASCII.
ADVISORY_LOCK = int.from_bytes(b"vectordb", "big", signed=True)


def upgrade(engine: Engine, options: MigrationOptions, revision: str = "head") -> None:
    """Bring the database up to a revision. Safe to run by many processes at once.

    Raises:
        ExtensionError: pgvector is missing and this role may not create it, or is too old.
        SchemaError: There is no such revision, or the database is at one that this library does not know.
        DatabaseError: Anything else that PostgreSQL refuses; nothing is changed then.
    """
    _command("upgrade", engine, options, revision)


def downgrade(engine: Engine, options: MigrationOptions, revision: str = "base") -> None:
    """Bring the database down to a revision; `base` removes every collection with its data.

    Raises:
        SchemaError: As for `upgrade`.
        DatabaseError: PostgreSQL refuses; nothing is changed then.
    """
    _command("downgrade", engine, options, revision)


def current_revision(connection: Connection, schema: str = SCHEMA) -> str | None:
    """Return the revision of the database, None where nothing was migrated.

    Round trips: 1 or 2.
    """
    table = quote(schema, VERSION_TABLE)
    if connection.scalar(text("SELECT to_regclass(:name)"), {"name": table}) is None:
        return None
    revision: str | None = connection.scalar(text(f"SELECT version_num FROM {table}"))  # noqa: S608 - quoted identifier
    return revision


def require_head(connection: Connection, schema: str = SCHEMA) -> None:
    """Check that the database has this version's tables.

    Raises:
        SchemaError: Nothing was migrated yet, or by another version; says how to go on.
    """
    revision = current_revision(connection, schema)
    if revision == HEAD:
        return
    if revision is None:
        raise SchemaError(
            f"this database has no vectordb tables in schema {schema!r}; run `vectordb migrate` or `db.migrate()`",
            current=None,
            head=HEAD,
        )
    way_out = "run `vectordb migrate`" if revision < HEAD else "upgrade the library"
    raise SchemaError(
        f"the tables are of revision {revision}, this library is of {HEAD}; {way_out}", current=revision, head=HEAD
    )


def lock(connection: Connection) -> None:
    """Wait for the one lock that guards DDL; it is released with the transaction."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})


def configuration(engine: Engine, options: MigrationOptions) -> Config:
    """Return Alembic's configuration for these migrations, without any file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts_folder()).replace("%", "%%"))
    config.attributes.update(engine=engine, options=options)
    return config


def _command(name: str, engine: Engine, options: MigrationOptions, *arguments: Any) -> None:
    from alembic import command
    from alembic.util import CommandError

    try:
        getattr(command, name)(configuration(engine, options), *arguments)
    except CommandError as error:
        raise SchemaError(
            f"Alembic refuses: {error}; if a newer version of vectordb has migrated this database, upgrade the library"
        ) from None
