"""Filters as text: the grammar, its errors with their places, and the way there and back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rendering import filter_text, has_text, plain
from tests.support import ALL_FIELDS, filters
from vectordb.errors import InvalidFilter
from vectordb.filters import F, Filter, Like, Not, parse_text

A, B, C = F("a") == 1, F("b") == 2, F("c") == 3
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a = 1", A),
        ("a == 1", A),
        ("a=1", A),
        (" \t\na\n=\n1 ", A),
        ("a != 1", F("a") != 1),
        ("a <> 1", F("a") != 1),
        ("a < 1", F("a") < 1),
        ("a <= -1.5", F("a") <= -1.5),
        ("a > 1e3", F("a") > 1000.0),
        ("a >= 0.5E-2", F("a") >= 0.005),
        ("a = true", F("a") == True),  # noqa: E712 - builds a filter
        ("a = FALSE", F("a") == False),  # noqa: E712 - builds a filter
        ("a = null", F("a").is_null()),
        ("a != null", ~F("a").is_null()),
        ("a is null", F("a").is_null()),
        ("a IS NOT NULL", ~F("a").is_null()),
        ("a is missing", F("a").missing()),
        ("a is not missing", ~F("a").missing()),
        ("a exists", F("a").exists()),
        ("a not exists", ~F("a").exists()),
        ("a in (1)", F("a").in_([1])),
        ("a in(1,'x', \"y\" ,null,true)", F("a").in_([1, "x", "y", None, True])),
        ("a not in (1, 2)", F("a").not_in([1, 2])),
        ("a any_of (1, 2)", F("a").any_of([1, 2])),
        ("a all_of (1, 2)", F("a").all_of([1, 2])),
        ("a not any_of (1)", ~F("a").any_of([1])),
        ("a between 1 and 2", F("a").between(1, 2)),
        ("a not between 1 and 2 and b = 2", ~F("a").between(1, 2) & B),
        ("a contains 'x'", F("a").contains("x")),
        ("a contains ('x', 1)", F("a").contains(["x", 1])),
        ("a not contains 1", ~F("a").contains(1)),
        ("a like 'x%'", F("a").like("x%")),
        ('a ILIKE "x_"', F("a").ilike("x_")),
        ("a not like 'x\\%'", ~F("a").like("x\\%")),
        ("a startswith 'x'", F("a").startswith("x")),
        ("a = 'it''s'", F("a") == "it's"),
        ("a = ''", F("a") == ""),
        ("a = 'back\\slash'", F("a") == "back\\slash"),
        (r'a = "\u00e9\n\"\ud83d\ude00"', F("a") == 'é\n"\U0001f600'),
        ("a = 'two\nlines'", F("a") == "two\nlines"),
        ('a = "two\nlines"', F("a") == "two\nlines"),
        ("a > date '2026-01-01'", F("a") > NEW_YEAR),
        ('created_at >= DATE "2026-01-01T01:00+01:00"', F("created_at") >= NEW_YEAR),
        ("a > '2026-01-01'", F("a") > "2026-01-01"),
        ("a in (date '2026-01-01')", F("a").in_([NEW_YEAR])),
        ("a.b.c = 1", F("a.b.c") == 1),
        ("a . b = 1", F("a.b") == 1),
        ('"a.b" = 1', F(["a.b"]) == 1),
        ('"a.b".c = 1', F(["a.b", "c"]) == 1),
        ('a."" = 1', F(["a", ""]) == 1),
        ("id = 'x'", F("id") == "x"),
        ('"id" = 1', F(["id"]) == 1),
        ("id.x = 1", F("id.x") == 1),
        ("content-type = 1", F("content-type") == 1),
        ("größe = 1", F("größe") == 1),
        ("in in (1)", F("in").in_([1])),
        ("true = true", F("true") == True),  # noqa: E712 - builds a filter
        ('"and" = 1 and "not" = 1', (F(["and"]) == 1) & (F(["not"]) == 1)),
        # precedence: not before and before or
        ("a = 1 or b = 2 and c = 3", A | (B & C)),
        ("a = 1 and b = 2 or c = 3", (A & B) | C),
        ("(a = 1 or b = 2) and c = 3", (A | B) & C),
        ("not a = 1 and b = 2", ~A & B),
        ("not (a = 1 and b = 2)", ~(A & B)),
        ("not not a = 1", ~~A),
        ("((a = 1))", A),
        ("not a not in (1)", ~F("a").not_in([1])),
    ],
)
def test_grammar(text: str, where: Filter) -> None:
    assert parse_text(text) == where


def test_several_of_one_level_are_one_node() -> None:
    where = parse_text("a = 1 and b = 2 and c = 3")
    assert where.to_dict() == {"and": [{"a": 1}, {"b": 2}, {"c": 3}]}


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("   ", 3),
        ("a", 1),
        ("a =", 3),
        ("a = 1 b", 6),
        ("a = 1 and", 9),
        ("a = 1 or or b = 2", 12),
        ("and a = 1", 4),
        ("(a = 1", 6),
        ("a = 1)", 5),
        ("a = (1)", 4),
        ("a = b", 4),
        ("a = 'x", 4),
        ('a = "x', 4),
        ('a = "\\q"', 4),
        ("a = 01", 4),
        ("a = 1.", 4),
        ("a = .5", 4),
        ("a = +1", 4),
        ("a = 1x", 4),
        ("a = NaN", 4),
        ("a in 1", 5),
        ("a in ()", 6),
        ("a in (1,)", 8),
        ("a in (1 2)", 8),
        ("a between 1, 2", 11),
        ("a between 1 or 2", 12),
        ("a like 5", 7),
        ("a like date '2026-01-01'", 7),
        ("a is 5", 5),
        ("a is not 5", 9),
        ("a not = 1", 6),
        ("a not", 5),
        ("a === 1", 4),
        ("a ~ 1", 2),
        ("a; drop", 1),
        ("a.1 = 1", 2),
        ("a..b = 1", 2),
        (".a = 1", 0),
        ("a. = 1", 3),
        ("a > date '2026-02-30'", 9),
        ("a > date 5", 9),
        ("b = 2 and a > null", 10),
        ("b = 2 and a between 1 and 'x'", 10),
        ("b = 2 and a = 1e999", 10),
        ('b = 2 and a = "\\ud800"', 10),
        ('b = 2 and "\\u0000" = 1', 10),
        ("b = 2 and a like 'x\\'", 10),
        ("a = 1 and " + "(" * 32 + "a = 1" + ")" * 32, 42),
    ],
)
def test_errors_name_their_place(text: str, position: int) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse_text(text)
    assert caught.value.facts["position"] == position
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("text", [None, 5, b"a = 1", ["a = 1"], {"a": 1}])
def test_what_is_no_text(text: Any) -> None:
    with pytest.raises(InvalidFilter, match="is a string"):
        parse_text(text)


@given(filters(own=True).filter(has_text) | filters(fields=ALL_FIELDS, own=True).filter(has_text), st.integers())
def test_there_and_back(where: Filter, seed: int) -> None:
    assert parse_text(filter_text(plain(where), Random(seed))) == plain(where)


@given(st.text())
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    refused_or_filter(text)


TOKENS = ["a", "and", "or", "not", "in", "is", "null", "(", ")", ",", ".", "=", "<", "1", "-", "1e9", "'x'", '"', "'"]
TOKENS += ["between", "contains", "like", "exists", "date", "'2026-01-01'", "\\", "\x00", "\ud800", "%", " "]


@given(st.lists(st.sampled_from(TOKENS), max_size=12).map(" ".join))
def test_any_words_are_a_filter_or_refused(text: str) -> None:
    refused_or_filter(text)


@given(filters(own=True).filter(has_text), st.integers(), st.data())
def test_filters_with_a_mistake_are_refused_or_filters(where: Filter, seed: int, data: st.DataObject) -> None:
    text = filter_text(where, Random(seed))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 5)))
    refused_or_filter(text[:start] + data.draw(st.sampled_from(["", *TOKENS])) + text[end:])


def refused_or_filter(text: str) -> None:
    position = 0
    try:
        where = parse_text(text)
    except InvalidFilter as error:
        position = error.facts.get("position", 0)
    else:
        assert parse_text(f"not ({text})") == Not(where)
    assert 0 <= position <= len(text)


LONG = 999_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(" * 10_000 + "a = 1" + ")" * 10_000, "32 levels deep"),
        ("not " * 10_000 + "a = 1", "32 levels deep"),
        ("a = '" + "x" * LONG, "expected a value"),
        ('a = "' + "x" * LONG, "expected a value"),
        ("a = '" + "''" * (LONG // 2), "the end"),
        ('a = "' + "\\" * LONG, "expected a value"),
        ("a." * (LONG // 2) + "a = 1", "at most 64 keys"),
        (" and ".join(["a = 1"] * 90_000), "at most 1000 parts"),
        ("a in (" + ",".join(["1"] * (LONG // 2)) + ")", "at most 10,000 values"),
        ("a contains (" + ",".join(["1"] * (LONG // 2)) + ")", "at most 10,000 values"),
        ("a = " + "1" * LONG, "over 1000 digits"),
        ("a like '" + "%a" * (LONG // 2) + "'", "at most 1000 characters"),
        (" " * LONG, "expected a field"),
        ("a = 1" + " " * LONG + "?", "expected 'and'"),
        ("a" * LONG, "expected an operator"),
        ("x" * 1_000_001, "at most 1,000,000 characters"),
    ],
    ids=lambda value: value[:12],
)
def test_large_texts_are_refused_quickly(text: str, message: str) -> None:
    start = time.perf_counter()
    with pytest.raises(InvalidFilter, match=message) as caught:
        parse_text(text)
    assert time.perf_counter() - start < 10
    assert len(str(caught.value)) < 500


def test_large_strings_are_values() -> None:
    assert parse_text(f"a = '{'x' * LONG}'") == (F("a") == "x" * LONG)
    assert parse_text('a = "' + "\\n" * (LONG // 2) + '"') == (F("a") == "\n" * (LONG // 2))


def test_as_deep_as_allowed() -> None:
    assert parse_text("(" * 31 + "a = 1" + ")" * 31) == A
    where = parse_text("not " * 31 + "a = 1")
    assert isinstance(where, Not)
    assert parse_text("a ilike 'x'") == Like("a", "x", case_sensitive=False)  # type: ignore[arg-type] # a name will do
