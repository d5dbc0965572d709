"""What a model's columns get that a row does not give: Python-side and SQL-side defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import Column, Dialect
from sqlalchemy import Sequence as DatabaseSequence

from vectordb.errors import InvalidInput
from vectordb.orm.upserting.attributes import Attributes
from vectordb.orm.upserting.rows import Rows


@dataclass(frozen=True, slots=True)
class Made:
    """Values by attribute, one for each row, and SQL expressions by quoted name."""

    values: dict[str, list[Any]] = field(default_factory=dict)
    expressions: tuple[tuple[str, str], ...] = ()


class _Context:
    """What a default that depends on other columns may ask for, as in an INSERT of SQLAlchemy's own."""

    def __init__(self, attributes: Attributes, rows: Rows, position: int) -> None:
        self._attributes, self._rows, self._position = attributes, rows, position

    @cached_property
    def current_parameters(self) -> dict[str, Any]:
        """Values of the row, by column."""
        rows, columns = self._rows, self._attributes.columns
        return {columns[name].key: rows.columns[name][self._position] for name in rows.names}

    def get_current_parameters(self, isolate_multiinsert_groups: bool = True) -> dict[str, Any]:
        """Return the values of the row, by column."""
        return self.current_parameters


class Defaults:
    """The defaults of a model's columns.

    Args:
        attributes: Of the model.
        dialect: Of the connection.
    """

    def __init__(self, attributes: Attributes, dialect: Dialect) -> None:
        self._attributes = attributes
        self._dialect = dialect

    def key(self, rows: Rows) -> dict[str, list[Any]] | None:
        """Return Python-side defaults for what rows lack of their keys; None if the database makes some of it."""
        made = {}
        for name in self._attributes.keys:
            if name not in rows.names and not rows.managed:
                default = self._attributes.columns[name].default
                if default is None or not (default.is_scalar or default.is_callable):
                    return None
                made[name] = self._values(default, rows)
        return made

    def inserted(self, rows: Rows) -> Made:
        """Return what columns other than the given ones get in new rows."""
        return self._made({n: c.default for n, c in self._attributes.columns.items() if n not in rows.names}, rows)

    def updated(self, rows: Rows) -> Made:
        """Return what columns other than the given ones get in rows that change."""
        return self._made({n: c.onupdate for n, c in self._attributes.columns.items() if n not in rows.names}, rows)

    def check_required(self, rows: Rows) -> None:
        """Refuse new rows that lack a value for a column that must have one.

        Raises:
            InvalidInput: They do.
        """
        for name in self._required:
            if name not in rows.names and not (name == self._attributes.mapping.attribute and None not in rows.places):
                key = name in self._attributes.keys
                raise InvalidInput(
                    f"row {rows.numbers[0]} is new and gives no {name!r}, which "
                    + ("is a part of the key" if key else "may not be NULL")
                    + " and has no default",
                    row=rows.numbers[0],
                )

    @cached_property
    def _required(self) -> tuple[str, ...]:
        generated = self._attributes.mapping.table.autoincrement_column
        return tuple(
            name
            for name, column in self._attributes.columns.items()
            if not column.nullable and column is not generated and not _has_default(column)
        )

    def _made(self, defaults: Mapping[str, Any], rows: Rows) -> Made:
        values: dict[str, list[Any]] = {}
        expressions = []
        for name, default in defaults.items():
            if default is None:
                continue
            if default.is_scalar or default.is_callable:
                values[name] = self._values(default, rows)
            else:
                quoted = self._dialect.identifier_preparer.quote(self._attributes.columns[name].name)
                expressions.append((quoted, self._expression(default)))
        return Made(values, tuple(expressions))

    def _values(self, default: Any, rows: Rows) -> list[Any]:
        if default.is_scalar:
            return [default.arg] * len(rows)
        function: Callable[[Any], Any] = default.arg
        return [function(_Context(self._attributes, rows, i)) for i in range(len(rows))]

    def _expression(self, default: Any) -> str:
        clause = default.next_value() if isinstance(default, DatabaseSequence) else default.arg
        return str(clause.compile(dialect=self._dialect, compile_kwargs={"literal_binds": True}))


def _has_default(column: Column[Any]) -> bool:
    return (
        column.default is not None
        or column.server_default is not None
        or column.identity is not None
        or column.computed is not None
    )
