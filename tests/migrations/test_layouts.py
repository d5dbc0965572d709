"""Databases that earlier versions filled are brought to this one, and back, with all they hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vectordb
from tests.conftest import Databases
from tests.migrations.support import check, configured, execute, rows, upgrade
from tests.support import HashedEmbedder
from vectordb import BM25, HNSW, Chunking, F, IVFFlat, errors, migration
from vectordb.registry import LAYOUT_VERSION

LAYOUTS = sorted((Path(__file__).parent / "layouts").glob("*.sql"))
# What every one of those databases holds, apart from the default collection.
DECLARATIONS: dict[str, dict[str, Any]] = {
    "texts": {
        "embedder": HashedEmbedder(16),
        "text_config": "german",
        "chunking": Chunking(60, unit="characters"),
        "index": HNSW(m=8, ef_construction=32),
    },
    "halves": {"dimensions": 4, "metric": "l2", "storage": "halfvec", "index": IVFFlat(lists=2)},
    "spare_parts": {"dimensions": 9, "storage": "bit", "metric": "hamming", "index": None},
}
FIELDS = {"year": int, "lang": str, "seen": "datetime", "rate": float, "open": bool}
# What those from layout 2 on hold besides.
LATER: dict[str, dict[str, Any]] = {"papers": {"dimensions": 3, "fields": FIELDS}}


@pytest.fixture
def first_url(databases: Databases) -> Iterator[str]:
    """URL of a database as the first version left it."""
    url = databases.create()
    execute(url, LAYOUTS[0].read_text())
    yield url
    databases.drop(url)


@pytest.fixture(params=LAYOUTS, ids=lambda path: path.stem)
def old_url(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """URL of a database as an earlier version left it."""
    url = databases.create()
    execute(url, request.param.read_text())
    yield url
    databases.drop(url)


def declarations(url: str) -> dict[str, dict[str, Any]]:
    """Return the options of the collections that a database has held since it was an old one."""
    names = {name for (name,) in rows(url, "SELECT name FROM vectordb.collections")}
    return {name: options for name, options in (DECLARATIONS | LATER).items() if name in names}


def shape(url: str) -> set[tuple[Any, ...]]:
    """Return all columns, indexes, constraints, functions and triggers as SQL writes them, but for columns' order."""
    found = rows(
        url,
        "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attcollation::regcollation::text,"
        " attnotnull, attstorage::text, attgenerated::text, pg_get_expr(adbin, adrelid)"
        " FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
        " WHERE relnamespace = 'vectordb'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped",
    )
    found += rows(url, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'vectordb'")
    found += rows(
        url,
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'vectordb'::regnamespace",
    )
    found += rows(
        url,
        "SELECT pg_get_triggerdef(t.oid), tgenabled::text FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid"
        " WHERE relnamespace = 'vectordb'::regnamespace AND NOT tgisinternal",
    )
    found += rows(url, "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'vectordb'::regnamespace")
    found += rows(url, "SELECT viewname, definition FROM pg_views WHERE schemaname = 'vectordb'")
    found += commented(url)
    return set(found)


def commented(url: str) -> list[tuple[str, str | None]]:
    """Return everything in the schema that may have a comment, with its comment."""
    return rows(
        url,
        "SELECT coalesce(c.oid::regclass::text || '.' || a.attname, c.oid::regclass::text), d.description"
        " FROM pg_class c LEFT JOIN LATERAL (SELECT 0 AS attnum, NULL AS attname UNION ALL SELECT attnum, attname"
        " FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a ON true"
        " LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND objsubid = attnum"
        " WHERE c.relnamespace = 'vectordb'::regnamespace AND c.relkind IN ('r', 'v')"
        " UNION ALL SELECT p.oid::regprocedure::text, obj_description(p.oid, 'pg_proc') FROM pg_proc p"
        " WHERE p.pronamespace = 'vectordb'::regnamespace",
    )


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every collection's tables as text, in the columns that each layout has."""
    tables = rows(url, "SELECT unnest(array[documents_table, chunks_table]) FROM vectordb.collections ORDER BY 1")
    return {
        table: rows(
            url, f"SELECT content_hash, metadata::text, t.xmin::text FROM vectordb.{table} t ORDER BY 1, 2, t.*::text"
        )
        for (table,) in tables
    }


def move(url: str, direction: str, revision: str) -> None:
    with configured(url) as config:
        change = getattr(migration, direction)
        change(config.attributes["engine"], config.attributes["options"], revision)


def test_every_revision_before_this_one_has_a_database() -> None:
    assert [path.stem for path in LAYOUTS] == [f"{n + 1:04}" for n in range(int(migration.HEAD) - 1)]


def test_an_old_database_says_how_to_go_on(old_url: str) -> None:
    with vectordb.connect(old_url) as db, pytest.raises(errors.SchemaError, match="run `vectordb migrate`"):
        db.collection()


def test_an_old_database_becomes_like_a_new_one(old_url: str, database_url: str) -> None:
    before, held = contents(old_url), declarations(old_url)
    upgrade(old_url)
    check(old_url)
    # The very same row versions: no table was written anew.
    assert contents(old_url) == before
    upgrade(database_url, dimensions="3")
    with vectordb.connect(database_url) as db:
        for name, options in held.items():
            db.create_collection(name, **options)
    assert shape(old_url) == shape(database_url)
    stored = "SELECT name, layout_version, fields, text_index FROM vectordb.collections ORDER BY 1"
    assert rows(old_url, stored) == rows(database_url, stored)
    assert rows(old_url, "SELECT DISTINCT layout_version FROM vectordb.collections") == [(LAYOUT_VERSION,)]


def test_an_old_database_goes_on_working(old_url: str) -> None:
    held = declarations(old_url)
    upgrade(old_url)
    embedder = HashedEmbedder(16)
    with vectordb.connect(old_url) as db:
        for name, options in held.items():
            chosen = {key: value for key, value in options.items() if key not in ("embedder", "index")}
            db.get_or_create_collection(name, **chosen)
        default, halves = db.collection(), db.collection("halves")
        assert [hit.document_id for hit in default.search([0, 1, 0], where=F("year") >= 2020)] == ["b"]
        assert [hit.document_id for hit in halves.search([4, 5, 6, 7], limit=2, where={"even": True})] == ["0", "2"]
        assert halves.search([4, 5, 6, 7], limit=1)[0].distance == 0
        assert (default.count(), halves.count(), db.collection("spare_parts").count()) == (3, 6, 0)

        texts = db.collection("texts", embedder=embedder)
        assert texts.count() == 4
        assert texts.count(F("year") == 2020) == texts.count(F("lang") == "de") == 1
        documents = texts.get(["animals", "bread", "garten", "empty"])
        assert documents[0].content.startswith("The kitten sleeps in the warm kitchen.\n\nA cat hunts mice")
        assert documents[0].metadata["author"] == {"name": "Ada"}
        again = texts.upsert(documents)
        assert (again.unchanged, again.chunks, again.embedded) == (4, 0, 0)
        assert embedder.seen == []
        assert texts.search("cat barn", limit=1)[0].document_id == "animals"
        assert texts.delete(["animals"]) == 1
        default.create_index(HNSW(m=4))
        db.drop_collection("halves")


def test_an_old_database_goes_up_and_down_and_up(old_url: str) -> None:
    before, held = shape(old_url), contents(old_url)
    revision = rows(old_url, "SELECT version_num FROM vectordb.alembic_version")[0][0]
    registered = rows(old_url, "SELECT to_jsonb(c) FROM vectordb.collections c ORDER BY name")
    upgrade(old_url)
    after = shape(old_url)
    with vectordb.connect(old_url) as db:
        db.create_collection("new", dimensions=3, fields={"year": int, "seen": "datetime"})
        db.drop_collection("new")
    move(old_url, "downgrade", revision)
    assert shape(old_url) == before
    assert contents(old_url) == held
    assert rows(old_url, "SELECT to_jsonb(c) FROM vectordb.collections c ORDER BY name") == registered
    upgrade(old_url)
    assert shape(old_url) == after


def test_declared_fields_are_gone_after_the_way_down_and_their_metadata_is_not(database_url: str) -> None:
    upgrade(database_url, dimensions="3", fields="year:int")
    with vectordb.connect(database_url) as db:
        docs = db.create_collection("docs", dimensions=3, fields={"seen": "datetime", "Lang": str})
        docs.upsert_vectors(["a"], [[1, 2, 3]], metadata=[{"seen": "2020-05-06", "Lang": "en"}])
    move(database_url, "downgrade", "0001")
    columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'vectordb.{}'::regclass AND NOT attisdropped"
    for table in ("documents", "chunks", "docs_documents", "docs_chunks"):
        assert {"year", "seen", "Lang"}.isdisjoint(name for (name,) in rows(database_url, columns.format(table)))
    metadata = "SELECT metadata FROM vectordb.docs_chunks"
    assert rows(database_url, metadata) == [({"seen": "2020-05-06", "Lang": "en"},)]
    upgrade(database_url)
    check(database_url)


def test_the_settings_declare_fields_of_an_old_default_collection(first_url: str) -> None:
    upgrade(first_url, fields="year:int,lang:str")
    check(first_url)
    assert rows(first_url, "SELECT year, lang FROM vectordb.chunks ORDER BY document_id") == [
        (2019, "en"),
        (2020, "de"),
        (None, None),
    ]
    with vectordb.connect(first_url) as db:
        assert db.collection().config.fields == {"lang": "str", "year": "int"}
        assert db.collection("texts").config.fields == {}


def test_settings_that_the_metadata_contradicts_change_nothing(first_url: str) -> None:
    before = shape(first_url)
    with pytest.raises(errors.ConfigurationError, match="'lang' cannot be declared as int: 2 documents"):
        upgrade(first_url, fields="lang:int")
    assert shape(first_url) == before


def test_the_texts_of_an_old_database_are_indexed(old_url: str) -> None:
    upgrade(old_url)
    if rows(old_url, "SHOW server_version_num") < [("180000",)]:
        # The database is from PostgreSQL 18. Others have other stemmers, and so other lexemes than were counted.
        with vectordb.connect(old_url) as db:
            db.collection("texts").create_text_index(BM25())
    counted = rows(
        old_url,
        'SELECT lexeme COLLATE "C", sum(texts)::bigint, sum(occurrences)::bigint FROM ('
        "SELECT lexeme, texts, occurrences FROM vectordb.texts_chunks_lexemes UNION ALL"
        " SELECT lexeme, sign, sign * cardinality(positions) FROM vectordb.texts_chunks_text_changes, unnest(content)"
        " UNION ALL SELECT '', sign, sign * length FROM vectordb.texts_chunks_text_changes"
        ") AS parts GROUP BY 1 ORDER BY 1",
    )
    assert counted == rows(
        old_url,
        'SELECT word COLLATE "C", ndoc::bigint, nentry::bigint'
        " FROM ts_stat('SELECT content_tsv FROM vectordb.texts_chunks')"
        " UNION ALL SELECT '', 6, (SELECT sum(cardinality(positions)) FROM vectordb.texts_chunks, unnest(content_tsv))"
        " ORDER BY 1",
    )
    with vectordb.connect(old_url) as db:
        assert {each.name for each in db.collections() if each.text_index == BM25()} == {
            "default",
            *declarations(old_url),
        }


def test_the_settings_keep_an_old_default_collection_without_text_index(first_url: str) -> None:
    upgrade(first_url, text_index="none")
    check(first_url)
    with vectordb.connect(first_url) as db:
        assert db.collection().text_index is None
        assert db.collection("texts").text_index == BM25()
    assert rows(first_url, "SELECT to_regclass('vectordb.chunks_lexemes')") == [(None,)]
