"""The attributes of a model by which rows are given: their columns, and which of them can be written."""

from __future__ import annotations

import difflib
from functools import cached_property
from typing import Any

from sqlalchemy import Column

from vectordb.declarations import EmbeddingHash, declared_by, embedding_of
from vectordb.errors import InvalidInput
from vectordb.orm.mapping import ModelMapping


class Attributes:
    """The attributes of a model by which rows are given.

    Args:
        mapping: Of the model.
    """

    def __init__(self, mapping: ModelMapping) -> None:
        self.mapping = mapping
        self.columns: dict[str, Column[Any]] = {}
        for attribute in mapping.mapper.column_attrs:
            column = attribute.columns[0]
            # Of a joined child the key has one attribute for the columns of both tables.
            for candidate in attribute.columns:
                if isinstance(candidate, Column) and candidate.table is mapping.table:
                    column = candidate
            if isinstance(column, Column) and column.table is mapping.table:
                self.columns[attribute.key] = column
        self.names = {column: name for name, column in self.columns.items()}
        self.keys = tuple(self.names[column] for column in mapping.keys)
        self.hash = self.names.get(mapping.hash_column)
        self._known: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {}

    @cached_property
    def whole(self) -> bool:
        """Whether the model's rows are rows of one table."""
        return len(self.mapping.mapper.tables) == 1

    @cached_property
    def made_by_database(self) -> frozenset[str]:
        """Attributes that the database gives a value of its own when a row is updated."""
        return frozenset(
            name
            for name, column in self.columns.items()
            if column.computed is not None or column.onupdate is not None or column.server_onupdate is not None
        )

    @cached_property
    def optional(self) -> tuple[str, ...]:
        """Attributes of which None means that they are not given."""
        return tuple(name for name, column in self.columns.items() if name in self.keys or embedding_of(column))

    @cached_property
    def discriminator(self) -> tuple[str, Any] | None:
        """Attribute and value that tell the class among those that share its table."""
        mapper = self.mapping.mapper
        name = self.names.get(mapper.polymorphic_on) if isinstance(mapper.polymorphic_on, Column) else None
        return None if name is None or mapper.polymorphic_identity is None else (name, mapper.polymorphic_identity)

    def writable(self, names: tuple[str, ...], number: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return those of a row's names that are written as they are given, and those of which None means absent.

        Raises:
            InvalidInput: A name is no attribute of the model that can be written.
        """
        known = self._known.get(names)
        if known is None:
            for name in names:
                self._check_name(name, number)
            written = tuple(name for name in names if name != self.mapping.attribute)
            known = written, tuple(name for name in written if name in self.optional)
            self._known[names] = known
        return known

    def _check_name(self, name: Any, number: int) -> None:
        model = self.mapping.model.__name__
        column = self.columns.get(name)
        why = None
        if column is None:
            if name in self.mapping.mapper.relationships:
                why = "is a relationship; give its foreign key instead"
            elif name in self.mapping.mapper.all_orm_descriptors:
                why = f"is no column of {self.mapping.table.name}; give the columns that it consists of"
            else:
                close = difflib.get_close_matches(str(name)[:64], self.columns, n=1)
                why = "is no attribute of it" + (f"; did you mean {close[0]!r}?" if close else "")
        elif column.computed is not None:
            why = "is computed by the database; leave it out"
        elif declared_by(column, EmbeddingHash) is not None:
            why = "is kept by upsert; leave it out"
        if why is not None:
            raise InvalidInput(f"row {number} of {model}: {str(name)[:64]!r} {why}", row=number)
