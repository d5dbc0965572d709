"""Upsert of an application's rows, in its own session and transaction.

For every batch one statement finds and locks the rows that are stored, texts that are new or changed are embedded, and
one statement writes all rows that give the same columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from vectordb.declarations import embedding_of, hash_column_of
from vectordb.documents import UpsertResult
from vectordb.embedders import Embedder
from vectordb.errors import InvalidInput
from vectordb.orm import copying
from vectordb.orm import upsert_statements as statements
from vectordb.orm.defaults import Defaults, Made
from vectordb.orm.given import Attributes, Row, as_rows, read_rows
from vectordb.orm.instances import settle
from vectordb.orm.mapping import ModelMapping
from vectordb.orm.parameters import Parameter
from vectordb.orm.row_planning import RowPlanner
from vectordb.orm.session_connection import SessionConnection
from vectordb.orm.upsert_statements import Columns
from vectordb.orm.written_table import WrittenTable
from vectordb.repository.arrays import bool_array, bytea_array, encoded_array

BATCH_SIZE = 1_000
# From this many rows on COPY is faster than INSERT, in spite of its savepoint.
_COPY_FROM = 64
# PostgreSQL keeps 64 subtransactions of a transaction at hand; with more, every other session's reads become slower.
_MOST_SAVEPOINTS = 48


def upsert(
    mapping: ModelMapping,
    embedder: Embedder | Callable[[], Embedder] | None,
    session: Session,
    rows: Any,
    *,
    batch_size: int = BATCH_SIZE,
) -> UpsertResult:
    """Insert rows that are not stored, update those that are, and embed the texts that are new or changed.

    Everything happens in the session's transaction, which stays open: what the session has pending is flushed first,
    rows that are stored are locked until its end, and it is for the caller to commit or to roll back.

    A row gives some of the model's columns. Those it does not give keep their value, or get their default where the row
    is new. Its text is embedded, unless the text and the embedder are as they were when the stored vector was made, or
    the row gives a vector of its own, which wins. A row whose text is None or blank has no vector, and no search by
    vector finds it.

    Args:
        mapping: Of the model.
        embedder: Of the texts, or what returns it when the first text comes; None where every row gives its vector.
        session: A sync one, or the sync side of an `AsyncSession`.
        rows: Mappings by attribute name, or instances of the model, or both; one, many, or an iterator, which is read
            in batches. Instances that are new are persistent in the session afterwards, unless it has another one with
            the same key; that one is then expired, and the given one stays as it was. Instances that are in the session
            are flushed, and their texts embedded; those of several tables (joined inheritance) must be.
        batch_size: Most rows to embed and write at once.

    Returns:
        Rows `inserted` and `updated`; those `unchanged`, in which nothing that was given differs; `chunks`, rows whose
        vector was written; `embedded`, texts that the embedder was given, equal ones of a batch once; `failed`, always
        0.

    Raises:
        InvalidInput: A row of another class, a detached instance, an unknown attribute, a value that its column cannot
            hold, a required column without a value. Nothing of its batch was written.
        DuplicateDocument: The same key twice in one call; as with documents, neither is taken for the last.
        EmbedderMismatch: The embedder makes vectors of other dimensions, or the table holds those of another one.
        ConfigurationError: A text without an embedder, or mappings for a model of several tables.
        DatabaseError: Or the subclass that fits; the transaction is to be rolled back.

    Round trips: 1, and 2 for every batch, or 1 into a table that was empty; another 1 for each further set of columns
    that rows of a batch give, and 1 if the session has forgotten (expired) given instances. Rows without a key are a
    set of their own. From 64 new rows on, the statement that inserts them is a COPY in a savepoint of its own, if the
    table's types and its row-level security allow that, in the first 48 batches.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InvalidInput(f"batch_size is a whole number from 1, not {batch_size!r:.40}")
    iterator = as_rows(mapping, rows)
    result, start, run = UpsertResult(), 0, None
    while batch := list(islice(iterator, batch_size)):
        if run is None:
            run = _Upsert(mapping, embedder, session)
        result += run.batch(batch, start)
        start += len(batch)
    return result


