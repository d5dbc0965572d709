"""Vectors on their way in and out: checked, and in pgvector's binary forms."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from vectordb import vectors
from vectordb.errors import DimensionMismatch, InvalidVector
from vectordb.metrics import Storage, VectorSpace

COSINE = VectorSpace.of(3, "cosine", "vector")
L2 = VectorSpace.of(3, "l2", "vector")
BITS = VectorSpace.of(10, "hamming", "bit")
HALF = VectorSpace.of(3, "l2", "halfvec")

# The longest vector that is accepted has length 1e18.
finite = st.floats(-(2**59), 2**59, width=32)
FLOAT32 = arrays.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(3)), elements=finite)


def bits_of(matrix: NDArray[Any]) -> bytes:
    return matrix.astype(">f4").tobytes()


@given(matrix=FLOAT32)
@pytest.mark.parametrize("storage", ["vector", "sparsevec"])
def test_numbers_come_back_bit_for_bit(storage: str, matrix: NDArray[np.float32]) -> None:
    space = VectorSpace.of(3, "l2", storage)
    if storage == "sparsevec":
        matrix = matrix + np.float32(0)  # a sparse vector has no place for the sign of -0.0
    checked = vectors.as_matrix(matrix, space)
    assert bits_of(vectors.decode(vectors.encode(checked, space.storage), space)) == bits_of(matrix)


@given(arrays.arrays(np.float16, st.tuples(st.integers(0, 5), st.just(3)), elements=st.floats(-65504, 65504, width=16)))
def test_half_numbers_come_back_bit_for_bit(matrix: NDArray[np.float16]) -> None:
    checked = vectors.as_matrix(matrix, HALF)
    again = vectors.decode(vectors.encode(checked, Storage.HALFVEC), HALF)
    assert again.dtype == np.float32
    assert again.astype(np.float16).tobytes() == matrix.tobytes()


@given(arrays.arrays(np.bool_, st.tuples(st.integers(0, 5), st.just(10))))
def test_bits_come_back(matrix: NDArray[np.bool_]) -> None:
    checked = vectors.as_matrix(matrix, BITS)
    assert np.array_equal(vectors.decode(vectors.encode(checked, Storage.BIT), BITS), matrix)


def test_the_bytes_are_those_of_pgvector() -> None:
    """Written by hand from `vector_recv`, `halfvec_recv`, `sparsevec_recv` and `bit_recv`."""
    row = np.array([[1.0, 0.0, -2.0]], dtype=np.float32)
    assert vectors.encode(row, Storage.VECTOR)[0].hex(" ", 2) == "0003 0000 3f80 0000 0000 0000 c000 0000"
    assert vectors.encode(row, Storage.HALFVEC)[0].hex(" ", 2) == "0003 0000 3c00 0000 c000"
    assert vectors.encode(row, Storage.SPARSEVEC)[0].hex(" ", 4) == (
        "00000003 00000002 00000000 00000000 00000002 3f800000 c0000000"
    )
    assert vectors.encode(np.array([[1] * 9 + [0]], dtype=np.float32), Storage.BIT)[0].hex() == "0000000aff80"


def test_a_bit_is_a_number_above_zero() -> None:
    space = VectorSpace.of(4, "hamming", "bit")
    checked = vectors.as_matrix([[0.5, 0.0, -3.0, 1e-9]], space)
    assert vectors.decode(vectors.encode(checked, Storage.BIT), space).tolist() == [[1, 0, 0, 1]]


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2, 3], [4, 5, 6]],
        ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)),
        [np.array([1, 2, 3]), np.array([4, 5, 6])],
        [[Decimal(1), Decimal(2), Decimal(3)], [4, 5, 6]],
        np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int64),
        np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float64),
        np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float16),
        np.array([[1, 4], [2, 5], [3, 6]], dtype=np.float32).T,
        np.arange(1, 13, dtype=np.float32).reshape(2, 6)[:, :3] - [[0], [3]],
        np.array([[1, 2, 3], [4, 5, 6]], dtype=">f4"),
    ],
    ids=["lists", "tuples", "arrays", "decimals", "int64", "float64", "float16", "F order", "strided", "big endian"],
)
def test_anything_like_a_matrix(values: Any) -> None:
    matrix = vectors.as_matrix(values, COSINE)
    assert matrix.dtype == np.dtype(np.float32)
    assert matrix.flags.c_contiguous
    assert matrix.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_float32_in_c_order_is_not_copied() -> None:
    matrix = np.ones((4, 3), dtype=np.float32)
    assert np.shares_memory(vectors.as_matrix(matrix, COSINE), matrix)


def test_no_vectors_at_all() -> None:
    nothings: list[Any] = [[], (), np.empty(0), np.empty((0, 3)), np.empty((0, 0))]
    for nothing in nothings:
        assert vectors.as_matrix(nothing, COSINE).shape == (0, 3)
    for storage in Storage:
        space = VectorSpace.of(3, "hamming" if storage is Storage.BIT else "l2", storage)
        assert vectors.encode(np.empty((0, 3), dtype=np.float32), storage) == []
        assert vectors.decode([], space).shape == (0, 3)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e39])
@pytest.mark.parametrize("space", [COSINE, L2, HALF], ids=str)
def test_not_finite(space: VectorSpace, bad: float) -> None:
    matrix = np.ones((4, 3))
    matrix[2, 1] = bad
    with pytest.raises(InvalidVector, match="position 2 holds NaN or infinity") as caught:
        vectors.as_matrix(matrix, space)
    assert caught.value.facts["position"] == 2


def test_zero_has_no_direction() -> None:
    with pytest.raises(InvalidVector, match="position 1 is all zeros and has no direction"):
        vectors.as_matrix([[1, 0, 0], [0, 0, 0]], COSINE)
    assert vectors.as_matrix([[0, 0, 0]], L2).shape == (1, 3)


@pytest.mark.parametrize("norm", [1e-30, 1e-19, 3e19, 3e38])
def test_lengths_of_which_float32_has_no_cosine(norm: float) -> None:
    with pytest.raises(InvalidVector, match="normalise it to length 1"):
        vectors.as_matrix([[norm, 0, 0]], COSINE)


@pytest.mark.parametrize("metric", ["l2", "inner_product", "l1"])
@pytest.mark.parametrize("storage", ["vector", "sparsevec"])
def test_lengths_of_which_float32_has_no_distance(storage: str, metric: str) -> None:
    """Their distances are infinite, and sums of them NaN."""
    space = VectorSpace.of(3, metric, storage)
    with pytest.raises(InvalidVector, match="so long that float32 cannot compute"):
        vectors.as_matrix([[1, 1, 1], [3e38, 3e38, 0]], space)
    assert len(vectors.as_matrix([[1e-30, 0, 0], [1e18, 0, 0]], space)) == 2


@given(st.floats(1e-17, 1e17), arrays.arrays(np.float64, 3, elements=st.floats(-1, 1)))
def test_any_usual_length_has_a_cosine(norm: float, direction: NDArray[np.float64]) -> None:
    length = float(np.linalg.norm(direction))
    if length < 1e-3:
        return
    [row] = vectors.as_matrix([direction / length * norm], COSINE)
    assert 0 < np.float32(row @ row) < np.inf


def test_halfvec_has_a_largest_number() -> None:
    assert vectors.as_matrix([[65504, -65504, 0]], HALF).shape == (1, 3)
    for number in (65505, 65520, -1e10):
        with pytest.raises(InvalidVector, match="position 1 exceeds 65504"):
            vectors.as_matrix([[1, 1, 1], [number, 0, 0]], HALF)


def test_halfvec_makes_small_numbers_zero() -> None:
    with pytest.raises(InvalidVector, match="becomes all zeros in halfvec"):
        vectors.as_matrix([[1e-9, 0, 0]], VectorSpace.of(3, "cosine", "halfvec"))
    assert vectors.as_matrix([[1e-9, 0, 0]], HALF).shape == (1, 3)


def test_sparsevec_can_be_indexed_up_to_a_thousand_numbers() -> None:
    space = VectorSpace.of(2_000, "cosine", "sparsevec")
    row = np.zeros((1, 2_000))
    row[0, :1_000] = 1
    assert vectors.as_matrix(row, space).shape == (1, 2_000)
    row[0, 1_500] = 1
    with pytest.raises(InvalidVector, match="over 1000 values that are not zero"):
        vectors.as_matrix(row, space)


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("columns", [1, 2, 4])
def test_another_number_of_dimensions(rows: int, columns: int) -> None:
    with pytest.raises(DimensionMismatch) as caught:
        vectors.as_matrix(np.ones((rows, columns)), COSINE)
    assert caught.value.facts == {"expected": 3, "actual": columns, "position": 0}


def test_vectors_without_any_number() -> None:
    with pytest.raises(DimensionMismatch):
        vectors.as_matrix([[], []], COSINE)


@pytest.mark.parametrize(
    "values",
    [
        None,
        3,
        3.5,
        "abc",
        b"abc",
        {},
        {"a": 1},
        {1, 2, 3},
        object(),
        ["a", "b", "c"],
        ["1", "2", "3"],
        [1, 2, "3"],
        [1, None, 3],
        [[1, 2], [3]],
        [1, [2, 3]],
        [1j, 2, 3],
        np.array(["2020-01-01"] * 3, dtype="datetime64[D]"),
        [10**400, 1, 1],
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_is_no_vector(values: Any) -> None:
    with pytest.raises(InvalidVector):
        vectors.as_vector(values, COSINE)
    with pytest.raises(InvalidVector):
        vectors.as_matrix(values, COSINE)
    with pytest.raises(InvalidVector):
        vectors.as_matrix([values], COSINE)


@pytest.mark.parametrize("shape", [(), (3, 1), (1, 3), (1, 1, 3)])
def test_one_vector_has_one_axis(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidVector, match="shape"):
        vectors.as_vector(np.ones(shape), COSINE)


@pytest.mark.parametrize("shape", [(3,), (1, 1, 3), ()])
def test_a_matrix_has_two_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidVector, match=r"form a matrix \(n, dimensions\)"):
        vectors.as_matrix(np.ones(shape), COSINE)


@given(
    st.sampled_from(["cosine", "l2", "inner_product"]),
    st.sampled_from(["vector", "halfvec", "sparsevec"]),
    arrays.arrays(
        st.sampled_from([np.float32, np.float64]), st.integers(2, 4), elements=st.floats(width=32) | st.just(1.0)
    ),
)
@example("cosine", "vector", np.full(3, 1.0650234e19, dtype=np.float32))
@example("l2", "vector", np.full(3, 3e38, dtype=np.float32))
@example("cosine", "vector", np.array([np.inf, -np.inf, np.nan], dtype=np.float32))
def test_a_query_is_encoded_as_any_vector(metric: str, storage: str, query: NDArray[Any]) -> None:
    space = VectorSpace.of(3, metric, storage)
    try:
        expected = vectors.encode(vectors.as_vector(query, space), space.storage)[0]
    except InvalidVector as error:
        with pytest.raises(type(error)):
            vectors.encode_query(query, space)
    else:
        assert vectors.encode_query(query, space) == expected
