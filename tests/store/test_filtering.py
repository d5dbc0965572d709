"""Filters in PostgreSQL against `Filter.matches`, over metadata and filters meant to confuse."""

from __future__ import annotations

import enum
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase

from tests.support import HOSTILE_NAMES, HOSTILE_NUMBERS, HOSTILE_TEXTS
from vectordb import Collection, F, Filter, VectorDB
from vectordb.filters import And, Compare, Field, Or

# To shrink a failure through a database takes minutes.
GENERATE = [Phase.reuse, Phase.generate]


class Size(enum.IntEnum):
    LARGE = 3


def every_value_once() -> list[dict[str, Any]]:
    """Every hostile value under every hostile name, nested ones too."""
    nested: list[Any] = [[], [1], ["a"], {}, {"a": 1}, {"year": {"a": "1"}}]
    values = [None, True, False, *HOSTILE_NUMBERS, *HOSTILE_TEXTS, *nested]
    return [dict.fromkeys(HOSTILE_NAMES, value) for value in values]


@pytest.fixture(scope="module")
def hostile(home: VectorDB) -> Collection:
    """A document for every hostile value; only to be read."""
    docs = home.create_collection("hostile", dimensions=2)
    entries = every_value_once()
    docs.upsert_vectors(range(len(entries)), [[1, n] for n in range(len(entries))], metadata=entries)
    return docs


@pytest.mark.parametrize("operator", ["==", "<", "<=", ">", ">="])
def test_every_comparison_with_every_value(points: Collection, operator: Any) -> None:
    entries = [{"v": next(iter(entry.values()))} for entry in every_value_once()]
    points.upsert_vectors(range(len(entries)), [[1, n, 1] for n in range(len(entries))], metadata=entries)
    for value in [entry["v"] for entry in entries]:
        if isinstance(value, (list, dict)) or (operator != "==" and (value is None or isinstance(value, bool))):
            continue
        where = Compare(Field.of("v"), operator, value)
        expected = [n for n, entry in enumerate(entries) if where.matches(entry)]
        assert sorted(int(str(document.id)) for document in points.scan(where)) == expected, where


def test_numbers_of_other_libraries(points: Collection) -> None:
    points.upsert_vectors(["a", "b"], [[1, 2, 3]] * 2, metadata=[{"size": 3, "x": 0.5}, {"size": 4, "x": 1.5}])
    assert points.count(F("size") == Size.LARGE) == points.count(F("size") <= Size.LARGE) == 1
    assert points.count(F("x") == np.float64(0.5)) == points.count(F("x") < np.float64(1.5)) == 1


def test_a_filter_is_of_the_documents_metadata_even_after_it_changed(docs: Collection) -> None:
    text = "The first paragraph of all.\n\nThe second paragraph of all."
    docs.upsert({"id": "a", "content": text, "metadata": {"year": 2020}})
    docs.upsert({"id": "a", "content": text, "metadata": {"year": 2021}})
    assert len(docs.search("paragraph", where=F("year") == 2020)) == 0
    assert len(docs.search("paragraph", where=F("year") == 2021)) == 2


def test_large_filters(points: Collection) -> None:
    points.upsert_vectors(range(100), [[1, 2, 3]] * 100, metadata=[{"n": n} for n in range(100)])
    where = Or(tuple(Compare(Field.of("n"), "==", n) for n in range(0, 1_800, 2)))
    assert points.count(where) == 50
    assert len(points.search([1, 2, 3], where=where, limit=100)) == 50
    deep: Filter = F("n") == 1
    for _ in range(31):
        deep = ~deep
    assert points.count(deep) == 99
    assert points.count(And(())) == 100
    assert points.count(Or(())) == 0
    assert points.count(json.loads(json.dumps(where.to_dict()))) == 50


def paths(count: int) -> list[list[str]]:
    """Paths as long as they may be, of keys that are all different."""
    return [[f"{number}-{depth}" for depth in range(64)] for number in range(count)]


def test_the_largest_filters_that_are_allowed(points: Collection) -> None:
    """PostgreSQL takes 65,535 parameters."""
    points.upsert_vectors(["a"], [[1, 2, 3]], metadata=[{"n": 1}])
    assert points.count(Or(tuple(F(path).ilike("x%") for path in paths(999)))) == 0
    assert points.count(Or(tuple(F(path).between("a", "b") for path in paths(333)))) == 0
    assert points.count(Or(tuple(F(path).any_of(range(40)) for path in paths(200)))) == 0
    assert points.count(F("n").in_(range(10_000))) == 1
    assert points.count(F("n").contains(list(range(10_000)))) == 0


def test_long_values(points: Collection) -> None:
    text = "ä%_\\" * 100_000
    points.upsert_vectors(["a"], [[1, 2, 3]], metadata=[{"t": text, "keys": {text[:1_000]: 1}}])
    for where in (
        F("t") == text,
        F("t").startswith(text),
        F("t") >= text,
        F("t").in_([text]),
        F("t").like("Ä%") | F("t").ilike("Ä%"),
    ):
        assert points.count(where) == 1
    assert points.count(F(["keys", text[:1_000]]) == 1) == 1


def test_hostile_patterns_take_no_exponential_time(points: Collection) -> None:
    points.upsert_vectors(["a"], [[1, 2, 3]], metadata=[{"t": "a" * 5_000}])
    assert points.count(F("t").like("%a" * 400 + "b")) == 0
    assert points.count(F("t").ilike("%A_" * 300 + "b")) == 0