class _Upsert:
    """One call."""

    def __init__(
        self, mapping: ModelMapping, embedder: Embedder | Callable[[], Embedder] | None, session: Session
    ) -> None:
        self._session = session
        self._attributes = Attributes(mapping)
        self._connection = SessionConnection(session, mapping)
        self._table = WrittenTable(self._attributes, self._connection)
        self._defaults = Defaults(self._attributes, self._connection.dialect)
        self._planner = RowPlanner(self._table, self._defaults, embedder)
        self._savepoints = 0

    def batch(self, batch: list[Any], start: int) -> UpsertResult:
        """Write one batch."""
        rows = read_rows(self._attributes, self._session, batch, start)
        embedded = self._planner.plan(rows)
        groups: dict[tuple[tuple[str, ...], bool], list[Row]] = {}
        for row in rows:
            groups.setdefault((row.names, row.key is None), []).append(row)
        # All are encoded, and so checked, before the first is written.
        writes = [
            self._without_keys(names, group) if keyless else self._with_keys(names, group)
            for (names, keyless), group in groups.items()
        ]
        updated = {number for write in writes for number in write()}
        return self._settle(rows, updated, embedded)

    def _with_keys(self, names: tuple[str, ...], rows: list[Row]) -> Callable[[], list[int]]:
        """Encode rows with keys that give the same columns; the result writes them and returns which it updated."""
        new = [row for row in rows if row.stored is None and not row.managed]
        old = [row for row in rows if row.stored is not None]
        parameters: dict[str, Any] = {}
        update = self._update(names, old, parameters) if old else None
        insert, copy = None, None
        if new:
            given, made = self._new(names, new)
            copy = self._copy(given, made, new)
            if copy is None:
                insert = self._insert(given, made, new, parameters)

        def run() -> list[int]:
            inserting = insert
            if copy is not None and not copy():
                inserting = self._insert(given, made, new, parameters)
            if inserting is None and update is None:
                return []
            statement = statements.write(self._table.target, inserting, update)
            return [old[n - 1].number for (n,) in self._connection.execute(statement, parameters)]

        return run

    def _without_keys(self, names: tuple[str, ...], rows: list[Row]) -> Callable[[], list[int]]:
        """Encode rows without keys; the result inserts them and gives them those that the database makes."""
        parameters: dict[str, Any] = {}
        columns = self._insert(*self._new(names, rows), rows, parameters)
        statement = statements.insert_without_keys(self._table.target, columns)

        def run() -> list[int]:
            # PostgreSQL inserts and returns rows in the order of the SELECT.
            for row, key in zip(rows, self._connection.execute(statement, parameters), strict=True):
                row.key = self._connection.loaded(self._attributes.mapping.keys, key)
            return []

        return run

    def _new(self, names: tuple[str, ...], rows: Sequence[Row]) -> tuple[tuple[Parameter, ...], Made]:
        """Return the parameters of new rows and what defaults add to them."""
        self._defaults.check_required(rows[0], vector_given=all(row.encoded is not None for row in rows))
        if not names and not any(row.writes for row in rows):
            raise InvalidInput(f"row {rows[0].number} gives no column", row=rows[0].number)
        return self._given(names), self._defaults.inserted(names, rows)

    def _copy(self, given: Sequence[Parameter], made: Made, rows: Sequence[Row]) -> Callable[[], bool] | None:
        """Encode new rows for COPY; the result writes them, or returns False. None where INSERT serves better."""
        columns = (*given, *(self._table.parameter(name) for name in made.values))
        if (
            len(rows) < _COPY_FROM
            or self._savepoints >= _MOST_SAVEPOINTS
            or made.expressions
            or any(one.fields is None for one in columns)
            or not self._connection.in_transaction
        ):
            return None
        numbers = [row.number for row in rows]
        values = (*self._values(given, rows), *made.values.values())
        fields = [one.copied(some, numbers) for one, some in zip(columns, values, strict=True)]
        with_vector = any(row.writes for row in rows)
        if with_vector:
            fields += [copying.encoded([row.encoded for row in rows]), copying.encoded([row.hash for row in rows])]
        statement = statements.copy(self._table.target, columns, vector=with_vector)
        self._savepoints += 1
        return lambda: self._connection.copy(statement, copying.stream(fields))

    def _insert(
        self, given: tuple[Parameter, ...], made: Made, rows: Sequence[Row], parameters: dict[str, Any]
    ) -> Columns:
        added = self._bind("i", 0, given, made, rows, parameters)
        writes = any(row.writes for row in rows)
        if writes:
            self._bind_vectors("i", rows, parameters)
        return Columns(given, added, made.expressions, "all" if writes else "none")

    def _update(self, names: tuple[str, ...], rows: Sequence[Row], parameters: dict[str, Any]) -> Columns | None:
        names = tuple(name for name in names if name not in self._attributes.keys)
        writes = sum(row.writes for row in rows)
        if not (names or writes):
            return None
        parameters |= self._table.keys("w", [row.key or () for row in rows], [row.number for row in rows])
        made = self._defaults.updated(names, rows)
        given = self._given(names)
        added = self._bind("w", len(self._table.target.keys), given, made, rows, parameters)
        if writes:
            self._bind_vectors("w", rows, parameters)
        if 0 < writes < len(rows):
            parameters["wv"] = bool_array([row.writes for row in rows])
        return Columns(
            given, added, made.expressions, "none" if not writes else "all" if writes == len(rows) else "some"
        )

    def _given(self, names: Iterable[str]) -> tuple[Parameter, ...]:
        """Return the parameters of attributes; with another embedding of the model, its hash, which is then NULL."""
        further = [
            hashes
            for name in names
            if embedding_of(column := self._attributes.columns[name])
            if (hashes := self._attributes.names.get(hash_column_of(column))) is not None
        ]
        return tuple(self._table.parameter(name) for name in (*names, *further))

    def _values(self, given: Sequence[Parameter], rows: Sequence[Row]) -> list[list[Any]]:
        names = rows[0].names
        return [
            [row.values[one.attribute] for row in rows] if one.attribute in names else [None] * len(rows)
            for one in given
        ]

    def _bind(
        self,
        prefix: str,
        offset: int,
        given: Sequence[Parameter],
        made: Made,
        rows: Sequence[Row],
        parameters: dict[str, Any],
    ) -> tuple[Parameter, ...]:
        """Add the arrays of the given columns and of those that defaults make; return the latter's parameters."""
        numbers = [row.number for row in rows]
        added = tuple(self._table.parameter(name) for name in made.values)
        values = (*self._values(given, rows), *made.values.values())
        for i, (one, some) in enumerate(zip((*given, *added), values, strict=True), offset):
            parameters[f"{prefix}{i}"] = one.array(some, numbers)
        return added

    def _bind_vectors(self, prefix: str, rows: Sequence[Row], parameters: dict[str, Any]) -> None:
        parameters[f"{prefix}e"] = encoded_array([row.encoded for row in rows], self._table.vector_oid)
        parameters[f"{prefix}h"] = bytea_array([row.hash for row in rows])

    def _settle(self, rows: Sequence[Row], updated: set[int], embedded: int) -> UpsertResult:
        """Count, and make the session's instances agree with the database."""
        inserted = changed = chunks = 0
        settles = bool(self._session.identity_map) or any(row.instance is not None for row in rows)
        for row in rows:
            is_new = row.inserted or (row.stored is None and not row.managed)
            written = is_new or row.number in updated
            inserted += is_new
            changed += not is_new and (written or row.changed)
            chunks += written and row.encoded is not None
            if settles:
                settle(self._attributes, self._session, row, written=written)
        return UpsertResult(inserted, changed, len(rows) - inserted - changed, chunks=chunks, embedded=embedded)
