"""Filters as JSON: the grammar, its errors with their places, and the way there and back."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from tests.support import ALL_FIELDS, filters
from vectordb.errors import InvalidFilter
from vectordb.filters import And, Compare, Expression, F, Filter, Not, Or, parse

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
INSTANT = {"datetime": "2026-01-01"}


@given(filters(own=True) | filters(fields=ALL_FIELDS, own=True))
def test_there_and_back(where: Filter) -> None:
    assert parse(json.loads(json.dumps(where.to_dict()))) == where


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({}, And(())),
        ({"and": []}, And(())),
        ({"or": ()}, Or(())),
        ({"a": 1}, F("a") == 1),
        ({"a": None}, F("a").is_null()),
        ({"a": INSTANT}, F("a") == NEW_YEAR),
        ({"a": {"==": INSTANT}}, F("a") == NEW_YEAR),
        ({"a": {"!=": 1}}, F("a") != 1),
        ({"a": {"<": 1}}, F("a") < 1),
        ({"a": {"<=": 1}}, F("a") <= 1),
        ({"a": {">": "x"}}, F("a") > "x"),
        ({"a": {">=": INSTANT}}, F("a") >= NEW_YEAR),
        ({"a": {"in": [1, None, INSTANT]}}, F("a").in_([1, None, NEW_YEAR])),
        ({"a": {"not_in": (1, 2)}}, F("a").not_in([1, 2])),
        ({"a": {"between": [1, 2]}}, F("a").between(1, 2)),
        ({"a": {"between": [INSTANT, INSTANT]}}, F("a").between(NEW_YEAR, NEW_YEAR)),
        ({"a": {"contains": "x"}}, F("a").contains("x")),
        ({"a": {"contains": ["x", 1]}}, F("a").contains(["x", 1])),
        ({"a": {"contains": {"datetime": "x"}}}, F("a").contains({"datetime": "x"})),
        ({"a": {"any_of": [1]}}, F("a").any_of([1])),
        ({"a": {"all_of": [1, 2]}}, F("a").all_of([1, 2])),
        ({"a": {"like": "x%"}}, F("a").like("x%")),
        ({"a": {"ilike": "x%"}}, F("a").ilike("x%")),
        ({"a": {"startswith": "x"}}, F("a").startswith("x")),
        ({"a": {"exists": True}}, F("a").exists()),
        ({"a": {"exists": False}}, F("a").missing()),
        ({"a": {"missing": True}}, F("a").missing()),
        ({"a": {"missing": False}}, ~F("a").missing()),
        ({"a": {"null": True}}, F("a").is_null()),
        ({"a": {"null": False}}, ~F("a").is_null()),
        ({"a.b": 1}, F("a.b") == 1),
        ({'"a.b"': 1}, F(["a.b"]) == 1),
        ({'"and"': 1}, F(["and"]) == 1),
        ({"id": "x"}, F("id") == "x"),
        ({'"id"': "x"}, F(["id"]) == "x"),
        ({"": 1}, F("") == 1),
        ({"not": {"or": [{"a": 1}, {"b": 2}]}}, Not(Or((F("a") == 1, F("b") == 2)))),
        (
            {"year": {">=": 2020, "<": 2022}, "lang": "en", "draft": {"!=": True}},
            And((F("year") >= 2020, F("year") < 2022, F("lang") == "en", F("draft") != True)),  # noqa: E712 - builds a filter
        ),
    ],
    ids=repr,
)
def test_grammar(value: dict[str, Any], where: Filter) -> None:
    assert parse(value) == where


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, ""),
        ([{"a": 1}], ""),
        ("a = 1", ""),
        ({"year": {"~": 1}}, "year"),
        ({"year": {5: 1}}, "year"),
        ({"year": {None: 1}}, "year"),
        ({"year": {("==",): 1}}, "year"),
        ({"year": {}}, "year"),
        ({"year": [1, 2]}, "year"),
        ({"year": {">=": [1]}}, "year"),
        ({"year": {"==": {"a": 1}}}, "year"),
        ({"year": {">=": None}}, "year"),
        ({"year": {"<": True}}, "year"),
        ({"year": math.nan}, "year"),
        ({"year": -math.inf}, "year"),
        ({"year": 10**1000}, "year"),
        ({"year": "a\x00"}, "year"),
        ({"year": "\ud800"}, "year"),
        ({"year": {"datetime": "2026-02-30"}}, "year"),
        ({"year": {"datetime": 5}}, "year"),
        ({"year": {"in": [1, {"datetime": "x"}]}}, "year.in[1]"),
        ({"year": {"in": []}}, "year"),
        ({"year": {"not_in": []}}, "year"),
        ({"year": {"in": "abc"}}, "year"),
        ({"year": {"in": {"a": 1}}}, "year"),
        ({"year": {"in": 5}}, "year"),
        ({"year": {"in": [1, 2, math.nan]}}, "year.in[2]"),
        ({"year": {"in": [[1]]}}, "year.in[0]"),
        ({"year": {"any_of": [1, "\x00"]}}, "year.any_of[1]"),
        ({"year": {"any_of": [INSTANT]}}, "year.any_of[0]"),
        ({"year": {"all_of": [1, {}]}}, "year.all_of[1]"),
        ({"year": {"between": [1]}}, "year"),
        ({"year": {"between": 5}}, "year"),
        ({"year": {"between": [1, 2, 3]}}, "year"),
        ({"year": {"between": [1, "2"]}}, "year"),
        ({"year": {"between": [1, math.nan]}}, "year"),
        ({"year": {"contains": [math.inf]}}, "year"),
        ({"year": {"contains": {"a": "\ud800"}}}, "year"),
        ({"year": {"contains": {1: 1}}}, "year"),
        ({"year": {"like": 5}}, "year"),
        ({"year": {"like": None}}, "year"),
        ({"year": {"like": "a\\"}}, "year"),
        ({"year": {"startswith": ["a"]}}, "year"),
        ({"year": {"exists": 1}}, "year"),
        ({"year": {"missing": None}}, "year"),
        ({"year": {"null": "true"}}, "year"),
        ({"and": {"a": 1}}, "and"),
        ({"or": "ab"}, "or"),
        ({"and": [{"a": 1}, 5]}, "and[1]"),
        ({"not": [{"a": 1}]}, "not"),
        ({"not": {"or": [{"b": 1}, {"a": {"within": [1]}}]}}, "not.or[1].a"),
        ({"and": [{"b": 1}, {"not": {"a": {"in": [1, math.nan]}}}]}, "and[1].not.a.in[1]"),
        ({"and": [{"\x00": 1}]}, "and[0]"),
        ({"and": [{'"a': 1}]}, 'and[0]."a'),
        ({3: 1}, ""),
        ({None: 1}, ""),
    ],
    ids=ascii,
)
def test_what_is_no_filter(value: Any, path: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse(value)
    assert caught.value.facts["path"] == path
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("$gte", ">="),
        ("=", "=="),
        ("$nin", "not_in"),
        ("<>", "!="),
        ("startwith", "startswith"),
        ("contain", "contains"),
    ],
)
def test_words_of_others(word: str, meant: str) -> None:
    with pytest.raises(InvalidFilter, match=f"did you mean '{meant}'"):
        parse({"a": {word: 1}})


def nested(word: str, depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"a": 1}
    for _ in range(depth):
        value = {"not": value} if word == "not" else {word: [value]}
    return value


def nested_list(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


MILLION = 1_000_000


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (nested("not", 10_000), "32 levels deep"),
        (nested("and", 10_000), "32 levels deep"),
        (nested("or", 10_000), "32 levels deep"),
        ({"a": {"contains": nested_list(9_000)}}, "64 levels"),
        ({"a": {"contains": nested_list(20_000)}}, "at most 10,000 values"),
        ({"a": {"==": nested_list(10_000)}}, "is a list"),
        ({"a": {"in": nested_list(10_000)}}, "is a list"),
        ({".".join("a" * 10_000): 1}, "at most 64 keys"),
        ({"a": {"in": range(MILLION)}}, "at most 10,000 values"),
        ({"a": {"in": [1] * MILLION}}, "at most 10,000 values"),
        ({"a": {"not_in": ["x"] * MILLION}}, "at most 10,000 values"),
        ({"a": {"any_of": [1] * MILLION}}, "at most 10,000 values"),
        ({"a": {"all_of": [1] * MILLION}}, "at most 10,000 values"),
        ({"a": {"contains": [1] * MILLION}}, "at most 10,000 values"),
        ({"a": {"contains": {"b": {"c": [1] * MILLION}}}}, "at most 10,000 values"),
        ({"and": [{"a": 1}] * MILLION}, "at most 1000 parts"),
        ({"and": [{"a": {"in": [*range(1_001)]}}] * 10}, "at most 10,000 values"),
        ({"a" * MILLION: {"x": 1}}, "unknown operator"),
        ({"a": {"x" * MILLION: 1}}, "unknown operator"),
        ({"a" * MILLION: {"<": None}}, "have an order"),
    ],
    ids=range(20),
)
def test_large_filters_are_refused_quickly(value: Any, message: str) -> None:
    start = time.perf_counter()
    with pytest.raises(InvalidFilter, match=message) as caught:
        parse(value)
    assert time.perf_counter() - start < 5
    assert len(str(caught.value)) < 600


def test_an_expression_has_no_json() -> None:
    with pytest.raises(InvalidFilter, match="no JSON form"):
        (Compare("a", "==", 1) & Expression(object())).to_dict()  # type: ignore[arg-type] # a name will do
