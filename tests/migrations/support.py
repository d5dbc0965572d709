"""Alembic as a command and as a library, and a look at what a database holds."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import make_url

from vectordb import migration
from vectordb.bootstrap.options import MigrationOptions
from vectordb.database import open_engine
from vectordb.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def run_alembic(*arguments: str, folder: Path = ROOT, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder that has an alembic.ini; the setting `url` becomes `VECTORDB_URL`, and so on."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VECTORDB_")}
    environment |= {f"VECTORDB_{name.upper()}": value for name, value in settings.items()}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "alembic", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextmanager
def configured(url: str, **given: str) -> Iterator[Config]:
    """Yield Alembic's configuration for a database; `given` are the `-x` options."""
    engine = open_engine(url)
    try:
        yield migration.configuration(engine, MigrationOptions.of(Settings(), given))
    finally:
        engine.dispose()


def upgrade(url: str, **given: str) -> None:
    """Migrate to head."""
    with configured(url, **given) as config:
        migration.upgrade(config.attributes["engine"], config.attributes["options"])


def downgrade(url: str, **given: str) -> None:
    """Migrate to base."""
    with configured(url, **given) as config:
        migration.downgrade(config.attributes["engine"], config.attributes["options"])


def check(url: str, **given: str) -> None:
    """Run `alembic check`."""
    with configured(url, **given) as config:
        command.check(config)


def execute(url: str, *statements: str) -> None:
    """Run statements as the application or its administrator would, each on its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def rows(url: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement, parameters).fetchall()


@contextmanager
def new_role(server: str) -> Iterator[str]:
    """Yield a role that may log in, with the password `of-a-role`; what it owns must be gone at the end."""
    name = f"vectordb_role_{secrets.token_hex(4)}"
    execute(server, f"CREATE ROLE {name} LOGIN PASSWORD 'of-a-role'")
    yield name
    execute(server, f"DROP ROLE {name}")


def as_role(url: str, role: str) -> str:
    """Return the URL with this role, as `new_role` made it."""
    return make_url(url).set(username=role, password="of-a-role").render_as_string(hide_password=False)


def vector_index(url: str, schema: str = "vectordb", chunks: str = "chunks") -> tuple[str, str | None]:
    """Return the type of the embeddings, and their index as SQL writes it."""
    ((column_type,),) = rows(
        url,
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attname = 'embedding'",
        f"{schema}.{chunks}",
    )
    indexes = rows(
        url,
        "SELECT substring(indexdef FROM 'USING (.*)') FROM pg_indexes"
        " WHERE schemaname = %s AND tablename = %s AND indexdef LIKE '%%embedding%%'",
        schema,
        chunks,
    )
    assert len(indexes) <= 1
    return column_type, indexes[0][0] if indexes else None


def objects(url: str) -> set[str]:
    """Describe every object of a database that PostgreSQL itself did not bring, from schemas down to constraints."""
    with psycopg.connect(url, autocommit=True) as connection:
        catalogues = connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'oid'"
            " WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND NOT c.relisshared"
            " AND c.relname <> 'pg_enum'"  # pg_describe_object does not know it; its types are listed
        ).fetchall()
        union = " UNION ALL ".join(
            f"SELECT '{name} ' || oid || ': ' || pg_describe_object('{name}'::regclass, oid, 0)"
            f" FROM {name} WHERE oid >= 16384"
            for (name,) in catalogues
        )
        return {description for (description,) in connection.execute(union)}
