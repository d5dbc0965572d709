"""The table that upsert writes to, as it is in the session's database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from vectordb.errors import DatabaseError, SchemaError
from vectordb.orm.upserting import statements
from vectordb.orm.upserting.attributes import Attributes
from vectordb.orm.upserting.connection import SessionConnection
from vectordb.orm.upserting.parameters import Parameter, parameter, vector_parameter
from vectordb.orm.upserting.statements import Target
from vectordb.vector_types import VectorColumn


class ColumnType(NamedTuple):
    """Type of a column: its oid, its name with schema, its own name, its modifier."""

    oid: int
    qualified: str
    name: str
    modifier: int


class WrittenTable:
    """One call's view of the table.

    Args:
        attributes: Of the model.
        connection: Of the session.

    Raises:
        SchemaError: There is no such table, or its embedding columns are not those of the model.
        DatabaseError: The transaction is read-only.
    """

    def __init__(self, attributes: Attributes, connection: SessionConnection) -> None:
        self.attributes = attributes
        self.connection = connection
        mapping = attributes.mapping
        self._parameters: dict[str, Parameter] = {}
        self._name = connection.table(mapping.table)
        rows = connection.execute(
            statements.probe(self._name, connection.quote(mapping.hash_column.name)),
            {"table": self._name.replace("%%", "%"), "names": [column.name for column in mapping.table.columns]},
        )
        self.sample_hash: bytes | None
        self.types = {name: ColumnType(*kind) for name, *kind, _, _, _ in rows}
        read_only, filled, self.sample_hash = rows[0][-3:]
        if read_only:  # before any text is embedded in vain
            raise DatabaseError(
                "the transaction is read-only; begin one that may write, or connect to the primary", sqlstate="25006"
            )
        self.was_empty = not filled
        for column in mapping.table.columns:
            if isinstance(column.type, VectorColumn):
                self._check(column.name, column.type)

    def _check(self, name: str, declared: VectorColumn) -> None:
        """Hold a vector column against what the model says."""
        actual = self.types.get(name)
        if actual is not None and actual.name == declared.storage and actual.modifier in (-1, declared.dimensions):
            return
        found = "missing" if actual is None else f"{actual.name}({actual.modifier})"
        raise SchemaError(
            f"the column {name!r} of {self.attributes.mapping.table.name} is {found} in the database, and"
            f" {declared.get_col_spec()} in the model; migrate the database, or correct the model"
        )

    @property
    def vector_oid(self) -> int:
        """Of the embedding's type in this database."""
        return self.types[self.attributes.mapping.embedding.name].oid

    @cached_property
    def target(self) -> Target:
        """As statements name it."""
        mapping, quote = self.attributes.mapping, self.connection.quote
        return Target(
            self._name,
            tuple(self.parameter(name) for name in self.attributes.keys),
            quote(mapping.embedding.name),
            quote(mapping.hash_column.name),
            self.types[mapping.embedding.name].qualified,
        )

    def parameter(self, name: str) -> Parameter:
        """Return how the values of an attribute travel."""
        found = self._parameters.get(name)
        if found is None:
            column, connection = self.attributes.columns[name], self.connection
            actual = self.types.get(column.name)
            if isinstance(column.type, VectorColumn) and actual is not None:
                found = vector_parameter(name, column, connection.dialect, actual.oid, actual.qualified)
            else:
                type_name = None if actual is None else actual.name
                found = parameter(name, column, type_name, connection.dialect, connection.adapters)
            self._parameters[name] = found
        return found

    def keys(self, prefix: str, keys: Sequence[tuple[Any, ...]], numbers: Sequence[int]) -> dict[str, Any]:
        """Return the arrays of rows' keys, as parameters `<prefix>0`, `<prefix>1` and so on."""
        return {
            f"{prefix}{i}": parameter.array([key[i] for key in keys], numbers)
            for i, parameter in enumerate(self.target.keys)
        }
