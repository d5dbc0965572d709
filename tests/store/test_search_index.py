"""Search through an index: it is used, it gives as many rows as asked, and its settings stay where they belong."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

import vectordb
from tests.store.conftest import NewCollection
from tests.store.support import rows, unit_vectors, with_setting
from vectordb import HNSW, Collection, F, Filter, IVFFlat, Results, VectorDB
from vectordb.database import open_engine
from vectordb.errors import SchemaError
from vectordb.search.planning import EXACT, Access, Strategy
from vectordb.search.statements import Shape, Statement, search_statement, unfiltered_access
from vectordb.vector_types import BinaryParameter
from vectordb.vectors import encode_query

COUNT, DIMENSIONS = 5_000, 64


@pytest.fixture(scope="module")
def cloud_vectors() -> NDArray[np.float32]:
    """Vectors without any order in them, which is the hardest case for an index."""
    return unit_vectors(np.random.default_rng(1), COUNT, DIMENSIONS)


@pytest.fixture(scope="module")
def cloud(home: VectorDB, cloud_vectors: NDArray[np.float32]) -> Collection:
    """5,000 points under an HNSW index; only to be read."""
    docs = home.create_collection("cloud", dimensions=DIMENSIONS, index=None)
    metadata = [{"percent": n % 100} for n in range(COUNT)]
    docs.upsert_vectors(range(COUNT), cloud_vectors, contents=["text"] * COUNT, metadata=metadata)
    docs.create_index(HNSW())
    rows(home, f"SELECT count(*) FROM {docs.Chunk.__table__}")
    with home.transaction() as connection:
        connection.exec_driver_sql(f"ANALYZE {docs.Chunk.__table__}")
    return docs


@pytest.fixture
def fresh(home_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection on which nothing was done yet, not even pgvector's library loaded."""
    with psycopg.connect(home_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def one_connection(url: str) -> Iterator[VectorDB]:
    """A database with a pool of a single connection, so that everybody gets the same one."""
    engine = sa.create_engine(open_engine(url).url, pool_size=1, max_overflow=0)
    yield vectordb.connect(engine)
    engine.dispose()


def statement(
    docs: Collection,
    where: Filter | None = None,
    *,
    limit: int = 10,
    ef_search: int | None = None,
    exact: bool = False,
) -> Statement:
    """Return the statement of a search through the index, whatever the filter, or of an exact one."""
    method = None if exact or docs.config.index is None else docs.config.index.method
    access = EXACT if method is None else unfiltered_access(method, limit, ef_search)
    if where is not None and method is not None:
        access = Access(Strategy.ITERATIVE, method, access.candidates, filtered=True)
    return search_statement(docs._tables, access, Shape(limit), where)


def run(connection: psycopg.Connection[Any], docs: Collection, search: Statement, query: Any, prefix: str = "") -> Any:
    encoded = BinaryParameter(encode_query(query, docs.config.space))
    parameters = {**search.parameters, "query": encoded}
    return connection.execute(prefix + search.sql, parameters, prepare=search.prepare).fetchall()


def plan(connection: psycopg.Connection[Any], docs: Collection, search: Statement, query: Any) -> str:
    [[found]] = run(connection, docs, search, query, "EXPLAIN (FORMAT JSON) ")
    return json.dumps(found)


def recall(docs: Collection, queries: NDArray[np.float32], limit: int = 10, **options: Any) -> float:
    def ids(found: Results) -> set[str]:
        return {hit.document_id for hit in found}

    shares = [
        len(ids(docs.search(query, limit=limit, **options)) & ids(docs.search(query, limit=limit, exact=True))) / limit
        for query in queries
    ]
    return float(np.mean(shares))


def test_the_index_is_used_by_default_and_never_for_an_exact_search(
    cloud: Collection, cloud_vectors: NDArray[np.float32], fresh: psycopg.Connection[Any]
) -> None:
    for limit in (1, 10, 100):
        found = plan(fresh, cloud, statement(cloud, limit=limit), cloud_vectors[0])
        assert "cloud_chunks_embedding_hnsw_idx" in found
        assert "Seq Scan" not in found
        found = plan(fresh, cloud, statement(cloud, limit=limit, exact=True), cloud_vectors[0])
        assert "hnsw" not in found
        assert "Seq Scan" in found


def test_the_index_is_used_in_a_kept_plan_too(
    cloud: Collection, cloud_vectors: NDArray[np.float32], fresh: psycopg.Connection[Any]
) -> None:
    """After five runs PostgreSQL may turn to a plan for any parameters."""
    fresh.execute("SET plan_cache_mode = force_generic_plan")
    search = statement(cloud)
    run(fresh, cloud, search, cloud_vectors[0])
    [[name, generic]] = fresh.execute("SELECT name, generic_plans FROM pg_prepared_statements").fetchall()
    assert generic == 1
    vector = "[" + ",".join(map(str, cloud_vectors[0].tolist())) + "]"
    [[found]] = fresh.execute(f"EXPLAIN (FORMAT JSON) EXECUTE {name}('{vector}')").fetchall()
    assert "cloud_chunks_embedding_hnsw_idx" in json.dumps(found)


@pytest.mark.parametrize("limit", [1, 40, 41, 100, 1_000, 2_500, 5_000, 6_000])
def test_as_many_rows_as_asked(cloud: Collection, cloud_vectors: NDArray[np.float32], limit: int) -> None:
    found = cloud.search(cloud_vectors[17], limit=limit)
    assert len(found) == min(limit, COUNT)
    assert len({hit.document_id for hit in found}) == len(found)
    assert found[0].document_id == "17"
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


@pytest.mark.parametrize("percent", [1, 5, 50])
@pytest.mark.parametrize("limit", [10, 50])
def test_as_many_rows_as_asked_under_a_filter(
    cloud: Collection, cloud_vectors: NDArray[np.float32], percent: int, limit: int
) -> None:
    where = F("percent") < percent
    for query in cloud_vectors[:10]:
        found = cloud.search(query, limit=limit, where=where)
        assert len(found) == limit
        assert all(hit.metadata["percent"] < percent for hit in found)
        order = [(hit.distance, hit.document_id) for hit in found]
        assert order == sorted(order), "an iterative scan gives rows out of order; they are sorted afterwards"


def test_a_filter_is_recalled(cloud: Collection, cloud_vectors: NDArray[np.float32]) -> None:
    for percent in (1, 50):
        where = F("percent") < percent
        shares = []
        for query in unit_vectors(np.random.default_rng(2), 10, DIMENSIONS):
            near = {hit.document_id for hit in cloud.search(query, where=where)}
            shares.append(len(near & {hit.document_id for hit in cloud.search(query, where=where, exact=True)}) / 10)
        assert np.mean(shares) >= (0.95 if percent == 1 else 0.6), percent


def test_more_candidates_are_better_candidates(cloud: Collection) -> None:
    queries = unit_vectors(np.random.default_rng(3), 30, DIMENSIONS)
    few, usual, many = (recall(cloud, queries, ef_search=ef_search) for ef_search in (10, None, 400))
    assert few + 0.05 < usual <= many
    assert many > 0.95


def test_settings_take_effect_before_the_scan_even_on_a_fresh_connection(
    cloud: Collection, cloud_vectors: NDArray[np.float32], fresh: psycopg.Connection[Any]
) -> None:
    """Without iterative scans, the number of rows shows how many candidates there were."""
    search = statement(cloud, limit=150, ef_search=150)
    once = Statement(search.sql.replace("'relaxed_order'", "'off'"), search.parameters)
    assert once.sql != search.sql
    assert len(run(fresh, cloud, once, cloud_vectors[0])) == 150
    fresh.execute("SET hnsw.iterative_scan = off")
    without = Statement(search.sql.partition(" WHERE ")[0] + " ORDER BY" + search.sql.rpartition(" ORDER BY")[2])
    assert len(run(fresh, cloud, without, cloud_vectors[0])) == 40
    assert len(run(fresh, cloud, search, cloud_vectors[0])) == 150


def test_the_servers_own_setting_counts(cloud: Collection, home_url: str) -> None:
    queries = unit_vectors(np.random.default_rng(4), 20, DIMENSIONS)
    with vectordb.connect(with_setting(home_url, "hnsw.ef_search=400")) as db:
        more = db.collection("cloud")
        assert recall(more, queries) > 0.95


def test_rows_are_found_behind_deleted_ones(
    new_collection: NewCollection, home: VectorDB, rng: np.random.Generator
) -> None:
    docs = new_collection(dimensions=8)
    with home.transaction() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {docs.Chunk.__table__} SET (autovacuum_enabled = off)")
    near, far = unit_vectors(rng, 200, 8) + [9] * 8, unit_vectors(rng, 300, 8)
    docs.upsert_vectors(range(500), np.concatenate([near, far]))
    assert {int(hit.document_id) < 200 for hit in docs.search([1] * 8, limit=100)} == {True}
    assert docs.delete(range(200)) == 200
    for limit in (10, 100, 300):
        assert len(docs.search([1] * 8, limit=limit)) == limit


def test_updated_rows_are_found_at_their_new_place_only(points: Collection) -> None:
    points.upsert_vectors(range(100), [[1, n, 0] for n in range(100)])
    for _ in range(3):
        points.upsert_vectors(range(100), [[1, 0, n] for n in range(100)])
        points.upsert_vectors(range(100), [[-1, 0, n] for n in range(100)])
    found = points.search([-1, 0, 0], limit=100)
    assert len(found) == 100
    assert found[0].document_id == "0"


@pytest.mark.parametrize("storage", ["vector", "halfvec", "bit"])
def test_ivfflat(new_collection: NewCollection, fresh: psycopg.Connection[Any], storage: str) -> None:
    docs = new_collection(
        dimensions=DIMENSIONS, metric="hamming" if storage == "bit" else "cosine", storage=storage, index=None
    )
    matrix = unit_vectors(np.random.default_rng(5), 3_000, DIMENSIONS)
    docs.upsert_vectors(range(3_000), matrix, metadata=[{"percent": n % 100} for n in range(3_000)])
    docs.create_index(IVFFlat(lists=60))
    [index] = docs.indexes()
    assert (index.method, index.options, index.valid) == ("ivfflat", {"lists": 60}, True)
    assert index.operator_class == f"{storage}_{'hamming' if storage == 'bit' else 'cosine'}_ops"
    assert len(run(fresh, docs, statement(docs, limit=2_000), matrix[0])) == 2_000, "the first query of a connection"
    assert "ivfflat" in plan(fresh, docs, statement(docs), matrix[0])
    assert "ivfflat" not in plan(fresh, docs, statement(docs, exact=True), matrix[0])
    assert recall(docs, matrix[:20]) > 0.4
    for limit in (10, 1_000, 3_000):
        assert len(docs.search(matrix[0], limit=limit)) == limit
    assert len(docs.search(matrix[0], where=F("percent") == 7, limit=30)) == 30


def test_probes_take_effect_before_the_scan_even_on_a_fresh_connection(
    new_collection: NewCollection, fresh: psycopg.Connection[Any]
) -> None:
    docs = new_collection(dimensions=2, index=None)
    angles = np.linspace(0, np.pi, 1_000)
    docs.upsert_vectors(range(1_000), np.stack([np.cos(angles), np.sin(angles)], axis=1))
    docs.create_index(IVFFlat(lists=50))
    fresh.execute("SET enable_seqscan = off")
    search = statement(docs, limit=1_000)
    once = Statement(search.sql.replace("'relaxed_order'", "'off'"), {})
    ten_lists = len(run(fresh, docs, once, [1, 1]))
    fresh.execute("SET ivfflat.iterative_scan = off")
    without = Statement(search.sql.partition(" WHERE ")[0] + " ORDER BY" + search.sql.rpartition(" ORDER BY")[2])
    one_list = len(run(fresh, docs, without, [1, 1]))
    assert 0 < 3 * one_list < ten_lists < 1_000


def test_indexes_come_and_go(new_collection: NewCollection, home: VectorDB) -> None:
    docs = new_collection(dimensions=3, metric="l2")
    docs.upsert_vectors(range(100), [[n, 0, 0] for n in range(100)])
    [index] = docs.indexes()
    assert (index.method, index.operator_class, index.options) == (
        "hnsw",
        "vector_l2_ops",
        {"m": 16, "ef_construction": 64},
    )
    other = home.collection(docs.name)
    docs.drop_index()
    assert docs.indexes() == []
    assert docs.config.index is None
    assert home.collection(docs.name).config.index is None
    for handle in (docs, other):
        assert [hit.document_id for hit in handle.search([5, 0, 0], limit=1)] == ["5"]
    docs.create_index(HNSW(m=8, ef_construction=32))
    docs.create_index(HNSW(m=4, ef_construction=16))
    assert [index.options for index in docs.indexes()] == [{"m": 4, "ef_construction": 16}]
    assert home.collection(docs.name).config.index == HNSW(m=4, ef_construction=16)
    for handle in (docs, other):
        assert len(handle.search([5, 0, 0], limit=100)) == 100


def settings(db: VectorDB) -> list[tuple[Any, ...]]:
    names = [
        "hnsw.ef_search",
        "hnsw.iterative_scan",
        "hnsw.max_scan_tuples",
        "hnsw.scan_mem_multiplier",
        "ivfflat.probes",
        "ivfflat.iterative_scan",
    ]
    return rows(db, "SELECT pg_backend_pid(), " + ", ".join(f"current_setting('{name}', true)" for name in names))


@pytest.mark.parametrize("index", [HNSW(), IVFFlat(lists=2)])
def test_settings_do_not_leak(one_connection: VectorDB, index: HNSW | IVFFlat) -> None:
    db = one_connection
    docs = db.create_collection("docs", dimensions=3, index=None)
    docs.upsert_vectors(range(100), [[1, 0, n] for n in range(100)])
    docs.create_index(index)
    before = settings(db)
    several: list[dict[str, Any]] = [
        {"ef_search": 321},
        {"limit": 3_000},
        {"where": F("a") == 1},
        {"limit": 3_000, "ef_search": 500},
    ]
    for options in several:
        docs.search([1, 0, 0], **options)
        assert settings(db) == before
        docs.search([1, 0, 0], **options | {"where": F("a").missing(), "strategy": "iterative"})
        assert settings(db) == before
        docs.search_many([[1, 0, 0]] * 3, **options)
        assert settings(db) == before
    with db.transaction() as connection:
        inside = "SELECT current_setting('hnsw.ef_search'), current_setting('hnsw.iterative_scan')"
        connection.exec_driver_sql("SET LOCAL hnsw.ef_search = 77")
        meanwhile = connection.exec_driver_sql(inside).one()
        docs.search([1, 0, 0], ef_search=321)
        docs.search_many([[1, 0, 0]] * 3, where=F("a").missing(), limit=3)
        assert connection.exec_driver_sql(inside).one() == meanwhile
        assert meanwhile[0] == "77"
    assert settings(db) == before
    with contextlib.suppress(RuntimeError), db.transaction():
        docs.search([1, 0, 0], ef_search=321)
        raise RuntimeError
    assert settings(db) == before
    db.drop_collection("docs")
    with pytest.raises(SchemaError):
        docs.search([1, 0, 0], ef_search=321)
    assert settings(db) == before


def test_a_connection_comes_back_from_a_search_as_it_was(one_connection: VectorDB) -> None:
    """Not in autocommit mode, with no transaction open: what the next user does not commit is rolled back."""
    db = one_connection
    docs = db.create_collection("docs", dimensions=3)
    for broken in (False, True):
        if broken:
            db.drop_collection("docs")
            with pytest.raises(SchemaError):
                docs.search([1, 0, 0])
        else:
            docs.search([1, 0, 0])
        with db.engine.connect() as connection:
            connection.execute(sa.text("CREATE TABLE never_committed ()"))
        assert rows(db, "SELECT to_regclass('never_committed')") == [(None,)]
