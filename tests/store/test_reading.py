"""Get, delete, count, scan and vectors."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
import pytest

from vectordb import Collection, Document, F
from vectordb.errors import DocumentNotFound, InvalidFilter, InvalidInput, InvalidText


@pytest.fixture
def filled(docs: Collection) -> Collection:
    docs.upsert([Document(f"Text number {n}.", n, metadata={"n": n, "even": n % 2 == 0}) for n in range(10)])
    return docs


def ids(documents: Any) -> list[str]:
    return [document.id for document in documents]


def test_one_or_many(filled: Collection) -> None:
    document = Document("Text number 3.", "3", metadata={"n": 3, "even": False})
    assert filled.get("3") == filled.get(3) == document
    assert filled.get(["3"]) == filled.get((3,)) == filled.get({"3"}) == filled.get(iter([3])) == [document]
    assert filled.get([]) == []


def test_in_the_order_asked_without_those_that_are_not_there(filled: Collection) -> None:
    assert ids(filled.get([7, "missing", 2, "9"])) == ["7", "2", "9"]
    assert ids(filled.get([1, "1"])) == ["1", "1"]


@pytest.mark.parametrize("id", ["missing", "33", -1, UUID(int=1), "'; DROP TABLE canary; --", "%", "{3}"])
def test_one_that_is_not_there(filled: Collection, id: Any) -> None:
    with pytest.raises(DocumentNotFound, match="has no document with the id") as caught:
        filled.get(id)
    assert caught.value.facts["id"] == str(id)
    assert isinstance(caught.value, LookupError)


@pytest.mark.parametrize(
    "id",
    ["", "a\x00", "\ud800", "x" * 513, True, None, 1.5, b"3", bytearray(b"3"), {"id": "3"}, Document("3"), F("n") == 3],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_id(filled: Collection, id: Any) -> None:
    for ids in (id, [id], ["3", id]):
        for call in (filled.get, filled.vectors):
            with pytest.raises(InvalidText):
                call(ids)
        if ids is not None:
            with pytest.raises(InvalidText):
                filled.delete(ids)
    assert filled.count() == 10


def test_vectors(filled: Collection) -> None:
    text = "The first paragraph of all.\n\nThe second paragraph of all."
    filled.upsert([Document(text, "two"), Document("", "none")])
    found = filled.vectors(["two", 3, "none", "missing"])
    assert {id: matrix.shape for id, matrix in found.items()} == {"two": (2, 16), "3": (1, 16)}
    assert all(matrix.dtype == np.float32 for matrix in found.values())
    assert filled.vectors([]) == {}
    assert filled.vectors("missing") == {}
    assert list(filled.vectors("3")) == ["3"]


def test_delete_by_id(filled: Collection) -> None:
    assert filled.delete("3") == 1
    assert filled.delete(["3", 4, 4, "missing"]) == 1
    assert filled.delete([]) == 0
    assert filled.count() == 8
    assert "3" not in {hit.document_id for hit in filled.search("Text number 3.")}
    assert filled.vectors([3, 4]) == {}


def test_delete_by_filter(filled: Collection) -> None:
    assert filled.delete(where=F("n") >= 8) == 2
    assert filled.delete(where={"even": True}) == 4
    assert filled.delete(where=F("n") >= 8) == 0
    assert ids(filled.scan()) == ["1", "3", "5", "7"]


def test_delete_by_both(filled: Collection) -> None:
    assert filled.delete([1, 2, 3], where=F("even") == True) == 1  # noqa: E712 - builds a filter
    assert filled.delete([], where=F("n") >= 0) == 0
    assert ids(filled.get(range(5))) == ["0", "1", "3", "4"]


def test_delete_needs_to_know_what(filled: Collection) -> None:
    with pytest.raises(InvalidInput, match="delete needs ids or where"):
        filled.delete()
    with pytest.raises(InvalidInput, match="delete needs ids or where"):
        filled.delete(where={})
    with pytest.raises(InvalidFilter):
        filled.delete(where="n = 1")  # type: ignore[arg-type] # a mistake
    assert filled.count() == 10


def test_count(filled: Collection) -> None:
    assert filled.count() == 10
    assert filled.count(F("n") < 3) == filled.count({"n": {"<": 3}}) == 3
    assert filled.count({"missing": 1}) == 0
    filled.upsert(Document("", "empty"))
    assert filled.count() == 11
    with pytest.raises(InvalidFilter):
        filled.count("n")  # type: ignore[arg-type] # a mistake


def test_scan_goes_page_by_page_without_missing_or_repeating(points: Collection) -> None:
    count = 2_500
    points.upsert_vectors(range(count), [[1, 2, 3]] * count, metadata=[{"n": n} for n in range(count)])
    everything = ids(points.scan())
    assert everything == sorted(map(str, range(count)))
    assert ids(points.scan(F("n") < 1_500)) == sorted(map(str, range(1_500)))
    assert ids(points.scan({"n": 77})) == ["77"]


@pytest.mark.parametrize("count", [0, 1, 999, 1_000, 1_001])
def test_scan_at_the_edge_of_a_page(points: Collection, count: int) -> None:
    points.upsert_vectors(range(count), np.ones((count, 3)))
    assert len(ids(points.scan())) == count


def test_scan_of_documents_of_many_chunks(docs: Collection) -> None:
    documents = [
        Document("\n\n".join([f"Paragraph {n} of document {d}." for n in range(3)]), f"d{d:04}") for d in range(1_100)
    ]
    docs.upsert([Document(document.content, document.id, embedding=np.ones(16)) for document in documents[:1_000]])
    docs.upsert(documents)
    assert list(docs.scan()) == documents


def test_scan_while_others_write(points: Collection) -> None:
    """What was there before and after is seen once; what comes behind the place of the scan is seen, too."""
    points.upsert_vectors([f"m{n:04}" for n in range(1_500)], np.ones((1_500, 3)))
    seen = []
    for document in points.scan():
        seen.append(document.id)
        if len(seen) == 500:
            points.upsert_vectors(["a", "z"], np.ones((2, 3)))
            points.delete("m1400")
    assert seen == [*(f"m{n:04}" for n in range(1_500) if n != 1_400), "z"]


def test_a_scan_that_is_given_up_holds_nothing(points: Collection) -> None:
    points.upsert_vectors(range(1_500), np.ones((1_500, 3)))
    scan = points.scan()
    next(scan)
    assert points.delete(range(1_500)) == 1_500
    assert len(list(scan)) == 999, "the page that was read already"
