"""Declared fields in PostgreSQL: their columns, their indexes, and the SQL function that reads timestamps."""

from __future__ import annotations

import datetime
import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url, select
from sqlalchemy.orm import Session

import vectordb
from tests.conftest import Databases
from tests.migrations.support import execute, rows, upgrade
from tests.support import SCALARS
from vectordb import Document, VectorDB, errors
from vectordb import schema as ddl
from vectordb.fields import FieldType, check_fields, check_metadata
from vectordb.timestamps import parse_timestamp

ALL = {"s": str, "i": int, "f": float, "b": bool, "d": datetime.datetime}
COLUMNS = {"s": "text", "i": "bigint", "f": "numeric", "b": "boolean", "d": "timestamp with time zone"}


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    """One database; every test has collections of its own."""
    url = databases.create()
    upgrade(url, dimensions="3")
    yield url
    databases.drop(url)


def columns(url: str, table: str) -> dict[str, tuple[str, str, str | None]]:
    """Return type, kind of generation and collation of a table's columns."""
    found = rows(
        url,
        "SELECT attname, format_type(atttypid, atttypmod), attgenerated::text, collname"
        " FROM pg_attribute LEFT JOIN pg_collation c ON c.oid = attcollation"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        f"vectordb.{table}",
    )
    return {name: (kind, generated, collation) for name, kind, generated, collation in found}


def indexes(url: str, table: str) -> dict[str, str]:
    """Return what follows USING in the definitions of a table's indexes."""
    found = rows(
        url,
        "SELECT indexname, substring(indexdef FROM 'USING (.*)') FROM pg_indexes"
        " WHERE schemaname = 'vectordb' AND tablename = %s",
        table,
    )
    return dict(found)


def insert(url: str, name: str, metadata: list[dict[str, Any]]) -> None:
    """Write documents as another program would, past every check of ours."""
    texts = [json.dumps(each) for each in metadata]
    rows(
        url,
        f"INSERT INTO vectordb.{name}_documents (id, content_hash, metadata)"
        " SELECT n::text, '', m::jsonb FROM unnest(%s::text[]) WITH ORDINALITY AS t(m, n) RETURNING 1",
        texts,
    )


def test_declared_fields_are_typed_and_indexed_columns_of_both_tables(db: VectorDB, url: str) -> None:
    docs = db.create_collection("typed", dimensions=3, fields=ALL)
    for table in ("typed_documents", "typed_chunks"):
        found = columns(url, table)
        assert {name: found[name][:2] for name in ALL} == {name: (kind, "s") for name, kind in COLUMNS.items()}
        assert found["s"][2] == "C"
        assert {name: indexes(url, table)[f"{table}_{name}_idx"] for name in ALL} == {
            name: f"btree ({name})" for name in ALL
        }
    metadata = {"s": "Ö", "i": 2**63 - 1, "f": 0.1, "b": False, "d": "2020-05-06T07:08:09.5+02:00", "other": 1}
    docs.upsert(Document("text", "a", metadata=metadata, embedding=[1, 2, 3]))
    docs.upsert(Document("text", "b", metadata={"s": None}, embedding=[1, 2, 3]))
    values = ("Ö", 2**63 - 1, 0.1, False, parse_timestamp("2020-05-06T05:08:09.5Z"))
    with Session(db.engine) as session:
        for model, key in ((docs.Document, "id"), (docs.Chunk, "document_id")):
            chosen = [getattr(model, name) for name in ALL]
            found_rows = [tuple(row) for row in session.execute(select(*chosen).order_by(getattr(model, key)))]
            assert [float(value) if name == "f" else value for name, value in zip(ALL, found_rows[0], strict=True)] == [
                *values
            ]
            assert found_rows[1] == (None,) * 5
        assert session.scalars(select(docs.Document.id).where(docs.Document.i > 5)).all() == ["a"]


