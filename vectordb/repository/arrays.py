"""Columns as PostgreSQL's binary arrays, for `unnest`.

psycopg's own dumper formats lists element by element; over thousands of rows that takes
longer than the statement.

Source: `array_recv` in PostgreSQL.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from numpy.typing import DTypeLike

from vectordb.vector_types import BinaryParameter

_BOOL, _BYTEA, _INT8, _INT4, _TEXT, _FLOAT8, _TIMESTAMP, _UUID = 16, 17, 20, 23, 25, 701, 1114, 2950
_EPOCH = datetime(2000, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_NULL = b"\xff\xff\xff\xff"

_header = struct.Struct(">iiiii").pack
_length = struct.Struct(">i").pack


def text_array(values: Sequence[str | None]) -> BinaryParameter:
    """Return a `text[]`."""
    return _array(_TEXT, len(values), (None if value is None else value.encode() for value in values))


def bytea_array(values: Sequence[bytes | None]) -> BinaryParameter:
    """Return a `bytea[]`."""
    return _array(_BYTEA, len(values), values)


def vector_array(values: Sequence[bytes], element_oid: int) -> BinaryParameter:
    """Return an array of encoded vectors; the oid is that of their type in this database."""
    return _array(element_oid, len(values), values)


def encoded_array(values: Sequence[bytes | None], element_oid: int) -> BinaryParameter:
    """Return an array of values that are in the binary form of their type, of which this is the oid."""
    return _array(element_oid, len(values), values)


def int_array(values: Sequence[int | None]) -> BinaryParameter:
    """Return an `int[]`."""
    return _fixed(_INT4, ">i4", values)


def bigint_array(values: Sequence[int | None]) -> BinaryParameter:
    """Return a `bigint[]`."""
    return _fixed(_INT8, ">i8", values)


def float_array(values: Sequence[float | None]) -> BinaryParameter:
    """Return a `double precision[]`."""
    return _fixed(_FLOAT8, ">f8", values)


def bool_array(values: Sequence[bool | None]) -> BinaryParameter:
    """Return a `boolean[]`."""
    return _fixed(_BOOL, ">i1", values)


def uuid_array(values: Sequence[UUID | None]) -> BinaryParameter:
    """Return a `uuid[]`."""
    return _array(_UUID, len(values), (None if value is None else value.bytes for value in values))


def timestamp_array(values: Sequence[datetime | None]) -> BinaryParameter:
    """Return a `timestamp[]` of datetimes without a time zone."""
    return _fixed(_TIMESTAMP, ">i8", [None if value is None else (value - _EPOCH) // _MICROSECOND for value in values])


def _fixed(element_oid: int, number: DTypeLike, values: Sequence[int | float | None]) -> BinaryParameter:
    """Return an array of numbers of one width."""
    number = np.dtype(number)
    if None in values:
        encoded, width = np.array([value or 0 for value in values], dtype=number).tobytes(), number.itemsize
        pieces = (None if value is None else encoded[i * width : (i + 1) * width] for i, value in enumerate(values))
        return _array(element_oid, len(values), pieces)
    rows = np.empty(len(values), dtype=[("length", ">i4"), ("number", number)])
    rows["length"], rows["number"] = number.itemsize, values
    return BinaryParameter(_head(element_oid, len(values), nulls=False) + rows.tobytes())


def _array(element_oid: int, count: int, values: Iterable[bytes | None]) -> BinaryParameter:
    parts = [_head(element_oid, count, nulls=True)]
    for value in values:
        parts += (_NULL,) if value is None else (_length(len(value)), value)
    return BinaryParameter(b"".join(parts))


def _head(element_oid: int, count: int, *, nulls: bool) -> bytes:
    # The flag says that there may be nulls; dimensions, flag, type, length, lower bound.
    return _header(1, int(nulls), element_oid, count, 1)
