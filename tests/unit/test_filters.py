"""Filters as values: what they mean, how they are built, how they read as JSON."""

from __future__ import annotations

import enum
import itertools
import math
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import FIELD_NAMES, SCALARS, Hostile, filters, filters_and_metadata, metadata
from vectordb import F, Filter
from vectordb.errors import InvalidFilter
from vectordb.filters import (
    MAX_FILTER_DEPTH,
    MAX_FILTER_NODES,
    And,
    Compare,
    Contains,
    Field,
    Not,
    Or,
    as_filter,
    json_type,
    parse,
)
from vectordb.filters.values import case_folding, fold


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


@given(filters_and_metadata())
def test_negation(both: tuple[Filter, dict[str, Any]]) -> None:
    where, entry = both
    assert (~where).matches(entry) is not where.matches(entry)
    assert (~~where).matches(entry) is where.matches(entry)


@given(filters(), filters(), metadata())
def test_combination(one: Filter, other: Filter, entry: dict[str, Any]) -> None:
    a, b = one.matches(entry), other.matches(entry)
    assert (one & other).matches(entry) is (a and b)
    assert (one | other).matches(entry) is (a or b)


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
def test_only_numbers_strings_and_dates_have_an_order(operator: str, value: Any) -> None:
    with pytest.raises(InvalidFilter, match="only numbers, strings and dates have an order"):
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
    assert (F(name) == value) == Compare(Field.of(name), "==", value)
    assert hash(F(name) == value) == hash(Compare(Field.of(name), "==", value))


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


DOCUMENT: dict[str, Any] = {
    "n": 5,
    "big": 2**53 + 1,
    "text": "Straße 100%",
    "none": None,
    "tags": ["a", 1, None, ["x"], {"k": [1, 2]}],
    "author": {"name": "Ann", "born": "1990-05-01T02:00+02:00", "a.b": 1},
    "day": "2020-01-01",
    "a.b": "literal",
    "id": "metadata",
}
COLUMNS: dict[str, Any] = {
    "id": "7",
    "title": "Title",
    "uri": None,
    "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    "updated_at": datetime(2026, 1, 2, tzinfo=UTC),
}


@pytest.mark.parametrize(
    "where",
    [
        F("n").in_([1, 5]),
        F("n").in_(range(10)),
        F("n").in_(n for n in (4, 5)),
        F("n").in_({5}),
        F("n").in_(np.array([5, 6])),
        F("n").not_in(["5", True]),
        F("nothing").not_in([1]),
        F("none").in_([None]),
        F("n").between(5, 5.5),
        ~F("n").between(6, 9),
        F("text").between("S", "T"),
        F("n").exists() & F("none").exists() & F("author.name").exists(),
        F("nothing").missing() & F("author.nothing").missing() & F("n.nothing").missing() & F("tags.0").missing(),
        F("none").is_null() & ~F("n").is_null() & ~F("nothing").is_null(),
        F("tags").contains("a") & F("tags").contains(None) & F("tags").contains([1, "a", 1]),
        F("tags").contains([["x"]]) & F("tags").contains([{"k": [2]}]) & F("tags").contains({"k": 1}) | (F("n") == 5),
        ~F("tags").contains("x") & ~F("tags").contains(True) & ~F("n").contains(5) & ~F("text").contains("S"),
        F("author").contains({"name": "Ann"}) & F("author").contains({}) & ~F("author").contains({"name": "Bob"}),
        F("tags").any_of(["z", 1]) & ~F("tags").any_of(["x", True]) & ~F("text").any_of(["Straße 100%"]),
        F("tags").all_of(["a", None]) & ~F("tags").all_of(["a", "z"]),
        F("text").like("Stra_e%") & F("text").like("%\\%") & ~F("text").like("stra%") & ~F("n").like("%"),
        F("text").ilike("STRA_E%") & ~F("text").ilike("STRASSE%"),
        F("text").startswith("Stra")
        & F("text").startswith("")
        & ~F("text").startswith("stra")
        & ~F("n").startswith(""),
        (F("author.name") == "Ann") & (F(["author", "a.b"]) == 1) & (F('author."a.b"') == 1),
        (F(["a.b"]) == "literal") & (F('"a.b"') == "literal") & F("a.b").missing(),
        (F("id") == "7") & (F(["id"]) == "metadata") & (F('"id"') == "metadata") & ~(F("id") == 7),
        (F("title") == "Title") & F("title").like("T%") & F("uri").missing() & F("uri").is_null(),
        F("created_at") < date(2026, 1, 2),
        F("created_at") == datetime(2026, 1, 1, 5, tzinfo=timezone(timedelta(hours=5))),
        F("day") == date(2020, 1, 1),
        F("day") == datetime(2020, 1, 1),
        F("day").in_([date(2020, 1, 1), 5]),
        F("author.born") == datetime(1990, 5, 1, tzinfo=UTC),
        F("author.born").between(date(1990, 5, 1), date(1990, 5, 1)),
        ~(F("text") >= date(1, 1, 1)) & ~(F("n") >= date(1, 1, 1)),
        F("big") > 2**53,
        (F("big") != float(2**53)) & (F("big") == 2**53 + 1),
    ],
    ids=repr,
)
def test_every_kind_of_filter(where: Filter) -> None:
    assert where.matches(DOCUMENT, COLUMNS)
    assert not (~where).matches(DOCUMENT, COLUMNS)


