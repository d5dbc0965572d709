"""Filters in PostgreSQL against `Filter.matches`, over metadata and filters meant to confuse."""

from __future__ import annotations

import enum
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.store.conftest import NewCollection
from tests.support import HOSTILE_NAMES, HOSTILE_NUMBERS, HOSTILE_TEXTS, filters, metadata
from vectordb import Collection, F, Filter, VectorDB
from vectordb.filters import And, Compare, Or

ENTRIES = st.lists(metadata(), min_size=60, max_size=60)


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


@settings(max_examples=150, phases=GENERATE)
@given(where=filters())
def test_the_same_documents_as_the_oracle(hostile: Collection, where: Filter) -> None:
    expected = {str(n) for n, entry in enumerate(every_value_once()) if where.matches(entry)}
    assert hostile.count(where) == len(expected)
    assert {str(document.id) for document in hostile.scan(where)} == expected
    assert {hit.document_id for hit in hostile.search([1, 1], limit=100, where=where)} == expected
    assert {hit.document_id for hit in hostile.search([1, 1], limit=100, where=where, exact=True)} == expected


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], phases=GENERATE)
@given(entries=ENTRIES, wheres=st.lists(filters(), min_size=5, max_size=5))
def test_the_same_documents_as_the_oracle_over_any_metadata(
    new_collection: NewCollection, entries: list[dict[str, Any]], wheres: list[Filter]
) -> None:
    docs = new_collection(dimensions=2, index=None)
    docs.upsert_vectors(range(len(entries)), [[1, n] for n in range(len(entries))], metadata=entries)
    for where in wheres:
        expected = [n for n, entry in enumerate(entries) if where.matches(entry)]
        assert sorted(int(hit.document_id) for hit in docs.search([1, 1], limit=100, where=where)) == expected
        assert docs.count(where) + docs.count(~where) == len(entries)
        assert docs.count(where.to_dict()) == len(expected)


@pytest.mark.parametrize("operator", ["==", "<", "<=", ">", ">="])
def test_every_comparison_with_every_value(points: Collection, operator: Any) -> None:
    entries = [{"v": next(iter(entry.values()))} for entry in every_value_once()]
    points.upsert_vectors(range(len(entries)), [[1, n, 1] for n in range(len(entries))], metadata=entries)
    for value in [entry["v"] for entry in entries]:
        if isinstance(value, (list, dict)) or (operator != "==" and (value is None or isinstance(value, bool))):
            continue
        where = Compare("v", operator, value)
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
    where = Or(tuple(Compare("n", "==", n) for n in range(0, 1_800, 2)))
    assert points.count(where) == 50
    assert len(points.search([1, 2, 3], where=where, limit=100)) == 50
    deep: Filter = F("n") == 1
    for _ in range(31):
        deep = ~deep
    assert points.count(deep) == 99
    assert points.count(And(())) == 100
    assert points.count(Or(())) == 0
    assert points.count(json.loads(json.dumps(where.to_dict()))) == 50
