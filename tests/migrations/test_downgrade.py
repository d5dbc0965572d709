"""`downgrade base` takes away what the migrations brought, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import make_url

import vectordb
from tests.migrations.support import as_role, downgrade, execute, objects, rows, upgrade, vector_index
from vectordb import HNSW, IVFFlat, VectorDB, errors


def fill(db: VectorDB) -> None:
    """Create collections of every storage, with rows, and put rows into the default one."""
    rng = np.random.default_rng(1)
    db.collection().upsert_vectors(["a", "b"], rng.random((2, 5)), contents=["one", "two"])
    for storage, metric, index in (
        ("vector", "cosine", IVFFlat(lists=1)),
        ("halfvec", "l2", HNSW(m=4)),
        ("bit", "hamming", HNSW()),
        ("sparsevec", "l1", None),
    ):
        docs = db.create_collection(f"of_{storage}", dimensions=9, storage=storage, metric=metric, index=index)
        docs.upsert_vectors(range(3), rng.random((3, 9)), metadata=[{"n": n} for n in range(3)])


def test_nothing_is_left(database_url: str) -> None:
    before = objects(database_url)
    upgrade(database_url, dimensions="5")
    with vectordb.connect(database_url) as db:
        fill(db)
    downgrade(database_url)
    assert objects(database_url) == before


def test_up_down_up_with_other_options(shared_url: str, schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORDB_SCHEMA", schema)
    upgrade(shared_url, dimensions="5")
    with vectordb.connect(shared_url) as db:
        fill(db)
    downgrade(shared_url)
    upgrade(shared_url, dimensions="6", metric="l2", storage="halfvec", index="ivfflat", lists="3")
    assert vector_index(shared_url, schema) == ("halfvec(6)", "ivfflat (embedding halfvec_l2_ops) WITH (lists='3')")
    with vectordb.connect(shared_url) as db:
        assert [docs.name for docs in db.collections()] == ["default"]
        docs = db.collection()
        docs.upsert_vectors(["a"], np.ones((1, 6)))
        assert [hit.document_id for hit in docs.search(np.ones(6))] == ["a"]


def test_upgrading_twice_changes_nothing(shared_url: str, schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORDB_SCHEMA", schema)
    upgrade(shared_url, dimensions="5")
    with vectordb.connect(shared_url) as db:
        fill(db)
        before = objects(shared_url)
        db.migrate()
        upgrade(shared_url, dimensions="7")
        assert objects(shared_url) == before
        assert db.collection().count() == 2


def test_two_schemas_do_not_disturb_each_other(shared_url: str, schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade(shared_url, dimensions="6", schema=f"{schema}_first")
    before = objects(shared_url)
    monkeypatch.setenv("VECTORDB_SCHEMA", f"{schema}_second")
    upgrade(shared_url, dimensions="5")
    with vectordb.connect(shared_url) as db:
        fill(db)
    downgrade(shared_url)
    assert objects(shared_url) == before
    assert vector_index(shared_url, f"{schema}_first")[0] == "vector(6)"


def test_a_schema_that_was_there_before_stays(shared_url: str, schema: str) -> None:
    execute(shared_url, f"CREATE SCHEMA {schema}")
    before = objects(shared_url)
    for name in (schema, "public"):
        upgrade(shared_url, dimensions="5", schema=name)
        downgrade(shared_url, schema=name)
        assert objects(shared_url) == before
    assert rows(shared_url, "SELECT to_regnamespace('public')::text") == [("public",)]


def test_an_extension_that_was_there_before_stays(database_url: str) -> None:
    execute(database_url, "CREATE EXTENSION vector")
    before = objects(database_url)
    upgrade(database_url, dimensions="5")
    downgrade(database_url)
    assert objects(database_url) == before


def test_an_extension_that_the_application_uses_by_now_stays(database_url: str) -> None:
    upgrade(database_url, dimensions="5")
    execute(database_url, "CREATE TABLE public.items (v vector(3))", "INSERT INTO public.items VALUES ('[1,2,3]')")
    downgrade(database_url)
    assert rows(database_url, "SELECT v::text FROM public.items") == [("[1,2,3]",)]
    assert rows(database_url, "SELECT to_regnamespace('vectordb')::text") == [(None,)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE vectordb.mine (id int)",
        "CREATE SEQUENCE vectordb.mine",
        "CREATE TYPE vectordb.mine AS ENUM ('a')",
        "CREATE DOMAIN vectordb.mine AS text",
        "CREATE FUNCTION vectordb.mine() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE TEXT SEARCH CONFIGURATION vectordb.mine (COPY = simple)",
    ],
)
def test_objects_of_the_application_in_the_schema_survive(shared_url: str, schema: str, statement: str) -> None:
    upgrade(shared_url, dimensions="5", schema=schema)
    execute(shared_url, statement.replace("vectordb", schema))
    downgrade(shared_url, schema=schema)
    left = [name.partition(": ")[2] for name in objects(shared_url) if schema in name]
    assert f"schema {schema}" in left
    assert any(f"{schema}.mine" in name for name in left)
    assert not any("documents" in name or "chunks" in name or "alembic" in name for name in left)
    upgrade(shared_url, dimensions="6", schema=schema)


def test_a_view_over_a_collection_stops_it_with_nothing_changed(
    shared_url: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VECTORDB_SCHEMA", schema)
    upgrade(shared_url, dimensions="5")
    with vectordb.connect(shared_url) as db:
        fill(db)
    execute(shared_url, f"CREATE VIEW public.report AS SELECT count(*) FROM {schema}.of_bit_documents")
    before = objects(shared_url)
    with pytest.raises(errors.DatabaseError, match="depend on it"):
        downgrade(shared_url)
    assert objects(shared_url) == before
    assert rows(shared_url, "SELECT * FROM public.report") == [(3,)]


def test_pgvector_goes_beside_our_schema(database_url: str) -> None:
    """A role named as the schema has it first in its search_path, and other roles would not find pgvector there."""
    before = objects(database_url)
    execute(database_url, f"ALTER DATABASE {make_url(database_url).database} SET search_path = vectordb, public")
    upgrade(database_url, dimensions="5")
    assert pgvector_schema(database_url) == "public"
    with vectordb.connect(database_url) as db:
        fill(db)
    downgrade(database_url)
    assert objects(database_url) == before


def test_pgvector_goes_into_our_schema_where_there_is_no_other(database_url: str) -> None:
    execute(database_url, "DROP SCHEMA public")
    before = objects(database_url)
    upgrade(database_url, dimensions="5")
    assert pgvector_schema(database_url) == "vectordb"
    with vectordb.connect(database_url) as db:
        fill(db)
    downgrade(database_url)
    assert objects(database_url) == before


def pgvector_schema(url: str) -> str:
    ((name,),) = rows(url, "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'")
    return str(name)


def test_an_extension_of_another_role_stays(role: str, database_url: str) -> None:
    upgrade(database_url, dimensions="5")
    execute(database_url, f"ALTER DATABASE {make_url(database_url).database} OWNER TO {role}")
    owned = (
        "SELECT CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, oid::regclass::text FROM pg_class"
        " WHERE relnamespace = 'vectordb'::regnamespace AND relkind IN ('r', 'v')"
        " UNION ALL SELECT 'FUNCTION', oid::regprocedure::text FROM pg_proc"
        " WHERE pronamespace = 'vectordb'::regnamespace"
    )
    execute(
        database_url,
        f"ALTER SCHEMA vectordb OWNER TO {role}",
        *(f"ALTER {kind} {name} OWNER TO {role}" for kind, name in rows(database_url, owned)),
    )
    downgrade(as_role(database_url, role))
    assert rows(database_url, "SELECT to_regnamespace('vectordb')::text") == [(None,)]
    assert rows(database_url, "SELECT count(*) FROM pg_extension WHERE extname = 'vector'") == [(1,)]
