"""The statistics of the text index: however texts change, each snapshot has exactly its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa

import vectordb
from tests.store.conftest import NewCollection
from tests.store.support import rows, with_setting
from tests.store.test_text_index import counted, occurring
from tests.text_oracle import Oracle, assert_same
from vectordb import BM25, Collection, F, VectorDB

VOCABULARY = [f"w{n}" for n in range(80)]
WEIGHTS = [1 / (n + 1) for n in range(80)]
QUERIES = [["w0"], ["w79"], ["w1", "w40"], ["w0", "w1", "w2", "w70"], ["w5", "w5", "w60", "never"]]
WRITERS, CHANGES = 4, 10_000


@pytest.fixture
def docs(new_collection: NewCollection) -> Collection:
    return new_collection(dimensions=2, index=None, text_config="simple")


@pytest.fixture
def repeatable(home_url: str) -> Iterator[VectorDB]:
    """The shared database, each transaction of which sees one snapshot."""
    with vectordb.connect(with_setting(home_url, r"default_transaction_isolation=repeatable\ read")) as db:
        yield db


def words(random: Random) -> str:
    return " ".join(random.choices(VOCABULARY, WEIGHTS, k=random.choice([0, 1, 3, 10, 30])))


def store(docs: Collection, random: Random, ids: list[str]) -> None:
    docs.upsert_vectors(ids, np.ones((len(ids), 2)), contents=[words(random) for _ in ids])


def check(docs: Collection, reference: Oracle) -> None:
    """Search results are those of the reference."""
    for query in QUERIES:
        expected = reference.best({word: query.count(word) for word in query}, 10)
        assert_same(docs.search(" ".join(query), mode="text"), expected, query)


def check_now(db: VectorDB, docs: Collection) -> None:
    assert counted(db, docs) == occurring(db, docs)
    check(docs, Oracle.now(db, docs))


@dataclass
class Writer:
    """Changes texts in every way, those of all writers and some that no other one touches."""

    db: VectorDB
    docs: Collection
    repeating: Collection
    number: int

    def __post_init__(self) -> None:
        self.random = Random(self.number)
        self.chunks = self.docs.Chunk.__table__.fullname
        self.documents = self.docs.Document.__table__.fullname
        self.changed = 0

    def run(self) -> None:
        store(self.docs, self.random, self.own(200))
        steps = [self.upsert, self.upsert, self.delete, self.roll_back, self.update, self.cascade, self.repeat]
        while self.changed < CHANGES / WRITERS:
            self.random.choice(steps)()

    def shared(self, count: int) -> list[str]:
        self.changed += count
        return [str(n) for n in self.random.sample(range(500), count)]

    def own(self, count: int) -> list[str]:
        self.changed += count
        return [f"{self.number}-{n}" for n in self.random.sample(range(200), count)]

    def upsert(self) -> None:
        store(self.docs, self.random, self.shared(60))

    def delete(self) -> None:
        self.docs.delete(self.shared(40))

    def roll_back(self) -> None:
        with contextlib.suppress(KeyError), self.db.transaction():
            store(self.docs, self.random, self.own(30))
            self.docs.delete(self.own(10))
            raise KeyError

    def update(self) -> None:
        with self.db.engine.begin() as connection:
            connection.exec_driver_sql(
                f"UPDATE {self.chunks} SET content = content || %s WHERE document_id = ANY(%s)",
                (f" {words(self.random)}", self.own(20)),
            )

    def cascade(self) -> None:
        with self.db.engine.begin() as connection:
            connection.exec_driver_sql(f"DELETE FROM {self.documents} WHERE id = ANY(%s)", (self.own(10),))

    def repeat(self) -> None:
        store(self.repeating, self.random, self.own(20))


@pytest.mark.timeout(120)
def test_many_writers(docs: Collection, home: VectorDB, repeatable: VectorDB) -> None:
    """In the middle and afterwards, and no writer fails because of another."""
    done = threading.Event()
    mine = repeatable.collection(docs.name)

    def look() -> int:
        looks = 0
        while not done.is_set():
            with repeatable.transaction() as connection:
                check(mine, Oracle.of(connection, mine))
            looks += 1
        return looks

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        looking = pool.submit(look)
        writing = [pool.submit(Writer(home, docs, mine, number).run) for number in range(WRITERS)]
        try:
            for task in writing:
                task.result()
        finally:
            done.set()
        assert looking.result() > 2
    check_now(home, docs)
    assert len(Oracle.now(home, docs).keys) > 300


def test_of_an_open_transaction_nobody_else_knows(docs: Collection, home: VectorDB, home_url: str) -> None:
    store(docs, Random(1), [str(n) for n in range(300)])
    before = Oracle.now(home, docs)
    with vectordb.connect(home_url) as other, contextlib.suppress(KeyError), home.transaction() as connection:
        theirs = other.collection(docs.name)
        store(docs, Random(2), [str(n) for n in range(200, 700)])
        docs.delete([str(n) for n in range(50)])
        within = Oracle.of(connection, docs)
        assert within.keys != before.keys
        check(docs, within)
        check(theirs, before)
        raise KeyError
    check(docs, before)
    check_now(home, docs)


def test_savepoints(docs: Collection, home: VectorDB) -> None:
    with home.transaction() as connection:
        for number in range(6):
            with contextlib.suppress(KeyError), connection.begin_nested():
                store(docs, Random(number), [f"{number}-{n}" for n in range(100)])
                check(docs, Oracle.of(connection, docs))
                if number % 2:
                    raise KeyError
    check_now(home, docs)
    assert {id[0] for id, _ in Oracle.now(home, docs).keys} == {"0", "2", "4"}


def test_a_writer_with_an_old_snapshot(docs: Collection, home: VectorDB, repeatable: VectorDB) -> None:
    """It goes on while others change the counts that it has seen."""
    store(docs, Random(1), [f"a{n}" for n in range(500)])
    mine = repeatable.collection(docs.name)
    with repeatable.transaction() as connection:
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "repeatable read"
        check(mine, Oracle.of(connection, mine))
        store(docs, Random(2), [f"b{n}" for n in range(500)])
        store(mine, Random(3), [f"c{n}" for n in range(300)])
        check(mine, Oracle.of(connection, mine))
        store(docs, Random(4), [f"b{n}" for n in range(500)])
        mine.delete([f"a{n}" for n in range(100)])
        check(mine, Oracle.of(connection, mine))
    check_now(home, docs)


def test_no_writer_waits_for_another(docs: Collection, home: VectorDB, home_url: str) -> None:
    """While one that has added to the counts is not through, others leave their changes waiting."""
    with vectordb.connect(home_url) as other, ThreadPoolExecutor(1) as pool:
        theirs = other.collection(docs.name)
        with home.transaction():
            store(docs, Random(1), [f"a{n}" for n in range(300)])
            waiting = pool.submit(store, theirs, Random(2), [f"b{n}" for n in range(300)])
            with contextlib.suppress(TimeoutError):
                waiting.result(timeout=10)
            finished = waiting.done()
    assert finished
    check_now(home, docs)


def test_serializable_writers_of_different_texts_do_not_conflict(docs: Collection, home: VectorDB) -> None:
    store(docs, Random(1), [str(n) for n in range(40)])
    url = home.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    chunks = docs.Chunk.__table__.fullname
    with psycopg.connect(url) as one, psycopg.connect(url) as other:
        for connection in (one, other):
            connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        for connection, id in ((one, "1"), (other, "2")):
            connection.execute(f"UPDATE {chunks} SET content = 'w5 and w60' WHERE document_id = %s", [id])
        one.commit()
        other.commit()
    check_now(home, docs)


def test_raw_sql(docs: Collection, home: VectorDB) -> None:
    store(docs, Random(1), [str(n) for n in range(400)])
    chunks, documents = docs.Chunk.__table__.fullname, docs.Document.__table__.fullname
    statements = [
        f"UPDATE {chunks} SET content = 'w5 w60 ' || content WHERE ordinal = 0",
        f"UPDATE {chunks} SET content = '' WHERE document_id LIKE '%1'",
        f"UPDATE {chunks} SET metadata = '{{}}', content = content",
        f"UPDATE {documents} SET id = 'new ' || id WHERE id LIKE '%2'",
        f"DELETE FROM {chunks} WHERE document_id LIKE '%3'",
        f"DELETE FROM {documents} WHERE id LIKE '%4'",
        f"INSERT INTO {chunks} SELECT * FROM {chunks} ON CONFLICT DO NOTHING",
        f"WITH gone AS (DELETE FROM {documents} WHERE id LIKE '%5')"
        f" UPDATE {chunks} SET content = 'w9' WHERE document_id LIKE '%6'",
        f"TRUNCATE {documents} CASCADE",
    ]
    for statement in statements:
        # Some are refused, because ids are referred to, and columns are generated.
        with contextlib.suppress(sa.exc.DBAPIError), home.engine.begin() as connection:
            connection.exec_driver_sql(statement.replace("%", "%%"))
        check_now(home, docs)
    assert Oracle.now(home, docs).keys == []
    store(docs, Random(2), [str(n) for n in range(9)])
    check_now(home, docs)


def test_a_load_and_metadata(docs: Collection, home: VectorDB) -> None:
    """COPY is counted at once; metadata is no text."""
    store(docs, Random(1), [str(n) for n in range(5_000)])
    check_now(home, docs)
    chunks = docs.Chunk.__table__.fullname
    waiting = f"SELECT count(*), max(id) FROM {chunks}_text_changes"
    before = rows(home, waiting)
    assert before[0][0] < 1_000
    docs.patch_metadata({"seen": True}, where=F("id") > "5")
    docs.upsert_vectors(["never read"], np.ones((1, 2)))
    assert rows(home, waiting) == before
    check_now(home, docs)


def test_single_changes_are_counted_now_and_then(docs: Collection, home: VectorDB) -> None:
    """Or else every search would read all of them."""
    random = Random(1)
    most = 0
    for n in range(300):
        store(docs, random, [str(n % 70)])
        [(waiting,)] = rows(home, f"SELECT count(*) FROM {docs.Chunk.__table__.fullname}_text_changes")
        most = max(most, waiting)
    assert 100 < most < 200
    check_now(home, docs)


def test_dropped_and_made_again(docs: Collection, home: VectorDB) -> None:
    store(docs, Random(1), [str(n) for n in range(700)])
    docs.delete([str(n) for n in range(90)])
    kept = counted(home, docs)
    before = [docs.search(" ".join(query), mode="text", limit=50) for query in QUERIES]
    docs.drop_text_index()
    docs.create_text_index()
    assert counted(home, docs) == kept == occurring(home, docs)
    assert [docs.search(" ".join(query), mode="text", limit=50) for query in QUERIES] == before
    docs.create_text_index(BM25(k1=0.4, b=0.1))
    check_now(home, docs)


def test_words_that_are_gone(docs: Collection) -> None:
    docs.upsert_vectors(["a", "b"], np.ones((2, 2)), contents=["cat", "dog"])
    docs.delete("a")
    assert len(docs.search("cat", mode="text")) == 0
    assert len(docs.search("cat dog", mode="text")) == 1
    docs.delete("b")
    assert len(docs.search("cat dog", mode="text")) == 0
