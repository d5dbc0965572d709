"""Filters as SQL over the jsonb column `metadata`.

Field names and values are parameters, never SQL text. Every comparison is false, not
NULL, where the field is missing, so that `NOT` means what `Filter.matches` means.
"""

from __future__ import annotations

import json
from typing import Any

from vectordb.filters import And, Compare, Filter, Not, Or, json_type


def where_clause(where: Filter, alias: str) -> tuple[str, dict[str, Any]]:
    """Return a condition and its parameters.

    Args:
        where: A checked filter.
        alias: Of the table in the statement; not from a user.

    Returns:
        SQL with named placeholders `%(w0)s`, `%(w1)s`, … and their values.
    """
    parameters: dict[str, Any] = {}
    return _condition(where, f"{alias}.metadata", parameters), parameters


def _condition(where: Filter, column: str, parameters: dict[str, Any]) -> str:
    if isinstance(where, Compare):
        return _comparison(where, column, parameters)
    if isinstance(where, Not):
        return f"NOT {_condition(where.part, column, parameters)}"
    if isinstance(where, (And, Or)):
        word, empty = (" AND ", "true") if isinstance(where, And) else (" OR ", "false")
        return f"({word.join(_condition(part, column, parameters) for part in where.parts) or empty})"
    raise TypeError(f"no SQL for {type(where).__name__}")


def _comparison(where: Compare, column: str, parameters: dict[str, Any]) -> str:
    field = f"{column} -> {_bind(parameters, where.field)}"
    if where.operator == "==":
        value = _bind(parameters, json.dumps(where.value, ensure_ascii=False))
        return f"coalesce({field} = {value}::jsonb, false)"
    kind = json_type(where.value)
    if kind == "number":
        value = f"{_bind(parameters, json.dumps(where.value))}::numeric"
        return (
            f"(CASE jsonb_typeof({field}) WHEN 'number' THEN"
            f" ({field})::numeric {where.operator} {value} ELSE false END)"
        )
    value = _bind(parameters, where.value)
    return (
        f"(CASE jsonb_typeof({field}) WHEN 'string' THEN"
        f" ({field} #>> '{{}}') COLLATE \"C\" {where.operator} {value} ELSE false END)"
    )


def _bind(parameters: dict[str, Any], value: Any) -> str:
    name = f"w{len(parameters)}"
    parameters[name] = value
    return f"%({name})s::text"
