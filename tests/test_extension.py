"""pgvector missing, forbidden, old, or where nobody looks for it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import make_url

import vectordb
from tests.conftest import Databases
from tests.migrations.support import as_role, downgrade, execute, new_role, objects, rows, upgrade
from tests.support import HashedEmbedder
from vectordb import HNSW, IVFFlat, errors, migration
from vectordb.extension import OldExtensionWarning


@pytest.fixture(scope="module")
def shared_url(databases: Databases) -> Iterator[str]:
    """A migrated database for tests that only pretend that pgvector had another version."""
    url = databases.create()
    upgrade(url, dimensions="3")
    yield url
    databases.drop(url)


@pytest.fixture
def role(databases: Databases) -> Iterator[str]:
    with new_role(databases.url.render_as_string(hide_password=False)) as name:
        yield name


def pretend_version(url: str, version: str) -> None:
    execute(url, f"UPDATE pg_extension SET extversion = '{version}' WHERE extname = 'vector'")


def test_without_the_right_to_create_it_the_administrator_gets_the_statement(role: str, database_url: str) -> None:
    execute(database_url, f"ALTER DATABASE {make_url(database_url).database} OWNER TO {role}")
    before = objects(database_url)
    mine = as_role(database_url, role)
    with pytest.raises(errors.ExtensionError, match="CREATE EXTENSION vector;") as caught:
        upgrade(mine, dimensions="3")
    assert caught.value.facts["statement"] == "CREATE EXTENSION vector"
    assert caught.value.sqlstate == "42501"
    assert f"{make_url(database_url).database!r}" in str(caught.value)
    assert objects(database_url) == before

    execute(database_url, caught.value.facts["statement"])
    upgrade(mine, dimensions="3")
    with vectordb.connect(mine) as db:
        docs = db.create_collection("docs", dimensions=3)
        docs.upsert_vectors(["a"], np.ones((1, 3)))
        assert [hit.document_id for hit in docs.search(np.ones(3))] == ["a"]


@pytest.mark.parametrize("version", ["0.8.1", "0.5.0", "0.8"])
def test_an_unsafe_version_is_refused(shared_url: str, version: str) -> None:
    pretend_version(shared_url, version)
    with vectordb.connect(shared_url) as db:
        with pytest.raises(errors.ExtensionError, match="ALTER EXTENSION vector UPDATE") as caught:
            db.collection()
        with pytest.raises(errors.ExtensionError):
            db.create_collection("docs", dimensions=3)
    assert version in str(caught.value)
    assert caught.value.facts["statement"] == "ALTER EXTENSION vector UPDATE"


@pytest.mark.parametrize("version", ["0.8.2", "0.8.3"])
def test_a_faulty_version_is_warned_of_once(shared_url: str, version: str) -> None:
    pretend_version(shared_url, version)
    with vectordb.connect(shared_url) as db:
        with pytest.warns(OldExtensionWarning, match=version):
            db.collection()
        db.collection()


@pytest.mark.parametrize("version", ["0.8.4", "0.8.10", "0.10.0", "1.0"])
def test_a_good_version_is_not_mentioned(shared_url: str, version: str) -> None:
    pretend_version(shared_url, version)
    with vectordb.connect(shared_url) as db, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert db.collection().dimensions == 3


def test_an_unsafe_version_stops_the_first_migration_with_nothing_changed(database_url: str) -> None:
    execute(database_url, "CREATE EXTENSION vector")
    pretend_version(database_url, "0.8.1")
    before = objects(database_url)
    with pytest.raises(errors.ExtensionError, match="ALTER EXTENSION vector UPDATE"):
        upgrade(database_url, dimensions="3")
    assert objects(database_url) == before


def test_an_extension_outside_the_search_path_works(database_url: str, embedder: HashedEmbedder) -> None:
    execute(database_url, "CREATE SCHEMA ext", "CREATE EXTENSION vector SCHEMA ext")
    before = objects(database_url)
    upgrade(database_url, dimensions="3")
    rng = np.random.default_rng(1)
    with vectordb.connect(database_url) as db:
        for storage, metric in (("vector", "l2"), ("halfvec", "cosine"), ("bit", "hamming"), ("sparsevec", "l1")):
            docs = db.create_collection(f"of_{storage}", dimensions=8, storage=storage, metric=metric, index=None)
            vectors = rng.standard_normal((20, 8))
            docs.upsert_vectors(range(20), vectors)
            docs.upsert_vectors(range(20), vectors, metadata=[{"n": n} for n in range(20)])
            docs.create_index(HNSW(m=8))
            for exact in (True, False):
                assert docs.search(vectors[7], limit=1, exact=exact)[0].score == pytest.approx(1.0, abs=1e-3)
            assert [hit.document_id for hit in docs.search(vectors[7], where={"n": 7})] == ["7"]
            assert docs.vectors(7)["7"].shape == (1, 8)
            docs.drop_index()
        texts = db.create_collection("texts", embedder=embedder, index=IVFFlat(lists=1))
        texts.upsert(["a cat purrs", "a train runs"])
        assert texts.search("cat")[0].content == "a cat purrs"
        db.drop_collection("texts")
    downgrade(database_url)
    assert objects(database_url) == before


def test_an_empty_search_path_does_not_stop_the_first_migration(database_url: str) -> None:
    execute(database_url, f"ALTER DATABASE {make_url(database_url).database} SET search_path = ''")
    before = objects(database_url)
    upgrade(database_url, dimensions="3")
    with vectordb.connect(database_url) as db:
        db.collection().upsert_vectors(["a"], np.ones((1, 3)))
        assert len(db.collection().search(np.ones(3))) == 1
    downgrade(database_url)
    assert objects(database_url) == before


def test_an_extension_that_was_dropped_is_missed(database_url: str) -> None:
    upgrade(database_url, dimensions="3")
    execute(database_url, "DROP EXTENSION vector CASCADE")
    with (
        vectordb.connect(database_url) as db,
        pytest.raises(errors.ExtensionError, match=r"no pgvector.*CREATE EXTENSION vector"),
    ):
        db.collection()


def test_a_database_without_tables_says_how_to_make_them(shared_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORDB_SCHEMA", "absent")
    before = objects(shared_url)
    with vectordb.connect(shared_url) as db:
        for use in (db.collection, db.collections, lambda: db.create_collection("docs", dimensions=3)):
            with pytest.raises(errors.SchemaError, match="run `vectordb migrate`") as caught:
                use()
            assert caught.value.facts["current"] is None
    assert objects(shared_url) == before


@pytest.mark.parametrize(("revision", "way_out"), [("9999", "upgrade the library"), ("0000", "run `vectordb migrate`")])
def test_tables_of_another_revision_are_refused(shared_url: str, revision: str, way_out: str) -> None:
    pretend_version(shared_url, "1.0")
    execute(shared_url, f"UPDATE vectordb.alembic_version SET version_num = '{revision}'")
    with vectordb.connect(shared_url) as db, pytest.raises(errors.SchemaError, match=way_out) as caught:
        db.collection()
    execute(shared_url, f"UPDATE vectordb.alembic_version SET version_num = '{migration.HEAD}'")
    assert (caught.value.facts["current"], caught.value.facts["head"]) == (revision, migration.HEAD)
    assert rows(shared_url, "SELECT version_num FROM vectordb.alembic_version") == [(migration.HEAD,)]
