"""Writes rows that are alike: a COPY or an INSERT of the new ones, an UPDATE of those that are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from vectordb import vectors
from vectordb.declarations import embedding_of, hash_column_of
from vectordb.errors import InvalidInput
from vectordb.orm.hashing import text_hashes
from vectordb.orm.upserting import copy_stream, statements
from vectordb.orm.upserting.connection import SessionConnection
from vectordb.orm.upserting.defaults import Defaults, Made
from vectordb.orm.upserting.parameters import Parameter
from vectordb.orm.upserting.planning import RowPlanner
from vectordb.orm.upserting.rows import Rows
from vectordb.orm.upserting.statements import Columns
from vectordb.orm.upserting.table import WrittenTable
from vectordb.repository.arrays import bool_array, bytea_array, encoded_array

# From this many rows on COPY is faster than INSERT, in spite of its savepoint.
COPY_FROM = 64
# PostgreSQL keeps 64 subtransactions of a transaction at hand; with more, every other session's reads become slower.
_MOST_SAVEPOINTS = 48

# With as many PostgreSQL keeps the parameters of most tables in its work_mem.
_ROWS_PER_STATEMENT = 1_000


class Written(NamedTuple):
    """What became of rows: those that were new, those that were stored, and which of these are different now."""

    new: Rows
    old: Rows
    updated: Sequence[int]


class Writer:
    """Writes the rows of one call.

    Args:
        table: Written to.
        defaults: Of the model.
        planner: Of the rows.
    """

    def __init__(self, table: WrittenTable, defaults: Defaults, planner: RowPlanner) -> None:
        self._table = table
        self._attributes = table.attributes
        self._connection: SessionConnection = table.connection
        self._defaults = defaults
        self._planner = planner
        self._savepoints = 0
        self._copies = self._connection.in_transaction

    def prepared(self, rows: Rows) -> Callable[[], Written]:
        """Encode rows, and so check them; the result writes them.

        Round trips of the result: 1; 2 more for the savepoint where it is a COPY.
        """
        if rows.keys is None:
            return self._without_keys(rows)
        new = rows.new()
        copy = self._copy(new) if len(new) >= COPY_FROM else None
        if copy is None and not rows.looked_for:
            self._planner.plan_again(rows)
        if copy is None:
            return self._inserted_and_updated(rows)
        old = self._inserted_and_updated(rows, inserts=False) if rows.stored else None

        def run() -> Written:
            if copy():
                return Written(new, *old()[1:]) if old else Written(new, new.at([]), ())
            # Another writer has inserted some of them meanwhile.
            self._copies = False
            self._planner.plan_again(rows)
            return self._inserted_and_updated(rows)()

        return run

    def _inserted_and_updated(self, rows: Rows, *, inserts: bool = True) -> Callable[[], Written]:
        new = rows.new() if inserts else rows.at([])
        old = rows.at(sorted(rows.stored))
        steps: list[tuple[int, str, dict[str, Any]]] = []
        for start in range(0, max(len(new), len(old)), _ROWS_PER_STATEMENT):
            piece = slice(start, start + _ROWS_PER_STATEMENT)
            parameters: dict[str, Any] = {}
            some_new, some_old = new.at(range(len(new))[piece]), old.at(range(len(old))[piece])
            insert = self._insert(some_new, *self._new(some_new), parameters) if len(some_new) else None
            update = self._update(some_old, parameters) if len(some_old) else None
            if insert is not None or update is not None:
                steps.append((start, statements.write(self._table.target, insert, update), parameters))

        def run() -> Written:
            updated = [
                start + n - 1
                for start, statement, parameters in steps
                for (n,) in self._connection.execute(statement, parameters)
            ]
            return Written(new, old, updated)

        return run

    def _without_keys(self, rows: Rows) -> Callable[[], Written]:
        """Encode rows without keys; the result inserts them and gives them those that the database makes."""
        parameters: dict[str, Any] = {}
        columns = self._insert(rows, *self._new(rows), parameters)
        statement = statements.insert_without_keys(self._table.target, columns)

        def run() -> Written:
            # PostgreSQL inserts and returns rows in the order of the SELECT.
            load, keys = self._connection.loaded, self._attributes.mapping.keys
            rows.keys = [load(keys, key) for key in self._connection.execute(statement, parameters)]
            return Written(rows, rows.at([]), ())

        return run

    def _new(self, rows: Rows) -> tuple[tuple[Parameter, ...], Made]:
        """Return the parameters of new rows and what defaults add to them."""
        self._defaults.check_required(rows)
        if not rows.names and not any(rows.writes):
            raise InvalidInput(f"row {rows.numbers[0]} gives no column", row=rows.numbers[0])
        return self._given(rows.names), self._defaults.inserted(rows)

    def _copy(self, rows: Rows) -> Callable[[], bool] | None:
        """Encode new rows for COPY; the result writes them, or returns False. None where INSERT serves better."""
        given, made = self._new(rows)
        columns = (*given, *(self._table.parameter(name) for name in made.values))
        if (
            not self._copies
            or self._savepoints >= _MOST_SAVEPOINTS
            or made.expressions
            or any(one.fields is None for one in columns)
        ):
            return None
        values = (*self._values(given, rows), *made.values.values())
        fields = [one.copied(some, rows.numbers) for one, some in zip(columns, values, strict=True)]
        statement = statements.copy(self._table.target, columns, vector=rows.matrix is not None)
        if rows.matrix is not None:
            storage = self._attributes.mapping.declaration.space.storage
            fields += [
                copy_stream.hashes(rows.embedder, rows.texts),
                copy_stream.embeddings(rows.matrix, rows.places, storage),
            ]
        self._savepoints += 1
        return lambda: self._connection.copy(statement, copy_stream.stream(fields, len(rows)))

    def _insert(self, rows: Rows, given: tuple[Parameter, ...], made: Made, parameters: dict[str, Any]) -> Columns:
        added = self._bind("i", 0, given, made, rows, parameters)
        writes = any(rows.writes)
        if writes:
            self._bind_vectors("i", rows, parameters)
        return Columns(given, added, made.expressions, "all" if writes else "none")

    def _update(self, rows: Rows, parameters: dict[str, Any]) -> Columns | None:
        names = tuple(name for name in rows.names if name not in self._attributes.keys)
        writes = sum(rows.writes)
        if not (names or writes):
            return None
        parameters |= self._table.keys("w", rows.keys or (), rows.numbers)
        given, made = self._given(names), self._defaults.updated(rows)
        added = self._bind("w", len(self._table.target.keys), given, made, rows, parameters)
        if writes:
            self._bind_vectors("w", rows, parameters)
        if 0 < writes < len(rows):
            parameters["wv"] = bool_array(rows.writes)
        vector = "none" if not writes else "all" if writes == len(rows) else "some"
        return Columns(given, added, made.expressions, vector)

    def _given(self, names: Iterable[str]) -> tuple[Parameter, ...]:
        """Return the parameters of attributes; with another embedding of the model, its hash, which is then NULL."""
        further = [
            hashes
            for name in names
            if embedding_of(column := self._attributes.columns[name])
            if (hashes := self._attributes.names.get(hash_column_of(column))) is not None
        ]
        return tuple(self._table.parameter(name) for name in (*names, *further))

    def _values(self, given: Sequence[Parameter], rows: Rows) -> list[Sequence[Any]]:
        return [rows.columns.get(one.attribute) or [None] * len(rows) for one in given]

    def _bind(
        self,
        prefix: str,
        offset: int,
        given: Sequence[Parameter],
        made: Made,
        rows: Rows,
        parameters: dict[str, Any],
    ) -> tuple[Parameter, ...]:
        """Add the arrays of the given columns and of those that defaults make; return the latter's parameters."""
        added = tuple(self._table.parameter(name) for name in made.values)
        values = (*self._values(given, rows), *made.values.values())
        for i, (one, some) in enumerate(zip((*given, *added), values, strict=True), offset):
            parameters[f"{prefix}{i}"] = one.array(some, rows.numbers)
        return added

    def _bind_vectors(self, prefix: str, rows: Rows, parameters: dict[str, Any]) -> None:
        filled = [place for place in rows.places if place is not None]
        storage = self._attributes.mapping.declaration.space.storage
        values = iter(vectors.encode(rows.matrix[filled], storage) if rows.matrix is not None else ())
        embeddings = [None if place is None else next(values) for place in rows.places]
        parameters[f"{prefix}e"] = encoded_array(embeddings, self._table.vector_oid)
        parameters[f"{prefix}h"] = bytea_array(text_hashes(rows.embedder, rows.texts))
