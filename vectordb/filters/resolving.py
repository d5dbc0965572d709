"""Filters held against the types that a collection knows: declared fields, and the document's own columns."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from vectordb.errors import InvalidFilter
from vectordb.fields import FieldType
from vectordb.filters.fields import Field
from vectordb.filters.nodes import And, AnyOf, Compare, Condition, Contains, Filter, In, Like, Not, Or, StartsWith
from vectordb.filters.values import Scalar
from vectordb.timestamps import parse_timestamp

_OWN_TYPES = {
    "id": FieldType.STR,
    "title": FieldType.STR,
    "uri": FieldType.STR,
    "created_at": FieldType.DATETIME,
    "updated_at": FieldType.DATETIME,
}
# How alike a name must be to a declared one to count as misspelt.
_MISSPELT = 0.74


def resolve(where: Filter, fields: Mapping[str, FieldType]) -> Filter:
    """Return the filter with values in the types of the fields they are compared with.

    A string that is compared with a datetime is read as ISO 8601; a number that is compared with an id becomes text.

    Args:
        where: Not deeper or larger than allowed.
        fields: Declared ones.

    Raises:
        InvalidFilter: A value or an operator that the field's type does not have, or a field that looks like a
            declared one, misspelt.
    """
    return _resolved(where, fields, "")


def _resolved(where: Filter, fields: Mapping[str, FieldType], place: str) -> Filter:
    """Resolve a part; an error names its place in the whole filter, of which the parts of an outermost `and` are."""
    if isinstance(where, And) and not place:
        return And(tuple(_resolved(part, fields, "") for part in where.parts))
    if isinstance(where, (And, Or)):
        word = f"{place}{'and' if isinstance(where, And) else 'or'}"
        return type(where)(
            tuple(_resolved(part, fields, f"{word}[{number}].") for number, part in enumerate(where.parts))
        )
    if isinstance(where, Not):
        return Not(_resolved(where.part, fields, f"{place}not."))
    if not isinstance(where, Condition):
        return where
    try:
        kind = type_of(where.field, fields)
        if kind is not None:
            return _typed(where, kind)
        check_spelling(where.field, fields)
    except InvalidFilter as error:
        if not place:
            raise
        path = f"{place}{error.facts.get('path', '')}"
        raise InvalidFilter(f"{error} (at {path})", **{**error.facts, "path": path}) from None
    return where


def type_of(field: Field, fields: Mapping[str, FieldType]) -> FieldType | None:
    """Return the type of a declared field or an own column, None of any other field."""
    if field.own:
        return _OWN_TYPES[field.keys[0]]
    return fields.get(field.keys[0]) if len(field.keys) == 1 else None


def _typed(where: Condition, kind: FieldType) -> Filter:
    path = str(where.field)
    if isinstance(where, Compare):
        if where.operator != "==" and kind is FieldType.BOOL:
            raise InvalidFilter(f"{path} is declared as bool, which has no order; compare with == or !=", path=path)
        if where.operator != "==" and _is_id(where.field) and not isinstance(where.value, str):
            raise InvalidFilter("ids are text, in the order of text; compare their order with a string", path=path)
        return replace(where, value=_value(where.value, kind, path, where.field))
    if isinstance(where, In):
        return replace(
            where,
            values=tuple(
                _value(value, kind, f"{path}[{position}]", where.field) for position, value in enumerate(where.values)
            ),
        )
    if isinstance(where, (Like, StartsWith)) and kind is not FieldType.STR:
        raise InvalidFilter(f"{path} is of type {kind}; only strings have patterns and prefixes", path=path)
    if isinstance(where, (Contains, AnyOf)):
        raise InvalidFilter(f"{path} holds a single {kind}; use in_, as only arrays and objects contain", path=path)
    return where


def _value(value: Scalar, kind: FieldType, path: str, field: Field) -> Scalar:
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is FieldType.STR and (isinstance(value, str) or (number and isinstance(value, int) and _is_id(field))):
        return str(value)
    if kind in (FieldType.INT, FieldType.FLOAT) and number:
        return value
    if kind is FieldType.BOOL and isinstance(value, bool):
        return value
    if kind is FieldType.DATETIME:
        instant: Any = parse_timestamp(value) if isinstance(value, str) else value
        if isinstance(instant, datetime):
            return instant
    hint = "; write it as ISO 8601, as in '2026-01-31'" if kind is FieldType.DATETIME else ""
    raise InvalidFilter(f"{path} is of type {kind}, and is compared with a {_name(value)}{hint}", path=path)


def _is_id(field: Field) -> bool:
    return field.own and field.keys == ("id",)


def _name(value: Scalar) -> str:
    return type(value).__name__


def check_spelling(field: Field, fields: Mapping[str, FieldType]) -> None:
    """Check that a field is none of the declared ones, misspelt.

    Raises:
        InvalidFilter: It looks like one; `nearest` names it.
    """
    if field.literal or field.own or not fields:
        return
    name = field.keys[0]
    if name in fields:
        return
    folded = {declared.casefold(): declared for declared in fields}
    close = difflib.get_close_matches(name[:64].casefold(), folded, n=1, cutoff=_MISSPELT)
    nearest = [folded[name] for name in close]
    if nearest:
        raise InvalidFilter(
            f"{name[:64]!r} is no declared field; did you mean {nearest[0]!r}? If it is a key of the metadata, "
            f"write {Field((name[:64],), literal=True)!s} in double quotes, or F([...])",
            path=str(field)[:200],
            nearest=nearest[0],
        )
