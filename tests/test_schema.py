"""Tables and indexes of collections, as PostgreSQL has them in its catalogue."""

from __future__ import annotations

import itertools
import random
import string
from collections.abc import Iterator

import numpy as np
import pytest

import vectordb
from tests.conftest import Databases
from tests.migrations.support import rows, upgrade, vector_index
from vectordb import HNSW, Document, IVFFlat, Metric, Storage, VectorDB, errors
from vectordb.indexes import VectorIndex
from vectordb.metrics import VectorSpace

METHODS: dict[str, VectorIndex] = {"hnsw": HNSW(m=4, ef_construction=20), "ivfflat": IVFFlat(lists=2)}
COMBINATIONS = list(itertools.product(METHODS, Storage, Metric))


def operator_class(method: str, storage: Storage, metric: Metric) -> str | None:
    """Return what vectordb says, None if it refuses."""
    try:
        return VectorSpace(8, metric, storage).operator_class(method)
    except errors.ConfigurationError:
        return None


SUPPORTED = [choice for choice in COMBINATIONS if operator_class(*choice) is not None]
REFUSED = [choice for choice in COMBINATIONS if operator_class(*choice) is None]


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    """One database; every test has collections of its own."""
    url = databases.create()
    upgrade(url, dimensions="3")
    yield url
    databases.drop(url)


def incompressible(length: int) -> str:
    return "".join(random.Random(length).choices(string.ascii_letters + string.digits, k=length))


def test_the_operator_classes_are_those_of_pgvector(url: str) -> None:
    """The table in metrics.py against the catalogue: method, type and operator of each class."""
    live = rows(
        url,
        "SELECT m.amname, t.typname, o.oprname, c.opcname FROM pg_opclass c JOIN pg_am m ON m.oid = c.opcmethod"
        " JOIN pg_type t ON t.oid = c.opcintype JOIN pg_amop s ON s.amopfamily = c.opcfamily AND s.amoppurpose = 'o'"
        " JOIN pg_operator o ON o.oid = s.amopopr WHERE m.amname IN ('hnsw', 'ivfflat')",
    )
    ours = {
        (method, str(storage), metric.operator, operator_class(method, storage, metric))
        for method, storage, metric in SUPPORTED
    }
    assert ours == set(live)
    assert (len(ours), len(SUPPORTED)) == (21, 21)


@pytest.mark.parametrize(("method", "storage", "metric"), SUPPORTED)
def test_a_supported_index_is_built_and_used(db: VectorDB, method: str, storage: Storage, metric: Metric) -> None:
    docs = db.create_collection(
        f"{method}_{storage}_{metric}", dimensions=8, metric=metric, storage=storage, index=METHODS[method]
    )
    expected = f"{storage}_{ {'inner_product': 'ip'}.get(metric, metric) }_ops"
    ((name, found, operators, options, valid),) = [
        (index.name, index.method, index.operator_class, index.options, index.valid) for index in docs.indexes()
    ]
    assert (name, found, operators) == (f"{docs.name}_chunks_embedding_{method}_idx", method, expected)
    assert options == METHODS[method].options()
    assert valid
    vectors = np.random.default_rng(3).standard_normal((40, 8)).astype(np.float32)
    docs.upsert_vectors(range(40), vectors)
    with db.transaction() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        connection.exec_driver_sql("SET LOCAL ivfflat.probes = 2")
        plan = connection.exec_driver_sql(
            f"EXPLAIN SELECT * FROM vectordb.{docs.name}_chunks ORDER BY embedding {metric.operator.replace('%', '%%')}"
            f" (SELECT embedding FROM vectordb.{docs.name}_chunks LIMIT 1) LIMIT 3"
        ).scalars()
        assert f"Index Scan using {name}" in "\n".join(plan)
    exact, indexed = (docs.search(vectors[5], limit=3, exact=exact) for exact in (True, False))
    assert [hit.distance for hit in indexed] == pytest.approx([hit.distance for hit in exact], rel=1e-5)


