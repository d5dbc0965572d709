"""Filters as SQL text: user input is bound, never written. What the SQL means is a test of the store."""

from __future__ import annotations

import enum
import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import ALL_FIELDS, SCALARS, STORABLE_TEXT, filters
from vectordb import F, Filter
from vectordb.filters import And, AnyOf, Compare, Contains, Exists, Field, In, Like, Not, Or, StartsWith, resolve
from vectordb.metrics import VectorSpace
from vectordb.search.where import where_clause
from vectordb.tables import collection_tables

TABLES = collection_tables(
    "docs", VectorSpace(2), schema="vectordb", extension_schema="public", element_oid=1, fields=ALL_FIELDS
)
ANY_FILTER = filters(fields=ALL_FIELDS, own=True).map(lambda where: resolve(where, ALL_FIELDS))
ALIASES = st.sampled_from(["c", "d"])


class Size(enum.IntEnum):
    LARGE = 3


def clause(where: Filter, alias: str = "c", *, as_join: bool = True) -> tuple[str, dict[str, Any]]:
    return where_clause(where, alias, TABLES, as_join=as_join)


@given(ANY_FILTER, ALIASES, st.booleans())
def test_every_placeholder_has_a_value(where: Filter, alias: str, as_join: bool) -> None:
    sql, parameters = clause(where, alias, as_join=as_join)
    assert set(re.findall(r"%\((\w+)\)s", sql)) == set(parameters)
    assert list(parameters) == [f"w{number}" for number in range(len(parameters))]
    assert sql.count("%") == len(re.findall(r"%\(w\d+\)s::", sql))
    for value in parameters.values():
        assert type(value) is str or (type(value) is list and all(type(item) is str for item in value))


@given(ANY_FILTER, ALIASES)
def test_the_text_is_made_of_known_words(where: Filter, alias: str) -> None:
    sql, _ = clause(where, alias)
    words = set(re.findall(r"[A-Za-z_]\w*", re.sub(r"%\(w\d+\)s", "", sql)))
    assert words <= KNOWN | set(ALL_FIELDS)


KNOWN = {
    "AND",
    "OR",
    "NOT",
    "IS",
    "TRUE",
    "NULL",
    "true",
    "false",
    "COLLATE",
    "C",
    "ANY",
    "CASE",
    "WHEN",
    "THEN",
    "END",
}
KNOWN |= {"IN", "SELECT", "FROM", "WHERE", "AS", "EXISTS", "LIKE", "c", "d", "e", "value", "metadata", "vectordb"}
KNOWN |= {
    "id",
    "document_id",
    "title",
    "uri",
    "created_at",
    "updated_at",
    "docs_documents",
    "iso_timestamp",
    "translate",
}
KNOWN |= {"text", "numeric", "bigint", "boolean", "timestamptz", "jsonb", "jsonb_typeof", "jsonb_array_elements"}
KNOWN |= {"number", "string", "array"}

KINDS: list[Any] = [
    lambda key, text: Compare(key, "==", text),
    lambda key, text: Compare(key, "<", text),
    lambda key, text: In(key, (text, None)),
    lambda key, text: In(key, tuple(f"{text}{number}" for number in range(40))),
    lambda key, text: AnyOf(key, (text, 1)),
    lambda key, text: AnyOf(key, tuple(f"{text}{number}" for number in range(40))),
    lambda key, text: Contains.of(key, text),
    lambda key, text: Contains.of(key, {text: {text: [text]}}),
    lambda key, text: Like(key, text.replace("\\", "")),
    lambda key, text: Like(key, text.replace("\\", ""), case_sensitive=False),
    lambda key, text: StartsWith(key, text),
    lambda key, text: Exists(key),
    lambda key, text: Compare(Field.of("title"), "==", text),
    lambda key, text: In(Field.of("id"), (text,)),
    lambda key, text: StartsWith(Field.of("uri"), text),
    lambda key, text: Compare(Field.of("lang"), "==", text),
]


@given(st.lists(STORABLE_TEXT, min_size=1, max_size=3), STORABLE_TEXT, ALIASES, st.sampled_from(KINDS))
def test_the_text_depends_on_the_shape_alone(keys: list[str], value: str, alias: str, kind: Any) -> None:
    same_shape = kind(["x" * (number + 1) for number in range(len(keys))], "y")
    assert clause(kind(keys, value), alias)[0] == clause(same_shape, alias)[0]


@given(STORABLE_TEXT.filter(lambda text: len(text) > 12), st.sampled_from(KINDS), ALIASES)
def test_no_name_or_value_is_in_the_text(canary: str, kind: Any, alias: str) -> None:
    for where in (kind([canary], canary + "value"), kind(["a", canary], canary)):
        sql, _ = clause(where, alias)
        assert canary not in sql


@pytest.mark.parametrize("value", [np.float64(2020.5), Size.LARGE, 10**400, 5e-324, -0.0, np.int64(5)])
def test_numbers_are_written_as_json_has_them(value: Any) -> None:
    plain = float(value) if isinstance(value, float) else int(value)
    assert list(clause(F("size") < value)[1].values()) == ["size", repr(plain)]
    assert clause(F("size") == value)[1] == {"w0": f'{{"size": {plain!r}}}'}


def test_declared_fields_are_columns_that_their_indexes_serve() -> None:
    assert clause(F("pieces") >= 5) == ('c."pieces" >= %(w0)s::bigint', {"w0": "5"})
    assert clause(F("lang").in_(["en", "de"])) == ('(c."lang" = ANY(%(w0)s::text[]))', {"w0": ["en", "de"]})
    assert clause(F("pieces") > 2.5)[0] == 'c."pieces" > %(w0)s::numeric'
    assert clause(F("pieces") < 2**63)[0] == 'c."pieces" < %(w0)s::numeric'
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert clause(F("day") == noon) == ('c."day" = %(w0)s::timestamptz', {"w0": "2026-01-01T12:00:00+00:00"})


def test_equality_of_undeclared_keys_is_containment_that_the_index_serves() -> None:
    assert clause(F("a.b") == 1) == ("c.metadata @> %(w0)s::jsonb", {"w0": '{"a": {"b": 1}}'})
    assert clause(F("a").in_([1, None])) == (
        "(c.metadata @> ANY(%(w0)s::text[]::jsonb[]))",
        {"w0": ['{"a": 1}', '{"a": null}']},
    )


def test_strings_are_ordered_by_code_point_in_any_database() -> None:
    """Declared strings are columns with this collation; all others need it said."""
    for where in (F("a") < "x", F("a").startswith("x"), F("a").like("x"), F("a").ilike("x")):
        assert """#>> '{}') COLLATE "C\"""" in clause(where)[0]
    for name in ("id", "title", "uri"):
        for where in (F(name) < "x", F(name) == "x", F(name).in_(["x"]), F(name).startswith("x"), F(name).ilike("x")):
            assert f'{"document_id" if name == "id" else name} COLLATE "C"' in clause(where)[0]
            assert f'd.{name} COLLATE "C"' in clause(where, "d")[0]


def test_filters_without_parts() -> None:
    assert clause(And(())) == ("(true)", {})
    assert clause(Or(())) == ("(false)", {})


@given(SCALARS)
def test_parameters_are_numbered_through(value: Any) -> None:
    where = (F("a") == value) & ((F("b") == value) | Not(F("c") == value))
    assert list(clause(where)[1]) == ["w0", "w1", "w2"]
