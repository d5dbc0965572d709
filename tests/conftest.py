"""A real PostgreSQL for every test that asks for one: `VECTORDB_TEST_URL`, else an embedded server of its own.

Each test gets a database of its own, cloned from a template that Alembic migrated once.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

import vectordb
from tests.support import HashedEmbedder
from vectordb import SentenceTransformerEmbedder, VectorDB
from vectordb.server import EmbeddedServer

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
for name in [name for name in os.environ if name.startswith("VECTORDB_") and name != "VECTORDB_TEST_URL"]:
    del os.environ[name]

DATASETS = Path(__file__).resolve().parents[2] / "shared" / "datasets"
_numbers = itertools.count()


class Databases:
    """Makes and drops databases on one server."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url).set(drivername="postgresql")

    def create(self, template: str = "template0") -> str:
        """Create a database and return its URL."""
        name = f"vectordb_test_{os.getpid()}_{next(_numbers)}"
        self._run(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return self.url.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        name = make_url(url).database
        assert name is not None
        self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """A server to make databases on; without one the tests fail, they are never skipped."""
    given = os.environ.get("VECTORDB_TEST_URL")
    if given:
        yield Databases(given)
        return
    # Not below pytest's own folder, which no other user can enter: as root, the server is another user.
    with tempfile.TemporaryDirectory(prefix="vectordb-tests-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedServer(Path(folder) / "server")
        yield Databases(server.start())
        server.stop()


@pytest.fixture(scope="session")
def template(databases: Databases) -> Iterator[str]:
    """Name of a database that was migrated to head."""
    url = databases.create()
    with vectordb.connect(url) as db:
        db.migrate()
    name = make_url(url).database
    assert name is not None
    yield name
    databases.drop(url)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """URL of an empty database."""
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture
def url(databases: Databases, template: str) -> Iterator[str]:
    """URL of a migrated database."""
    url = databases.create(template)
    yield url
    databases.drop(url)


@pytest.fixture
def db(url: str) -> Iterator[VectorDB]:
    """An open, migrated database."""
    with vectordb.connect(url) as db:
        yield db


@pytest.fixture(scope="session")
def model() -> SentenceTransformerEmbedder:
    """The real default model, loaded once."""
    return SentenceTransformerEmbedder()


@pytest.fixture
def embedder() -> HashedEmbedder:
    """A quick embedder of 16 dimensions, in which equal words make near vectors."""
    return HashedEmbedder()


@pytest.fixture(scope="session")
def datasets() -> Path:
    """Folder of labelled data; skipped where it is absent, except under CI."""
    if not DATASETS.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{DATASETS} is missing")
        pytest.skip("the labelled data sets are not here")
    return DATASETS
