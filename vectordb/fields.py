"""Declared fields: keys of the metadata that have a type, and a column of their own in both tables.

The columns are generated from the metadata by PostgreSQL, so that they are right whoever writes.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from vectordb.errors import ConfigurationError, InvalidMetadata, InvalidName
from vectordb.timestamps import parse_timestamp

# A row of a B-tree index holds at most 2,704 bytes.
MAX_STRING_BYTES = 2_000
MAX_FIELD_BYTES = 63

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
# Columns of the tables, attributes of their models, what their indexes are called after, PostgreSQL's own columns.
_TAKEN = frozenset(
    {"id", "title", "uri", "content_hash", "metadata", "metadata_", "created_at", "updated_at", "chunks"}
    | {"document_id", "ordinal", "content", "span_start", "span_end", "tokens", "embedding", "content_tsv"}
    | {"document", "registry", "embedding_hnsw", "embedding_ivfflat"}
    | {"tableoid", "xmin", "xmax", "cmin", "cmax", "ctid"}
)


class FieldType(StrEnum):
    """What a declared field holds."""

    STR = "str"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    DATETIME = "datetime"


FieldLike = FieldType | type | str

_PYTHON_TYPES: dict[object, FieldType] = {
    str: FieldType.STR,
    int: FieldType.INT,
    float: FieldType.FLOAT,
    bool: FieldType.BOOL,
    datetime.datetime: FieldType.DATETIME,
    datetime.date: FieldType.DATETIME,
}
_DESCRIPTIONS = {
    FieldType.STR: f"a string of at most {MAX_STRING_BYTES} bytes",
    FieldType.INT: "a whole number of 64 bits",
    FieldType.FLOAT: "a number",
    FieldType.BOOL: "true or false",
    FieldType.DATETIME: "an ISO 8601 string, as 2020-12-31 or 2020-12-31T23:59:59Z",
}


def check_fields(fields: Mapping[str, FieldLike] | None) -> dict[str, FieldType]:
    """Return declared fields by name, in the order of their names.

    Args:
        fields: Name to type: `str`, `int`, `float`, `bool`, `datetime.datetime`, `datetime.date`, or the name of a
            `FieldType`. None declares none.

    Raises:
        ConfigurationError: Not a mapping, or an unknown type.
        InvalidName: A name that cannot be a column's, or is one of the tables' own.
    """
    if fields is None:
        return {}
    if not isinstance(fields, Mapping):
        raise ConfigurationError(f'fields is a mapping, as {{"year": int}}, not {type(fields).__name__}')
    return {check_field_name(name): _field_type(name, fields[name]) for name in sorted(fields, key=str)}


def parse_fields(text: str) -> dict[str, FieldType]:
    """Return the fields that text declares, as `year:int,lang:str`.

    Raises:
        ConfigurationError: Not of this form, a name twice, or an unknown type.
        InvalidName: As for `check_fields`.
    """
    fields: dict[str, FieldLike] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, kind = (word.strip() for word in part.partition(":"))
        if not kind:
            raise ConfigurationError(f"fields are written as year:int,lang:str; {part[:40]!r} has no type")
        if name in fields:
            raise ConfigurationError(f"the field {name[:40]!r} is declared twice")
        fields[name] = kind
    return check_fields(fields)


def check_field_name(name: object) -> str:
    """Return the name of a field as it can be that of a column.

    Raises:
        InvalidName: Not letters, digits and underscores, longer than `MAX_FIELD_BYTES`, or taken.
    """
    if not isinstance(name, str):
        raise InvalidName(f"the name of a field is a string, not {type(name).__name__}")
    if not _NAME.fullmatch(name):
        raise InvalidName(
            f"a field has ASCII letters, digits and underscores and starts with a letter, not {name[:40]!r}; "
            "other keys of the metadata can be filtered without being declared",
            name=name[:MAX_FIELD_BYTES],
        )
    if len(name) > MAX_FIELD_BYTES:
        raise InvalidName(f"a field has at most {MAX_FIELD_BYTES} bytes, not {len(name)}", name=name[:MAX_FIELD_BYTES])
    if name in _TAKEN:
        raise InvalidName(f"a field cannot be named {name!r}, which the tables have already", name=name)
    return name


def check_metadata(metadata: Mapping[str, Any], fields: Mapping[str, FieldType]) -> None:
    """Check that what is there of the declared fields has their types; null and missing are fine.

    Raises:
        InvalidMetadata: Another type; `path` names the field.
    """
    for name, kind in fields.items():
        value = metadata.get(name)
        if value is not None and not _fits(value, kind):
            raise InvalidMetadata(
                f"metadata {name} is declared as {kind}: {_DESCRIPTIONS[kind]}, not {_kind(value)}", path=name
            )


def generation_expression(name: str, kind: FieldType, *, iso_timestamp: str) -> str:
    """Return the SQL that makes a field's column from `metadata`; immutable, NULL where the type is another.

    It is written just as PostgreSQL prints it, apart from parentheses, so that Alembic finds the two equal.

    Args:
        name: Of the field, checked.
        kind: Its type.
        iso_timestamp: The SQL function of that name, quoted.
    """
    value, as_text = f"metadata -> '{name}'::text", f"metadata ->> '{name}'::text"
    if kind is FieldType.DATETIME:
        return f"{iso_timestamp}(({as_text}))"
    if kind is FieldType.STR:
        return _case(value, "string", f"octet_length({as_text}) <= {MAX_STRING_BYTES}", f"({as_text})", "text")
    if kind is FieldType.BOOL:
        return _case(value, "boolean", None, f"({value})::boolean", "boolean")
    number = f"({value})::numeric"
    if kind is FieldType.FLOAT:
        return _case(value, "number", f"octet_length({as_text}) <= {MAX_STRING_BYTES}", number, "numeric")
    whole = (
        f"{number} = trunc({number}) AND {number} >= '{_SMALLEST}'::bigint::numeric"
        f" AND {number} <= '{_LARGEST}'::bigint::numeric"
    )
    return _case(value, "number", whole, f"({number})::bigint", "bigint")


def _case(value: str, json_type: str, condition: str | None, result: str, sql_type: str) -> str:
    """Return the result where the value has the JSON type; nested, because AND promises no order of evaluation."""
    if condition is not None:
        result = f"CASE WHEN {condition} THEN {result} ELSE NULL::{sql_type} END"
    return f"CASE WHEN jsonb_typeof({value}) = '{json_type}'::text THEN {result} ELSE NULL::{sql_type} END"


def _field_type(name: str, kind: object) -> FieldType:
    known = _PYTHON_TYPES.get(kind) if isinstance(kind, type) else None
    if known is not None:
        return known
    if isinstance(kind, str) and kind in list(FieldType):
        return FieldType(kind)
    shown = kind.__name__ if isinstance(kind, type) else repr(kind)
    raise ConfigurationError(
        f"the field {name!r} is declared as one of {', '.join(FieldType)} (or the Python type), not {shown[:40]}"
    )


def _fits(value: object, kind: FieldType) -> bool:
    if isinstance(value, bool):
        return kind is FieldType.BOOL
    if isinstance(value, str):
        if kind is FieldType.DATETIME:
            return parse_timestamp(value) is not None
        return kind is FieldType.STR and len(value.encode(errors="surrogatepass")) <= MAX_STRING_BYTES
    if isinstance(value, int | float):
        if kind is FieldType.INT:
            return (isinstance(value, int) or value.is_integer()) and _SMALLEST <= value <= _LARGEST
        return kind is FieldType.FLOAT
    return False


def _kind(value: object) -> str:
    """Say what a value is, without showing it."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "such a string"
    if isinstance(value, int | float):
        return "such a number"
    return "an object" if isinstance(value, Mapping) else "an array"