def test_a_field_follows_its_metadata_whoever_writes(db: VectorDB, url: str) -> None:
    docs = db.create_collection("followed", dimensions=3, fields={"year": int})
    docs.upsert(Document("text", "a", metadata={"year": 2019}, embedding=[1, 2, 3]))
    execute(url, """UPDATE vectordb.followed_documents SET metadata = '{"year": 2020}'""")
    assert rows(url, "SELECT year FROM vectordb.followed_documents") == [(2020,)]
    with pytest.raises(Exception, match="generated column"):
        execute(url, "UPDATE vectordb.followed_documents SET year = 2021")


@pytest.fixture(scope="module")
def raw(url: str) -> str:
    """Name of a collection to write into with SQL."""
    with vectordb.connect(url) as db:
        return db.create_collection("raw", dimensions=3, index=None, fields=ALL).name


@settings(max_examples=30, deadline=None)
@given(values=st.lists(SCALARS | st.lists(SCALARS, max_size=2) | st.text("0129-:TZ. +x", max_size=12), max_size=100))
def test_a_column_holds_just_what_the_check_of_metadata_takes(url: str, raw: str, values: list[Any]) -> None:
    values += ["x" * 2_000, "x" * 2_001, "é" * 1_001, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2.0, 2.5, 1e300]
    values += ["2020-05-06", "2021-02-29", "0001-01-01T00:00+00:01", {"a": 1}, 10**999]
    execute(url, "TRUNCATE vectordb.raw_documents CASCADE")
    insert(url, raw, [dict.fromkeys(ALL, value) for value in values])
    found = rows(url, "SELECT s, i, f, b, d FROM vectordb.raw_documents ORDER BY id::int")
    fields = check_fields(ALL)
    for value, row in zip(values, found, strict=True):
        for (name, kind), column in zip(fields.items(), (row["sifbd".index(name)] for name in fields), strict=True):
            try:
                check_metadata({name: value}, fields)
            except errors.InvalidMetadata:
                assert column is None
                continue
            if kind is FieldType.DATETIME and value is not None:
                assert column == parse_timestamp(value)
            elif isinstance(value, float):
                assert float(column) == value
            else:
                assert column == value
                assert isinstance(column, bool) == isinstance(value, bool)


def test_a_string_too_long_for_an_index_is_no_error_in_sql(url: str, raw: str) -> None:
    execute(url, "TRUNCATE vectordb.raw_documents CASCADE")
    insert(url, raw, [{"s": "".join(random.Random(9).choices("abcdefghijklmnopqrstuvwxyz", k=9_000)), "f": 1}])
    rows(
        url,
        "UPDATE vectordb.raw_documents SET metadata = jsonb_build_object('f', repeat('123456789', 9999)::numeric)"
        " RETURNING 1",
    )
    assert rows(url, "SELECT s, f FROM vectordb.raw_documents") == [(None, None)]


