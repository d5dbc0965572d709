"""Filters as values: what they mean, how they are built, how they read as JSON."""

from __future__ import annotations

import enum
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.support import FIELD_NAMES, SCALARS, filters, metadata
from vectordb import F, Filter
from vectordb.errors import InvalidFilter
from vectordb.filters import MAX_FILTER_DEPTH, MAX_FILTER_NODES, And, Compare, Not, Or, as_filter, json_type, parse


class Size(enum.IntEnum):
    LARGE = 3


@pytest.mark.parametrize(
    ("where", "matching"),
    [
        (F("n") == 1, {"1", "1.0"}),
        (F("n") != 1, {"2", "'1'", "true", "null", "none", "[1]", "{}"}),
        (F("n") < 2, {"1", "1.0"}),
        (F("n") <= 2, {"1", "1.0", "2"}),
        (F("n") > 1, {"2"}),
        (F("n") >= 1, {"1", "1.0", "2"}),
        (F("n") == "1", {"'1'"}),
        (F("n") < "2", {"'1'"}),
        (F("n") == True, {"true"}),  # noqa: E712 - builds a filter
        (F("n") == None, {"null"}),  # noqa: E711 - builds a filter
        (F("n") == False, set()),  # noqa: E712 - builds a filter
        (~(F("n") < 2), {"2", "'1'", "true", "null", "none", "[1]", "{}"}),
        ((F("n") > 1) | (F("n") == "1"), {"2", "'1'"}),
        ((F("n") >= 1) & (F("n") < 2), {"1", "1.0"}),
        (F("missing") == None, set()),  # noqa: E711 - builds a filter
        (And(()), {"1", "1.0", "2", "'1'", "true", "null", "none", "[1]", "{}"}),
        (Or(()), set()),
    ],
    ids=repr,
)
def test_meaning(where: Filter, matching: set[str]) -> None:
    entries: dict[str, dict[str, Any]] = {
        "1": {"n": 1},
        "1.0": {"n": 1.0},
        "2": {"n": 2},
        "'1'": {"n": "1"},
        "true": {"n": True},
        "null": {"n": None},
        "none": {},
        "[1]": {"n": [1]},
        "{}": {"n": {}},
    }
    assert {name for name, entry in entries.items() if where.matches(entry)} == matching


def test_strings_are_ordered_by_code_point() -> None:
    assert (F("s") < "a").matches({"s": "Z"})
    assert (F("s") > "z").matches({"s": "é"})
    assert (F("s") > "\uffff").matches({"s": "\U00010000"})


@pytest.mark.parametrize(
    ("stored", "value"),
    [(1e23, 10**23), (0.1, 0.1), (2**53 + 1, 2**53 + 1), (1e308, 10**308), (-0.0, 0)],
    ids=["1e23", "0.1", "2**53 + 1", "1e308", "-0.0"],
)
def test_numbers_are_equal_as_they_are_written(stored: float, value: float) -> None:
    """In JSON and in PostgreSQL 1e23 is a decimal number; in Python it is the nearest sum of powers of two."""
    where = F("n") == value
    assert where.matches({"n": stored})
    assert not (F("n") < value).matches({"n": stored})
    assert not (F("n") == 2**53).matches({"n": 2**53 + 1})


@given(filters(), metadata())
def test_negation(where: Filter, entry: dict[str, Any]) -> None:
    assert (~where).matches(entry) is not where.matches(entry)
    assert (~~where).matches(entry) is where.matches(entry)


@given(filters(), filters(), metadata())
def test_combination(one: Filter, other: Filter, entry: dict[str, Any]) -> None:
    a, b = one.matches(entry), other.matches(entry)
    assert (one & other).matches(entry) is (a and b)
    assert (one | other).matches(entry) is (a or b)


@given(filters(), metadata())
def test_json_and_back(where: Filter, entry: dict[str, Any]) -> None:
    """Fields named like the words of the grammar have no JSON form, as `parse` says."""
    again = parse(json.loads(json.dumps(where.to_dict())))
    assert again.matches(entry) is where.matches(entry)
    assert again.to_dict() == where.to_dict()