@pytest.mark.parametrize(("method", "storage", "metric"), REFUSED)
def test_an_unsupported_index_is_refused_before_anything_is_sent(method: str, storage: Storage, metric: Metric) -> None:
    with (
        vectordb.connect("postgresql://nobody@127.0.0.1:1/none") as db,
        pytest.raises(errors.ConfigurationError) as caught,
    ):
        db.create_collection("docs", dimensions=8, metric=metric, storage=storage, index=METHODS[method])
    assert "use" in str(caught.value) or "compared by" in str(caught.value)


@pytest.mark.parametrize(
    ("dimensions", "storage", "metric", "advice"),
    [
        (2001, "vector", "cosine", "halfvec"),
        (4001, "halfvec", "l2", "bit"),
        (16001, "vector", "l1", "1 to 16000"),
        (64001, "bit", "hamming", "1 to 64000"),
        (0, "vector", "cosine", "1 to 16000"),
    ],
)
@pytest.mark.parametrize("index", METHODS.values(), ids=METHODS)
def test_too_many_dimensions_are_refused_with_advice(
    dimensions: int, storage: str, metric: str, index: VectorIndex, advice: str
) -> None:
    with (
        vectordb.connect("postgresql://nobody@127.0.0.1:1/none") as db,
        pytest.raises(errors.ConfigurationError, match=advice),
    ):
        db.create_collection("docs", dimensions=dimensions, storage=storage, metric=metric, index=index)


@pytest.mark.parametrize(
    ("dimensions", "storage", "metric"),
    [(2000, "vector", "cosine"), (4000, "halfvec", "l2"), (64000, "bit", "hamming"), (10**9, "sparsevec", "l2")],
)
def test_the_most_dimensions_that_an_index_takes(
    db: VectorDB, url: str, dimensions: int, storage: str, metric: str
) -> None:
    docs = db.create_collection(f"most_{storage}", dimensions=dimensions, storage=storage, metric=metric)
    column_type, index = vector_index(url, chunks=f"{docs.name}_chunks")
    assert column_type == f"{storage}({dimensions})"
    assert index is not None


@pytest.mark.parametrize(
    ("dimensions", "storage", "metric", "inline"),
    [
        (384, "vector", "cosine", True),
        (1600, "vector", "cosine", True),
        (1623, "vector", "cosine", True),
        (1624, "vector", "cosine", False),
        (3000, "vector", "cosine", False),
        (16000, "vector", "cosine", False),
        (3246, "halfvec", "cosine", True),
        (3247, "halfvec", "cosine", False),
        (51936, "bit", "hamming", True),
        (64000, "bit", "hamming", False),
        (100, "sparsevec", "cosine", True),
        (5000, "sparsevec", "cosine", True),
    ],
)
def test_a_full_row_fits(db: VectorDB, url: str, dimensions: int, storage: str, metric: str, inline: bool) -> None:
    """Small vectors stay in the row (PLAIN); whatever their size, the largest row that is allowed can be stored."""
    docs = db.create_collection(
        f"row_{storage}_{dimensions}", dimensions=dimensions, storage=storage, metric=metric, index=None
    )
    ((kind,),) = rows(
        url,
        "SELECT attstorage::text FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'embedding'",
        f"vectordb.{docs.name}_chunks",
    )
    assert (kind == "p") == inline
    vector = np.random.default_rng(4).random(dimensions, dtype=np.float32)
    vector[1000 if storage == "sparsevec" else dimensions :] = 0
    document = Document(
        incompressible(5_000),
        incompressible(512),
        title=incompressible(4_000),
        uri=incompressible(8_000),
        metadata={"text": incompressible(5_001)},
        embedding=vector,
    )
    assert docs.upsert(document).inserted == 1
    (hit,) = docs.search(vector)
    assert (hit.document_id, hit.content, hit.metadata) == (document.id, document.content, document.metadata)
    assert docs.get(hit.document_id).title == document.title


