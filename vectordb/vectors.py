"""Vectors between numpy and pgvector's binary formats, checked on the way in.

Source of the formats: `vector_recv`, `halfvec_recv`, `sparsevec_recv` in pgvector and
`bit_recv` in PostgreSQL. All numbers are big-endian.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectordb.errors import DimensionMismatch, InvalidVector
from vectordb.metrics import MOST_NON_ZEROS, Metric, Storage, VectorSpace

FloatMatrix = NDArray[np.float32]

# Beyond these norms float32 arithmetic inside pgvector turns a distance into NaN or infinity.
_SMALLEST_NORM = 1e-18
_LARGEST_NORM = 1e18
_HALF_MAX = 65504.0


def as_matrix(values: Any, space: VectorSpace) -> FloatMatrix:
    """Check vectors and return them as a float32 matrix.

    Args:
        values: Array-like of numbers or booleans, shape (n, dimensions). For bit storage a
            number above 0 is a 1, as pgvector's `binary_quantize` has it.
        space: Of the collection.

    Returns:
        Shape (n, dimensions), float32, C order. Not a copy when the input is one already.

    Raises:
        DimensionMismatch: The rows have another length.
        InvalidVector: Not two-dimensional numbers; NaN or infinity; no direction under
            cosine; too long for float32; out of halfvec's range. `position` is the first such row.
    """
    matrix = _float_matrix(values)
    if matrix.shape == (0,):
        return matrix.reshape(0, space.dimensions)
    if matrix.ndim != 2:
        raise InvalidVector(f"vectors form a matrix (n, dimensions), not an array of shape {matrix.shape}")
    if matrix.shape[1] != space.dimensions and (matrix.shape[0] or matrix.shape[1]):
        raise DimensionMismatch(
            f"the vectors have {matrix.shape[1]} dimensions, the collection has {space.dimensions}; "
            "use the embedder that the collection was made with",
            expected=space.dimensions,
            actual=int(matrix.shape[1]),
            position=0,
        )
    matrix = matrix.reshape(-1, space.dimensions)
    _check_values(matrix, space)
    return matrix


def as_vector(values: Any, space: VectorSpace) -> FloatMatrix:
    """Check one vector, shape (dimensions,), and return it as a matrix of one row.

    Raises:
        DimensionMismatch: It has another length.
        InvalidVector: As `as_matrix`.
    """
    vector = _float_matrix(values)
    if vector.ndim != 1:
        raise InvalidVector(f"a vector has the shape (dimensions,), not {vector.shape}")
    return as_matrix(vector[np.newaxis, :], space)


def encode_query(values: Any, space: VectorSpace) -> bytes:
    """Check one vector, shape (dimensions,), and return it as the bytes of a pgvector value.

    The common case, a float32 array for vector storage, takes a few microseconds.

    Raises:
        DimensionMismatch: It has another length.
        InvalidVector: As `as_matrix`.
    """
    if type(values) is np.ndarray and values.dtype == np.float32 and values.shape == (space.dimensions,):
        with np.errstate(over="ignore", invalid="ignore"):
            square = float(values @ values)
        if space.storage is Storage.VECTOR and _SMALLEST_NORM < square < _LARGEST_NORM:
            return space.dimensions.to_bytes(2, "big") + b"\x00\x00" + values.astype(">f4").tobytes()
    return encode(as_vector(values, space), space.storage)[0]


def _float_matrix(values: Any) -> FloatMatrix:
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O" and not any(isinstance(value, (str, bytes)) for value in array.flat):
            array = array.astype(np.float64)
        if array.dtype.kind not in "fiub":
            raise TypeError  # numpy would read numbers out of strings, dates and complex numbers
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array, dtype=np.float32) if array.ndim else array.astype(np.float32)
    except (TypeError, ValueError, OverflowError):
        raise InvalidVector("a vector is a sequence of numbers, and all vectors have the same length") from None


def _check_values(matrix: FloatMatrix, space: VectorSpace) -> None:
    # Nearly all vectors are of ordinary length, and then nothing can be wrong with them; this is quick to see.
    squares = np.einsum("ij,ij->i", matrix, matrix)
    if space.storage is Storage.VECTOR and ((squares > _SMALLEST_NORM) & (squares < _LARGEST_NORM)).all():
        return
    # A sum of squares in float64 is finite exactly when every value is, and gives the norms as well.
    squares = np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)
    _refuse(~np.isfinite(squares), "holds NaN or infinity; find out where it comes from, do not store it")
    if space.metric is Metric.COSINE:
        _refuse(squares == 0, "is all zeros and has no direction, so cosine cannot compare it; leave it out")
        unsafe = (squares < _SMALLEST_NORM**2) | (squares > _LARGEST_NORM**2)
        _refuse(unsafe, "is so short or long that float32 cannot compute its cosine; normalise it to length 1")
    elif space.storage is not Storage.BIT:
        unsafe = squares > _LARGEST_NORM**2
        _refuse(unsafe, f"is so long that float32 cannot compute its {space.metric} distance; scale all vectors down")
    if space.storage is Storage.HALFVEC:
        _refuse((np.abs(matrix) > _HALF_MAX).any(axis=1), f"exceeds {_HALF_MAX:g}, the most that halfvec holds")
        if space.metric is Metric.COSINE:
            halved = matrix.astype(np.float16)
            _refuse(~halved.any(axis=1), "becomes all zeros in halfvec; normalise it to length 1")
    if space.storage is Storage.SPARSEVEC:
        filled = np.count_nonzero(matrix, axis=1)
        _refuse(filled > MOST_NON_ZEROS, f"has over {MOST_NON_ZEROS} values that are not zero: too many to index")


def _refuse(bad: NDArray[np.bool_] | np.bool_, why: str) -> None:
    if bad.any():
        position = int(np.argmax(bad))
        raise InvalidVector(f"the vector at position {position} {why}", position=position)


def encode(matrix: FloatMatrix, storage: Storage) -> list[bytes]:
    """Return each row as the bytes of a pgvector value; `decode` is the inverse.

    Args:
        matrix: Checked rows, shape (n, dimensions), float32.
        storage: The column's type. halfvec rounds to float16, bit keeps the signs,
            sparsevec drops the zeros.
    """
    if storage is Storage.SPARSEVEC:
        return [_encode_sparse(row) for row in matrix]
    buffer = memoryview(encode_rows(matrix, storage))
    width = len(buffer) // max(1, len(matrix))
    return [bytes(buffer[start : start + width]) for start in range(0, len(buffer), width or 1)]


def encode_rows(matrix: FloatMatrix, storage: Storage) -> bytes:
    """Return all rows as one buffer of values of equal width; not for sparsevec."""
    count, dimensions = matrix.shape
    if storage is Storage.BIT:
        bits = np.packbits(matrix > 0, axis=1)
        rows = np.empty(count, dtype=[("length", ">i4"), ("bits", "u1", (bits.shape[1],))])
        rows["length"], rows["bits"] = dimensions, bits
    else:
        number = ">f4" if storage is Storage.VECTOR else ">f2"
        rows = np.empty(count, dtype=[("dimensions", ">i2"), ("unused", ">i2"), ("values", number, (dimensions,))])
        rows["dimensions"], rows["unused"], rows["values"] = dimensions, 0, matrix
    return rows.tobytes()


def _encode_sparse(row: FloatMatrix) -> bytes:
    (indices,) = np.nonzero(row)
    header = np.array([len(row), len(indices), 0], dtype=">i4")
    return header.tobytes() + indices.astype(">i4").tobytes() + row[indices].astype(">f4").tobytes()


def decode(values: list[bytes], space: VectorSpace) -> FloatMatrix:
    """Return pgvector values as a float32 matrix (n, dimensions), in the same order."""
    if not values:
        return np.empty((0, space.dimensions), dtype=np.float32)
    if space.storage is Storage.SPARSEVEC:
        return np.stack([_decode_sparse(value) for value in values])
    rows = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(values), -1)[:, 4:]
    if space.storage is Storage.BIT:
        return np.unpackbits(rows, axis=1, count=space.dimensions).astype(np.float32)
    number = ">f4" if space.storage is Storage.VECTOR else ">f2"
    return np.ascontiguousarray(rows).view(number).astype(np.float32)


def _decode_sparse(value: bytes) -> FloatMatrix:
    dimensions, filled, _ = np.frombuffer(value, dtype=">i4", count=3)
    row = np.zeros(dimensions, dtype=np.float32)
    indices = np.frombuffer(value, dtype=">i4", count=filled, offset=12)
    row[indices] = np.frombuffer(value, dtype=">f4", count=filled, offset=12 + 4 * int(filled))
    return row
