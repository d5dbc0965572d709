"""Queries and judgements in tables of the user."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

import sqlalchemy as sa

from vectordb.errors import InvalidInput

_LONGEST_NAME = 63


class HasTransactions(Protocol):
    """`VectorDB`, as far as it is needed here."""

    def transaction(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction."""
        ...


def read_table(
    connection: sa.Connection, source: str | sa.Select[Any], keys: tuple[str, ...], value: str
) -> dict[tuple[str, ...], Any]:
    """Return a column by others.

    Args:
        connection: To read from.
        source: Name of a table or view, with its schema where need be, or a `Select`.
        keys: Columns that name a row; as text.
        value: The column wanted.

    Raises:
        InvalidInput: No such table or column, NULL, or a row twice.
    """
    names = (*keys, value)
    shown = source if isinstance(source, str) else "the query"
    statement = _select(connection, source, names) if isinstance(source, str) else _columns_of(source, names)
    found: dict[tuple[str, ...], Any] = {}
    for row in connection.execute(statement):
        if any(cell is None for cell in row):
            raise InvalidInput(f"{shown} holds NULL in one of {', '.join(names)}; leave such rows out by a view")
        key = tuple(str(cell) for cell in row[:-1])
        if key in found:
            raise InvalidInput(f"{shown} has several rows of {', '.join(keys)} {' and '.join(map(repr, key))[:120]}")
        found[key] = row[-1]
    return found


def _select(connection: sa.Connection, name: str, columns: tuple[str, ...]) -> sa.Select[Any]:
    *schema, table = name.split(".")
    if len(schema) > 1 or not all(
        0 < len(part.encode()) <= _LONGEST_NAME and "\x00" not in part for part in (*schema, table)
    ):
        raise InvalidInput(f"a table is named as queries or quality.queries, not {name!r:.80}")
    inspector = sa.inspect(connection)
    place = schema[0] if schema else None
    if not inspector.has_table(table, schema=place):
        raise InvalidInput(f"there is no table {name}; name the schema, too, where it is not in the search path")
    _check_columns({column["name"] for column in inspector.get_columns(table, schema=place)}, columns, name)
    source = sa.table(table, *(sa.column(column) for column in columns), schema=place)
    # In the order of the keys, so that an evaluation of the first hundred queries is the same every time.
    return sa.select(source).order_by(*source.columns[:-1])


def _columns_of(query: sa.Select[Any], columns: tuple[str, ...]) -> sa.Select[Any]:
    _check_columns(set(query.selected_columns.keys()), columns, "the query")
    source = query.subquery()
    return sa.select(*(source.columns[column] for column in columns))


def _check_columns(there: set[str], wanted: tuple[str, ...], what: str) -> None:
    if missing := [column for column in wanted if column not in there]:
        raise InvalidInput(f"{what} has no column {missing[0]}; it needs {', '.join(wanted)}, be it by a view")