def test_an_index_takes_the_place_of_the_one_before(db: VectorDB, url: str) -> None:
    docs = db.create_collection("reindexed", dimensions=3, metric="l2")
    docs.upsert_vectors(range(5), np.eye(5, 3) + 1)
    for index in (IVFFlat(lists=1), HNSW(m=5), IVFFlat(lists=2), HNSW()):
        docs.create_index(index)
        (found,) = docs.indexes()
        assert (found.method, found.options) == (index.method, index.options())
        assert docs.config.index == db.collection("reindexed").config.index == index
    docs.drop_index()
    assert docs.indexes() == []
    assert docs.config.index is db.collection("reindexed").config.index is None
    assert vector_index(url, chunks="reindexed_chunks") == ("vector(3)", None)
    assert len(docs.search([1, 1, 1])) == 5
    docs.drop_index()


def test_an_index_that_cannot_be_leaves_the_one_there_is(db: VectorDB) -> None:
    docs = db.create_collection("kept", dimensions=3, metric="l1")
    with pytest.raises(errors.ConfigurationError, match="hnsw"):
        docs.create_index(IVFFlat())
    assert [index.operator_class for index in docs.indexes()] == ["vector_l1_ops"]
    assert db.collection("kept").config.index == HNSW()


def test_a_collection_without_index_has_none(db: VectorDB, url: str) -> None:
    db.create_collection("bare", dimensions=3, index=None)
    assert vector_index(url, chunks="bare_chunks") == ("vector(3)", None)


def test_an_unknown_text_configuration_is_refused(db: VectorDB, url: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"no text search configuration 'klingon'; it has .*simple"):
        db.create_collection("klingon", dimensions=3, text_config="klingon")
    with pytest.raises(errors.CollectionNotFound):
        db.collection("klingon")
    assert rows(url, "SELECT to_regclass('vectordb.klingon_documents')::text") == [(None,)]


def test_the_text_configuration_makes_the_tsvector(db: VectorDB, url: str) -> None:
    for name in ("english", "simple"):
        docs = db.create_collection(name, dimensions=3, text_config=name)
        docs.upsert_vectors(["a"], np.ones((1, 3)), contents=["running dogs"])
    assert rows(url, "SELECT content_tsv::text FROM vectordb.english_chunks") == [("'dog':2 'run':1",)]
    assert rows(url, "SELECT content_tsv::text FROM vectordb.simple_chunks") == [("'dogs':2 'running':1",)]


def test_a_long_text_of_ever_new_words_is_stored(db: VectorDB) -> None:
    """PostgreSQL itself refuses a tsvector of more than one megabyte."""
    docs = db.create_collection("wordy", dimensions=3)
    docs.upsert_vectors(["a"], np.ones((1, 3)), contents=[" ".join(f"{n:x}word" for n in range(300_000))])
    assert docs.count() == 1


@pytest.mark.parametrize("table", ["documents", "chunks"])
def test_equality_and_contains_of_any_metadata_have_an_index(db: VectorDB, url: str, table: str) -> None:
    name = f"gin_{table}"
    docs = db.create_collection(name, dimensions=3)
    definition = "SELECT substring(indexdef FROM 'USING (.*)') FROM pg_indexes WHERE indexname = %s"
    assert rows(url, definition, f"{name}_{table}_metadata_idx") == [("gin (metadata jsonb_path_ops)",)]
    docs.upsert_vectors(range(9), np.ones((9, 3)), metadata=[{"n": n} for n in range(9)])
    with db.transaction() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = connection.exec_driver_sql(
            f"""EXPLAIN SELECT * FROM vectordb.{name}_{table} WHERE metadata @> '{{"n": 3}}'"""
        ).scalars()
        assert f"{name}_{table}_metadata_idx" in "\n".join(plan)


def test_the_planner_knows_a_table_that_was_filled_before_its_index(db: VectorDB, url: str) -> None:
    docs = db.create_collection("analyzed", dimensions=3, index=None)
    docs.upsert_vectors(range(70), np.ones((70, 3)))
    docs.create_index(HNSW())
    assert rows(
        url,
        "SELECT relname, reltuples FROM pg_class WHERE relname IN ('analyzed_documents', 'analyzed_chunks') ORDER BY 1",
    ) == [("analyzed_chunks", 70), ("analyzed_documents", 70)]
