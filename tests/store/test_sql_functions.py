"""The SQL functions `search` and `hybrid_search` find what the Python calls find, and refuse what they refuse."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from random import Random, SystemRandom
from typing import Any

import numpy as np
import psycopg
import pytest

from tests.migrations.support import as_role, new_role
from tests.store.conftest import NewCollection
from tests.store.test_filter_fuzz import filled
from tests.support import ALL_FIELDS, HashedEmbedder, hashed_words
from vectordb import HNSW, Chunking, Collection, Document, IVFFlat, VectorDB
from vectordb.errors import InvalidFilter
from vectordb.filters import Filter, parse, resolve

Connection = psycopg.Connection[Any]
FILTERS = int(os.environ.get("FUZZ_SQL_FILTERS", "400"))
SEED = int(os.environ.get("FUZZ_SEED") or SystemRandom().randrange(2**32))


@pytest.fixture
def connection(home_url: str) -> Iterator[Connection]:
    with psycopg.connect(home_url, autocommit=True) as connection:
        yield connection


def vector(values: Any) -> str:
    """Return a query as SQL has it."""
    return str([float(value) for value in np.asarray(values, dtype=np.float32)])


def ids(connection: Connection, name: str, where: dict[str, Any]) -> set[str]:
    rows = connection.execute(
        "SELECT document_id FROM vectordb.search(%s, '[1,1,1]', 1000, %s::jsonb)", (name, json.dumps(where))
    )
    return {id for (id,) in rows}


def understood(where: dict[str, Any], docs: Any) -> Filter | None:
    try:
        return resolve(parse(where), docs.config.fields)
    except InvalidFilter:
        return None


@pytest.mark.parametrize("fields", [ALL_FIELDS, {}], ids=["declared", "undeclared"])
def test_filters_mean_the_same(
    home: VectorDB, new_collection: NewCollection, connection: Connection, fields: Any
) -> None:
    docs = new_collection(dimensions=3, index=None, fields=fields)
    corpus = filled(docs, home, SEED, ALL_FIELDS)
    refused = 0
    for number in range(FILTERS):
        where = corpus.hostile.filter().to_dict()
        expected = understood(where, docs)
        note = f"FUZZ_SEED={SEED}, filter {number}: {json.dumps(where)}"
        if expected is None:
            refused += 1
            with pytest.raises(psycopg.errors.InvalidParameterValue):
                print(note, ids(connection, docs.name, where))
            continue
        assert ids(connection, docs.name, where) == corpus.matching(expected), note
    assert refused < FILTERS / 3


def check_nearest(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    """Check that rows are the same. Chunks at one distance have no order in an index: any of the last may come."""
    assert [row[5] for row in found] == [row[5] for row in expected]
    last = found[-1][5]
    assert [row for row in found if row[5] != last] == [row for row in expected if row[5] != last]


SPACES = [
    *((storage, metric) for storage in ("vector", "halfvec", "sparsevec") for metric in ("cosine", "l2", "l1")),
    *((storage, "inner_product") for storage in ("vector", "halfvec", "sparsevec")),
    *(("bit", metric) for metric in ("hamming", "jaccard")),
]


@pytest.mark.parametrize(("storage", "metric"), SPACES)
@pytest.mark.parametrize("index", [HNSW(m=8), None], ids=["hnsw", "exact"])
def test_vectors_find_the_same(
    new_collection: NewCollection, connection: Connection, storage: str, metric: str, index: HNSW | None
) -> None:
    rng = np.random.default_rng(3)
    docs = new_collection(dimensions=9, storage=storage, metric=metric, index=index, fields={"n": int})
    docs.upsert_vectors(
        range(300),
        rng.standard_normal((300, 9)),
        contents=[f"number {n}" for n in range(300)],
        metadata=[{"n": n, "odd": bool(n % 2)} for n in range(300)],
    )
    for query in rng.standard_normal((4, 9)).astype(np.float32):
        for k, where in ((1, None), (7, None), (250, None), (400, None), (20, {"odd": True, "n": {"<": 90}}), (9, {})):
            found = connection.execute(
                "SELECT * FROM vectordb.search(%s, %s, %s, %s::jsonb)",
                (docs.name, vector(query), k, None if where is None else json.dumps(where)),
            ).fetchall()
            expected = docs.search(query, limit=k, where=where)
            check_nearest(found, [hit[:6] for hit in expected])
            assert len(found) == min(k, 45 if where else 300)


def test_an_ivfflat_index_that_gives_up_is_completed(new_collection: NewCollection, connection: Connection) -> None:
    rng = np.random.default_rng(4)
    docs = new_collection(dimensions=4, index=None, fields={"n": int})
    docs.upsert_vectors(range(3_000), rng.standard_normal((3_000, 4)), metadata=[{"n": n} for n in range(3_000)])
    docs.create_index(IVFFlat(lists=60))
    for k in (10, 2_990):
        for where in (None, {"n": {">=": 5}}):
            found = connection.execute(
                "SELECT distance FROM vectordb.search(%s, '[1,1,1,1]', %s, %s::jsonb)",
                (docs.name, k, json.dumps(where)),
            ).fetchall()
            assert len(found) == k
            assert found == sorted(found)


@pytest.fixture(scope="module")
def articles(home: VectorDB) -> Iterator[Collection]:
    random = Random(5)
    words = [f"{first}{second}" for first in "bdfgklm" for second in ("ale", "orn", "ist", "und", "ack")]
    embedder = HashedEmbedder(8)
    docs = home.create_collection(
        "sql_articles", embedder=embedder, index=None, fields={"year": int}, chunking=Chunking(80, unit="characters")
    )
    docs.upsert(
        Document(
            " ".join(random.choices(words, weights=range(len(words), 0, -1), k=random.randint(3, 25))),
            f"a{number:03}",
            title=random.choice(["one", "two", None]),
            metadata={"year": random.randint(2000, 2010), "tags": random.sample(words, 2)},
        )
        for number in range(400)
    )
    yield docs
    home.drop_collection("sql_articles")


QUERIES = ["bale", "bale born", "mack lund kund", '"bale born" bist', "bale -born", "unknown", "bale or mack -born"]


@pytest.mark.parametrize("text", QUERIES)
@pytest.mark.parametrize("where", [None, {"year": {">=": 2008}}, {"title": "one", "not": {"year": 2004}}])
def test_hybrid_finds_the_same(articles: Collection, connection: Connection, text: str, where: Any) -> None:
    query = hashed_words([text], 8)[0]
    condition = None if where is None else json.dumps(where)
    for k in (3, 30, 500):
        found = connection.execute(
            "SELECT * FROM vectordb.hybrid_search('sql_articles', %s, %s, %s, %s::jsonb)",
            (text, vector(query), k, condition),
        ).fetchall()
        expected = articles.search(text, limit=k, where=where)
        assert [row[:4] for row in found] == [hit[:4] for hit in expected]
        assert [(row[6], row[8]) for row in found] == [(hit.vector_rank, hit.text_rank) for hit in expected]
        for place in (4, 5, 7, 9):  # score, distance, vector score, text score
            assert [row[place] for row in found] == pytest.approx([hit[place] for hit in expected], rel=1e-12)
        alone = connection.execute(
            "SELECT * FROM vectordb.hybrid_search('sql_articles', %s, NULL, %s, %s::jsonb)", (text, k, condition)
        ).fetchall()
        of_text = articles.search(text, limit=k, where=where, mode="text")
        assert [tuple(row) for row in alone] == [hit[:10] for hit in of_text]
        alone = connection.execute(
            "SELECT * FROM vectordb.hybrid_search('sql_articles', NULL, %s, %s, %s::jsonb)",
            (vector(query), k, condition),
        ).fetchall()
        check_nearest(alone, [hit[:10] for hit in articles.search(query, limit=k, where=where)])


def test_inner_product_of_any_length_is_fused_as_in_python(
    new_collection: NewCollection, connection: Connection
) -> None:
    docs = new_collection(embedder=HashedEmbedder(8), metric="inner_product")
    docs.upsert(Document(text, text) for text in ("cat dog", "dog cow cow", "cow cat bird", "bird", "fish dog dog"))
    query = hashed_words(["dog bird"], 8)[0]
    found = connection.execute(
        "SELECT document_id, score FROM vectordb.hybrid_search(%s, 'dog bird', %s, 4)", (docs.name, vector(query))
    ).fetchall()
    expected = docs.search("dog bird", limit=4)
    assert [row[0] for row in found] == [hit.document_id for hit in expected]
    assert [row[1] for row in found] == pytest.approx([hit.score for hit in expected], rel=1e-12)


@pytest.fixture(scope="module")
def crowd(home: VectorDB) -> Iterator[Collection]:
    """Many chunks, so that the index is worth it; `group` splits them, the few `rare` and those `away` are far off."""
    rng = np.random.default_rng(11)
    docs = home.create_collection(
        "crowd", dimensions=24, fields={"group": int, "rare": int, "away": bool}, text_config="simple"
    )
    points = rng.standard_normal((6_000, 24)).astype(np.float32)
    points[:40] = -20 + points[:40] / 10
    points[1_000:2_500] += 20
    docs.upsert_vectors(
        range(6_000),
        points,
        contents=[f"word{n % 7} filler " * 12 for n in range(6_000)],
        metadata=[{"group": n % 4, "rare": int(n < 40), "away": 1_000 <= n < 2_500, "n": n} for n in range(6_000)],
    )
    with home.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE vectordb.crowd_chunks")
    yield docs
    home.drop_collection("crowd")


@pytest.mark.parametrize(
    "where",
    [None, {"group": 1}, {"n": {"<": 4000}}, {"rare": 1}, {"group": {"in": [1, 2]}, "n": {">": 100}}, {"n": -1}],
)
def test_as_many_rows_come_as_match(crowd: Collection, connection: Connection, where: Any) -> None:
    matching = crowd.count(where)
    query = np.full(24, 1.0)
    for k in (1, 10, 200, 2_000):
        rows = connection.execute(
            "SELECT * FROM vectordb.search('crowd', %s, %s, %s::jsonb)", (vector(query), k, json.dumps(where))
        ).fetchall()
        exact = crowd.search(query, limit=k, where=where, exact=True)
        assert len(rows) == min(k, matching)
        assert [row[5] for row in rows] == sorted(row[5] for row in rows)
        if rows:
            assert len({row[0] for row in rows} & {hit.document_id for hit in exact}) >= 0.9 * len(rows)


@pytest.fixture(scope="module")
def clusters(home: VectorDB) -> Iterator[Collection]:
    """Chunks in 30 heaps, numbered by `heap`."""
    rng = np.random.default_rng(12)
    heap = np.arange(6_000) % 30
    points = rng.standard_normal((30, 24))[heap] + 0.3 * rng.standard_normal((6_000, 24))
    docs = home.create_collection(
        "clusters", dimensions=24, index=HNSW(m=8, ef_construction=40), fields={"heap": int}, text_config="simple"
    )
    docs.upsert_vectors(
        range(6_000), points, contents=["filler " * 60] * 6_000, metadata=[{"heap": int(number)} for number in heap]
    )
    with home.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE vectordb.clusters_chunks")
    yield docs
    home.drop_collection("clusters")


def test_a_filter_that_matches_far_away_only_finds_the_nearest(clusters: Collection, connection: Connection) -> None:
    """What lies on the way of an iterative scan is not the nearest; one pass tells that too few match."""
    where = {"heap": {"in": [0, 1, 2, 3]}}
    for query in np.concatenate(list(clusters.vectors(range(10, 25)).values())):
        rows = connection.execute(
            "SELECT document_id FROM vectordb.search('clusters', %s, 10, %s)", (vector(query), json.dumps(where))
        ).fetchall()
        exact = clusters.search(query, limit=10, where=where, exact=True)
        assert len({id for (id,) in rows} & {hit.document_id for hit in exact}) >= 9


def test_the_index_is_used_and_left_where_it_does_not_pay(crowd: Collection, connection: Connection) -> None:
    def scans() -> int:
        connection.execute("SELECT pg_stat_force_next_flush()")
        found = connection.execute(
            "SELECT scans FROM vectordb.index_health WHERE collection = 'crowd' AND kind = 'vector'"
        ).fetchone()
        assert found is not None
        return int(found[0])

    used = []
    for where in (None, {"group": 1}, {"rare": 1}, {"n": {"<": 3000}}):
        before = scans()
        connection.execute(
            "SELECT count(*) FROM vectordb.search('crowd', %s, 5, %s)", (vector(np.ones(24)), json.dumps(where))
        )
        used.append(scans() > before)
    assert used == [True, True, False, True]


@pytest.mark.parametrize("where", [{"away": False}, {"n": {"<": 900}}])
def test_where_the_index_gives_up_all_that_match_are_compared(
    crowd: Collection, connection: Connection, where: Any
) -> None:
    query = np.full(24, 20.0)
    connection.execute("SELECT '[1]'::vector")
    connection.execute("SET hnsw.max_scan_tuples = 1")
    found = connection.execute(
        "SELECT document_id FROM vectordb.search('crowd', %s, 5, %s)", (vector(query), json.dumps(where))
    ).fetchall()
    assert [id for (id,) in found] == [hit.document_id for hit in crowd.search(query, limit=5, where=where, exact=True)]


def test_settings_stay_as_they_were(crowd: Collection, home_url: str) -> None:
    settings = ["hnsw.ef_search", "hnsw.iterative_scan", "hnsw.max_scan_tuples", "hnsw.scan_mem_multiplier"]
    settings += ["ivfflat.probes", "ivfflat.iterative_scan", "search_path"]
    shown = ", ".join(f"current_setting('{name}')" for name in settings)
    call = "SELECT count(*) FROM vectordb.search('crowd', %s, 50, '{\"group\": 1}')"
    with psycopg.connect(home_url) as connection:
        connection.execute("SELECT '[1]'::vector")
        connection.execute("SET hnsw.ef_search = 33")
        connection.execute("SET LOCAL ivfflat.probes = 7")
        before = connection.execute(f"SELECT {shown}").fetchone()
        connection.execute(call, (vector(np.ones(24)),))
        assert connection.execute(f"SELECT {shown}").fetchone() == before
        with pytest.raises(psycopg.Error), connection.transaction():
            connection.execute(call, (vector(np.ones(3)),))
        assert connection.execute(f"SELECT {shown}").fetchone() == before
        connection.commit()
        assert connection.execute("SELECT current_setting('hnsw.ef_search')").fetchone() == ("33",)


def test_a_reader_may_search_in_a_read_only_transaction(
    crowd: Collection, articles: Collection, home_url: str, connection: Connection
) -> None:
    with new_role(home_url) as role:
        connection.execute(f"GRANT USAGE ON SCHEMA vectordb TO {role}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA vectordb TO {role}")
        with psycopg.connect(as_role(home_url, role)) as reader:
            reader.read_only = True
            for where in ({"group": 1}, {"n": {"<": 4000}, "title": None}, {"rare": 1}):
                found = reader.execute(
                    "SELECT * FROM vectordb.search('crowd', %s, 3, %s)", (vector(np.ones(24)), json.dumps(where))
                )
                assert len(found.fetchall()) == 3
            found = reader.execute(
                "SELECT * FROM vectordb.hybrid_search('sql_articles', 'bale', %s, 3)", (vector(np.ones(8)),)
            )
            assert len(found.fetchall()) == 3
            assert reader.execute("SELECT count(*) FROM vectordb.collection_overview").fetchone() != (0,)
            assert reader.execute("SELECT count(*) FROM vectordb.index_health").fetchone() != (0,)
        connection.execute(f"DROP OWNED BY {role}")


def test_without_rights_nothing_is_found(crowd: Collection, home_url: str, connection: Connection) -> None:
    with new_role(home_url) as role:
        connection.execute(f"GRANT USAGE ON SCHEMA vectordb TO {role}")
        connection.execute(f"GRANT SELECT ON vectordb.collections TO {role}")
        with psycopg.connect(as_role(home_url, role)) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("SELECT * FROM vectordb.search('crowd', %s)", (vector(np.ones(24)),))
        connection.execute(f"DROP OWNED BY {role}")


def test_it_joins(crowd: Collection, connection: Connection) -> None:
    rows = connection.execute(
        "SELECT q.n, s.document_id, s.distance FROM (SELECT (metadata ->> 'n')::int AS n, embedding"
        " FROM vectordb.crowd_chunks WHERE document_id IN ('7', '4711', '100')) AS q"
        " CROSS JOIN LATERAL vectordb.search('crowd', q.embedding, 2) AS s ORDER BY q.n, s.distance"
    ).fetchall()
    assert [row[1] for row in rows[::2]] == ["7", "100", "4711"]
    assert len(rows) == 6


def test_a_search_sees_its_own_transaction(new_collection: NewCollection, home: VectorDB) -> None:
    docs = new_collection(dimensions=2)
    with home.transaction() as connection:
        docs.upsert_vectors(["a"], [[1, 2]])
        call = f"SELECT document_id FROM vectordb.search('{docs.name}', '[1,2]')"
        assert list(connection.exec_driver_sql(call)) == [("a",)]


REFUSED: list[tuple[tuple[Any, ...], str, str]] = [
    (("nowhere", "[1,2,3]", 1, None), "42704", "no collection named"),
    (("x'; DROP TABLE canary; --", "[1,2,3]", 1, None), "42704", "no collection named"),
    ((None, "[1,2,3]", 1, None), "22004", "is NULL"),
    (("{name}", None, 1, None), "22004", "is NULL"),
    (("{name}", "[1,2]", 1, None), "22000", "2 dimensions, the collection has 3"),
    (("{name}", "[0,0,0]", 1, None), "22000", "all zeros"),
    (("{name}", "[1,2,3]", 0, None), "22023", "from 1 to 100000"),
    (("{name}", "[1,2,3]", 100_001, None), "22023", "from 1 to 100000"),
    (("{name}", "[1,2,3]", None, None), "22004", "is NULL"),
    (("{name}", "[1,2,3]", 1, "[]"), "22023", "an object, not array"),
    (("{name}", "[1,2,3]", 1, '{"a": {"$gt": 1}}'), "22023", "unknown operator $gt"),
    (("{name}", "[1,2,3]", 1, '{"a": {}}'), "22023", "is empty"),
    (("{name}", "[1,2,3]", 1, '{"a": [1]}'), "22023", "this is an array"),
    (("{name}", "[1,2,3]", 1, '{"and": {"a": 1}}'), "22023", "takes a list of filters"),
    (("{name}", "[1,2,3]", 1, '{"year": "x"}'), "22023", "of type int"),
    (("{name}", "[1,2,3]", 1, '{"yaer": 1}'), "22023", "did you mean year"),
    (("{name}", "[1,2,3]", 1, '{"a": {"in": []}}'), "22023", "1 to 10,000"),
    (("{name}", "[1,2,3]", 1, '{"a": {"between": [1, "x"]}}'), "22023", "one type"),
    (("{name}", "[1,2,3]", 1, '{"a": {"<": null}}'), "22023", "have an order"),
    (("{name}", "[1,2,3]", 1, json.dumps({"a": {"like": "x\\"}})), "22023", "backslash"),
    (("{name}", "[1,2,3]", 1, json.dumps({'"a': 1})), "22023", "JSON string"),
    (("{name}", "[1,2,3]", 1, '{"created_at": {">": "yesterday"}}'), "22023", "of type datetime"),
    (("{name}", "[1,2,3]", 1, json.dumps({"a": {"==": {"datetime": "soon"}}})), "22023", "ISO 8601"),
]


@pytest.mark.parametrize(("arguments", "state", "message"), REFUSED)
def test_what_cannot_be_is_refused(
    new_collection: NewCollection, connection: Connection, arguments: tuple[Any, ...], state: str, message: str
) -> None:
    docs = new_collection(dimensions=3, fields={"year": int})
    given = [docs.name if value == "{name}" else value for value in arguments]
    with pytest.raises(psycopg.Error, match=re.escape(message)) as caught:
        connection.execute("SELECT * FROM vectordb.search(%s, %s, %s, %s::jsonb)", given)
    assert caught.value.sqlstate == state
    assert caught.value.diag.message_hint


def test_hybrid_refuses(new_collection: NewCollection, connection: Connection) -> None:
    docs = new_collection(dimensions=3)
    docs.drop_text_index()
    for text, query, state in (("x", "[1,2,3]", "55000"), (None, None, "22004")):
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("SELECT * FROM vectordb.hybrid_search(%s, %s, %s)", (docs.name, text, query))
        assert caught.value.sqlstate == state
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="empty"):
        connection.execute("SELECT * FROM vectordb.hybrid_search('default', '  ', NULL)")


# Of a key that is quoted as JSON, and is none.
NOT_JSON = (psycopg.errors.InvalidTextRepresentation, psycopg.errors.UntranslatableCharacter)
HOSTILE = ["'", '"', "\\", "$2[1]", "%s", "%1$s", "');DROP TABLE canary;--", "$$", "{}", "c.metadata", "\n", "é"]


def test_nothing_of_a_filter_becomes_sql(new_collection: NewCollection, connection: Connection) -> None:
    """Whatever stands in names, keys, operators and values: rows come back, or an error about the filter."""
    docs = new_collection(dimensions=3, fields={"year": int})
    docs.upsert_vectors(["a"], [[1, 2, 3]], metadata=[{text: text for text in HOSTILE}])
    connection.execute("CREATE TABLE IF NOT EXISTS canary (id int)")
    random = Random(SEED)
    operators = ["==", "<", "in", "like", "startswith", "contains", "any_of", "exists", "between", *HOSTILE]
    for _ in range(400):
        key, value = ("".join(random.choices(HOSTILE, k=random.randint(1, 3))) for _ in range(2))
        operand = random.choice([value, [value], {value: value}, True, None])
        where = random.choice([{key: value}, {key: {random.choice(operators): operand}}, {"not": {key: [operand]}}])
        name = random.choice([docs.name, docs.name, docs.name, key])
        call = ("SELECT * FROM vectordb.hybrid_search(%s, %s, '[1,2,3]', 5, %s)", (name, value, json.dumps(where)))
        # What it raises is about the filter, the text or the name, and never about its own SQL.
        with suppress(psycopg.errors.InvalidParameterValue, psycopg.errors.UndefinedObject, *NOT_JSON):
            connection.execute(*call)
    assert connection.execute("SELECT count(*) FROM canary").fetchone() == (0,)
    connection.execute("DROP TABLE canary")
    quoted = json.dumps({json.dumps("');DROP TABLE canary;--"): "');DROP TABLE canary;--"})
    found = connection.execute("SELECT document_id FROM vectordb.search(%s, '[1,2,3]', 5, %s)", (docs.name, quoted))
    assert found.fetchall() == [("a",)]


def test_a_hostile_search_path_changes_nothing(new_collection: NewCollection, connection: Connection) -> None:
    docs = new_collection(dimensions=3)
    docs.upsert_vectors(["a", "b"], [[1, 2, 3], [3, 2, 1]])
    connection.execute("CREATE SCHEMA hostile")
    connection.execute("CREATE FUNCTION hostile.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql RETURN 'boom'")
    connection.execute("CREATE FUNCTION hostile.cardinality(text[]) RETURNS int LANGUAGE sql RETURN 1 / 0")
    connection.execute("SET search_path = hostile, pg_catalog")
    found = connection.execute("SELECT document_id FROM vectordb.search(%s, '[1,2,3]', 5)", (docs.name,)).fetchall()
    assert found == [("a",), ("b",)]
    connection.execute("DROP SCHEMA hostile CASCADE")


def test_the_functions_are_stable_and_run_as_their_caller(connection: Connection) -> None:
    rows = connection.execute(
        "SELECT DISTINCT provolatile::text, prosecdef FROM pg_proc WHERE pronamespace = 'vectordb'::regnamespace"
        " AND proname IN ('search', 'hybrid_search')"
    ).fetchall()
    assert rows == [("s", False)]
