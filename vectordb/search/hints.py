"""What would make a filter quicker: which of its fields no index serves, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from vectordb.fields import FieldType
from vectordb.filters import And, AnyOf, Compare, Contains, Field, Filter, In, Like, Or, StartsWith
from vectordb.filters.nodes import Condition
from vectordb.filters.resolving import type_of
from vectordb.search.where import MOST_LOOKUPS


def unindexed(where: Filter, fields: Mapping[str, FieldType]) -> dict[Field, FieldType]:
    """Return the fields that a filter compares without an index, each with the type that it should be declared with.

    Negations are left out: what does not match is found by no index.

    Args:
        where: A resolved filter.
        fields: Declared ones.
    """
    if isinstance(where, (And, Or)):
        found: dict[Field, FieldType] = {}
        for part in where.parts:
            found |= unindexed(part, fields)
        return found
    if not isinstance(where, Condition) or _is_served(where, fields):
        return {}
    kind = _kind(where)
    return {} if kind is None else {where.field: kind}


def hint(field: Field, kind: FieldType) -> str:
    """Return what to do about a field without an index."""
    path = str(field)
    if field.own:
        return f"no index serves the filter on {path}; create one on that column of the documents' table"
    if len(field.keys) > 1:
        return (
            f"no index serves the filter on {path}; store the value under a key at the top level of the metadata as "
            "well, and declare that with add_fields"
        )
    return f'no index serves the filter on {path}; docs.add_fields({{"{field.keys[0]}": {kind}}}) gives it one'


def _is_served(where: Condition, fields: Mapping[str, FieldType]) -> bool:
    """Whether the index of a declared field, of the ids, or over the whole metadata finds what matches."""
    field = where.field
    if type_of(field, fields) is not None:
        searched_through = isinstance(where, Like)
        return not searched_through and (not field.own or field.keys == ("id",))
    if isinstance(where, (In, AnyOf)):
        return len(where.values) <= MOST_LOOKUPS
    return isinstance(where, Contains) or (
        isinstance(where, Compare) and where.operator == "==" and not isinstance(where.value, datetime)
    )


def _kind(where: Condition) -> FieldType | None:
    """Return the type that a field has, by what it is compared with; None where declaring it would not help."""
    if isinstance(where, StartsWith):
        return FieldType.STR
    values = where.values if isinstance(where, In) else (where.value,) if isinstance(where, Compare) else ()
    for value in values:
        if isinstance(value, datetime):
            return FieldType.DATETIME
        if isinstance(value, str):
            return FieldType.STR
        if isinstance(value, float):
            return FieldType.FLOAT
        if isinstance(value, int) and not isinstance(value, bool):
            return FieldType.INT
    return None
