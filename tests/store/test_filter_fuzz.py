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

import psycopg
import pytest
import sqlalchemy as sa

import vectordb
from tests.conftest import Databases
from tests.rendering import filter_text, has_text
from tests.store.conftest import NewCollection
from tests.support import ALL_FIELDS, INSTANTS, Hostile
from vectordb import Collection, Document, F, VectorDB
from vectordb.database import PsycopgConnection
from vectordb.fields import FieldType
from vectordb.filters import And, Filter, Or, as_filter, parse_text, resolve
from vectordb.filters.nodes import Condition, walk
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


def drawn(corpus: Corpus) -> tuple[Filter, set[str]]:
    """Return a filter and what it matches; one that says nothing is drawn again once."""
    for _ in range(2):
        where = corpus.resolved(corpus.hostile.filter())
        expected = corpus.matching(where)
        if 0 < len(expected) < DOCUMENTS:
            break
    return where, expected


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
                where, expected = drawn(corpus)
                # Rows come from the indexes half of the time.
                connection.execute(f"SET LOCAL enable_seqscan = {'on' if index % 2 else 'off'}")
                assert found(connection, docs, where) == [expected] * 3, f"FUZZ_SEED={SEED}: {where!r}"
                none += not expected
                every += len(expected) == DOCUMENTS
        home.drop_collection(docs.name)
    print(f"{FILTERS} filters; {none} matched nothing, {every} everything")
    assert none + every < 0.3 * FILTERS


