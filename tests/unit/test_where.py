"""Filters as SQL text: user input is bound, never written. What the SQL means is a test of the store."""

from __future__ import annotations

import enum
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import FIELD_NAMES, SCALARS, STORABLE_TEXT, filters
from vectordb import F, Filter
from vectordb.filters import And, Compare, Not, Or
from vectordb.search.where import where_clause


class Size(enum.IntEnum):
    LARGE = 3


def shape(where: Filter) -> Any:
    """The filter without names and values."""
    if isinstance(where, Compare):
        return where.operator, "" if where.operator == "==" else type(where.value) is str
    if isinstance(where, Not):
        return "not", shape(where.part)
    assert isinstance(where, (And, Or))
    return type(where).__name__, tuple(shape(part) for part in where.parts)


@given(filters())
def test_every_placeholder_has_a_value(where: Filter) -> None:
    sql, parameters = where_clause(where, "c")
    assert set(re.findall(r"%\((\w+)\)s", sql)) == set(parameters)
    assert all(type(value) is str for value in parameters.values())
    assert sql.count("%") == len(re.findall(r"%\(w\d+\)s::text", sql))


@given(filters(), FIELD_NAMES, st.integers() | st.text(min_size=1, max_size=3).filter(str.isalnum))
def test_the_text_depends_on_the_shape_alone(where: Filter, name: str, value: Any) -> None:
    def replaced(node: Filter) -> Filter:
        if isinstance(node, Compare):
            of_same_kind = value if node.operator == "==" else "text" if isinstance(node.value, str) else 5
            return Compare(name, node.operator, of_same_kind)
        if isinstance(node, Not):
            return Not(replaced(node.part))
        assert isinstance(node, (And, Or))
        return type(node)(tuple(replaced(part) for part in node.parts))

    other = replaced(where)
    assert shape(other) == shape(where)
    assert where_clause(where, "c")[0] == where_clause(other, "c")[0]


@given(STORABLE_TEXT.filter(lambda text: len(text) > 12), st.sampled_from(["==", "<"]))
def test_no_name_or_value_is_in_the_text(canary: str, operator: Any) -> None:
    sql, parameters = where_clause(Compare(canary, operator, canary + "value"), "c")
    assert canary not in sql
    assert canary in parameters.values()


@pytest.mark.parametrize("value", [np.float64(2020.5), Size.LARGE, 10**400, 5e-324, -0.0])
@pytest.mark.parametrize("operator", ["==", "<"])
def test_numbers_are_written_as_json_has_them(operator: Any, value: Any) -> None:
    _, parameters = where_clause(Compare("size", operator, value), "c")
    plain = int(value) if isinstance(value, int) else float(value)
    assert parameters["w1"] == repr(plain)


def test_filters_without_parts() -> None:
    assert where_clause(And(()), "c") == ("(true)", {})
    assert where_clause(Or(()), "c") == ("(false)", {})


@given(SCALARS)
def test_parameters_are_numbered_through(value: Any) -> None:
    _, parameters = where_clause((F("a") == value) & ((F("b") == value) | ~(F("c") == value)), "c")
    assert list(parameters) == ["w0", "w1", "w2", "w3", "w4", "w5"]
