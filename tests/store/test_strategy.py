"""Filtered search at every selectivity: as many rows as match, the right ones, and a plan that says how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

import vectordb
from tests.store.conftest import NewCollection
from tests.store.support import rows, unit_vectors
from vectordb import HNSW, Collection, F, Filter, IVFFlat, Results, VectorDB
from vectordb.database import open_engine

COUNT, DIMENSIONS, CLUSTERS = 20_000, 32, 50
SHARES = [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0]
FIELDS = ["random", "placed", "undeclared_random", "undeclared_placed"]


class Cloud:
    """Clustered points; `random` is a number without relation to the vector, `placed` goes from cluster to cluster.

    As embeddings of texts do, they vary in fewer directions than they have dimensions.
    """

    def __init__(self, count: int = COUNT) -> None:
        random = np.random.default_rng(21)
        self.directions = unit_vectors(random, 10, DIMENSIONS)
        self.centres = unit_vectors(random, CLUSTERS, 10) @ self.directions
        cluster = np.arange(count) * CLUSTERS // count
        matrix = self.centres[cluster] + 0.6 * unit_vectors(random, count, 10) @ self.directions
        self.matrix: NDArray[np.float32] = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
        shuffled = random.permutation(count)
        self.values = {"random": shuffled, "placed": np.arange(count)}
        # In no order that has to do with the vector.
        self.order: list[int] = random.permutation(count).tolist()

    def metadata(self, n: int) -> dict[str, Any]:
        numbers = {name: int(values[n]) for name, values in self.values.items()}
        return numbers | {f"undeclared_{name}": number for name, number in numbers.items()}

    def fill(self, docs: Collection) -> None:
        docs.upsert_vectors(
            self.order,
            self.matrix[self.order],
            contents=["A text of some length. " * 3] * len(self.order),
            metadata=[self.metadata(n) for n in self.order],
        )

    def matching(self, field: str, most: int) -> NDArray[np.int64]:
        return np.flatnonzero(self.values[field.removeprefix("undeclared_")] < most)

    def nearest(self, query: NDArray[np.float32], among: NDArray[np.int64], limit: int) -> list[str]:
        scores = self.matrix[among].astype(np.float64) @ query.astype(np.float64)
        return [str(n) for n in among[np.argsort(-scores, kind="stable")[:limit]]]

    def queries(self) -> list[NDArray[np.float32]]:
        """Return queries in the first cluster, between clusters, and in the last."""
        random = np.random.default_rng(22)
        vectors = unit_vectors(random, 9, 10) @ self.directions
        near = [self.centres[0] + 0.4 * vector for vector in vectors[:3]]
        far = [self.centres[-1] + 0.4 * vector for vector in vectors[3:6]]
        return [*near, *vectors[6:], *far]


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    return Cloud()


def filled(db: VectorDB, name: str, cloud: Cloud, index: Any, *, analyze: bool = True) -> Collection:
    docs = db.create_collection(name, dimensions=DIMENSIONS, index=None, fields={"random": int, "placed": int})
    table = docs.Chunk.__table__
    with db.transaction() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    cloud.fill(docs)
    if index is not None:
        docs.create_index(index)
    if analyze:
        with db.transaction() as connection:
            connection.exec_driver_sql(f"ANALYZE {table}")
    return docs


@pytest.fixture(scope="module")
def docs(home: VectorDB, cloud: Cloud) -> Collection:
    """All points under an HNSW index; only to be read."""
    return filled(home, "strategy", cloud, HNSW())


@pytest.fixture(scope="module")
def small_cloud() -> Cloud:
    return Cloud(6_000)


def recall(found: Results, expected: list[str]) -> float:
    return len({hit.document_id for hit in found} & set(expected)) / len(expected)


def check(found: Results, where: Filter, expected: int) -> None:
    assert len(found) == expected, found.plan
    assert len({hit.document_id for hit in found}) == expected
    assert all(where.matches(hit.metadata, {}) for hit in found)
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    assert found.plan is not None
    assert found.plan.complete
    assert found.plan.reason


@pytest.mark.parametrize("field", FIELDS)
def test_as_many_as_asked_and_the_right_ones(docs: Collection, cloud: Cloud, field: str) -> None:
    means = {}
    for share in SHARES:
        most = round(share * COUNT)
        where, among = F(field) < most, cloud.matching(field, most)
        shares = []
        for query in cloud.queries():
            found = docs.search(query, where=where)
            check(found, where, 10)
            shares.append(recall(found, cloud.nearest(query, among, 10)))
        means[share] = float(np.mean(shares))
    assert min(means.values()) >= 0.95, means
    assert np.mean(list(means.values())) >= 0.98, means


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("options", [{"strategy": "iterative"}, {"exact": True}, {"strategy": "exact"}], ids=str)
def test_a_strategy_that_is_forced(docs: Collection, cloud: Cloud, field: str, options: dict[str, Any]) -> None:
    for share in (0.01, 0.1, 1.0):
        most = round(share * COUNT)
        for query in cloud.queries():
            found = docs.search(query, where=F(field) < most, **options)
            expected = cloud.nearest(query, cloud.matching(field, most), 10)
            assert found.plan is not None
            if options.get("strategy") == "iterative":
                assert (found.plan.strategy, found.plan.reason) == ("iterative", "asked for")
                assert found.plan.complete == (len(found) == 10)
            else:
                assert [hit.document_id for hit in found] == expected
                assert (found.plan.strategy, found.plan.reason) == ("exact", "asked for")
                assert found.plan.complete


def test_a_forced_scan_that_gives_up_says_so(docs: Collection, cloud: Cloud) -> None:
    """It visits so many rows as should do on average, and those that match are far away."""
    short = 0
    for query in cloud.queries():
        found = docs.search(query, where=F("placed") < 40, limit=50, strategy="iterative")
        assert len(found) <= 40
        assert found.plan is not None
        assert not found.plan.complete, "fewer came than were asked for"
        short += len(found) < 40
        assert len(docs.search(query, where=F("placed") < 40, limit=50)) == 40
    none = docs.search(cloud.queries()[0], where=F("placed") < 0, strategy="iterative")
    assert len(none) == 0


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("most", "limit"), [(0, 10), (1, 10), (7, 10), (100, 1_000), (COUNT, 1_000), (9_000, 1_000), (9_000, 5_000)]
)
def test_limits_large_and_beyond_what_matches(
    docs: Collection, cloud: Cloud, field: str, most: int, limit: int
) -> None:
    where = F(field) < most
    for query in cloud.queries()[::4]:
        check(docs.search(query, where=where, limit=limit), where, min(limit, most))


def test_a_limit_beyond_all_rows(docs: Collection, cloud: Cloud) -> None:
    for where in (F("placed") >= 0, F("undeclared_random").exists()):
        assert len(docs.search(cloud.queries()[0], where=where, limit=30_000)) == COUNT
    assert len(docs.search(cloud.queries()[0], limit=30_000)) == COUNT


@pytest.mark.parametrize(
    ("where", "matches"),
    [
        ((F("placed") < 4_000) & (F("placed") >= 3_990), 10),
        ((F("placed") < 4_000) & (F("random") < 10_000) & (F("undeclared_placed") >= 3_900), None),
        (F("placed").in_(range(100)), 100),
        (~(F("placed") >= 15), 15),
        (F("nothing") == 1, 0),
        (F("nothing").missing(), COUNT),
        (F("id").in_(["1", "2", "none"]), 2),
        (F("created_at") > "2000-01-01", COUNT),
        (F("title").is_null(), COUNT),
        (F("undeclared_placed").between(100, 119), 20),
    ],
    ids=str,
)
def test_filters_of_every_kind(docs: Collection, cloud: Cloud, where: Filter, matches: int | None) -> None:
    if matches is None:
        matches = docs.count(where)
        assert 0 < matches < 100
    for query in cloud.queries()[::4]:
        for limit in (10, 300):
            assert len(docs.search(query, where=where, limit=limit)) == min(limit, matches)


def test_sqlalchemy_expressions_are_planned_as_well(docs: Collection, cloud: Cloud) -> None:
    for most in (5, 2_000):
        found = docs.search(cloud.queries()[0], where=docs.Chunk.placed < most)
        assert len(found) == min(10, most)
        assert all(hit.metadata["placed"] < most for hit in found)


def test_the_plan_says_how(docs: Collection, cloud: Cloud) -> None:
    few = docs.search(cloud.queries()[0], where=F("random") < 20).plan
    many = docs.search(cloud.queries()[0], where=F("random") < 15_000).plan
    unfiltered = docs.search(cloud.queries()[0]).plan
    assert few is not None
    assert many is not None
    assert unfiltered is not None
    assert (few.strategy, many.strategy, unfiltered.strategy) == ("exact", "plain", "plain")
    assert few.candidates is None
    assert many.candidates is not None
    assert 80 <= many.candidates <= 1_000
    assert few.estimated_matches is not None
    assert 5 <= few.estimated_matches <= 80
    assert many.estimated_matches is not None
    assert 10_000 < many.estimated_matches < 20_000
    assert many.estimated_rows is not None
    assert abs(many.estimated_rows - COUNT) < 2_000
    assert len({few.reason, many.reason, unfiltered.reason}) == 3


# What may be wrong with the table.


def test_without_an_index(home: VectorDB, small_cloud: Cloud) -> None:
    docs = filled(home, "strategy_none", small_cloud, None)
    for field in FIELDS:
        for query in small_cloud.queries()[::4]:
            found = docs.search(query, where=F(field) < 60)
            assert [hit.document_id for hit in found] == small_cloud.nearest(query, small_cloud.matching(field, 60), 10)
            assert found.plan is not None
            assert (found.plan.strategy, found.plan.reason) == ("exact", "there is no index")


def test_an_index_that_was_dropped_behind_our_back(home: VectorDB, small_cloud: Cloud) -> None:
    docs = filled(home, "strategy_dropped", small_cloud, HNSW())
    [index] = docs.indexes()
    with home.transaction() as connection:
        connection.exec_driver_sql(f'DROP INDEX {docs.Chunk.__table__.schema}."{index.name}"')
    for most in (0, 5, 60, 6_000):
        where = F("random") < most
        for query in small_cloud.queries()[::4]:
            ways: list[dict[str, Any]] = [{}, {"strategy": "iterative"}, {"group_by": "document"}, {"offset": 3}]
            for options in ways:
                found = docs.search(query, where=where, **options)
                assert len(found) == max(0, min(10, most - options.get("offset", 0)))


def test_an_index_that_is_dropped_and_made_again_meanwhile(home: VectorDB, small_cloud: Cloud) -> None:
    docs = filled(home, "strategy_again", small_cloud, HNSW())
    other = home.collection("strategy_again")
    query, where = small_cloud.queries()[0], F("random") < 3_000
    for change in (docs.drop_index, lambda: docs.create_index(IVFFlat(lists=20)), lambda: docs.create_index(HNSW())):
        change()
        for handle in (docs, other):
            assert len(handle.search(query, where=where)) == len(handle.search(query, limit=10)) == 10
            assert len(handle.search(query, where=where, limit=5_000)) == 3_000


def test_a_table_that_was_never_analyzed(home: VectorDB, small_cloud: Cloud) -> None:
    docs = filled(home, "strategy_unknown", small_cloud, HNSW(), analyze=False)
    assert rows(home, "SELECT reltuples FROM pg_class WHERE relname = 'strategy_unknown_chunks'") is not None
    for field in FIELDS:
        for most in (0, 6, 60, 600, 6_000):
            where, among = F(field) < most, small_cloud.matching(field, most)
            shares = []
            for query in small_cloud.queries():
                found = docs.search(query, where=where)
                check(found, where, min(10, most))
                shares += [recall(found, small_cloud.nearest(query, among, 10))] if most else []
            assert not shares or np.mean(shares) >= 0.95


@pytest.mark.parametrize("field", FIELDS)
def test_statistics_that_are_wrong(home: VectorDB, small_cloud: Cloud, field: str) -> None:
    """They were taken while everything matched; now next to nothing does, or the other way round."""
    docs = filled(home, f"strategy_stale_{field}", small_cloud, HNSW())
    query = small_cloud.queries()[-1]
    for kept in (12, 3):
        rest = [int(n) for n in small_cloud.matching(field, 6_000) if n not in small_cloud.matching(field, kept)]
        docs.patch_metadata({field: 1_000_000}, ids=rest)
        where = F(field) < 6_000
        found = docs.search(query, where=where)
        check(found, where, min(10, kept))
        assert len(docs.search(query, where=where, limit=100)) == kept
        # As another process would, that has planned nothing yet.
        found = home.collection(docs.name).search(query, where=where)
        check(found, where, min(10, kept))
    assert len(docs.search(query, where=F(field) == 1_000_000)) == 10


def test_a_plan_is_remembered_and_still_right_after_everything_changed(home: VectorDB, small_cloud: Cloud) -> None:
    docs = filled(home, "strategy_changed", small_cloud, HNSW())
    query, where = small_cloud.queries()[0], F("random") < 3_000
    check(docs.search(query, where=where), where, 10)
    docs.delete(where=F("random").between(4, 2_999))
    check(docs.search(query, where=where), where, 4)
    docs.delete(where=where)
    check(docs.search(query, where=where), where, 0)
    docs.upsert_vectors(["new"], [query], metadata=[{"random": 7}])
    check(docs.search(query, where=where), where, 1)


def test_from_nothing_to_many(new_collection: NewCollection, small_cloud: Cloud) -> None:
    docs = new_collection(dimensions=DIMENSIONS)
    query, where = small_cloud.queries()[0], F("random") < 3_000
    check(docs.search(query, where=where), where, 0)
    small_cloud.fill(docs)
    check(docs.search(query, where=where), where, 10)


@pytest.mark.parametrize("field", FIELDS)
def test_ivfflat(home: VectorDB, small_cloud: Cloud, field: str) -> None:
    docs = filled(home, f"strategy_ivf_{field}", small_cloud, IVFFlat(lists=CLUSTERS))
    for most in (0, 6, 60, 600, 3_000, 6_000):
        where = F(field) < most
        for query in small_cloud.queries():
            for limit in (10, 1_000, 5_000):
                check(docs.search(query, where=where, limit=limit), where, min(limit, most))
    forced = docs.search(small_cloud.queries()[0], where=F(field) < 600, strategy="iterative")
    assert len(forced) == 10


# Statements and settings.


@pytest.fixture
def single(home_url: str, docs: Collection) -> Any:
    """The same collection through a single connection."""
    engine = sa.create_engine(open_engine(home_url).url, pool_size=1, max_overflow=0)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
    yield vectordb.connect(engine)
    engine.dispose()


def test_no_filtered_statement_is_ever_kept(single: VectorDB, cloud: Cloud) -> None:
    """Kept ones turn into plans for any values after five runs."""
    docs = single.collection("strategy")
    query = cloud.queries()[0]
    calls: list[Callable[[Filter], Any]] = [
        lambda where: docs.search(query, where=where),
        lambda where: docs.search(query, where=where, exact=True),
        lambda where: docs.search(query, where=where, strategy="iterative"),
        lambda where: docs.search(query, where=where, offset=5),
        lambda where: docs.search(query, where=where, group_by="document", per_group=2),
        lambda where: docs.search(query, where=where, diversity=0.5),
        lambda where: docs.search(query, where=where, limit=None, min_score=0.9),
        lambda where: docs.search(like="5", where=where),
        lambda where: docs.search_many([query, query], where=where),
        docs.count,
        lambda where: docs.delete("none", where=where),
        lambda where: docs.patch_metadata({}, ids="none", where=where),
        lambda where: docs.facets("nothing", where=where),
        lambda where: docs.where(where).get("none" if where is None else ["none"]),
        lambda where: docs.where(where).vectors("none"),
        lambda where: list(docs.scan(where)),
    ]
    for most in range(7):
        for call in calls:
            call((F("placed") < 10 + most) & (F("undeclared_random") >= 0))
    kept = [sql for (sql,) in rows(single, "SELECT statement FROM pg_prepared_statements")]
    assert not [sql for sql in kept if "placed" in sql or "undeclared" in sql or "metadata @" in sql]
    for _ in range(7):
        docs.search(query)
    kept = [sql for (sql,) in rows(single, "SELECT statement FROM pg_prepared_statements")]
    assert any("ORDER BY c.embedding" in sql for sql in kept), "an unfiltered one is kept"


def test_settings_do_not_leak(single: VectorDB, cloud: Cloud) -> None:
    names = ("hnsw.ef_search", "hnsw.iterative_scan", "hnsw.max_scan_tuples", "hnsw.scan_mem_multiplier")

    def current() -> list[tuple[Any, ...]]:
        return rows(
            single, "SELECT pg_backend_pid(), " + ", ".join(f"current_setting('{name}', true)" for name in names)
        )

    docs, query = single.collection("strategy"), cloud.queries()[0]
    docs.search(query)
    before = current()
    for options in (
        {"ef_search": 321},
        {"limit": 5_000},
        {"strategy": "iterative", "limit": 5_000},
        {"strategy": "iterative", "where": F("placed") < 100, "limit": 200},
        {"where": F("random") < 10_000},
        {"where": F("random") < 10_000, "limit": 2_000},
        {"group_by": "document", "where": F("random") < 10_000},
        {"diversity": 0.5},
        {"offset": 50},
    ):
        docs.search(query, **options)
        docs.search_many([query, query], **options)
        assert current() == before, options
