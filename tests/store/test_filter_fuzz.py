"""Random filters over hostile documents: PostgreSQL and `Filter.matches` never disagree.

`FUZZ_FILTERS` says how many filters there are, `FUZZ_SEED` repeats a run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Any

import pytest
import sqlalchemy as sa

from tests.store.conftest import NewCollection
from tests.support import ALL_FIELDS, INSTANTS, Hostile
from vectordb import Collection, Document, F, VectorDB
from vectordb.database import PsycopgConnection
from vectordb.fields import FieldType
from vectordb.filters import And, Filter, Or, as_filter, resolve
from vectordb.search.where import where_clause

FILTERS = int(os.environ.get("FUZZ_FILTERS", "5000"))
SEED = int(os.environ.get("FUZZ_SEED") or SystemRandom().randrange(2**32))
# A collection is used for this many filters; then there are new documents.
FILTERS_PER_COLLECTION = 1_250
DOCUMENTS = 80


@dataclass
class Corpus:
    """Documents as they are stored, and what made them."""

    docs: Collection
    hostile: Hostile
    metadata: dict[str, dict[str, Any]]
    columns: dict[str, dict[str, Any]]

    def matching(self, where: Filter) -> set[str]:
        """Ask the oracle."""
        return {id for id, entry in self.metadata.items() if where.matches(entry, self.columns[id])}

    def resolved(self, where: Filter) -> Filter:
        given = as_filter(where)
        assert given is not None
        return resolve(given, self.docs._tables.fields)


def ids() -> Iterator[str]:
    yield from ["5", "17", "é", "%s", "'; DROP TABLE canary; --", "a%b", "İ", "\U0001f600"]
    yield from (f"d{number}" for number in range(DOCUMENTS))


def filled(docs: Collection, db: VectorDB, seed: int, fields: dict[str, FieldType], *, tell: bool = True) -> Corpus:
    """Fill a collection with hostile documents, whose times are hostile as well."""
    hostile = Hostile(Random(seed), fields=fields if tell else None, own=True)
    columns = {id: hostile.columns(id) for id, _ in zip(ids(), range(DOCUMENTS), strict=False)}
    entries = {id: hostile.metadata() for id in columns}
    docs.upsert(
        Document("x", id, title=own["title"], uri=own["uri"], metadata=entries[id], embedding=[1.0, number, 1.0])
        for number, (id, own) in enumerate(columns.items())
    )
    documents = docs.Document.__table__
    with db.engine.begin() as connection:
        for id, instant in zip(columns, INSTANTS * 8, strict=False):
            connection.execute(sa.update(documents).where(documents.c.id == id).values(created_at=instant))
        stored = connection.execute(sa.select(documents.c["id", "title", "uri", "created_at", "updated_at"]))
        known = {row.id: dict(row._mapping) for row in stored}
    return Corpus(docs, hostile, entries, known)


def found(connection: PsycopgConnection, docs: Collection, where: Filter) -> list[set[str]]:
    """Return the ids that PostgreSQL finds: of documents, and of chunks with and without joins."""
    tables = docs._tables
    of_documents, parameters = where_clause(where, "d", tables)
    of_chunks, same = where_clause(where, "c", tables)
    unjoined, as_well = where_clause(where, "c", tables, as_join=False)
    assert parameters == same == as_well
    row = connection.execute(
        f"SELECT array(SELECT d.id FROM {tables.documents} AS d WHERE {of_documents}),"
        f" array(SELECT c.document_id FROM {tables.chunks} AS c WHERE {of_chunks}),"
        f" array(SELECT c.document_id FROM {tables.chunks} AS c WHERE ({unjoined}) IS TRUE)",
        parameters,
        prepare=False,
    ).fetchone()
    assert row is not None
    return [set(part) for part in row]


@pytest.mark.timeout(900)
def test_the_same_documents_as_the_oracle(home: VectorDB, new_collection: NewCollection) -> None:
    print(f"FUZZ_SEED={SEED}")
    none = every = 0
    for start in range(0, FILTERS, FILTERS_PER_COLLECTION):
        number = start // FILTERS_PER_COLLECTION
        fields = ALL_FIELDS if number % 2 == 0 else {}
        docs = new_collection(dimensions=3, index=None, fields=fields)
        corpus = filled(docs, home, SEED + number, fields)
        with docs._database.reading() as connection:
            for index in range(start, min(start + FILTERS_PER_COLLECTION, FILTERS)):
                where = corpus.resolved(corpus.hostile.filter())
                # Rows come from the indexes half of the time.
                connection.execute(f"SET LOCAL enable_seqscan = {'on' if index % 2 else 'off'}")
                expected = corpus.matching(where)
                assert found(connection, docs, where) == [expected] * 3, f"FUZZ_SEED={SEED}: {where!r}"
                none += not expected
                every += len(expected) == DOCUMENTS
        home.drop_collection(docs.name)
    print(f"{FILTERS} filters; {none} matched nothing, {every} everything")
    assert none + every < 0.4 * FILTERS
