"""Filters as SQL.

Names and values are parameters, never SQL text; what stands in the text are the names of
declared columns, which were validated when they were declared. A condition may be NULL
where `Filter.matches` is false, as for a field that is missing; `NOT` is written as
`IS NOT TRUE`, so that a filter as a whole still means what `matches` means.

Equality and containment of undeclared metadata become `@>` on the whole column, which the
GIN index serves; anything else reads the value by its path and checks its JSON type first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vectordb.fields import FieldType
from vectordb.filters import (
    And,
    AnyOf,
    Compare,
    Contains,
    Exists,
    Expression,
    Field,
    Filter,
    In,
    Like,
    Not,
    Or,
    StartsWith,
)
from vectordb.filters.nodes import Condition
from vectordb.filters.resolving import type_of
from vectordb.filters.values import Scalar, case_folding, fold, json_text, json_type
from vectordb.search.expressions import expression_sql
from vectordb.tables import SearchedTable, Tables, quote

# Up to this many values an index lookup for each is tried; more are found by a hash of them, row by row.
MOST_LOOKUPS = 32


@dataclass(frozen=True, slots=True, eq=False)
class RenderedCondition(Filter):
    """A condition on the rows `c` that is SQL already; only the database can tell what it matches.

    Attributes:
        sql: With named placeholders for psycopg.
        parameters: Their values; no name is one of ours.
    """

    sql: str
    parameters: Mapping[str, Any]


def where_clause(
    where: Filter, alias: str, tables: SearchedTable, *, as_join: bool = True
) -> tuple[str, dict[str, Any]]:
    """Return a condition and its parameters.

    Args:
        where: A resolved filter.
        alias: Of the table in the statement: `d` for documents, `c` for what is searched.
        tables: Of the collection; of any table where the filter is a `RenderedCondition`.
        as_join: Whether conditions on another table may be turned into joins by PostgreSQL; an index scan that
            returns rows in the order of their distance is better off without.

    Returns:
        SQL for a WHERE clause, with named placeholders `%(w0)s`, `%(w1)s`, … and their values.
    """
    if isinstance(where, RenderedCondition):
        return f"({where.sql})", dict(where.parameters)
    if not isinstance(tables, Tables):
        raise TypeError("filters by field are for collections")
    return _Clause(alias, tables, as_join, {}).of(where)


class _Clause:
    """One condition in the making; every value goes through `_bind`."""

    def __init__(self, alias: str, tables: Tables, as_join: bool, parameters: dict[str, Any]) -> None:
        self._alias = alias
        self._tables = tables
        self._as_join = as_join
        self._parameters = parameters

    def of(self, where: Filter) -> tuple[str, dict[str, Any]]:
        return self._sql(where), self._parameters

    def _sql(self, where: Filter) -> str:
        if isinstance(where, (And, Or)):
            word, empty = (" AND ", "true") if isinstance(where, And) else (" OR ", "false")
            return f"({word.join(map(self._sql, where.parts)) or empty})"
        if isinstance(where, Not):
            return f"({self._sql(where.part)}) IS NOT TRUE"
        if isinstance(where, Expression):
            sql, parameters = expression_sql(
                where.clause, self._alias, self._tables, prefix=f"e{len(self._parameters)}_"
            )
            self._parameters.update(parameters)
            return self._elsewhere(sql)
        if not isinstance(where, Condition):
            raise TypeError(f"no SQL for {type(where).__name__}")
        kind = type_of(where.field, self._tables.fields)
        if kind is None:
            return self._undeclared(where)
        if not where.field.own:
            return self._typed(where, f"{self._alias}.{quote(where.field.keys[0])}", kind)
        return self._own(where, kind)

    def _own(self, where: Condition, kind: FieldType) -> str:
        name = where.field.keys[0]
        if name == "id":
            return self._typed(where, f"{self._alias}.{'id' if self._alias == 'd' else 'document_id'}", kind)
        if self._alias == "d":
            return self._typed(where, f"d.{name}", kind)
        condition = self._typed(where, f"d.{name}", kind)
        return self._elsewhere(f"c.document_id IN (SELECT d.id FROM {self._tables.documents} AS d WHERE {condition})")

    def _elsewhere(self, condition: str) -> str:
        """Return a condition that looks into another table."""
        return f"({condition})" if self._as_join else f"({condition}) IS TRUE"

    def _typed(self, where: Condition, column: str, kind: FieldType) -> str:
        """Return a condition on a column that has a type of its own."""
        text = f'{column} COLLATE "C"' if where.field.own and kind is FieldType.STR else column
        if isinstance(where, Exists):
            return f"{column} IS NOT NULL" if where.field.own else self._exists(where.field)
        if isinstance(where, Compare):
            if where.value is None:
                return self._null(where.field, column)
            return f"{text} {_SIGNS[where.operator]} {self._typed_value(where.value, kind)}"
        if isinstance(where, In):
            known = [value for value in where.values if value is not None]
            parts = [f"{text} = ANY({self._typed_values(known, kind)})"] if known else []
            if len(known) < len(where.values):
                parts.append(self._null(where.field, column))
            return f"({' OR '.join(parts)})"
        return self._pattern(where, text)

    def _null(self, field: Field, column: str) -> str:
        return f"{column} IS NULL" if field.own else self._contained(field, None)

    def _typed_value(self, value: Scalar, kind: FieldType) -> str:
        return self._bind(_typed_text(value), _typed_cast([value], kind))

    def _typed_values(self, values: Sequence[Scalar], kind: FieldType) -> str:
        return self._bind([_typed_text(value) for value in values], f"{_typed_cast(values, kind)}[]")

    def _undeclared(self, where: Condition) -> str:
        """Return a condition on a path of the metadata."""
        field = where.field
        if isinstance(where, Exists):
            return self._exists(field)
        if isinstance(where, Compare):
            return self._comparison(where)
        if isinstance(where, In):
            return self._in(where)
        if isinstance(where, Contains):
            return self._contained(field, where.value)
        if isinstance(where, AnyOf):
            return self._any_of(where)
        return self._of_type(field, "string", lambda value: self._pattern(where, f"({value} #>> '{{}}') COLLATE \"C\""))

    def _comparison(self, where: Compare) -> str:
        value = where.value
        if isinstance(value, datetime):
            return (
                f"{self._instant(where.field)} {_SIGNS[where.operator]} {self._bind(value.isoformat(), 'timestamptz')}"
            )
        if where.operator == "==":
            return self._contained(where.field, value)
        if json_type(value) == "number":
            return self._of_type(
                where.field,
                "number",
                lambda stored: f"({stored})::numeric {where.operator} {self._bind(json_text(value), 'numeric')}",
            )
        return self._of_type(
            where.field,
            "string",
            lambda stored: f"({stored} #>> '{{}}') COLLATE \"C\" {where.operator} {self._bind(value, 'text')}",
        )

    def _in(self, where: In) -> str:
        instants = [value.isoformat() for value in where.values if isinstance(value, datetime)]
        others = [value for value in where.values if not isinstance(value, datetime)]
        parts = [f"{self._instant(where.field)} = ANY({self._bind(instants, 'timestamptz[]')})"] if instants else []
        if others and len(others) <= MOST_LOOKUPS:
            wholes = [_nested(where.field, value) for value in others]
            parts.append(f"{self._alias}.metadata @> ANY({self._bind(wholes, 'jsonb[]')})")
        elif others:
            parts.append(
                f"{self._path(where.field)} = ANY({self._bind([json_text(value) for value in others], 'jsonb[]')})"
            )
        return f"({' OR '.join(parts)})"

    def _any_of(self, where: AnyOf) -> str:
        if len(where.values) <= MOST_LOOKUPS:
            wholes = [_nested(where.field, [value]) for value in where.values]
            return f"{self._alias}.metadata @> ANY({self._bind(wholes, 'jsonb[]')})"
        values = self._bind([json_text(value) for value in where.values], "jsonb[]")
        return self._of_type(
            where.field,
            "array",
            lambda stored: (
                f"EXISTS (SELECT FROM jsonb_array_elements({stored}) AS e(value) WHERE e.value = ANY({values}))"
            ),
        )

    def _pattern(self, where: Condition, text: str) -> str:
        if isinstance(where, StartsWith):
            return f"{text} ^@ {self._bind(where.prefix, 'text')}"
        if not isinstance(where, Like):
            raise TypeError(f"no SQL for {type(where).__name__} on a text")
        if where.case_sensitive:
            return f"{text} LIKE {self._bind(where.pattern, 'text')}"
        table = case_folding(where.pattern)
        old, new = self._bind("".join(table), "text"), self._bind("".join(table.values()), "text")
        return f"translate({text}, {old}, {new}) LIKE {self._bind(fold(where.pattern), 'text')}"

    def _contained(self, field: Field, value: Any) -> str:
        return f"{self._alias}.metadata @> {self._bind(_nested(field, value), 'jsonb')}"

    def _exists(self, field: Field) -> str:
        return f"({self._path(field)}) IS NOT NULL"

    def _instant(self, field: Field) -> str:
        return self._of_type(field, "string", lambda stored: f"{self._tables.iso_timestamp}({stored} #>> '{{}}')")

    def _of_type(self, field: Field, kind: str, condition: Callable[[str], str]) -> str:
        """Return something about the value, evaluated only where it has the JSON type."""
        path = f"({self._path(field)})"
        return f"(CASE jsonb_typeof{path} WHEN '{kind}' THEN {condition(path)} END)"

    def _path(self, field: Field) -> str:
        column = f"{self._alias}.metadata"
        if len(field.keys) == 1:
            return f"{column} -> {self._bind(field.keys[0], 'text')}"
        # One parameter for all keys: a thousand conditions on long paths would need more than PostgreSQL takes.
        keys = self._bind(list(field.keys), "text[]")
        return " -> ".join([column, *(f"({keys})[{number}]" for number in range(1, len(field.keys) + 1))])

    def _bind(self, value: str | list[str] | Scalar, sql_type: str) -> str:
        name = f"w{len(self._parameters)}"
        self._parameters[name] = value
        # A list goes as text[] and is cast on the server, as psycopg knows no type of its elements.
        through = "text[]::" if isinstance(value, list) and sql_type != "text[]" else ""
        return f"%({name})s::{through}{sql_type}"


_SIGNS = {"==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def _nested(field: Field, value: Any) -> str:
    """Return the JSON of metadata that has the value at the field and nothing else."""
    for key in reversed(field.keys):
        value = {key: value}
    return json.dumps(value, ensure_ascii=False)


def _typed_text(value: Scalar) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str) else json_text(value)


def _typed_cast(values: Iterable[Scalar], kind: FieldType) -> str:
    """Return the type to compare in: that of the column, so that its index serves, wherever the values allow it."""
    if kind is FieldType.INT and not all(isinstance(value, int) and -(2**63) <= value < 2**63 for value in values):
        return "numeric"
    return _CASTS[kind]


_CASTS = {
    FieldType.STR: "text",
    FieldType.INT: "bigint",
    FieldType.FLOAT: "numeric",
    FieldType.BOOL: "boolean",
    FieldType.DATETIME: "timestamptz",
}
