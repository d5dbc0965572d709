"""The doctor, on databases brought into the state that each finding is about."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import create_engine, text

import vectordb
from vectordb import BM25, HNSW, Collection, F, IVFFlat, VectorDB, schema
from vectordb.doctor import (
    Finding,
    Level,
    TableFacts,
    check_extension,
    check_memory,
    check_postgres,
    check_revision,
    check_scans,
    check_table,
)
from vectordb.errors import CollectionNotFound, InvalidFilter
from vectordb.extension import Extension
from vectordb.schema import IndexInfo

MANY = 12_000


def fill(docs: Collection, rows: int, first: int = 0) -> None:
    points = np.random.default_rng(0).normal(size=(rows, docs.dimensions))
    docs.upsert_vectors(range(first, first + rows), points, metadata=[{"n": n} for n in range(first, first + rows)])


def run(db: VectorDB, *statements: str) -> None:
    """Run statements as another client would, after the statistics of this process's connections have arrived."""
    db.close()
    engine = create_engine(db.engine.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def findings(db: VectorDB, name: str = "docs") -> list[Finding]:
    """What is not as it should be; a connection that is closed has handed in its statistics."""
    db.close()
    return [finding for finding in db.doctor(collection=name) if finding.level is not Level.OK]


@pytest.fixture
def docs(db: VectorDB) -> Collection:
    return db.create_collection("docs", dimensions=3, fields={"year": int})


def test_a_healthy_database(db: VectorDB, docs: Collection) -> None:
    fill(docs, 2_000)
    db.close()  # else what was written counts as written after the index was built
    docs.create_index(HNSW(m=8, ef_construction=16))
    db.close()
    found = db.doctor()
    assert {finding.level for finding in found} == {Level.OK}
    assert [finding.subject for finding in found] == [
        "connection", "PostgreSQL", "pgvector", "tables", "collection default", "collection docs", "collection docs",
    ]  # fmt: skip
    assert found[5].message == "about 2000 chunks, index hnsw, m 8, ef_construction 16, text index bm25"
    assert found[6].message.startswith("no embedder is registered")
    assert all(finding.fix is None for finding in found)


def test_an_embedder_that_is_registered(db: VectorDB, embedder: vectordb.Embedder) -> None:
    db.create_collection("docs", embedder=embedder)
    assert not any("embedder" in finding.message for finding in db.doctor(collection="docs"))


def test_a_server_that_is_down() -> None:
    with vectordb.connect("postgresql://me:topsecret@127.0.0.1:1/db") as db:
        (finding,) = db.doctor()
    assert (finding.level, finding.subject) == (Level.PROBLEM, "connection")
    assert "topsecret" not in f"{finding}"
    assert finding.fix is not None


def test_a_database_without_anything(database_url: str) -> None:
    with vectordb.connect(database_url) as db:
        found = [finding for finding in db.doctor() if finding.level is Level.PROBLEM]
        assert [(finding.subject, finding.fix) for finding in found] == [
            ("pgvector", "vectordb migrate"), ("tables", "vectordb migrate"),
        ]  # fmt: skip
        db.migrate()
        assert {finding.level for finding in db.doctor()} == {Level.OK}


def test_tables_of_another_version(db: VectorDB) -> None:
    run(db, "UPDATE vectordb.alembic_version SET version_num = '0001'")
    (finding,) = findings(db)
    assert (finding.level, finding.subject, finding.fix) == (Level.PROBLEM, "tables", "vectordb migrate")
    newer = check_revision("9999")
    assert newer.level is Level.PROBLEM
    assert newer.fix is not None
    assert newer.fix.startswith("pip install")


def test_the_version_of_postgresql() -> None:
    day = datetime.date(2026, 11, 12)
    assert check_postgres(180_001, day) == Finding(Level.OK, "PostgreSQL", "version 18.1")
    assert check_postgres(140_020, day).level is Level.OK
    assert check_postgres(140_020, day + datetime.timedelta(days=1)).level is Level.WARNING
    assert (
        check_postgres(140_020, day + datetime.timedelta(days=1)).message
        == "version 14.20 has had no fixes since 2026-11-12, not even for security"
    )
    assert check_postgres(130_022, day).level is Level.PROBLEM
    assert check_postgres(990_000, day).level is Level.OK


@pytest.mark.parametrize(
    ("version", "level"),
    [("0.8.1", Level.PROBLEM), ("0.8.2", Level.WARNING), ("0.8.4", Level.OK), ("0.10.0", Level.OK), ("1.0", Level.OK)],
)
def test_the_version_of_pgvector(version: str, level: Level) -> None:
    finding = check_extension(Extension(version, "public", {}))
    assert finding.level is level
    assert (level is Level.OK) == (finding.fix is None)


def test_a_large_collection_without_an_index(db: VectorDB) -> None:
    docs = db.create_collection("docs", dimensions=3, index=None)
    fill(docs, 5_000)
    run(db, "ANALYZE vectordb.docs_chunks, vectordb.docs_documents")
    assert findings(db) == []
    fill(docs, MANY - 5_000, first=5_000)
    run(db, "ANALYZE vectordb.docs_chunks, vectordb.docs_documents")
    (finding,) = findings(db)
    assert (finding.level, finding.fix) == (Level.HINT, "vectordb index create -c docs")
    assert "all of about 12000 chunks" in finding.message


@pytest.mark.usefixtures("docs")
def test_an_index_that_was_dropped_behind_our_back(db: VectorDB) -> None:
    run(db, "DROP INDEX vectordb.docs_chunks_embedding_hnsw_idx")
    (finding,) = findings(db)
    assert finding.level is Level.PROBLEM
    assert finding.message == "the index that is registered, hnsw with vector_cosine_ops, is not there"
    assert finding.fix == "vectordb index create -c docs --index hnsw --m 16 --ef-construction 64"


@pytest.mark.usefixtures("docs")
def test_an_index_for_another_metric(db: VectorDB) -> None:
    run(
        db,
        "DROP INDEX vectordb.docs_chunks_embedding_hnsw_idx",
        "CREATE INDEX other ON vectordb.docs_chunks USING hnsw (embedding vector_l2_ops)",
    )
    (finding,) = findings(db)
    assert (finding.level, finding.fix) == (
        Level.PROBLEM, "vectordb index create -c docs --index hnsw --m 16 --ef-construction 64",
    )  # fmt: skip


@pytest.mark.usefixtures("docs")
def test_an_index_with_other_options(db: VectorDB) -> None:
    run(
        db,
        "DROP INDEX vectordb.docs_chunks_embedding_hnsw_idx",
        "CREATE INDEX other ON vectordb.docs_chunks USING hnsw (embedding vector_cosine_ops) WITH (m = 8)",
    )
    (finding,) = findings(db)
    assert finding.level is Level.WARNING
    assert finding.message == ("the index other has m 8, ef_construction 64, registered is m 16, ef_construction 64")


@pytest.mark.usefixtures("docs")
def test_an_index_too_many(db: VectorDB) -> None:
    run(db, "CREATE INDEX other ON vectordb.docs_chunks USING hnsw (embedding vector_l2_ops)")
    (finding,) = findings(db)
    assert (finding.level, finding.fix) == (Level.HINT, 'DROP INDEX "vectordb"."other";')
    run(db, str(finding.fix))
    assert findings(db) == []


def test_an_index_that_the_registry_does_not_know(db: VectorDB, docs: Collection) -> None:
    docs.drop_index()
    run(db, "CREATE INDEX other ON vectordb.docs_chunks USING hnsw (embedding vector_cosine_ops)")
    (finding,) = findings(db)
    assert (finding.level, finding.fix) == (Level.WARNING, "vectordb index create -c docs")


@pytest.mark.usefixtures("docs")
def test_an_index_whose_build_failed(db: VectorDB) -> None:
    run(
        db,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'vectordb.docs_chunks_embedding_hnsw_idx'::regclass",
    )
    (finding,) = findings(db)
    assert finding.level is Level.PROBLEM
    assert "is not valid" in finding.message
    assert finding.fix == "vectordb index create -c docs --index hnsw --m 16 --ef-construction 64"
    db.collection("docs").create_index(HNSW())
    assert findings(db) == []


@pytest.mark.parametrize("index", ["docs_chunks_metadata_idx", "docs_documents_year_idx", "docs_chunks_year_idx"])
@pytest.mark.usefixtures("docs")
def test_a_missing_index_over_metadata(db: VectorDB, index: str) -> None:
    run(db, f"DROP INDEX vectordb.{index}")
    (finding,) = findings(db)
    assert (finding.level, finding.subject) == (Level.WARNING, "collection docs")
    assert finding.message == f"the index {index} is missing: filters read every row"
    assert finding.fix is not None
    run(db, finding.fix)
    assert findings(db) == []


@pytest.mark.usefixtures("docs")
def test_an_index_over_metadata_that_is_not_valid(db: VectorDB) -> None:
    run(db, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'vectordb.docs_chunks_year_idx'::regclass")
    (finding,) = findings(db)
    assert finding.fix == 'REINDEX INDEX "vectordb"."docs_chunks_year_idx";'
    run(db, finding.fix)
    assert findings(db) == []


def without_autovacuum(db: VectorDB) -> None:
    run(db, *(f"ALTER TABLE vectordb.docs_{table} SET (autovacuum_enabled = off)" for table in ("chunks", "documents")))


def test_a_table_that_was_never_analyzed(db: VectorDB, docs: Collection) -> None:
    without_autovacuum(db)
    fill(docs, 2_000)
    found = findings(db)
    assert [finding.level for finding in found] == [Level.WARNING, Level.WARNING]
    assert [finding.fix for finding in found] == [
        'ANALYZE "vectordb"."docs_documents";', 'ANALYZE "vectordb"."docs_chunks";',
    ]  # fmt: skip
    run(db, *(str(finding.fix) for finding in found))
    assert findings(db) == []
    fill(docs, 1_000, first=2_000)
    found = findings(db)
    assert [finding.level for finding in found] == [Level.HINT, Level.HINT]
    assert "1000 rows" in found[0].message
    run(db, *(str(finding.fix) for finding in found))
    assert findings(db) == []


def test_dead_rows(db: VectorDB, docs: Collection) -> None:
    without_autovacuum(db)
    fill(docs, 2_000)
    docs.delete(where=F("n") < 600)
    run(db, "ANALYZE vectordb.docs_chunks, vectordb.docs_documents")
    found = findings(db)
    assert [(finding.level, finding.fix) for finding in found] == [
        (Level.WARNING, 'VACUUM (ANALYZE) "vectordb"."docs_documents";'),
        (Level.WARNING, 'VACUUM (ANALYZE) "vectordb"."docs_chunks";'),
    ]
    assert "600 rows" in found[0].message
    run(db, *(str(finding.fix) for finding in found))
    assert findings(db) == []


@pytest.mark.parametrize(
    ("sabotage", "fault"),
    [
        (
            "DROP INDEX vectordb.docs_chunks_content_tsv_idx",
            'its index "vectordb"."docs_chunks_content_tsv_idx" is missing',
        ),
        (
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'vectordb.docs_chunks_content_tsv_idx'::regclass",
            'its index "vectordb"."docs_chunks_content_tsv_idx" is not valid',
        ),
        ("DROP TABLE vectordb.docs_chunks_lexemes", 'its table "vectordb"."docs_chunks_lexemes" is missing'),
        ("DROP TRIGGER text_deleted ON vectordb.docs_chunks", "its trigger text_deleted is missing"),
        ("ALTER TABLE vectordb.docs_chunks DISABLE TRIGGER text_inserted", "its trigger text_inserted is disabled"),
        ("DROP FUNCTION vectordb.docs_chunks_text_plan", 'its function "vectordb"."docs_chunks_text_plan" is missing'),
    ],
)
def test_a_text_index_that_is_broken(db: VectorDB, docs: Collection, sabotage: str, fault: str) -> None:
    run(db, sabotage)
    (finding,) = findings(db)
    assert (finding.level, finding.subject) == (Level.PROBLEM, "collection docs")
    assert finding.message == f"the text index is broken, text searches fail or rank wrongly: {fault}"
    assert finding.fix == "vectordb index create-text -c docs --k1 1.2 --b 0.75"
    info = docs.text_index_info()
    assert info is not None
    assert (info.valid, info.faults) == (False, (fault,))
    docs.create_text_index(BM25())
    assert findings(db) == []


def test_a_text_index_that_is_gone(db: VectorDB, docs: Collection) -> None:
    with db.transaction() as connection:
        schema.drop_text_objects(connection, "docs", "vectordb")
    (finding,) = findings(db)
    assert finding.message.endswith("it is not there")
    docs.create_text_index(BM25())
    assert findings(db) == []


def test_a_text_index_that_is_not_registered(db: VectorDB, docs: Collection) -> None:
    run(db, "UPDATE vectordb.collections SET text_index = NULL WHERE name = 'docs'")
    (finding,) = findings(db)
    assert (finding.level, finding.fix) == (Level.WARNING, "vectordb index drop-text -c docs")
    docs.drop_text_index()
    assert findings(db) == []
    assert docs.text_index_info() is None


def test_a_missing_table(db: VectorDB, docs: Collection) -> None:
    run(db, "DROP TABLE vectordb.docs_chunks")
    (finding,) = findings(db)
    assert finding.level is Level.PROBLEM
    assert finding.message == 'its table "vectordb"."docs_chunks" is missing'
    db.drop_collection("docs")
    with pytest.raises(CollectionNotFound):
        db.doctor(collection="docs")


def test_searches_that_read_everything(db: VectorDB, docs: Collection) -> None:
    fill(docs, MANY)
    run(db, "ANALYZE vectordb.docs_chunks, vectordb.docs_documents")
    assert findings(db) == []
    run(db, *["SELECT count(*) FROM vectordb.docs_chunks WHERE content = 'x'"] * 100)
    (finding,) = findings(db)
    assert finding.level is Level.HINT
    assert 'all of "vectordb"."docs_chunks" was read' in finding.message
    assert finding.fix is not None
    assert "vectordb field add docs" in finding.fix


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: replace(facts, scans=99),
        lambda facts: replace(facts, scanned=100 * 5_000),
        lambda facts: replace(facts, rows=9_000),
    ],
    ids=["seldom", "a part", "a small table"],
)
def test_searches_that_read_everything_and_may(docs: Collection, change: Callable[[TableFacts], TableFacts]) -> None:
    facts = TableFacts("chunks", MANY, scans=100, scanned=100 * MANY)
    assert len(list(check_scans(docs.config, facts))) == 1
    assert list(check_scans(docs.config, change(facts))) == []
    assert list(check_scans(replace(docs.config, index=None), facts)) == []


