"""Rows of an application's table as PostgreSQL's binary COPY stream, column by column.

COPY inserts many rows in half the time of an INSERT. The values of a column are checked at once, so that nothing can
fail while the COPY is open, and encoded piece by piece, while the server works on the piece before. It takes values in
the binary form of the column's actual type, so it serves the types that are known here, and all others leave their rows
to INSERT.

Source: PostgreSQL manual, COPY, "Binary Format".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Any
from uuid import UUID

import numpy as np
from typing_extensions import Buffer

from vectordb import vectors
from vectordb.metrics import Storage
from vectordb.orm.hashing import text_hashes
from vectordb.vectors import FloatMatrix

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
# Few enough that the server works on one piece while the next is encoded.
_ROWS_PER_WRITE = 128
_EPOCH = datetime(2000, 1, 1)
_MICROSECOND = timedelta(microseconds=1)

_count = struct.Struct(">h").pack
_length = struct.Struct(">i").pack

Parts = list[Iterable[Buffer]]
# Fields of the rows from one position to another, each field perhaps in several parts.
Pieces = Callable[[int, int], Parts]
Fields = Callable[[Sequence[Any]], Pieces]


def stream(columns: Sequence[Pieces], count: int) -> Iterator[bytes]:
    """Put rows together from the fields of their columns.

    Args:
        columns: In the order of the statement.
        count: Of the rows.
    """
    yield _HEADER
    head = _count(len(columns))
    for start in range(0, count, _ROWS_PER_WRITE):
        fields = chain.from_iterable(column(start, min(start + _ROWS_PER_WRITE, count)) for column in columns)
        yield b"".join(chain.from_iterable(zip(repeat(head), *fields)))
    yield _TRAILER


def embeddings(matrix: FloatMatrix, places: Sequence[int | None], storage: Storage) -> Pieces:
    """Return what encodes the embeddings of some rows, piece by piece, so that the server works on the one before.

    Args:
        matrix: Checked vectors, shape (n, dimensions), float32.
        places: Of each row in the matrix; None for a row without an embedding.
        storage: The column's type.
    """

    def piece(start: int, stop: int) -> Parts:
        some = places[start:stop]
        filled = [place for place in some if place is not None]
        rows = matrix[filled[0] : filled[-1] + 1] if _are_consecutive(filled) else matrix[filled]
        if len(filled) < len(some) or storage is Storage.SPARSEVEC:
            values = iter(vectors.encode(rows, storage))
            return _sized([None if place is None else next(values) for place in some])
        buffer = memoryview(vectors.encode_rows(rows, storage))
        width = len(buffer) // len(some)
        return [repeat(_length(width)), [buffer[first : first + width] for first in range(0, len(buffer), width)]]

    return piece


def hashes(embedder: bytes, texts: Sequence[str | None]) -> Pieces:
    """Return the hashes of embedded texts."""
    return lambda start, stop: _sized(text_hashes(embedder, texts[start:stop]))


def _are_consecutive(places: Sequence[int]) -> bool:
    return bool(places) and places == list(range(places[0], places[0] + len(places)))


def fields_of(element: str, actual: str | None) -> Fields | None:
    """Return what encodes the values of a column, after its bind processor; None for types that only INSERT takes.

    Args:
        element: Type in which the values travel as an array.
        actual: Of the column, as `pg_type` has it.
    """
    return _FIELDS.get((element, actual))


def encoded(values: Sequence[bytes | None]) -> Pieces:
    """Return fields of values that are in their binary form."""
    return lambda start, stop: _sized(values[start:stop])


def _sized(values: Sequence[bytes | None]) -> Parts:
    """Put the length before each value."""
    if None in values:
        return [[_NULL if value is None else _length(len(value)) + value for value in values]]
    return [map(_length, map(len, values)), values]  # type: ignore[arg-type, list-item] # none is None


def _texts(values: Sequence[str | None]) -> Pieces:
    text = "".join(values if None not in values else filter(None, values))  # type: ignore[arg-type] # none is None
    if "\x00" in text:
        raise ValueError
    text.encode()  # refuses surrogates
    return lambda start, stop: _sized([None if value is None else value.encode() for value in values[start:stop]])


def _numbers(number: str) -> Fields:
    kind = np.dtype(number)
    pair = np.dtype([("length", ">i4"), ("number", kind)])
    width = pair.itemsize

    def fields(values: Sequence[Any]) -> Pieces:
        gaps = None in values
        rows = np.empty(len(values), dtype=pair)
        rows["length"] = kind.itemsize
        rows["number"] = np.array([value or 0 for value in values] if gaps else values, dtype=kind)
        data = rows.tobytes()

        def piece(start: int, stop: int) -> Parts:
            made = [data[first : first + width] for first in range(start * width, stop * width, width)]
            if gaps:
                made = [_NULL if value is None else one for value, one in zip(values[start:stop], made, strict=True)]
            return [made]

        return piece

    return fields


def _timestamps(values: Sequence[datetime | None]) -> Pieces:
    return _bigints([None if value is None else (value - _EPOCH) // _MICROSECOND for value in values])


def _uuids(values: Sequence[UUID | str | None]) -> Pieces:
    given = [UUID(value) if isinstance(value, str) else value for value in values]
    return encoded([None if value is None else value.bytes for value in given])


_bigints = _numbers(">i8")
_FIELDS: dict[tuple[str, str | None], Fields] = {
    ("text", "text"): _texts,
    ("text", "varchar"): _texts,
    ("bigint", "int2"): _numbers(">i2"),
    ("bigint", "int4"): _numbers(">i4"),
    ("bigint", "int8"): _bigints,
    ("double precision", "float4"): _numbers(">f4"),
    ("double precision", "float8"): _numbers(">f8"),
    ("boolean", "bool"): _numbers(">i1"),
    ("uuid", "uuid"): _uuids,
    ("timestamp", "timestamp"): _timestamps,
}