def test_a_uuid_is_its_text() -> None:
    id = UUID(int=5)
    assert (F("ref") == id).matches({"ref": str(id)})
    assert F("ref").in_([id]).to_dict() == {"ref": {"in": [str(id)]}}


def test_case_is_that_of_unicode_and_symmetric() -> None:
    same = [
        ("k", "\u212a"),
        ("ΟΔΟΣ", "οδος"),
        ("s", "\u017f"),
        ("ß", "ẞ"),
        ("µ", "\u03bc"),
        ("ǅ", "ǆ"),
        ("\u13a0", "\uab70"),
    ]
    for one, other in same:
        assert F("x").ilike(one).matches({"x": other}), one
        assert F("x").ilike(other).matches({"x": one}), other
    for one, other in [("i", "İ"), ("I", "\u0131"), ("ss", "ß"), ("e", "é")]:
        assert not F("x").ilike(one).matches({"x": other}), one
        assert not F("x").ilike(other).matches({"x": one}), other


def test_every_letter_folds_to_one_that_folds_to_itself() -> None:
    characters = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point <= 0xDFFF]
    folded = {character: fold(character) for character in characters if fold(character) != character}
    assert all(len(one) == 1 and fold(one) == one and one not in "%_\\" for one in folded.values())
    assert all(case_folding(one)[character] == one for character, one in folded.items())


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("", [""], ["a"]),
        ("%", ["", "a", "\n"], []),
        ("_", ["a", "\n", "\U0001f600"], ["", "ab", "e\u0301"]),
        ("a%b%c", ["abc", "axbxc", "abbcc"], ["ab", "acb", "abcd"]),
        ("%a_", ["ab", "aaa", "xab"], ["a", "ba"]),
        ("\\%\\_\\\\\\a", ["%_\\a"], ["xx\\a"]),
        ("%%__%%", ["ab", "abc"], ["a"]),
    ],
)
def test_patterns(pattern: str, matching: list[str], others: list[str]) -> None:
    where = F("x").like(pattern)
    assert [text for text in matching + others if where.matches({"x": text})] == matching


def test_patterns_take_no_exponential_time() -> None:
    assert not F("x").like("%a" * 400 + "b").matches({"x": "a" * 20_000})


