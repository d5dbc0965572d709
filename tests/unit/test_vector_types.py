"""The column type of embeddings, without a database: what SQL it writes and what it makes of values."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from vectordb.errors import ConfigurationError, DimensionMismatch, InvalidVector
from vectordb.metrics import Storage
from vectordb.vector_types import BinaryParameter, VectorColumn

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it


def bound(column: VectorColumn, value: Any) -> Any:
    return column.bind_processor(DIALECT)(value)


def read(storage: str, value: Any) -> Any:
    return VectorColumn(storage).result_processor(DIALECT, None)(value)


@pytest.mark.parametrize(
    ("storage", "dimensions", "written"),
    [
        ("vector", 3, "vector(3)"),
        ("halfvec", 1024, "halfvec(1024)"),
        ("bit", 64, "bit(64)"),
        ("sparsevec", None, "sparsevec"),
    ],
)
def test_as_sql_writes_it(storage: str, dimensions: int | None, written: str) -> None:
    assert VectorColumn(storage, dimensions).get_col_spec() == written
    table = sa.Table("t", sa.MetaData(), sa.Column("embedding", VectorColumn(storage, dimensions)))
    assert f"embedding {written}" in str(sa.schema.CreateTable(table).compile(dialect=DIALECT))


@pytest.mark.parametrize(
    ("method", "operator"),
    [("cosine_distance", "<=>"), ("l2_distance", "<->"), ("l1_distance", "<+>"), ("max_inner_product", "<#>")],
)
def test_distances_are_methods_of_the_column(method: str, operator: str) -> None:
    column = sa.Column("embedding", VectorColumn("vector", 3))
    distance = getattr(column, method)([1, 2, 3])
    assert isinstance(distance.type, sa.Float)
    assert f"embedding {operator} " in str(distance.compile(dialect=DIALECT))
    for metric in ("hamming", "jaccard"):
        assert column.distance([1, 2, 3], metric) is not None


def test_values_are_bound_in_binary() -> None:
    value = bound(VectorColumn("vector", 3), [1, 2, 3])
    assert type(value) is BinaryParameter
    assert value.hex(" ", 2) == "0003 0000 3f80 0000 4000 0000 4040 0000"
    assert bound(VectorColumn("halfvec"), [1]).hex(" ", 2) == "0001 0000 3c00"
    assert bound(VectorColumn("bit", 3), [True, False, True]).hex() == "00000003a0"
    assert bound(VectorColumn("vector", 3), None) is None


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([1, 2], DimensionMismatch),
        ([1, 2, np.nan], InvalidVector),
        ([1, 2, np.inf], InvalidVector),
        ([[1, 2, 3]], InvalidVector),
        ("[1,2,3]", InvalidVector),
    ],
)
def test_wrong_values_are_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        bound(VectorColumn("vector", 3), value)


@pytest.mark.parametrize("value", [5, None.__class__, [[1.0]], object()])
def test_wrong_values_for_a_column_of_any_length(value: Any) -> None:
    with pytest.raises(InvalidVector):
        bound(VectorColumn("vector"), value)


def test_zero_is_a_value_like_any_other_to_the_column() -> None:
    assert bound(VectorColumn("vector", 2), [0, 0]).hex(" ", 2) == "0002 0000 0000 0000 0000 0000"


class FromAnotherLibrary:
    def to_numpy(self) -> Any:
        return np.array([1, 2, 3], dtype=np.float16)


class FromPgvector:
    def to_list(self) -> list[float]:
        return [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("storage", "value", "numbers"),
    [
        ("vector", "[1,-2.5,3e-10]", [1, -2.5, 3e-10]),
        ("halfvec", "[65504,0]", [65504, 0]),
        ("bit", "10110", [1, 0, 1, 1, 0]),
        ("sparsevec", "{1:1.5,3:-2}/4", [1.5, 0, -2, 0]),
        ("sparsevec", "{}/2", [0, 0]),
        ("vector", FromAnotherLibrary(), [1, 2, 3]),
        ("vector", FromPgvector(), [1, 2, 3]),
        ("vector", [1.0, 2.0], [1, 2]),
        ("vector", np.array([1, 2], dtype=np.float64), [1, 2]),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_what_comes_back_is_float32(storage: str, value: Any, numbers: list[float]) -> None:
    array = read(storage, value)
    assert array.dtype == np.float32
    assert array.tolist() == np.array(numbers, dtype=np.float32).tolist()


def test_null_comes_back_as_none() -> None:
    assert read("vector", None) is None


def test_an_unknown_storage() -> None:
    with pytest.raises((ConfigurationError, ValueError)):
        VectorColumn("float")


@pytest.mark.parametrize("storage", list(Storage))
def test_written_out_and_read_again(storage: Storage) -> None:
    column: sa.Column[Any] = sa.Column("x", VectorColumn(storage, 3))
    given = np.array([1.0, 0.0, 1.0] if storage is Storage.BIT else [0.5, 0.0, -1e-5], dtype=np.float32)
    written = sa.select(column == given).compile(dialect=DIALECT, compile_kwargs={"literal_binds": True})
    (literal,) = re.findall(r"'([^']*)'", str(written))
    np.testing.assert_allclose(read(storage, literal), given, rtol=1e-2)
