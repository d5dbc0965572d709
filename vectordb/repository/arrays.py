"""Columns as PostgreSQL's binary arrays, for `unnest`.

psycopg's own dumper formats lists element by element; over thousands of rows that takes
longer than the statement.

Source: `array_recv` in PostgreSQL.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np

from vectordb.vector_types import BinaryParameter

_BYTEA, _INT4, _TEXT = 17, 23, 25
_NULL = b"\xff\xff\xff\xff"

_header = struct.Struct(">iiiii").pack
_length = struct.Struct(">i").pack


def text_array(values: Sequence[str | None]) -> BinaryParameter:
    """Return a `text[]`."""
    return _array(_TEXT, len(values), (None if value is None else value.encode() for value in values))


def bytea_array(values: Sequence[bytes]) -> BinaryParameter:
    """Return a `bytea[]`."""
    return _array(_BYTEA, len(values), values)


def vector_array(values: Sequence[bytes], element_oid: int) -> BinaryParameter:
    """Return an array of encoded vectors; the oid is that of their type in this database."""
    return _array(element_oid, len(values), values)


def int_array(values: Sequence[int | None]) -> BinaryParameter:
    """Return an `int[]`."""
    if None in values:
        return _array(_INT4, len(values), (None if value is None else _length(value) for value in values))
    rows = np.empty((len(values), 2), dtype=">i4")
    rows[:, 0] = 4
    rows[:, 1] = values
    return BinaryParameter(_head(_INT4, len(values), nulls=False) + rows.tobytes())


def _array(element_oid: int, count: int, values: Iterable[bytes | None]) -> BinaryParameter:
    parts = [_head(element_oid, count, nulls=True)]
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            parts.append(_length(len(value)))
            parts.append(value)
    return BinaryParameter(b"".join(parts))


def _head(element_oid: int, count: int, *, nulls: bool) -> bytes:
    # The flag says that there may be nulls; dimensions, flag, type, length, lower bound.
    return _header(1, int(nulls), element_oid, count, 1)
