"""The first migration under load, with few rights, and when it fails."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.synchronize import Barrier

import numpy as np
import pytest

import vectordb
from tests.migrations.support import as_role, downgrade, execute, objects, rows, upgrade
from vectordb import errors, migration

PROCESSES = 16


def bootstrap(url: str, ready: Barrier) -> None:
    """What each process of an application does when it starts."""
    os.environ["VECTORDB_DIMENSIONS"] = "8"
    with vectordb.connect(url) as db:
        ready.wait(60)
        db.migrate()
        docs = db.get_or_create_collection("docs", dimensions=3)
        docs.upsert_vectors([os.getpid()], np.ones((1, 3)))


def test_sixteen_processes_at_once(database_url: str) -> None:
    # Each is forked from a server that has imported the library already, so that they really meet.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vectordb.migration.environment"])
    ready = context.Barrier(PROCESSES)
    processes = [context.Process(target=bootstrap, args=(database_url, ready)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert rows(database_url, "SELECT name FROM vectordb.collections ORDER BY 1") == [("default",), ("docs",)]
    assert rows(database_url, "SELECT count(*) FROM vectordb.docs_chunks") == [(PROCESSES,)]
    assert rows(database_url, "SELECT version_num FROM vectordb.alembic_version") == [(migration.HEAD,)]


def test_a_failed_migration_leaves_nothing(shared_url: str, schema: str) -> None:
    before = objects(shared_url)
    with pytest.raises(errors.ConfigurationError, match=r"no text search configuration 'klingon'; it has .*english"):
        upgrade(shared_url, dimensions="5", text_config="klingon", schema=schema)
    assert objects(shared_url) == before
    upgrade(shared_url, dimensions="5", schema=schema)


def test_a_table_in_the_way_leaves_nothing(shared_url: str, schema: str) -> None:
    execute(shared_url, f"CREATE SCHEMA {schema}", f"CREATE TABLE {schema}.documents (id int)")
    before = objects(shared_url)
    with pytest.raises(errors.DatabaseError, match='relation "documents" already exists'):
        upgrade(shared_url, dimensions="5", schema=schema)
    assert objects(shared_url) == before


def test_a_newer_database_is_left_alone(shared_url: str, schema: str) -> None:
    upgrade(shared_url, dimensions="5", schema=schema)
    execute(shared_url, f"UPDATE {schema}.alembic_version SET version_num = '9999'")
    before = objects(shared_url)
    for change in (upgrade, downgrade):
        with pytest.raises(errors.SchemaError, match=r"9999.*upgrade the library"):
            change(shared_url, schema=schema)
    assert objects(shared_url) == before


def test_a_schema_of_its_own_is_all_that_a_role_needs(
    role: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The administrator has created extension and schema; the role may not even create schemas."""
    execute(database_url, "CREATE EXTENSION vector", f"CREATE SCHEMA vectordb AUTHORIZATION {role}")
    before = objects(database_url)
    monkeypatch.setenv("VECTORDB_DIMENSIONS", "5")
    mine = as_role(database_url, role)
    with vectordb.connect(mine) as db:
        db.migrate()
        docs = db.create_collection("docs", dimensions=3)
        docs.upsert_vectors(["a"], np.ones((1, 3)))
        assert [hit.document_id for hit in docs.search(np.ones(3))] == ["a"]
    downgrade(mine)
    assert objects(database_url) == before


def test_without_the_right_to_create_schemas_the_error_says_so(role: str, shared_url: str, schema: str) -> None:
    with pytest.raises(errors.DatabaseError, match="permission denied for database") as caught:
        upgrade(as_role(shared_url, role), dimensions="5", schema=schema)
    assert caught.value.sqlstate == "42501"
