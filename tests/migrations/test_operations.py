"""`op.create_collection` and its siblings in revisions that people write themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from alembic import command
from alembic.config import Config

import vectordb
from tests.migrations.support import ROOT, configured, objects, rows, upgrade, vector_index
from vectordb import errors, migration

REVISION = '''"""A collection for the articles."""

from alembic import op

from vectordb import BM25, HNSW, IVFFlat, Metric, Storage
from vectordb.metrics import VectorSpace
from vectordb.registry import CollectionConfig

revision = "app1"
down_revision = {down!r}


def upgrade() -> None:
    space = VectorSpace(6, Metric.L2, Storage.HALFVEC)
    op.create_collection(CollectionConfig("articles", space, index=None, text_config="simple"))
    op.create_vector_index("articles", IVFFlat(lists=2))
    op.create_vector_index("articles", HNSW(m=8, ef_construction=32))
    op.add_fields("articles", {{"year": int, "seen": "datetime", "lang": str}})
    op.drop_fields("articles", ["lang"])
    op.drop_text_index("articles")
    op.create_text_index("articles", BM25(k1=0.9, b=0.4))


def downgrade() -> None:
    op.drop_fields("articles", ["seen"])
    op.drop_vector_index("articles")
    op.drop_text_index("articles")
    op.drop_collection("articles")
'''

ENVIRONMENT = """from alembic import context
from sqlalchemy import NullPool, create_engine

import vectordb.migration

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=NullPool)
with engine.begin() as connection:
    context.configure(connection=connection, version_table="application_version")
    context.run_migrations()
"""


@pytest.fixture
def beside(database_url: str, tmp_path: Path) -> Iterator[Config]:
    """Alembic over the library's revisions and a folder with one more."""
    (tmp_path / "app1_articles.py").write_text(REVISION.format(down=migration.HEAD))
    with configured(database_url, dimensions="5") as config:
        config.set_main_option("path_separator", "os")
        config.set_main_option("version_locations", f"{ROOT / 'migrations' / 'versions'}{os.pathsep}{tmp_path}")
        yield config


def test_operations_run_in_a_revision_after_ours(database_url: str, beside: Config) -> None:
    command.upgrade(beside, migration.HEAD)
    before = objects(database_url)
    command.upgrade(beside, "head")
    assert vector_index(database_url, chunks="articles_chunks") == (
        "halfvec(6)",
        "hnsw (embedding halfvec_l2_ops) WITH (m='8', ef_construction='32')",
    )
    command.check(beside)
    for table in ("articles_documents", "articles_chunks"):
        indexes = "SELECT indexname FROM pg_indexes WHERE tablename = %s AND indexdef LIKE '%%btree (%%e%%)'"
        assert {name for (name,) in rows(database_url, indexes, table)} >= {f"{table}_year_idx", f"{table}_seen_idx"}
    assert rows(database_url, "SELECT fields FROM vectordb.collections WHERE name = 'articles'") == [
        ({"seen": "datetime", "year": "int"},)
    ]
    assert rows(
        database_url,
        "SELECT metric, storage, dimensions, text_config, vector_index, text_index"
        " FROM vectordb.collections WHERE name = 'articles'",
    ) == [
        (
            "l2",
            "halfvec",
            6,
            "simple",
            {"method": "hnsw", "m": 8, "ef_construction": 32},
            {"k1": 0.9, "b": 0.4},
        )
    ]
    command.downgrade(beside, "-1")
    assert objects(database_url) == before


@pytest.fixture
def application(database_url: str, tmp_path: Path) -> Config:
    """Alembic over the revisions of an application, in a database with our tables."""
    upgrade(database_url, dimensions="5")
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENVIRONMENT)
    (tmp_path / "versions" / "app1_articles.py").write_text(REVISION.format(down=None))
    config = Config()
    config.set_main_option("script_location", str(tmp_path))
    config.set_main_option("path_separator", "os")
    config.set_main_option(
        "sqlalchemy.url", database_url.replace("postgresql:", "postgresql+psycopg:").replace("%", "%%")
    )
    return config


def test_operations_run_in_the_environment_of_an_application(database_url: str, application: Config) -> None:
    command.upgrade(application, "head")
    with vectordb.connect(database_url) as db:
        articles = db.collection("articles")
        assert [index.name for index in articles.indexes()] == ["articles_chunks_embedding_hnsw_idx"]
        articles.upsert_vectors(["a"], np.ones((1, 6)), metadata=[{"year": 2020, "seen": "2020-05-06"}])
        assert rows(database_url, "SELECT year, seen::date::text FROM vectordb.articles_chunks") == [
            (2020, "2020-05-06")
        ]
        assert [hit.document_id for hit in articles.search(np.ones(6))] == ["a"]
        command.downgrade(application, "base")
        with pytest.raises(errors.CollectionNotFound):
            db.collection("articles")


def test_operations_cannot_be_written_out(database_url: str, application: Config) -> None:
    before = objects(database_url)
    with pytest.raises(errors.ConfigurationError, match="cannot be written out with --sql"):
        command.upgrade(application, "head", sql=True)
    assert objects(database_url) == before


def test_an_operation_that_fails_takes_the_revision_back(database_url: str, beside: Config, tmp_path: Path) -> None:
    revision = tmp_path / "app1_articles.py"
    revision.write_text(revision.read_text().replace('"articles", IVFFlat(lists=2)', '"article", IVFFlat(lists=2)'))
    command.upgrade(beside, migration.HEAD)
    before = objects(database_url)
    with pytest.raises(errors.CollectionNotFound, match="did you mean 'articles'"):
        command.upgrade(beside, "head")
    assert objects(database_url) == before
