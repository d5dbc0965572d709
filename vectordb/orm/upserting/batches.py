"""Upsert, batch by batch.

For every batch one statement finds and locks the rows that are stored, texts that are new or changed are embedded, and
then all is written. No code of the application runs while a COPY is open.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from vectordb.documents import UpsertResult
from vectordb.embedders import Embedder
from vectordb.errors import InvalidInput
from vectordb.orm.mapping import ModelMapping
from vectordb.orm.upserting.attributes import Attributes
from vectordb.orm.upserting.connection import SessionConnection
from vectordb.orm.upserting.defaults import Defaults
from vectordb.orm.upserting.instances import settle
from vectordb.orm.upserting.planning import RowPlanner
from vectordb.orm.upserting.rows import as_rows, read_rows
from vectordb.orm.upserting.table import WrittenTable
from vectordb.orm.upserting.writing import COPY_FROM, Writer, Written

BATCH_SIZE = 5_000


def upsert(
    mapping: ModelMapping,
    embedder: Callable[[], Embedder],
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
        embedder: Returns the embedder, which fits the column, when the first text comes.
        session: A sync one, or the sync side of an `AsyncSession`.
        rows: Mappings by attribute name, or instances of the model, or both; one, many, or an iterator, which is read
            in batches, always between statements, so it may use the session. Instances that are new are persistent in
            the session afterwards, unless it has another one with the same key; that one is then expired, and the given
            one stays as it was. Instances that are in the session are flushed, and their texts embedded; those of
            several tables (joined inheritance) must be.
        batch_size: Most rows to embed and write at once. Memory is needed for one batch, its vectors and its columns,
            and for the keys of all rows of the call.

    Returns:
        Rows `inserted` and `updated`; those `unchanged`, in which nothing that was given differs; `chunks`, rows whose
        vector was written; `embedded`, texts that the embedder was given, equal ones of a batch once; `failed`, always
        0.

    Raises:
        InvalidInput: A row of another class, a detached instance, an unknown attribute, a value that its column cannot
            hold, a required column without a value. Nothing of its batch was written.
        DuplicateDocument: The same key twice in one call; as with documents, neither is taken for the last.
        EmbedderMismatch: The embedder makes vectors of other dimensions, or the table holds those of another one.
        ConfigurationError: Mappings for a model of several tables.
        DatabaseError: Or the subclass that fits; the transaction is to be rolled back.

    Round trips: 1, and for every batch 1 to find rows and 1 for every 1,000 rows to write; at least 1 for each set of
    columns that rows of a batch give, where those without a key, those with a vector and instances are sets of their
    own; and 1 if the session has forgotten (expired) given instances. From 64 new rows of a set on, a COPY in a
    savepoint of its own inserts them, if the table's types and its row-level security allow that, in the first 48
    batches; into a table that was empty without looking for them before. If another writer has inserted one of them
    meanwhile, they are looked for and written as usual.
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

    def __init__(self, mapping: ModelMapping, embedder: Callable[[], Embedder], session: Session) -> None:
        self._session = session
        self._attributes = Attributes(mapping)
        connection = SessionConnection(session, mapping)
        self._table = WrittenTable(self._attributes, connection)
        defaults = Defaults(self._attributes, connection.dialect)
        self._planner = RowPlanner(self._table, defaults, embedder)
        self._writer = Writer(self._table, defaults, self._planner)

    def batch(self, batch: list[Any], start: int) -> UpsertResult:
        """Write one batch."""
        groups = read_rows(self._attributes, self._session, batch, start)
        # Into an empty table nobody but this call has written, unless at this moment, and then a COPY will notice.
        look = not self._table.was_empty or len(batch) < COPY_FROM or any(rows.managed for rows in groups)
        self._planner.plan(groups, look=look)
        # All are encoded, and so checked, before the first is written.
        writes = [self._writer.prepared(rows) for rows in groups]
        result = UpsertResult()
        for write in writes:
            result += self._settle(write())
        return result + UpsertResult(embedded=self._planner.embedded)

    def _settle(self, written: Written) -> UpsertResult:
        """Count, and make the session's instances agree with the database."""
        new, old, updated = written
        settle(self._attributes, self._session, new, range(len(new)))
        settle(self._attributes, self._session, old, updated)
        inserted = sum(old.inserted)
        different = {*updated, *(i for i, changed in enumerate(old.changed) if changed)}
        changed = sum(1 for i in different if not (old.inserted and old.inserted[i]))
        filled = len(new) - new.places.count(None) + sum(old.places[i] is not None for i in updated)
        return UpsertResult(len(new) + inserted, changed, len(old) - inserted - changed, chunks=filled)
