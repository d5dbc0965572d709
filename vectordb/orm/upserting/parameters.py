"""A column's values over many rows as one parameter: an array in PostgreSQL's binary form.

Values pass through the column type's own bind processor first, so that enumerations and an application's
`TypeDecorator`s are stored as its own INSERT would. What has no binary form here goes as text and is cast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
import psycopg
from psycopg.abc import AdaptContext
from psycopg.adapt import PyFormat, Transformer
from sqlalchemy import Column, Dialect, types
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.types import TypeDecorator, TypeEngine

from vectordb.errors import InvalidInput
from vectordb.orm.upserting import copy_stream
from vectordb.repository import arrays
from vectordb.validation import check_text
from vectordb.vector_types import BinaryParameter

_TEXT_OID = 25

T = TypeVar("T")
Encode = Callable[[Sequence[Any]], BinaryParameter]


@dataclass(frozen=True, slots=True)
class Parameter:
    """How the values of one column travel.

    Attributes:
        attribute: Name of the mapped attribute.
        column: Where the values go.
        name: Of the column, quoted.
        element: Type of the array's elements.
        cast: Appended to an element to have it in the column's type; empty where assignment does that.
        comparison: Appended to both sides where they are compared; most types need none.
        accepts: Python types of the values; empty for any.
        process: The type's bind processor.
        encode: Makes the array.
        fields: Makes fields of a COPY stream; None where the column's actual type has no binary form here.
    """

    attribute: str
    column: Column[Any]
    name: str
    element: str
    cast: str
    comparison: str
    accepts: tuple[type, ...]
    process: Callable[[Any], Any] | None
    encode: Encode
    fields: copy_stream.Fields | None

    def array(self, values: Sequence[Any], numbers: Sequence[int]) -> BinaryParameter:
        """Return the values as an array.

        Args:
            values: One for each row.
            numbers: Of the rows in the call, for messages.

        Raises:
            InvalidInput: A value that the column cannot hold; the message names its row.
        """
        return self._encoded(values, numbers, self.encode)

    def copied(self, values: Sequence[Any], numbers: Sequence[int]) -> copy_stream.Pieces:
        """Return the values as fields of a COPY stream, if `fields` is there; otherwise as `array`."""
        assert self.fields is not None  # noqa: S101 - the caller asked
        return self._encoded(values, numbers, self.fields)

    def _encoded(self, values: Sequence[Any], numbers: Sequence[int], encode: Callable[[Sequence[Any]], T]) -> T:
        if self.process is not None:
            values = [self._processed(value, number) for value, number in zip(values, numbers, strict=True)]
        if self.accepts:
            for kind in set(map(type, values)):
                if kind is not type(None) and not issubclass(kind, self.accepts):
                    number = next(number for value, number in zip(values, numbers, strict=True) if type(value) is kind)
                    raise InvalidInput(
                        f"row {number}: {self.attribute} is a {kind.__name__}, which a column of type"
                        f" {self.column.type!r} does not hold",
                        row=number,
                    )
        try:
            return encode(values)
        except (psycopg.Error, TypeError, ValueError, OverflowError):
            raise self._refused(values, numbers, encode) from None

    def _processed(self, value: Any, number: int) -> Any:
        """Pass a value through the type's bind processor, which is the application's code and may raise anything."""
        assert self.process is not None  # noqa: S101 - the caller asked
        try:
            return self.process(value)
        except Exception as error:
            raise InvalidInput(
                f"row {number}: the type of {self.attribute} refuses a value ({type(error).__name__})", row=number
            ) from None

    def _refused(
        self, values: Sequence[Any], numbers: Sequence[int], encode: Callable[[Sequence[Any]], Any]
    ) -> InvalidInput:
        """Return the error that names the first value that cannot be encoded."""
        for value, number in zip(values, numbers, strict=True):
            try:
                if isinstance(value, str):
                    check_text(value, self.attribute)
                encode([value])
            except InvalidInput as error:
                return type(error)(f"row {number}: {error}", **{**error.facts, "row": number})
            except (psycopg.Error, TypeError, ValueError, OverflowError):
                return InvalidInput(
                    f"row {number}: {self.attribute} is a {type(value).__name__} that a column of type"
                    f" {self.column.type!r} cannot hold",
                    row=number,
                )
        return InvalidInput(
            f"{self.attribute} has values of kinds that one statement cannot hold together, such as datetimes with"
            " and without a time zone; make them alike"
        )


def parameter(
    attribute: str, column: Column[Any], actual: str | None, dialect: Dialect, context: AdaptContext
) -> Parameter:
    """Return how the values of a column travel.

    Args:
        attribute: Name of the mapped attribute.
        column: Of any type but a vector's.
        actual: Name of its type in the database; None if there is no such column.
        dialect: Of the connection.
        context: The psycopg connection, whose adapters dump what has no binary form here.
    """
    implementation = column.type.dialect_impl(dialect)
    kind = _underlying(implementation, dialect)
    element, cast, accepts, encode = _form(kind, dialect, context)
    comparison = ""
    if isinstance(kind, types.String) and not isinstance(kind, types.Enum):
        comparison = '::text COLLATE "C"'  # the database may have a collation in which different texts are equal
    elif not isinstance(kind, _WITH_EQUALITY):
        comparison = "::text"  # json, xml and geometric types have no equality
    return Parameter(
        attribute,
        column,
        dialect.identifier_preparer.quote(column.name),
        element,
        cast,
        comparison,
        accepts,
        implementation.bind_processor(dialect),
        encode,
        None if cast else copy_stream.fields_of(element, actual),
    )


_WITH_EQUALITY = (
    types.Integer,
    types.Numeric,
    types.Boolean,
    types.LargeBinary,
    types.Uuid,
    types.DateTime,
    types.Date,
    types.Time,
    types.Enum,
)


def _underlying(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    while isinstance(kind, TypeDecorator):
        kind = kind.load_dialect_impl(dialect).dialect_impl(dialect)
    return kind


def _form(kind: TypeEngine[Any], dialect: Dialect, context: AdaptContext) -> tuple[str, str, tuple[type, ...], Encode]:
    """Return type of the elements, cast, accepted Python types and encoder.

    Lengths and precisions are left to the assignment, which refuses what is too long; a cast would cut it off.
    """
    if isinstance(kind, types.Integer):
        return "bigint", "", (Integral,), arrays.bigint_array
    if isinstance(kind, types.Float):
        return "double precision", "", (Real, Decimal), arrays.float_array
    if isinstance(kind, types.Boolean):
        return "boolean", "", (bool, np.bool_), arrays.bool_array
    if isinstance(kind, types.LargeBinary):
        return "bytea", "", (bytes, bytearray, memoryview, psycopg.Binary), _bytes
    if isinstance(kind, types.Uuid):
        return "uuid", "", (UUID, str), _uuids
    if isinstance(kind, types.String) and not isinstance(kind, (types.Enum, types.CHAR, CITEXT)):
        return "text", "", (str,), _texts
    if isinstance(kind, types.DateTime):
        if kind.timezone:  # as text, because one without a zone is in that of the session, which only the server knows
            return "text", "::timestamptz", (datetime,), _instants
        return "timestamp", "", (datetime,), arrays.timestamp_array
    return "text", f"::{_cast(kind, dialect)}", (), _dumped(context)


def _cast(kind: TypeEngine[Any], dialect: Dialect) -> str:
    if isinstance(kind, types.Numeric):
        return "numeric"
    return "bpchar" if isinstance(kind, types.CHAR) else dialect.type_compiler_instance.process(kind)


def _texts(values: Sequence[str | None]) -> BinaryParameter:
    for value in values:
        if value is not None and "\x00" in value:
            raise ValueError
    return arrays.text_array(values)


def _bytes(values: Sequence[Any]) -> BinaryParameter:
    unwrapped = (value.obj if isinstance(value, psycopg.Binary) else value for value in values)
    return arrays.bytea_array([None if value is None else bytes(value) for value in unwrapped])


def _uuids(values: Sequence[UUID | str | None]) -> BinaryParameter:
    return arrays.uuid_array([UUID(value) if isinstance(value, str) else value for value in values])


def _instants(values: Sequence[datetime | None]) -> BinaryParameter:
    return arrays.text_array([None if value is None else value.isoformat() for value in values])


def _dumped(context: AdaptContext) -> Encode:
    transformer = Transformer(context)

    def dump(value: Any) -> bytes | None:
        if value is None:
            return None
        data = transformer.get_dumper(value, PyFormat.TEXT).dump(value)
        text = None if data is None else bytes(data)
        if text is not None and b"\x00" in text:
            raise ValueError
        return text

    def encode(values: Sequence[Any]) -> BinaryParameter:
        return arrays.encoded_array([dump(value) for value in values], _TEXT_OID)

    return encode


def vector_parameter(attribute: str, column: Column[Any], dialect: Dialect, oid: int, type_name: str) -> Parameter:
    """Return how vectors travel that are not those of which the text is embedded.

    Args:
        attribute: Name of the mapped attribute.
        column: Of type `VectorColumn`.
        dialect: Of the connection.
        oid: Of the type in this database.
        type_name: Of the type, with its schema where that is needed.
    """
    return Parameter(
        attribute,
        column,
        dialect.identifier_preparer.quote(column.name),
        type_name,
        "",
        "",
        (),
        column.type.bind_processor(dialect),
        lambda values: arrays.encoded_array(values, oid),
        copy_stream.encoded,
    )
