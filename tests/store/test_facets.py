"""Counting documents by the values of a field."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.store.conftest import NewCollection
from vectordb import Collection, F
from vectordb.errors import InvalidFilter, InvalidInput

VALUES = ["b", "a", "b", 1, 1.0, 2, True, True, True, None, [], {"x": 1}, ["a", "b", "a"], "", "é", "Z"]


@pytest.fixture(params=[None, {"lang": str, "year": int, "score": float, "open": bool, "day": "datetime"}])
def docs(request: pytest.FixtureRequest, new_collection: NewCollection) -> Collection:
    docs = new_collection(dimensions=3, fields=request.param)
    metadata: list[dict[str, Any]] = [
        {
            "lang": ["en", "de", "fr", "en"][n % 4],
            "year": 2000 + n % 3,
            "score": n / 4,
            "open": n % 5 == 0,
            "day": f"2020-01-0{1 + n % 2}",
            "any": VALUES[n],
            "deep": {"er": [n % 2, "x"]},
            "a.b": n % 2,
        }
        for n in range(len(VALUES))
    ]
    metadata.append({"lang": None})
    metadata.append({})
    docs.upsert_vectors(range(len(metadata)), [[1, 2, n] for n in range(len(metadata))], metadata=metadata)
    return docs


def test_by_frequency_then_by_value(docs: Collection) -> None:
    assert [tuple(facet) for facet in docs.facets("lang")] == [("en", 8), ("de", 4), ("fr", 4)]
    assert dict(docs.facets("year")) == {2000: 6, 2001: 5, 2002: 5}
    assert [tuple(facet) for facet in docs.facets("open")] == [(False, 12), (True, 4)]
    assert dict(docs.facets("day")) == {"2020-01-01": 8, "2020-01-02": 8}
    assert docs.facets("year")[0].value == 2000
    assert dict(docs.facets("score", limit=3)) == {0: 1, 0.25: 1, 0.5: 1}


def test_values_of_every_type(docs: Collection) -> None:
    found = [(value, type(value) is bool, count) for value, count in docs.facets("any")]
    assert found == [
        (True, True, 3),
        ("b", False, 3),
        (1, False, 2),
        ("a", False, 2),
        (2, False, 1),
        ("", False, 1),
        ("Z", False, 1),
        ("é", False, 1),
    ]


def test_paths(docs: Collection) -> None:
    assert dict(docs.facets("deep.er")) == {"x": 16, 0: 8, 1: 8}
    assert dict(docs.facets(["a.b"])) == dict(docs.facets('"a.b"')) == {0: 8, 1: 8}
    assert docs.facets("a.b") == docs.facets("nothing") == docs.facets("deep") == []
    assert len(docs.facets("id", limit=None)) == 18
    assert docs.facets("title") == docs.facets("uri") == []


def test_where_and_limit(docs: Collection) -> None:
    assert dict(docs.facets("lang", where=F("year") == 2000)) == dict(
        Counter(["en", "de", "fr", "en"][n % 4] for n in range(16) if n % 3 == 0)
    )
    assert len(docs.facets("score", limit=5)) == 5
    assert len(docs.facets("score")) == 10
    assert len(docs.facets("score", limit=None)) == 16
    assert docs.facets("lang", where=F("lang") == "none") == []
    assert dict(docs.facets("lang", where=docs.Document.id == "0")) == {"en": 1}


@pytest.mark.parametrize("limit", [0, -1, 100_001, 1.5, "5", True])
def test_limits(docs: Collection, limit: Any) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        docs.facets("lang", limit=limit)


@pytest.mark.parametrize("field", ["a\x00", "\ud800", 5, None, F("lang"), "", [], '"open', ["a", 5]], ids=ascii)
def test_fields_that_are_none(docs: Collection, field: Any) -> None:
    if isinstance(field, str) and not field:
        assert docs.facets(field) == []
        return
    with pytest.raises(InvalidFilter):
        docs.facets(field)


@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_times_are_as_many_as_documents(docs: Collection, field: str) -> None:
    with pytest.raises(InvalidInput):
        docs.facets(field)
