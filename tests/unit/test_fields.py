"""Declared fields as values; what PostgreSQL makes of them is in tests/test_fields.py."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from vectordb import errors
from vectordb.fields import FieldType, check_fields, check_metadata, parse_fields
from vectordb.metrics import VectorSpace
from vectordb.models import ChunkMixin, DocumentMixin, collection_models, field_index_name

ALL = {"s": FieldType.STR, "i": FieldType.INT, "f": FieldType.FLOAT, "b": FieldType.BOOL, "d": FieldType.DATETIME}


def test_types_are_given_as_python_types_or_by_name() -> None:
    declared = {"s": str, "i": int, "f": float, "b": bool, "d": datetime.datetime}
    assert check_fields(declared) == ALL
    assert check_fields({name: str(kind) for name, kind in ALL.items()}) == ALL
    assert check_fields(ALL) == ALL
    assert check_fields({"d": datetime.date}) == {"d": FieldType.DATETIME}
    assert check_fields(None) == check_fields({}) == {}


def test_fields_come_in_the_order_of_their_names() -> None:
    assert list(check_fields({"b": int, "a": int, "C": int})) == ["C", "a", "b"]


@pytest.mark.parametrize("kind", ["integer", "Int", "", None, 1, dict, list, bytes, int | None, [int], "str\n"])
def test_an_unknown_type_is_refused_with_those_there_are(kind: Any) -> None:
    with pytest.raises(
        errors.ConfigurationError, match=r"'year' is declared as one of str, int, float, bool, datetime"
    ):
        check_fields({"year": kind})


@pytest.mark.parametrize("fields", [["year"], "year", 1, {("year", int)}])
def test_fields_are_a_mapping(fields: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match="fields is a mapping"):
        check_fields(fields)


@pytest.mark.parametrize(
    "name",
    ["", "1st", "_year", "a.b", "a b", "it's", 'a"b', "a%", "é", "year\n", "a" * 64, "a; DROP TABLE x", "ctid", "xmin"],
)
def test_a_name_that_no_column_can_have_is_refused(name: str) -> None:
    with pytest.raises(errors.InvalidName):
        check_fields({name: int})


def test_a_name_is_a_string() -> None:
    with pytest.raises(errors.InvalidName, match="not int"):
        check_fields({1: int, "a": int})  # type: ignore[dict-item] # on purpose


def test_what_the_tables_and_their_models_have_already_is_refused() -> None:
    models = collection_models("docs", VectorSpace(3), index=None, text_config="english")
    taken = {column.name for model in (models.Document, models.Chunk) for column in model.__table__.columns}
    for kind in (models.Document, models.Chunk, DocumentMixin, ChunkMixin):
        taken |= {name for name in dir(kind) if not name.startswith("_")}
    assert len(taken) > 18
    for name in taken:
        with pytest.raises(errors.InvalidName, match="already"):
            check_fields({name: str})


def test_names_that_only_look_dangerous_are_fine() -> None:
    names = ["a", "Year", "order", "user", "select", "class", "none", "A_1", "a" * 63]
    fields = check_fields(dict.fromkeys(names, int))
    models = collection_models("docs", VectorSpace(3), index=None, text_config="english", fields=fields)
    for model in (models.Document, models.Chunk):
        assert [column.name for column in model.__table__.columns][-len(names) :] == sorted(names)
        assert {getattr(model, name).name for name in names} == set(names)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        (" , ", {}),
        ("year:int", {"year": FieldType.INT}),
        (" year : int, lang:str ,", {"lang": FieldType.STR, "year": FieldType.INT}),
    ],
)
def test_fields_in_text(text: str, fields: dict[str, FieldType]) -> None:
    assert parse_fields(text) == fields


@pytest.mark.parametrize("text", ["year", "year:", "year=int", "year:int,year:str", "year:integer", "year:int:str"])
def test_text_that_declares_no_fields(text: str) -> None:
    with pytest.raises(errors.ConfigurationError):
        parse_fields(text)


def test_metadata_of_the_declared_types_is_taken() -> None:
    check_metadata({"s": "x" * 2000, "i": -(2**63), "f": 1, "b": False, "d": "2020-05-06", "other": [1]}, ALL)
    check_metadata({"s": "", "i": 2**63 - 1, "f": -1.5, "b": True, "d": "2020-05-06T07:08:09.5+01:00"}, ALL)
    check_metadata({"i": 2020.0, "f": 10**400}, ALL)
    check_metadata(dict.fromkeys(ALL), ALL)
    check_metadata({}, ALL)
    check_metadata({"s": 1}, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("s", 1),
        ("s", True),
        ("s", ["secret"]),
        ("s", "x" * 2001),
        ("s", "é" * 1001),
        ("i", "10"),
        ("i", True),
        ("i", 1.5),
        ("i", 2**63),
        ("i", -(2**63) - 1),
        ("i", 1e300),
        ("f", "1.5"),
        ("f", False),
        ("f", {}),
        ("b", 0),
        ("b", "secret"),
        ("d", 2020),
        ("d", "secret"),
        ("d", "2021-02-29"),
        ("d", True),
    ],
)
def test_metadata_of_another_type_is_refused_and_not_shown(name: str, value: Any) -> None:
    with pytest.raises(errors.InvalidMetadata, match=f"metadata {name} is declared as {ALL[name]}: ") as caught:
        check_metadata({name: value}, ALL)
    assert caught.value.facts == {"path": name}
    assert "secret" not in str(caught.value)


def test_names_of_indexes_fit_and_differ() -> None:
    assert field_index_name("docs_documents", "year") == "docs_documents_year_idx"
    table = "a" * 34 + "_documents"
    names = [field_index_name(table, "b" * length) for length in (14, 15, 16, 62, 63)]
    assert [len(name) for name in names] == [63, 63, 63, 63, 63]
    assert len(set(names)) == 5
    assert names[0] == f"{table}_{'b' * 14}_idx"
    assert names[1].startswith(f"{table}_bbb")
    assert names[1].endswith("_idx")