def timestamps() -> list[str]:
    """Timestamps, nearly all that there can be of days, and strings that are no more than one step away from one."""
    generator = random.Random(5)
    days = [f"{year:04}-{month:02}-{day:02}" for year in (0, 1, 4, 100, 1900, 2000, 2020, 2021, 9999)
            for month in range(14) for day in range(33)]  # fmt: skip
    times = [f"{hour:02}:{minute:02}" for hour in (0, 1, 12, 23, 24, 25) for minute in (0, 1, 59, 60)]
    ends = ["", ":00", ":59", ":60", ":5", ":00.1", ":59.999999", ":00.1234567", ":00."]
    zones = [
        "",
        "Z",
        "z",
        " Z",
        "+00:00",
        "-00:00",
        "+14:59",
        "-14:59",
        "+15:00",
        "-05:30",
        "-00:01",
        "+00:01",
        "+0530",
        "+05",
        "+05:60",
    ]
    full = [
        generator.choice(days) + generator.choice(["T", " ", "t", ""]) + time + end + zone
        for time, end, zone in itertools.product(times, ends, zones)
    ]
    edges = [
        day + "T" + time + zone
        for day, time, zone in itertools.product(
            ("0001-01-01", "9999-12-31", "2020-02-29"), ("00:00", "00:01", "23:59:59.999999"), zones
        )
    ]
    strings = days + full + edges
    characters = "0123456789-:.+TZ tz\n\\'\"%\u0661\uff11e"
    for text in generator.sample(strings, 3_000):
        place = generator.randrange(len(text) + 1)
        strings.append(text[:place] + generator.choice(characters) + text[place + generator.randrange(2) :])
    return [*strings, "", "now", "infinity", "epoch", "today", "J2451187", "2020-05-06 BC", "20200506T070809"]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_the_sql_function_reads_timestamps_as_python_does(url: str, zone: str) -> None:
    strings = timestamps()
    there = make_url(url).update_query_dict({"options": f"-cTimeZone={zone}"}).render_as_string(hide_password=False)
    found = rows(
        there,
        "SELECT extract(epoch FROM vectordb.iso_timestamp(text)) FROM unnest(%s::text[]) WITH ORDINALITY AS t(text, n)"
        " ORDER BY n",
        strings,
    )
    expected = [parse_timestamp(text) for text in strings]
    assert sum(moment is not None for moment in expected) > 2_000
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    assert [
        (text, moment, seconds)
        for text, moment, (seconds,) in zip(strings, expected, found, strict=True)
        if (None if moment is None else (moment - epoch) // datetime.timedelta(microseconds=1))
        != (None if seconds is None else int(seconds * 1_000_000))
    ] == []


@settings(max_examples=50, deadline=None)
@given(strings=st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), max_size=50))
def test_the_sql_function_fails_on_no_text(url: str, strings: list[str]) -> None:
    strings += [f"2020-05-0{text}" for text in strings] + [f"2020-05-06T{text}" for text in strings]
    found = rows(
        url,
        "SELECT vectordb.iso_timestamp(text) FROM unnest(%s::text[]) WITH ORDINALITY AS t(text, n) ORDER BY n",
        strings,
    )
    assert [moment for (moment,) in found] == [parse_timestamp(text) for text in strings]


def test_the_sql_function_is_one_that_columns_and_indexes_can_use_at_no_cost_of_a_call(url: str) -> None:
    assert rows(
        url,
        "SELECT provolatile::text, proparallel::text, prosecdef FROM pg_proc"
        " WHERE oid = 'vectordb.iso_timestamp(text)'::regprocedure",
    ) == [("i", "s", False)]
    assert rows(url, "SELECT vectordb.iso_timestamp(NULL)") == [(None,)]
    plan = rows(url, "EXPLAIN (VERBOSE) SELECT vectordb.iso_timestamp(metadata ->> 'x') FROM vectordb.documents")
    assert "make_timestamp" in str(plan)
    assert "iso_timestamp" not in str(plan)


def test_fields_can_be_added_to_a_filled_collection_and_dropped(db: VectorDB, url: str) -> None:
    docs = db.create_collection("grown", dimensions=3, fields={"lang": str})
    metadata: list[dict[str, Any]] = [{"year": 2019, "lang": "en"}, {"year": None}, {"lang": "de"}]
    docs.upsert_vectors(range(3), np.eye(3), metadata=metadata)
    before = {table: (columns(url, table), indexes(url, table)) for table in ("grown_documents", "grown_chunks")}
    with db.transaction() as connection:
        config = ddl.add_fields(connection, docs.config, {"year": int, "Rate": "float"}, "vectordb")
    assert config == db.collection("grown").config
    assert dict(config.fields) == {"Rate": FieldType.FLOAT, "lang": FieldType.STR, "year": FieldType.INT}
    for table, key in (("grown_documents", "id"), ("grown_chunks", "document_id")):
        assert columns(url, table)["Rate"] == ("numeric", "s", None)
        assert indexes(url, table)[f"{table}_Rate_idx"] == 'btree ("Rate")'
        assert rows(url, f"SELECT year FROM vectordb.{table} ORDER BY {key}") == [(2019,), (None,), (None,)]
        fresh = db.create_collection(f"fresh_{key}", dimensions=3, fields=config.fields)
        same = columns(url, table.replace("grown", fresh.name))
        assert columns(url, table) == same
    with db.transaction() as connection:
        config = ddl.drop_fields(connection, config, ["Rate", "year"], "vectordb")
    assert config == db.collection("grown").config == docs.config
    assert {table: (columns(url, table), indexes(url, table)) for table in before} == before
    assert [each.metadata for each in docs.get(["0", "1", "2"])] == metadata


