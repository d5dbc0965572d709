"""How often each call talks to the server, counted in the protocol itself.

A client that waits for an answer sends Sync (extended protocol) or Query (simple protocol) first, so their number is
the number of round trips.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa

import vectordb
from tests.store.conftest import NewCollection
from tests.support import HashedEmbedder
from vectordb import Collection, Document, F, VectorDB

RoundTrips = Callable[..., int]


@pytest.fixture
def single(home_url: str) -> Iterator[VectorDB]:
    """A database with a single connection."""
    engine = sa.create_engine(sa.make_url(home_url).set(drivername="postgresql+psycopg"), pool_size=1, max_overflow=0)
    yield vectordb.connect(engine)
    engine.dispose()


@pytest.fixture
def round_trips(single: VectorDB, tmp_path: Path) -> RoundTrips:
    """Counts the round trips of a call; it was made before, so that its statements are prepared."""

    def count(call: Callable[[], Any], within: sa.Connection | None = None) -> int:
        with contextlib.nullcontext(within) if within is not None else single.engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
        trace = os.open(tmp_path / "trace", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        driver.pgconn.trace(trace)
        call()
        driver.pgconn.untrace()
        os.close(trace)
        lines = (tmp_path / "trace").read_text(errors="replace").splitlines()
        sent = Counter(found[1] for line in lines if (found := re.search(r"\tF\t\d+\t(\w+)", line)))
        assert sent, "the trace is empty"
        return sent["Sync"] + sent["Query"]

    return count


@pytest.fixture
def filled(single: VectorDB, docs: Collection, embedder: HashedEmbedder) -> Collection:
    """Documents, through the single connection, every statement of the calls below already prepared."""
    docs = single.collection(docs.name, embedder=embedder)
    for round_number in range(7):
        documents = [Document(f"Text {n} of round {round_number}.", n, metadata={"n": n}) for n in range(20)]
        docs.upsert(documents)
        docs.upsert([Document(f"Long text {n}.", f"r{round_number} {n}") for n in range(100)])
        for exact in (False, True):
            docs.search("text", exact=exact)
        docs.get([1, 2])
        docs.vectors([1, 2])
        docs.count()
        docs.delete("nothing")
        list(docs.scan())
    return docs


@pytest.mark.parametrize(
    "call",
    [
        lambda docs: docs.search("text"),
        lambda docs: docs.search("text", mode="text"),
        lambda docs: docs.search("text", mode="vector"),
        lambda docs: docs.search(np.ones(16, dtype=np.float32)),
        lambda docs: docs.search("text", exact=True),
        lambda docs: docs.search("text", where=F("n") == 3, min_score=0.1),
        lambda docs: docs.search("text", limit=None, min_score=0.1),
        lambda docs: docs.search_many(["text", "long"], mode="vector"),
        lambda docs: docs.search_many([np.ones(16, dtype=np.float32)] * 100),
        lambda docs: docs.search_many(["text", "long"], mode="vector", exact=True),
        lambda docs: docs.search_many(["text", "long"], mode="vector", where=F("n") == 3),
        lambda docs: docs.facets("n"),
        lambda docs: docs.facets("n", where=F("n") == 3),
        lambda docs: docs.get("3"),
        lambda docs: docs.get([3, 4, "missing"]),
        lambda docs: docs.vectors([3, 4]),
        lambda docs: docs.count(),
        lambda docs: docs.count(F("n") == 3),
        lambda docs: docs.delete("missing"),
        lambda docs: docs.delete(where=F("n") == -1),
    ],
    ids=[
        "hybrid",
        "search by text",
        "search by the vector of a text",
        "search by vector",
        "exact",
        "filtered",
        "range",
        "many",
        "a hundred",
        "many exact",
        "many filtered",
        "facets",
        "facets filtered",
        "get one",
        "get many",
        "vectors",
        "count",
        "count filtered",
        "delete",
        "delete filtered",
    ],
)
def test_one(filled: Collection, round_trips: RoundTrips, call: Callable[[Collection], Any]) -> None:
    """A filter that was just planned is not planned again."""
    call(filled)
    assert round_trips(lambda: call(filled)) == 1


def test_a_new_filter(filled: Collection, single: VectorDB, round_trips: RoundTrips) -> None:
    """At most three round trips to plan it: the size of the table, what PostgreSQL expects, a sample."""
    matrix = np.random.default_rng(1).random((4_000, 16))
    filled.upsert_vectors([f"v{n}" for n in range(4_000)], matrix, metadata=[{"n": n} for n in range(4_000)])
    for way in (filled, single.collection(filled.name, embedder=HashedEmbedder())):
        assert round_trips(lambda way=way: way.search("text", where=F("n") == 77)) <= 4
        assert round_trips(lambda way=way: way.search("text", where=F("n") == 77)) == 1
        assert round_trips(lambda way=way: way.search("text", where=F("n") == 78)) <= 4
        assert round_trips(lambda way=way: way.search_many(["text"] * 20, mode="vector", where=F("n") < 3_000)) <= 4
        assert round_trips(lambda way=way: way.search_many(["text"] * 20, mode="vector", where=F("n") < 3_000)) <= 2


def test_more_than_there_is(single: VectorDB, new_collection: NewCollection, round_trips: RoundTrips) -> None:
    """Once more, to count; for many queries together."""
    docs = single.collection(new_collection(dimensions=16).name)
    docs.upsert_vectors(range(300), np.random.default_rng(1).random((300, 16)))
    query = np.ones(16)
    for _ in range(7):
        docs.search(query, limit=5_000)
        docs.search_many([query, query], limit=5_000)
    assert round_trips(lambda: docs.search(query, limit=5_000)) == 2
    assert round_trips(lambda: docs.search_many([query] * 20, limit=5_000)) == 2
    few = F("id").in_(["1", "2", "3"])
    assert round_trips(lambda: docs.search_many([query] * 20, where=few, strategy="iterative")) <= 4
    assert round_trips(lambda: docs.search_many([query] * 20, where=few, strategy="iterative")) == 1


def test_scan(filled: Collection, single: VectorDB, round_trips: RoundTrips) -> None:
    """As documented: one for every 1,000 chunks, and 6, or 3 within a transaction."""
    chunks = filled.count()
    assert round_trips(lambda: list(filled.scan())) <= chunks // 1_000 + 1 + 6
    with single.transaction() as connection:
        assert round_trips(lambda: list(filled.scan()), connection) <= chunks // 1_000 + 1 + 3


def test_patch_metadata(filled: Collection, round_trips: RoundTrips) -> None:
    assert round_trips(lambda: filled.patch_metadata({"a": 1}, where=F("n") == -1)) <= 3
    assert round_trips(lambda: filled.patch_metadata({"a": 1}, where=F("n") < 10)) <= 4


def test_open_a_collection(filled: Collection, single: VectorDB, round_trips: RoundTrips) -> None:
    assert round_trips(lambda: single.collection(filled.name)) <= 4


def test_upserts(filled: Collection, round_trips: RoundTrips) -> None:
    """As documented: at most 15 for a batch, whatever is in it."""
    same = list(filled.scan())[:100]
    assert round_trips(lambda: filled.upsert(same)) <= 3
    new = [Document(f"New text {n}.", f"new {n}") for n in range(200)]
    assert round_trips(lambda: filled.upsert(new)) <= 15
    mixed = [
        *[Document(f"Newer text {n}.", f"new {n}") for n in range(100)],
        *[Document(f"New text {n}.", f"new {n}", metadata={"a": 1}) for n in range(100, 150)],
        *[Document(f"Brand new text {n}.", f"brand new {n}") for n in range(100)],
    ]
    assert round_trips(lambda: filled.upsert(mixed)) <= 15
    assert round_trips(lambda: filled.upsert(Document("One more.", "one more"))) <= 6


def test_vectors_in_bulk(filled: Collection, single: VectorDB, round_trips: RoundTrips) -> None:
    matrix = np.ones((4_000, 16), dtype=np.float32)
    assert round_trips(lambda: filled.upsert_vectors([f"v{n}" for n in range(4_000)], matrix)) <= 10
    single.create_collection(f"{filled.name}_empty", dimensions=16, index=None)
    empty = single.collection(f"{filled.name}_empty")
    assert round_trips(lambda: empty.upsert_vectors(range(4_000), matrix)) <= 8