def test_small_tables_are_left_alone(docs: Collection) -> None:
    assert list(check_table(docs.config, TableFacts("t", 900, 500, 400, 800, analyzed=False))) == []


def test_an_index_that_memory_cannot_hold(docs: Collection) -> None:
    index = IndexInfo("i", "hnsw", "vector_cosine_ops", {}, valid=True, bytes=3 * 2**20)
    (finding,) = check_memory(docs.config, [index], 2 * 2**20)
    assert finding.level is Level.WARNING
    assert "the index i has 3 MiB, more than the 2 MiB" in finding.message
    assert list(check_memory(docs.config, [index], 3 * 2**20)) == []


def test_a_filter(db: VectorDB) -> None:
    docs = db.create_collection("docs", dimensions=3, index=IVFFlat(lists=1), fields={"year": int})
    fill(docs, MANY)
    run(db, "ANALYZE vectordb.docs_chunks, vectordb.docs_documents")
    (finding,) = [each for each in db.doctor(where=F("n") < 10, collection="docs") if each.level is not Level.OK]
    assert (finding.level, finding.subject) == (Level.HINT, "filter")
    assert finding.message == "no index serves the filter on n"
    assert finding.fix == 'docs.add_fields({"n": int}) gives it one'
    assert db.doctor(where={"n": 10}, collection="docs")[-1].level is Level.OK
    assert db.doctor(where=F("n") < 10)[-1].level is Level.OK  # the default collection is empty
    with pytest.raises(InvalidFilter, match="did you mean 'year'"):
        db.doctor(where=F("yeer") == 1, collection="docs")


def test_findings_are_json_ready() -> None:
    assert Finding(Level.HINT, "s", "m", "f").to_dict() == {"level": "hint", "subject": "s", "message": "m", "fix": "f"}


def test_another_schema(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORDB_SCHEMA", "other")
    with vectordb.connect(database_url) as db:
        db.migrate()
        assert {finding.level for finding in db.doctor()} == {Level.OK}
        run(db, "DROP INDEX other.chunks_metadata_idx")
        (finding,) = findings(db, "default")
        run(db, str(finding.fix))
        assert findings(db, "default") == []