@pytest.mark.parametrize(
    ("metadata", "kind", "count"),
    [
        ([{"x": 1}, {"x": "secret"}, {"x": "secret"}], "int", 2),
        ([{"x": "2020-05-06"}, {"x": "secret"}, {}], "datetime", 1),
        ([{"x": True}, {"x": None}, {"x": 0.5}], "str", 2),
        ([{"x": 1}, {"x": 1.5}, {"x": 2**70}], "int", 2),
        ([{"x": "a"}, {"x": "é" * 1_001}], "str", 1),
    ],
)
def test_a_field_that_documents_contradict_is_not_added(
    db: VectorDB, url: str, metadata: list[dict[str, Any]], kind: str, count: int
) -> None:
    name = f"contradicted_{kind}_{len(rows(url, 'SELECT 1 FROM vectordb.collections'))}"
    docs = db.create_collection(name, dimensions=3)
    insert(url, name, metadata)
    with (
        pytest.raises(
            errors.ConfigurationError, match=f"'x' cannot be declared as {kind}: {count} documents"
        ) as caught,
        db.transaction() as connection,
    ):
        ddl.add_fields(connection, docs.config, {"x": kind, "year": int}, "vectordb")
    assert caught.value.facts == {"field": "x", "documents": count}
    assert "secret" not in str(caught.value)
    assert db.collection(name).config == docs.config
    assert "year" not in columns(url, f"{name}_documents")


def test_fields_that_are_there_or_are_not(db: VectorDB) -> None:
    docs = db.create_collection("strict", dimensions=3, fields={"year": int})
    with db.transaction() as connection:
        with pytest.raises(errors.ConfigurationError, match="has a field 'year' already"):
            ddl.add_fields(connection, docs.config, {"lang": str, "year": int}, "vectordb")
        with pytest.raises(errors.ConfigurationError, match="no field 'yaer'; it has year"):
            ddl.drop_fields(connection, docs.config, ["year", "yaer"], "vectordb")
        with pytest.raises(errors.InvalidName):
            ddl.add_fields(connection, docs.config, {'a"; DROP TABLE vectordb.documents; --': int}, "vectordb")
        assert ddl.add_fields(connection, docs.config, {}, "vectordb") == docs.config
        assert ddl.drop_fields(connection, docs.config, [], "vectordb") == docs.config


def test_the_longest_names_and_words_of_sql_make_columns(db: VectorDB, url: str) -> None:
    names = ["select", "order", "Year", "year", "a" * 63, "a" * 62]
    docs = db.create_collection("n" * 34, dimensions=3, fields=dict.fromkeys(names, int))
    for table in (f"{docs.name}_documents", f"{docs.name}_chunks"):
        assert set(names) <= columns(url, table).keys()
        assert sum("btree" in definition for definition in indexes(url, table).values()) == len(names) + 1
    with db.transaction() as connection:
        config = ddl.drop_fields(connection, docs.config, names, "vectordb")
        ddl.add_fields(connection, config, dict.fromkeys(names, int), "vectordb")
    assert db.collection(docs.name).config == docs.config