def test_in_a_database_of_another_locale(databases: Databases) -> None:
    """There "a" comes before "B", and "é" next to "e"; filters know nothing of it."""
    name = f"vectordb_test_{os.getpid()}_unicode"
    url = databases.url.render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING UTF8 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
            )
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("this PostgreSQL was built without ICU")
    try:
        with vectordb.connect(databases.url.set(database=name)) as db:
            db.migrate()
            docs = db.create_collection("docs", dimensions=3, index=None, fields=ALL_FIELDS)
            corpus = filled(docs, db, SEED, ALL_FIELDS)
            with docs._database.reading() as connection:
                assert connection.execute("SELECT 'a' < 'B'").fetchone() == (True,)
                for _ in range(FILTERS // 5):
                    where, expected = drawn(corpus)
                    assert found(connection, docs, where) == [expected] * 3, f"FUZZ_SEED={SEED}: {where!r}"
    finally:
        databases.drop(f"{databases.url.set(database=name)}")


@pytest.fixture(scope="module", params=[ALL_FIELDS, {}], ids=["declared", "undeclared"])
def corpus(request: pytest.FixtureRequest, home: VectorDB) -> Corpus:
    """Documents with values for all declared fields, be they declared or not; only to be read."""
    name = "fuzz_declared" if request.param else "fuzz_undeclared"
    docs = home.create_collection(name, dimensions=3, fields=request.param)
    return filled(docs, home, SEED, ALL_FIELDS, tell=bool(request.param))


@pytest.mark.parametrize("round", range(75))
def test_through_the_collection(corpus: Corpus, round: int) -> None:
    corpus.hostile._random.seed(f"{SEED} {round}")
    docs, where = corpus.docs, corpus.hostile.filter()
    expected = corpus.matching(corpus.resolved(where))
    assert docs.count(where) == len(expected), f"FUZZ_SEED={SEED}: {where!r}"
    assert {str(document.id) for document in docs.scan(where)} == expected, where
    for options in ({}, {"exact": True}, {"strategy": "iterative"}, {"group_by": "document"}):
        hits = docs.search([1, 1, 1], limit=100, where=where, **options)
        assert {hit.document_id for hit in hits} == expected, (where, options)
    (many,) = docs.search_many([[1, 1, 1]], limit=100, where=where)
    assert {hit.document_id for hit in many} == expected, where
    assert {facet.value for facet in docs.facets("id", where=where, limit=None)} == expected, where
    assert docs.count(json.loads(json.dumps(where.to_dict()))) == len(expected), where
    if has_text(where):
        text = filter_text(where, Random(round))
        assert docs.count(parse_text(text)) == len(expected), text
    if where != And(()):
        other = corpus.hostile.filter()
        both = expected & corpus.matching(corpus.resolved(other))
        assert docs.where(where).count(other) == len(both), (where, other)


def test_delete(home: VectorDB, new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=3, index=None, fields=ALL_FIELDS)
    corpus = filled(docs, home, SEED, ALL_FIELDS)
    left = set(corpus.metadata)
    for _ in range(40):
        where, matching = drawn(corpus)
        if len(matching & left) < 8 and where != And(()):
            assert docs.delete(where=where) == len(matching & left), f"FUZZ_SEED={SEED}: {where!r}"
            left -= matching
    assert {str(document.id) for document in docs.scan()} == left


# Laws that need no oracle


def matched(docs: Collection, where: Filter) -> set[str]:
    return {str(document.id) for document in docs.scan(where)}


@pytest.mark.parametrize("round", range(40))
def test_laws(corpus: Corpus, round: int) -> None:
    docs, hostile = corpus.docs, corpus.hostile
    hostile._random.seed(f"laws {SEED} {round}")
    one, other = hostile.filter(2), hostile.filter(2)
    a, b = matched(docs, one), matched(docs, other)
    everything = matched(docs, And(()))
    assert docs.count(one) + docs.count(~one) == len(everything)
    assert matched(docs, ~one) == everything - a
    assert matched(docs, ~~one) == a
    assert matched(docs, one & other) == matched(docs, other & one) == a & b
    assert matched(docs, one | other) == matched(docs, other | one) == a | b
    assert matched(docs, ~(one & other)) == matched(docs, ~one | ~other)
    assert matched(docs, ~(one | other)) == matched(docs, ~one & ~other)
    assert matched(docs, one & ~one) == set()
    assert matched(docs, one | ~one) == everything
    assert matched(docs, And((one, Or((one, other))))) == a


@pytest.mark.parametrize("name", ["pieces", "amount", "lang", "day", "flag", "a", "year", "title", "id", "created_at"])
def test_laws_of_lists_and_ranges(corpus: Corpus, name: str) -> None:
    docs, random = corpus.docs, Random(f"{SEED} {name}")
    field = F(name)
    for _ in range(6):
        kind = {**ALL_FIELDS, "title": FieldType.STR, "id": FieldType.STR, "created_at": FieldType.DATETIME}.get(name)
        values = [corpus.hostile.scalar() if kind is None else corpus.hostile.declared(kind) for _ in range(4)]
        if name in ("day", "created_at"):
            values = random.sample(INSTANTS, 4)
        assert matched(docs, field.in_(values)) == matched(docs, Or(tuple(field == value for value in values)))
        assert matched(docs, field.not_in(values)) == matched(docs, And(tuple(field != value for value in values)))
        assert matched(docs, field.in_(values * 10)) == matched(docs, field.in_(values))
        low, high = values[:2]
        if type(low) is type(high) and low is not None and not isinstance(low, bool):
            assert matched(docs, field.between(low, high)) == matched(docs, (field >= low) & (field <= high))
            assert matched(docs, field >= low) == matched(docs, (field > low) | (field == low))
            assert matched(docs, field < low) <= matched(docs, ~(field >= low))


def test_declared_or_not_is_the_same(home: VectorDB, new_collection: NewCollection) -> None:
    """But for dates: only of a declared field is a string in the filter read as one."""
    typed, untyped = (new_collection(dimensions=3, index=None, fields=fields) for fields in (ALL_FIELDS, {}))
    corpus, _ = filled(typed, home, SEED, ALL_FIELDS), filled(untyped, home, SEED, ALL_FIELDS)
    for _ in range(150):
        where = corpus.resolved(corpus.hostile.filter())
        if not about_times(where):
            assert matched(typed, where) == matched(untyped, where), f"FUZZ_SEED={SEED}: {where!r}"


def about_times(where: Filter) -> bool:
    """Whether the filter is about the times of writing, which differ."""
    return any(
        isinstance(node, Condition) and node.field.own and node.field.keys[0][-3:] == "_at" for node in walk(where)
    )


def test_a_search_finds_what_an_exact_search_finds_among_the_matching(corpus: Corpus) -> None:
    everything = [hit.document_id for hit in corpus.docs.search([1, 30, 1], limit=100, exact=True)]
    for _ in range(20):
        where, matching = drawn(corpus)
        expected = [id for id in everything if id in matching][:7]
        hits = corpus.docs.search([1, 30, 1], limit=7, where=where, exact=True)
        assert [hit.document_id for hit in hits] == expected, where
        assert len(corpus.docs.search([1, 30, 1], limit=7, where=where)) == len(expected), where
