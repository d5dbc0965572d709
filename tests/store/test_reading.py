"""Get, delete, count, scan and vectors."""

from __future__ import annotations

import contextlib
import gc
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import sqlalchemy as sa

import vectordb
from tests.store.support import rows
from vectordb import Collection, Document, F, VectorDB
from vectordb.errors import (
    ConnectionFailed,
    DatabaseError,
    DocumentNotFound,
    InvalidFilter,
    InvalidInput,
    InvalidText,
)
from vectordb.filters import And


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
        filled.delete(where="n = 1")
    assert filled.count() == 10


def test_count(filled: Collection) -> None:
    assert filled.count() == 10
    assert filled.count(F("n") < 3) == filled.count({"n": {"<": 3}}) == 3
    assert filled.count({"missing": 1}) == 0
    filled.upsert(Document("", "empty"))
    assert filled.count() == 11
    with pytest.raises(InvalidFilter):
        filled.count("n")


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
    """The documents are those of the moment when the first was asked for."""
    before = [f"m{n:04}" for n in range(2_500)]
    points.upsert_vectors(before, np.ones((2_500, 3)), metadata=[{"version": 1}] * 2_500)
    scan = points.scan()
    points.upsert_vectors(["early"], np.ones((1, 3)), metadata=[{"version": 1}])
    seen = []
    for document in scan:
        seen.append(document)
        if len(seen) == 5:
            points.upsert_vectors(["a", "z", "m1400"], np.ones((3, 3)), metadata=[{"version": 2}] * 3)
            points.patch_metadata({"version": 2}, where=F("id") > "m2000")
            points.delete(where=F("id").between("m1500", "m1600"))
    assert ids(seen) == sorted([*before, "early"])
    assert {document.metadata["version"] for document in seen} == {1}
    assert points.count() == 2_500 + 1 + 2 - 101


_IN_TRANSACTION = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
)


def test_a_scan_is_read_through_a_cursor_bit_by_bit(points: Collection, home: VectorDB) -> None:
    points.upsert_vectors(range(2_500), np.ones((2_500, 3)))
    with home.transaction():
        scan = points.scan()
        assert rows_within(home) == []
        next(scan)
        assert len(rows_within(home)) == 1
        for _ in range(1_800):
            next(scan)
        assert len(rows_within(home)) == 1
        assert len(list(scan)) == 699
        assert rows_within(home) == []


def rows_within(db: VectorDB) -> list[Any]:
    """Return the server-side cursors of the open transaction."""
    with db._database.begin() as connection:
        found = connection.exec_driver_sql("SELECT name FROM pg_cursors WHERE name LIKE 'vectordb%%'").fetchall()
    return list(found)


@pytest.mark.parametrize("end", ["close", "break", "exception", "garbage"])
def test_a_scan_that_is_given_up_holds_nothing(points: Collection, home: VectorDB, end: str) -> None:
    points.upsert_vectors(range(1_500), np.ones((1_500, 3)))
    [before] = rows(home, _IN_TRANSACTION)
    scan = points.scan()
    next(scan)
    assert rows(home, _IN_TRANSACTION) == [(before[0] + 1,)]
    if end == "close":
        scan.close()
    elif end == "exception":
        with contextlib.suppress(RuntimeError):
            for _ in scan:
                raise RuntimeError
        del scan
        gc.collect()
    else:
        for _ in scan:
            break
        del scan
        gc.collect()
    assert rows(home, _IN_TRANSACTION) == [before]
    assert points.delete(range(1_500)) == 1_500


def test_two_scans_at_once(points: Collection, home: VectorDB) -> None:
    points.upsert_vectors(range(1_200), np.ones((1_200, 3)))
    for within in (False, True):
        with home.transaction() if within else contextlib.nullcontext():
            pairs = list(zip(points.scan(), points.scan(F("id") != "none"), strict=True))
            assert len(pairs) == 1_200
            assert all(one == other for one, other in pairs)
            for document in points.scan(F("id").in_(["5", "6"])):
                assert ids(points.scan(F("id") == str(document.id))) == [document.id]


def test_writing_within_the_loop_of_a_scan(points: Collection, home: VectorDB) -> None:
    points.upsert_vectors(range(1_500), np.ones((1_500, 3)))
    for within in (False, True):
        with home.transaction() if within else contextlib.nullcontext():
            count = 0
            for document in points.scan():
                if count % 100 == 0:
                    points.patch_metadata({"seen": within}, ids=document.id)
                    assert points.search([1, 2, 3], where=F("seen") == within)
                count += 1
        assert count == 1_500
        assert points.count(F("seen") == within) == 15


def test_a_scan_that_outlives_its_transaction_is_an_error(points: Collection, home: VectorDB) -> None:
    points.upsert_vectors(range(1_500), np.ones((1_500, 3)))
    with home.transaction():
        scan = points.scan()
        next(scan)
    with pytest.raises(DatabaseError):
        list(scan)
    assert points.count() == 1_500
    with home.transaction():
        assert points.count() == 1_500


def test_a_scan_begun_before_a_transaction_goes_on_within_and_after(points: Collection, home: VectorDB) -> None:
    points.upsert_vectors(range(1_500), np.ones((1_500, 3)))
    scan = points.scan()
    next(scan)
    with home.transaction():
        points.delete(range(700))
        for _ in range(1_000):
            next(scan)
    assert len(list(scan)) == 499
    assert points.count() == 800


def test_a_scan_with_an_engine_of_a_single_connection(home_url: str, points: Collection) -> None:
    """The scan has it; what is called meanwhile waits in vain, unless all is one transaction."""
    points.upsert_vectors(range(1_500), np.ones((1_500, 3)))
    url = sa.make_url(home_url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.2)
    db = vectordb.connect(engine)
    single = db.collection(points.name)
    assert len(list(single.scan())) == 1_500
    for _ in single.scan():
        with pytest.raises(ConnectionFailed):
            single.count()
        break
    gc.collect()
    assert single.count() == 1_500
    with db.transaction():
        for document in single.scan(F("id") == "7"):
            assert single.get(str(document.id)) == document
            assert single.count() == 1_500
    engine.dispose()


def test_a_filter_is_checked_before_the_first_document_is_asked_for(points: Collection) -> None:
    with pytest.raises(InvalidFilter):
        points.scan({"n": {"bigger": 1}})


@pytest.mark.parametrize("where", [{}, And(()), {"and": [{}]}], ids=repr)
def test_a_filter_that_leaves_everything_over_deletes_nothing(filled: Collection, where: Any) -> None:
    with pytest.raises(InvalidInput, match="delete needs ids or where"):
        filled.delete(where=where)
    assert filled.count() == 10
    assert filled.delete([1], where=where) == 1
