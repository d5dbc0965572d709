"""Filters held against declared fields and the document's own columns."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given

from tests.support import ALL_FIELDS, filters
from vectordb.errors import InvalidFilter
from vectordb.fields import FieldType
from vectordb.filters import And, Compare, F, Field, Filter, Or, parse, resolve

FIELDS = {"year": FieldType.INT, "lang": FieldType.STR, "score": FieldType.FLOAT, "open": FieldType.BOOL}
FIELDS |= {"published": FieldType.DATETIME}
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("where", "resolved"),
    [
        (F("published") >= "2026-01-01", F("published") >= NEW_YEAR),
        (F("published").between("2026-01-01", "2026-01-01T01:00+01:00"), F("published").between(NEW_YEAR, NEW_YEAR)),
        (F("published").in_(["2026-01-01", None]), F("published").in_([NEW_YEAR, None])),
        (F("created_at") < "2026-01-01", F("created_at") < NEW_YEAR),
        (F("updated_at") < date(2026, 1, 1), F("updated_at") < NEW_YEAR),
        (F("id") == 5, F("id") == "5"),
        (F("id").in_([5, "a"]), F("id").in_(["5", "a"])),
        (~(F("a") == 1) & (Or((F("id") == 5,))), ~(F("a") == 1) & (Or((F("id") == "5",)))),
    ],
    ids=repr,
)
def test_values_take_the_type_of_the_field(where: Filter, resolved: Filter) -> None:
    assert resolve(where, FIELDS) == resolved
    assert resolve(resolved, FIELDS) == resolved


@pytest.mark.parametrize(
    "where",
    [
        F("year") == 5,
        F("year") == 5.5,
        F("year") >= 2**70,
        F("year").in_([1, 2.5, None]),
        F("score") == 5,
        F("lang") == "5",
        F("lang").like("e%"),
        F("lang").startswith("e"),
        F("open") == True,  # noqa: E712 - builds a filter
        F("open").in_([True, None]),
        F("open").exists() & F("published").missing() & F("published").is_null(),
        F("title").ilike("x") & F("uri").startswith("x") & F("id").like("x%"),
        F(["id"]) == 5,
        F(["title"]).contains(5),
        F("year.month") == "x",
        F("a.year") == "x",
        F("other").contains([1]),
        F('"yaer"') == "x",
        F(["yaer"]) == "x",
        And(()),
    ],
    ids=repr,
)
def test_what_fits_stays_as_it_is(where: Filter) -> None:
    assert resolve(where, FIELDS) == where


@pytest.mark.parametrize(
    ("where", "path"),
    [
        (F("year") == "2020", "year"),
        (F("year") == True, "year"),  # noqa: E712 - builds a filter
        (F("year") > date(2020, 1, 1), "year"),
        (F("year").in_([1, None, "2"]), "year[2]"),
        (F("year").like("2%"), "year"),
        (F("year").startswith("2"), "year"),
        (F("year").contains(1), "year"),
        (F("year").any_of([1]), "year"),
        (F("lang") == 5, "lang"),
        (F("lang") == False, "lang"),  # noqa: E712 - builds a filter
        (F("lang") == date(2020, 1, 1), "lang"),
        (F("lang").contains("en"), "lang"),
        (F("score") == "1", "score"),
        (F("open") == 1, "open"),
        (F("open") > 1, "open"),
        (F("open") == "true", "open"),
        (F("published") == "2026-02-30", "published"),
        (F("published") == 2026, "published"),
        (F("published").in_(["2026-01-01", "x"]), "published[1]"),
        (F("published").like("2026%"), "published"),
        (F("created_at") == "now", "created_at"),
        (F("created_at").startswith("2026"), "created_at"),
        (F("id") == True, "id"),  # noqa: E712 - builds a filter
        (F("id") == 5.5, "id"),
        (F("title") == 5, "title"),
        (F("title").contains("x"), "title"),
        (F("uri").any_of(["x"]), "uri"),
        ((F("a") == 1) & ~(F("b").exists() | (F("year") == "x")), "not.or[1].year"),
    ],
    ids=repr,
)
def test_what_does_not_fit_is_refused(where: Filter, path: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        resolve(where, FIELDS)
    assert caught.value.facts["path"] == path


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("yaer", "year"), ("years", "year"), ("langs", "lang"), ("publishd", "published"), ("Year", "year")],
)
def test_misspelt_fields(name: str, nearest: str) -> None:
    for where in (F(name) == 1, F(name).exists(), ~F(name).contains(1), F(f"{name}.x") == 1):
        with pytest.raises(InvalidFilter, match=f"did you mean '{nearest}'") as caught:
            resolve(where, FIELDS)
        assert caught.value.facts["nearest"] == nearest
    assert resolve(F([name]) == 1, FIELDS) == (F([name]) == 1)
    assert resolve(F(name) == 1, {}) == (F(name) == 1)


@pytest.mark.parametrize("name", ["month", "a", "", "y", "x" * 100_000, "%s"])
def test_other_keys_are_no_misspelling(name: str) -> None:
    assert resolve(F(name) == 1, FIELDS) == (F(name) == 1)


@given(filters(fields=ALL_FIELDS, own=True))
def test_resolving_twice_changes_nothing(where: Filter) -> None:
    once: Any = resolve(where, ALL_FIELDS)
    assert resolve(once, ALL_FIELDS) == once


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
def test_ids_have_the_order_of_text(operator: Any) -> None:
    with pytest.raises(InvalidFilter, match="compare their order with a string"):
        resolve(Compare(Field.of("id"), operator, 10), {})
    assert resolve(Compare(Field.of("id"), operator, "10"), {}) == Compare(Field.of("id"), operator, "10")
    assert resolve(F("id") == 10, {}) == (F("id") == "10")


def test_a_name_in_another_case_is_misspelt() -> None:
    with pytest.raises(InvalidFilter, match="did you mean 'year'"):
        resolve(F("YEAR") == 1, {"year": FieldType.INT})
    resolve(F(["YEAR"]) == 1, {"year": FieldType.INT})


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ({"year": "x"}, "year"),
        ({"lang": "en", "year": "x"}, "year"),
        ({"or": [{"lang": "en"}, {"year": {"in": [1, "x"]}}]}, "or[1].year[1]"),
        ({"not": {"or": [{"lang": "en"}, {"and": [{"year": 1}, {"yaer": 1}]}]}}, "not.or[1].and[1].yaer"),
    ],
)
def test_the_place_in_the_filter_is_named(where: Any, path: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        resolve(parse(where), {"year": FieldType.INT, "lang": FieldType.STR})
    assert caught.value.facts["path"] == path
    assert "[" not in path or path in str(caught.value)