@pytest.mark.parametrize(
    ("mistake", "path"),
    [
        (lambda: F("x").in_([]), "x"),
        (lambda: F("x").any_of(()), "x"),
        (lambda: F("x").all_of([]), "x"),
        (lambda: F("x").contains([]), "x"),
        (lambda: F("x").in_("abc"), "x"),
        (lambda: F("x").in_({"a": 1}), "x"),
        (lambda: F("x").in_(5), "x"),  # type: ignore[arg-type] # the mistake
        (lambda: F("x").in_([1, [2]]), "x[1]"),
        (lambda: F("x").in_([1, math.nan]), "x[1]"),
        (lambda: F("x").any_of(["a", "\x00"]), "x[1]"),
        (lambda: F("x").any_of([date(2020, 1, 1)]), "x"),
        (lambda: F("x").between(1, "2"), "x"),
        (lambda: F("x").between(1, None), "x"),
        (lambda: F("x").between(True, False), "x"),
        (lambda: F("x").contains(math.nan), "x"),
        (lambda: F("x").contains({"a": object()}), "x"),
        (lambda: F("x").contains({1: 1}), "x"),
        (lambda: F("x").contains({"\ud800": 1}), "x"),
        (lambda: F("x").like(5), "x"),  # type: ignore[arg-type] # the mistake
        (lambda: F("x").like("a\\"), "x"),
        (lambda: F("x").like("a" * 1_001), "x"),
        (lambda: F("x").ilike("\x00"), "x"),
        (lambda: F("x").startswith(b"a"), "x"),  # type: ignore[arg-type] # the mistake
        (lambda: F("x").startswith("\ud800"), "x"),
        (lambda: F('"x'), '"x'),
        (lambda: F('"x"y'), '"x"y'),
        (lambda: F('"\\u0000"'), '"\\u0000"'),
        (lambda: F(["a", 1]), ""),  # type: ignore[list-item] # the mistake
        (lambda: F([]), ""),
        (lambda: F("x") == datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "x"),
        (lambda: Compare("x", ["=="], 1), "x"),  # type: ignore[arg-type] # the mistake
        (lambda: Contains("x", "no JSON"), "x"),  # type: ignore[arg-type] # the mistake
        (lambda: Contains("x", "[NaN]"), "x"),  # type: ignore[arg-type] # a name will do
        (lambda: Contains("x", "5"), "x"),  # type: ignore[arg-type] # a name will do
        (lambda: And(({"a": 1},)), ""),  # type: ignore[arg-type] # the mistake
        (lambda: Or("ab"), ""),  # type: ignore[arg-type] # the mistake
        (lambda: Not("a = 1"), ""),  # type: ignore[arg-type] # the mistake
        (lambda: Not(F("a")), ""),  # type: ignore[arg-type] # the mistake
    ],
)
def test_mistakes_name_their_field(mistake: Callable[[], object], path: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        mistake()
    assert caught.value.facts["path"] == path


MILLION = 1_000_000


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: F("x").in_(itertools.count()),
        lambda: F("x").not_in(iter(range(MILLION))),
        lambda: F("x").any_of(itertools.repeat("a")),
        lambda: F("x").all_of(itertools.count()),
        lambda: F("x").contains(list(range(MILLION))),
        lambda: F("x").contains([[0] * MILLION]),
        lambda: as_filter(And(tuple(F("x").in_(range(5_001)) for _ in range(2)))),
        lambda: as_filter(And(tuple(F("x").contains(list(range(5_001))) for _ in range(2)))),
    ],
)
def test_too_many_values(mistake: Callable[[], object]) -> None:
    start = time.perf_counter()
    with pytest.raises(InvalidFilter, match="at most 10,000 values"):
        mistake()
    assert time.perf_counter() - start < 5


def test_as_many_values_as_allowed() -> None:
    assert as_filter(F("x").in_(range(10_000))) is not None
    assert as_filter(F("x").contains(list(range(10_000)))) is not None


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=3), min_size=1))
def test_a_field_reads_as_it_is_written(keys: list[str]) -> None:
    for field in (Field.of(keys), Field(tuple(keys))):
        assert Field.of(str(field)) == field
    assert not Field.of(keys).own


def test_filters_of_hostile_documents_match_often() -> None:
    hostile = Hostile(Random(5), own=True)
    entries = [hostile.metadata() for _ in range(50)]
    found = [sum(hostile.filter().matches(entry) for entry in entries) for _ in range(300)]
    assert sum(0 < number < len(entries) for number in found) > 100


def test_many_conditions_in_a_row_are_no_deeper_than_one() -> None:
    where: Filter = F("n") == 0
    for number in range(1, 500):
        where = where | (F("n") == number)
    assert as_filter(where) is where
    assert isinstance(where, Or)
    assert len(where.parts) == 500
    both = (F("a") == 1) & (F("b") == 2) & ((F("c") == 3) | (F("d") == 4))
    assert isinstance(both, And)
    assert len(both.parts) == 3
