"""Values that go in and come out."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectordb import Document, Hit, Results, UpsertResult
from vectordb.documents import content_hash, derived_id

WORDS = st.text(st.characters(exclude_characters="\x00\x01", exclude_categories=["Cs"]), max_size=5)
PARTS = st.lists(st.none() | WORDS, min_size=4, max_size=4)


def hit(n: int, content: str = "text", **changes: Any) -> Hit:
    values: dict[str, Any] = {"score": 1 - n / 10, "distance": n / 10, "vector_rank": n, "metadata": {"n": n}} | changes
    return Hit(document_id=f"d{n}", ordinal=0, content=content, **values)


@pytest.fixture
def results() -> Results:
    return Results([hit(n) for n in range(1, 6)])


def test_results_are_a_sequence(results: Results) -> None:
    assert len(results) == 5
    assert [found.document_id for found in results] == ["d1", "d2", "d3", "d4", "d5"]
    assert results[0] is next(iter(results))
    assert results[-1].document_id == "d5"
    assert hit(3) in results
    assert results.index(hit(3)) == 2
    assert next(reversed(results)) == results[4]
    with pytest.raises(IndexError):
        results[5]


def test_a_slice_of_results_is_results(results: Results) -> None:
    assert isinstance(results[:2], Results)
    assert results[:2] == Results([hit(1), hit(2)])
    assert results[::-1][0] == hit(5)
    assert not results[5:]


def test_equal_results(results: Results) -> None:
    same = Results([hit(n) for n in range(1, 6)])
    assert results == same
    assert hash(results) == hash(same)
    assert results != same[:4]
    assert results != list(same)


def test_results_print_as_a_table() -> None:
    results = Results([hit(1, "Cats\n\tpurr."), hit(2, "x" * 200, score=-0.25)])
    assert str(results).splitlines() == [" 0.9000  d1  Cats purr.", f"-0.2500  d2  {'x' * 73}…"]
    assert repr(results) == f"Results(2 hits)\n{results}"
    assert (str(Results([])), repr(Results([]))) == ("", "Results(0 hits)")


def test_a_printed_line_fits_a_terminal() -> None:
    results = Results([Hit("i" * 500, 0, "word " * 100, {}, 0.5), Hit("short", 0, "", {}, 0.25)])
    assert max(len(line) for line in str(results).splitlines()) <= 100


def test_hits_as_json(results: Results) -> None:
    dicts = results.to_dicts()
    assert json.loads(json.dumps(dicts)) == dicts
    assert dicts[0] == {
        "document_id": "d1",
        "ordinal": 0,
        "content": "text",
        "metadata": {"n": 1},
        "score": 0.9,
        "distance": 0.1,
        "vector_rank": 1,
        "vector_score": None,
        "text_rank": None,
        "text_score": None,
        "rerank_score": None,
        "highlight": None,
    }


@pytest.mark.parametrize(
    ("value", "field"), [(hit(1), "content"), (Document("text"), "content"), (UpsertResult(), "inserted")]
)
def test_values_do_not_change(value: Any, field: str) -> None:
    with pytest.raises(AttributeError):
        setattr(value, field, "other")


def test_a_document_says_little_of_its_vector() -> None:
    document = Document("text", embedding=[1.0, 2.0])
    assert "1.0" not in repr(document)
    assert document == Document("text", embedding=[3.0, 4.0])


def test_counts_add_up() -> None:
    total = UpsertResult(1, 2, 3, 4, 5, 6) + UpsertResult(10, 20, 30, 40, 50, 60)
    assert total == UpsertResult(11, 22, 33, 44, 55, 66)
    assert total.to_dict() == dataclasses.asdict(total)


@given(PARTS, PARTS)
def test_derived_ids_are_equal_only_for_equal_parts(one: list[str | None], other: list[str | None]) -> None:
    assert (derived_id(*one) == derived_id(*other)) == (one == other)
    assert UUID(derived_id(*one)).version == 8


@given(st.text("ab", max_size=3), st.binary(max_size=3), st.text("ab", max_size=3), st.binary(max_size=3))
def test_the_hash_is_of_text_and_vector(a: str, a_vector: bytes, b: str, b_vector: bytes) -> None:
    assert (content_hash(a, a_vector) == content_hash(b, b_vector)) == ((a, a_vector) == (b, b_vector))
    assert len(content_hash(a)) == 16
