"""SQLAlchemy column types for pgvector's four storages, in numpy and in binary.

pgvector's own SQLAlchemy type sends every vector as decimal text, which costs 30 to 80
times more than its binary form and changes its result type between releases. These
types send the binary form and return float32 arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import AdaptersMap, Buffer, Dumper
from psycopg.pq import Format
from sqlalchemy import Dialect, Float
from sqlalchemy.types import UserDefinedType

from vectordb import vectors
from vectordb.metrics import Metric, Storage, VectorSpace


class BinaryParameter(bytes):
    """A value in PostgreSQL's binary form, to be passed as a parameter: an encoded vector, or an array."""

    __slots__ = ()


class _BinaryDumper(Dumper):
    """Send bytes as they are and let PostgreSQL infer the type from the context."""

    format = Format.BINARY
    oid = 0

    def dump(self, obj: bytes) -> Buffer:
        return bytes(obj)


def register_dumpers(adapters: AdaptersMap) -> None:
    """Teach a connection, or psycopg as a whole, to send values that are in binary form already."""
    adapters.register_dumper(BinaryParameter, _BinaryDumper)


# The type is ours alone, so nobody else's values are touched; every connection opened from here on,
# by the application's own engine too, can send them.
register_dumpers(psycopg.adapters)


class VectorColumn(UserDefinedType[NDArray[np.float32]]):
    """The type of an embedding column.

    Args:
        storage: One of pgvector's column types.
        dimensions: None for a column of which the dimensions are read from the database.

    Values are float32 arrays of shape (dimensions,). What is bound may be any sequence of
    numbers; it is checked for NaN, infinity and its length.
    """

    cache_ok = True
    # Without a cast, an INSERT of many rows that SQLAlchemy writes as SELECT … FROM (VALUES …) takes bytes for text.
    render_bind_cast = True

    def __init__(self, storage: Storage | str = Storage.VECTOR, dimensions: int | None = None) -> None:
        self.storage = Storage(storage)
        self.dimensions = dimensions

    def get_col_spec(self, **_: Any) -> str:
        """Return the type as SQL writes it."""
        return str(self.storage) if self.dimensions is None else f"{self.storage}({self.dimensions})"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], BinaryParameter | None]:
        """Return what turns an array into bytes for psycopg."""

        def process(value: Any) -> BinaryParameter | None:
            if value is None:
                return None
            # Of a value without a length, `as_vector` says what is wrong with it.
            dimensions = self.dimensions or (len(value) if isinstance(value, Sized) else 1)
            space = VectorSpace(dimensions, _any_metric(self.storage), self.storage)
            return BinaryParameter(vectors.encode(vectors.as_vector(value, space), self.storage)[0])

        return process

    def literal_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        """Return what turns an array into SQL text, for statements that are written out."""
        bind = self.bind_processor(dialect)

        def process(value: Any) -> str:
            encoded = bind(value)
            if encoded is None:
                return "NULL"
            space = VectorSpace(self.dimensions or len(value), _any_metric(self.storage), self.storage)
            return f"'{_to_text(vectors.decode([encoded], space)[0], self.storage)}'"

        return process

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], NDArray[np.float32] | None]:
        """Return what turns a column's value into an array."""

        def process(value: Any) -> NDArray[np.float32] | None:
            return None if value is None else _from_result(value, self.storage)

        return process

    class Comparator(UserDefinedType.Comparator[NDArray[np.float32]]):
        """pgvector's distances as methods of the column."""

        def distance(self, other: Any, metric: Metric | str) -> Any:
            """Return the distance by a metric: low is near."""
            return self.op(Metric(metric).operator, return_type=Float())(other)

        def cosine_distance(self, other: Any) -> Any:
            """Return the cosine distance, 0 to 2."""
            return self.distance(other, Metric.COSINE)

        def l2_distance(self, other: Any) -> Any:
            """Return the Euclidean distance."""
            return self.distance(other, Metric.L2)

        def l1_distance(self, other: Any) -> Any:
            """Return the taxicab distance."""
            return self.distance(other, Metric.L1)

        def max_inner_product(self, other: Any) -> Any:
            """Return the negative inner product, so that low is near."""
            return self.distance(other, Metric.INNER_PRODUCT)

    comparator_factory = Comparator


def _any_metric(storage: Storage) -> Metric:
    """A metric that sets no conditions of its own on the values."""
    return Metric.HAMMING if storage is Storage.BIT else Metric.L2


def _from_result(value: Any, storage: Storage) -> NDArray[np.float32]:
    """Read what psycopg returned: text, or whatever an adapter registered by the application made of it."""
    if isinstance(value, str):
        return _from_text(value, storage)
    for name in ("to_numpy", "to_list"):
        if hasattr(value, name):
            return np.asarray(getattr(value, name)(), dtype=np.float32)
    return np.asarray(value, dtype=np.float32)


def _to_text(row: NDArray[np.float32], storage: Storage) -> str:
    """Write a vector as pgvector does; `_from_text` reads it."""
    if storage is Storage.BIT:
        return "".join("1" if number > 0 else "0" for number in row)
    if storage is Storage.SPARSEVEC:
        entries = ",".join(f"{index + 1}:{row[index]!s}" for index in np.flatnonzero(row))
        return f"{{{entries}}}/{len(row)}"
    return f"[{','.join(map(str, row))}]"


def _from_text(text: str, storage: Storage) -> NDArray[np.float32]:
    if storage is Storage.BIT:
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.float32) - ord("0")
    if storage is not Storage.SPARSEVEC:
        return np.fromstring(text[1:-1], dtype=np.float32, sep=",")
    entries, _, dimensions = text.rpartition("/")
    row = np.zeros(int(dimensions), dtype=np.float32)
    for entry in filter(None, entries[1:-1].split(",")):
        index, _, number = entry.partition(":")
        row[int(index) - 1] = float(number)
    return row