def test_several_entries_are_all_required() -> None:
    where = parse({"year": {">=": 2020, "<": 2022}, "lang": "en", "draft": {"!=": True}})
    assert where == And(
        (
            Compare("year", ">=", 2020),
            Compare("year", "<", 2022),
            Compare("lang", "==", "en"),
            Not(Compare("draft", "==", True)),
        )
    )
    assert parse({}) == And(())
    assert parse({"not": {"or": [{"a": 1}, {"b": 2}]}}) == Not(Or((Compare("a", "==", 1), Compare("b", "==", 2))))


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ({"year": {"~": 1}}, "year"),
        ({"year": {}}, "year"),
        ({"year": [1, 2]}, "year"),
        ({"year": {">=": [1]}}, "year"),
        ({"year": {">=": None}}, "year"),
        ({"year": {"<": True}}, "year"),
        ({"year": math.nan}, "year"),
        ({"and": {"a": 1}}, "and"),
        ({"or": "ab"}, "or"),
        ({"and": [{"a": 1}, 5]}, "and[1]"),
        ({"not": [{"a": 1}]}, "not"),
        ({"not": {"or": [{"a": {"in": [1]}}]}}, "not.or[0].a"),
        ({3: 1}, ""),
        ({None: 1}, ""),
    ],
    ids=repr,
)
def test_json_that_is_no_filter(where: Any, path: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse(where)
    assert caught.value.facts["path"] == path


@pytest.mark.parametrize(
    "value",
    [
        [1],
        (1,),
        {1},
        {},
        b"x",
        1j,
        math.nan,
        math.inf,
        -math.inf,
        object(),
        10**5_000,
        "a\x00",
        "\ud800",
        np.float32(1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_no_metadata_has(value: Any) -> None:
    with pytest.raises(InvalidFilter):
        F("field") == value  # noqa: B015 - building it is the test
    with pytest.raises(InvalidFilter):
        parse({"field": {">=": value}})


@pytest.mark.parametrize("name", [None, 3, b"field", "a\x00", "\ud800"], ids=ascii)
def test_names_that_no_metadata_has(name: Any) -> None:
    with pytest.raises(InvalidFilter):
        F(name)


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
@pytest.mark.parametrize("value", [None, True, False])
def test_only_numbers_and_strings_have_an_order(operator: str, value: Any) -> None:
    with pytest.raises(InvalidFilter, match="only numbers and strings have an order"):
        parse({"field": {operator: value}})


def test_an_operator_is_never_sql() -> None:
    with pytest.raises(InvalidFilter, match="unknown operator"):
        Compare("field", "= 1 OR true --", 1)  # type: ignore[arg-type] # what an attacker would pass


def test_a_filter_is_neither_true_nor_false() -> None:
    for mistake in (
        lambda: bool(F("a") == 1),
        lambda: (F("a") == 1) and (F("b") == 2),
        lambda: not F("a") < 1,
        lambda: 1 <= F("a") <= 2,
    ):
        with pytest.raises(InvalidFilter, match="neither true nor false"):
            mistake()


@pytest.mark.parametrize("other", [True, None, {"a": 1}, F("b")])
def test_only_filters_combine(other: Any) -> None:
    with pytest.raises(InvalidFilter):
        (F("a") == 1) & other
    with pytest.raises(InvalidFilter):
        (F("a") == 1) | other


def test_too_deep() -> None:
    where: Filter = F("a") == 1
    for _ in range(MAX_FILTER_DEPTH - 1):
        where = ~where
    assert as_filter(where) is where
    assert parse(where.to_dict()) == where
    deep: dict[str, Any] = {"a": 1}
    for _ in range(50_000):
        where, deep = ~where, {"not": deep}
    for too_deep in (where, deep):
        with pytest.raises(InvalidFilter, match="at most 32 levels deep"):
            as_filter(too_deep)


def test_too_large() -> None:
    comparison = F("a") == 1
    largest = Or((comparison,) * (MAX_FILTER_NODES - 1))
    assert as_filter(largest) is largest
    for too_large in (Or((comparison,) * MAX_FILTER_NODES), {"or": [{"a": 1}] * MAX_FILTER_NODES}):
        with pytest.raises(InvalidFilter, match="at most 1000 parts"):
            as_filter(too_large)


@pytest.mark.parametrize("where", ["year >= 2020", 5, [F("a") == 1], F("a"), True])
def test_what_is_no_filter(where: Any) -> None:
    with pytest.raises(InvalidFilter, match="where is a filter"):
        as_filter(where)


def test_no_filter_and_a_mapping() -> None:
    assert as_filter(None) is None
    assert as_filter({"a": 1}) == (F("a") == 1)


@given(FIELD_NAMES, SCALARS)
def test_equal_filters_are_equal_values(name: str, value: Any) -> None:
    assert (F(name) == value) == Compare(name, "==", value)
    assert hash(F(name) == value) == hash(Compare(name, "==", value))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "boolean"),
        (1, "number"),
        (1.5, "number"),
        (Size.LARGE, "number"),
        ("a", "string"),
        ({}, "object"),
        ([], "array"),
        ((), "array"),
    ],
)
def test_types_of_json(value: Any, name: str) -> None:
    assert json_type(value) == name
