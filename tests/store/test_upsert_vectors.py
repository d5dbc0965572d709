"""Vectors that are known already: by COPY, by INSERT, bit for bit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import make_url

import vectordb
from tests.store.conftest import NewCollection
from tests.store.support import rows, unit_vectors, with_setting
from vectordb import Collection, Document, UpsertResult, VectorDB
from vectordb.errors import (
    DimensionMismatch,
    DuplicateDocument,
    InvalidInput,
    InvalidMetadata,
    InvalidText,
    InvalidVector,
)


def stored(docs: Collection, count: int) -> NDArray[np.float32]:
    vectors = docs.vectors(range(count))
    return np.concatenate([vectors[str(n)] for n in range(count)])


@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
@pytest.mark.parametrize("count", [0, 1, 63, 64, 513, 4_001])
def test_all_of_them_arrive_bit_for_bit(points: Collection, count: int, filled: bool, rng: np.random.Generator) -> None:
    if filled:
        points.upsert_vectors(["other"], [[1, 2, 3]])
    matrix = unit_vectors(rng, count, 3)
    contents = [f"Text {n}." for n in range(count)]
    metadata = [{"n": n} for n in range(count)]
    assert points.upsert_vectors(range(count), matrix, contents=contents, metadata=metadata) == UpsertResult(
        inserted=count, chunks=count
    )
    assert points.count() == count + filled
    if count:
        assert stored(points, count).tobytes() == matrix.tobytes()
    assert points.get(range(count)) == [Document(contents[n], str(n), metadata=metadata[n]) for n in range(count)]
    assert points.upsert_vectors(range(count), matrix, contents=contents, metadata=metadata) == UpsertResult(
        unchanged=count
    )


def test_none_at_all(points: Collection) -> None:
    assert points.upsert_vectors([], []) == UpsertResult()
    assert points.upsert_vectors([], [], contents=[], metadata=[]) == UpsertResult()


def test_some_are_there(points: Collection, rng: np.random.Generator) -> None:
    matrix = unit_vectors(rng, 300, 3)
    points.upsert_vectors(range(200), matrix[:200], metadata=[{"a": 1}] * 200)
    changed = matrix.copy()
    changed[50] = [1, 0, 0]
    metadata = [{"a": 2 if n == 60 else 1} for n in range(300)]
    assert points.upsert_vectors(range(300), changed, metadata=metadata) == UpsertResult(
        inserted=100, updated=2, unchanged=198, chunks=101
    )
    assert stored(points, 300).tobytes() == changed.tobytes()
    assert [document.id for document in points.scan(where={"a": 2})] == ["60"]
    assert [hit.document_id for hit in points.search([1, 0, 0], limit=300, where={"a": 2})] == ["60"]


def test_a_document_of_many_chunks_becomes_one_of_one(docs: Collection) -> None:
    docs.upsert(Document("First paragraph of it.\n\nSecond paragraph of it.", "a", title="Title"))
    assert docs.upsert_vectors(["a"], np.ones((1, 16)), contents=["New."]) == UpsertResult(updated=1, chunks=1)
    assert docs.get("a") == Document("New.", "a")
    assert len(docs.vectors("a")["a"]) == 1


def test_odd_floats_arrive_bit_for_bit(new_collection: NewCollection) -> None:
    points = new_collection(dimensions=8, metric="l2")
    row = np.array([[-0.0, 5e-324, 1e-45, 1.17549435e-38, 1 / 3, 16777217, -1e18 / 2, 1e17]], dtype=np.float32)
    points.upsert_vectors(["a"], row)
    assert points.vectors("a")["a"].tobytes() == row.tobytes()


@pytest.mark.parametrize("count", [3, 100])
@pytest.mark.parametrize("storage", ["vector", "halfvec", "bit", "sparsevec"])
def test_every_storage(new_collection: NewCollection, storage: str, count: int, rng: np.random.Generator) -> None:
    metric = "hamming" if storage == "bit" else "cosine"
    points = new_collection(dimensions=20, metric=metric, storage=storage)
    matrix = rng.standard_normal((count, 20)).astype(np.float32)
    matrix[:, 5] = 0
    points.upsert_vectors(range(count), matrix)
    expected = {"halfvec": matrix.astype(np.float16), "bit": matrix > 0}.get(storage, matrix)
    assert np.array_equal(stored(points, count), expected.astype(np.float32))
    assert points.upsert_vectors(range(count), matrix).unchanged == count
    points.upsert_vectors(range(count), matrix[::-1])
    assert np.array_equal(stored(points, count)[::-1], expected.astype(np.float32))


@pytest.mark.parametrize(
    "matrix",
    [
        [[1, 2, 3], [4, 5, 6]],
        np.array([[1, 4], [2, 5], [3, 6]], dtype=np.float32).T,
        np.array([[1, 9, 2, 9, 3, 9], [4, 9, 5, 9, 6, 9]], dtype=np.float32)[:, ::2],
        np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float64),
        np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int16),
        np.array([[1, 2, 3], [4, 5, 6]], dtype=">f4"),
        [np.array([1, 2, 3]), np.array([4, 5, 6])],
    ],
    ids=["lists", "F order", "strided", "float64", "int16", "big endian", "arrays"],
)
def test_anything_like_a_matrix(points: Collection, matrix: Any) -> None:
    points.upsert_vectors(["0", "1"], matrix)
    assert stored(points, 2).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_ids_of_every_kind_in_any_order(points: Collection, rng: np.random.Generator) -> None:
    uuid = UUID("12345678-1234-5678-1234-567812345678")
    ids: list[Any] = ["é", 7, uuid, "'; DROP TABLE canary; --", "a", np.str_("np")]
    matrix = unit_vectors(rng, 6, 3)
    points.upsert_vectors(ids, matrix)
    vectors = points.vectors(ids)
    assert [vectors[str(id)].tobytes() for id in ids] == [row.tobytes() for row in matrix]


@pytest.mark.parametrize("count", [2, 100])
def test_the_same_id_twice(points: Collection, count: int, rng: np.random.Generator) -> None:
    ids = [*range(count - 1), 0]
    with pytest.raises(DuplicateDocument, match="'0' occurs twice") as caught:
        points.upsert_vectors(ids, unit_vectors(rng, count, 3))
    assert caught.value.facts["id"] == "0"
    assert points.count() == 0


@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
@pytest.mark.parametrize(
    ("name", "bad", "error"),
    [
        ("ids", "a\x00", InvalidText),
        ("ids", "", InvalidText),
        ("ids", "é" * 257, InvalidText),
        ("ids", "x" * 513, InvalidText),
        ("ids", "\ud800", InvalidText),
        ("ids", None, InvalidText),
        ("ids", 1.5, InvalidText),
        ("ids", True, InvalidText),
        ("contents", "NUL \x00", InvalidText),
        ("contents", "\udfff", InvalidText),
        ("contents", None, InvalidText),
        ("contents", b"bytes", InvalidText),
        ("metadata", {"a": float("nan")}, InvalidMetadata),
        ("metadata", {"a": "\x00"}, InvalidMetadata),
        ("metadata", None, InvalidMetadata),
        ("metadata", "{}", InvalidMetadata),
        ("embeddings", [float("nan"), 0, 0], InvalidVector),
        ("embeddings", [float("inf"), 0, 0], InvalidVector),
        ("embeddings", [0, 0, 0], InvalidVector),
        ("embeddings", [1e39, 0, 0], InvalidVector),
        ("embeddings", [1e-30, 0, 0], InvalidVector),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_one_bad_entry_among_many_leaves_nothing(
    points: Collection, name: str, bad: Any, error: type[InvalidInput], filled: bool, rng: np.random.Generator
) -> None:
    if filled:
        points.upsert_vectors(["other"], [[1, 2, 3]])
    given: dict[str, Any] = {
        "ids": [str(n) for n in range(500)],
        "embeddings": unit_vectors(rng, 500, 3),
        "contents": ["text"] * 500,
        "metadata": [{}] * 500,
    }
    given[name] = [*given[name][:499], bad]
    with pytest.raises(error):
        points.upsert_vectors(**given)
    assert points.count() == int(filled)
    assert points.upsert_vectors(["1"], [[1, 2, 3]]).inserted == 1


@pytest.mark.parametrize(
    "given",
    [
        {"ids": ["a"], "embeddings": np.ones((2, 3))},
        {"ids": ["a", "b"], "embeddings": np.ones((2, 3)), "contents": ["one"]},
        {"ids": ["a", "b"], "embeddings": np.ones((2, 3)), "contents": "ab"},
        {"ids": ["a", "b"], "embeddings": np.ones((2, 3)), "metadata": [{}]},
        {"ids": ["a", "b"], "embeddings": np.ones((2, 3)), "metadata": {"a": 1, "b": 2}},
        {"ids": "ab", "embeddings": np.ones((2, 3))},
        {"ids": 1, "embeddings": np.ones((1, 3))},
        {"ids": {"a", "b"}, "embeddings": np.ones((2, 3))},
        {"ids": {"a": 1}, "embeddings": np.ones((1, 3))},
        {"ids": None, "embeddings": np.ones((1, 3))},
        {"ids": (str(n) for n in range(2)), "embeddings": np.ones((2, 3))},
        {"ids": ["a"], "embeddings": [[1, 2, 3]], "contents": (text for text in ["a"])},
        {"ids": ["a"], "embeddings": [1, 2, 3]},
        {"ids": ["a"], "embeddings": "vector"},
        {"ids": ["a"], "embeddings": None},
        {"ids": ["a", "b"], "embeddings": [[1, 2, 3], [1, 2]]},
    ],
    ids=lambda given: ascii(given)[:60],
)
def test_what_does_not_fit_together(points: Collection, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        points.upsert_vectors(**given)
    assert points.count() == 0


@pytest.mark.parametrize("dimensions", [1, 2, 4, 384])
def test_other_dimensions_even_while_it_is_empty(points: Collection, dimensions: int) -> None:
    with pytest.raises(DimensionMismatch) as caught:
        points.upsert_vectors(["a"], np.ones((1, dimensions)))
    assert caught.value.facts == {"expected": 3, "actual": dimensions, "position": 0}
    assert points.count() == 0


def test_more_rows_than_a_statement_has_parameters(new_collection: NewCollection, rng: np.random.Generator) -> None:
    points = new_collection(dimensions=2, index=None)
    count = 66_000
    matrix = unit_vectors(rng, count, 2)
    assert points.upsert_vectors(range(count), matrix).inserted == count
    matrix[::7] *= 2
    assert points.upsert_vectors(range(count), matrix).updated == len(matrix[::7])
    assert points.count() == count
    assert len(points.get(range(count))) == count
    assert points.delete(range(count)) == count


@pytest.fixture
def tenant(url: str) -> Iterator[tuple[VectorDB, VectorDB]]:
    """The owner of a database, and a role to which row-level security applies."""
    with vectordb.connect(url) as owner:
        docs = owner.create_collection("docs", dimensions=3)
        role = f"tenant_{make_url(url).database}"
        with owner.transaction() as connection:
            for statement in (
                f"CREATE ROLE {role} NOSUPERUSER NOBYPASSRLS",
                f"GRANT USAGE ON SCHEMA vectordb TO {role}",
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA vectordb TO {role}",
            ):
                connection.exec_driver_sql(statement)
            for table in (docs.Document.__table__, docs.Chunk.__table__):
                connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
                connection.exec_driver_sql(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
                connection.exec_driver_sql(f"CREATE POLICY everything ON {table} USING (true) WITH CHECK (true)")
        with vectordb.connect(with_setting(url, f"role={role}")) as db:
            yield owner, db
        with owner.transaction() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")


def test_row_level_security_forbids_copy_but_not_upserts(
    tenant: tuple[VectorDB, VectorDB], rng: np.random.Generator
) -> None:
    owner, db = tenant
    docs = db.collection("docs")
    assert rows(db, "SELECT current_user::text LIKE 'tenant_%', row_security_active('vectordb.docs_chunks')") == [
        (True, True)
    ]
    matrix = unit_vectors(rng, 200, 3)
    assert docs.upsert_vectors(range(100), matrix[:100]) == UpsertResult(inserted=100, chunks=100)
    assert docs.upsert_vectors(range(200), matrix) == UpsertResult(inserted=100, unchanged=100, chunks=100)
    documents = [Document("text", f"d{n}", embedding=matrix[n]) for n in range(100)]
    assert docs.upsert(documents) == UpsertResult(inserted=100, chunks=100)
    assert stored(docs, 200).tobytes() == matrix.tobytes()
    assert len(docs.search(matrix[0], limit=50)) == 50
    assert docs.delete(range(10)) == 10
    assert owner.collection("docs").count() == 290


def test_another_writer_fills_the_collection_meanwhile(
    points: Collection, home: VectorDB, rng: np.random.Generator
) -> None:
    """COPY waits for the other writer's rows, finds them there, and the call goes the other way."""
    matrix = unit_vectors(rng, 200, 3)
    results: list[UpsertResult] = []
    with home.transaction():
        points.upsert_vectors(range(50, 150), matrix[50:150])
        thread = threading.Thread(target=lambda: results.append(points.upsert_vectors(range(200), matrix)))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "the second writer should wait for the first"
    thread.join(10)
    assert results == [UpsertResult(inserted=100, unchanged=100, chunks=100)]
    assert stored(points, 200).tobytes() == matrix.tobytes()


def test_another_writer_inserts_first_into_a_filled_collection(
    points: Collection, home: VectorDB, rng: np.random.Generator
) -> None:
    points.upsert_vectors(["other"], [[1, 2, 3]])
    theirs, ours = unit_vectors(rng, 100, 3), unit_vectors(rng, 100, 3)
    results: list[UpsertResult] = []
    with home.transaction():
        points.upsert_vectors(range(100), theirs)
        thread = threading.Thread(target=lambda: results.append(points.upsert_vectors(range(100), ours)))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "the second writer should wait for the first"
    thread.join(10)
    assert results == [UpsertResult(updated=100, chunks=100)]
    assert stored(points, 100).tobytes() == ours.tobytes()


def test_numpy_integers_are_ids(docs: Collection) -> None:
    assert docs.upsert_vectors(list(np.arange(3)), np.eye(16)[:3]).inserted == 3
    assert docs.get("2").id == "2"
