"""The application's transaction: everything in it happens together or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

import vectordb
from tests.store.conftest import NewCollection
from tests.store.support import rows, with_setting
from tests.support import HashedEmbedder
from vectordb import HNSW, Collection, Document, F, VectorDB
from vectordb.errors import CollectionNotFound, ConfigurationError, DatabaseError, InvalidText, TransactionConflict


@pytest.fixture
def orders(home: VectorDB) -> Iterator[str]:
    """A table of the application."""
    with home.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE orders (id int PRIMARY KEY)")
    yield "orders"
    with home.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE orders")


def test_all_or_nothing(docs: Collection, home: VectorDB, orders: str) -> None:
    docs.upsert(Document("Before.", "before", metadata={"n": 0}))
    with pytest.raises(RuntimeError, match="changed my mind"), home.transaction() as connection:  # noqa: PT012 - the block is the transaction
        connection.execute(sa.text(f"INSERT INTO {orders} VALUES (1)"))
        docs.upsert([Document("Inside.", "inside"), Document("Before, changed.", "before")])
        docs.upsert_vectors([f"v{n}" for n in range(100)], np.ones((100, 16)))
        docs.delete("v3")
        assert docs.count() == 101
        assert docs.get("before").content == "Before, changed."
        assert docs.search("inside")[0].document_id == "inside"
        assert connection.scalar(sa.text(f"SELECT count(*) FROM {orders}")) == 1
        raise RuntimeError("changed my mind")
    assert docs.get("before") == Document("Before.", "before", metadata={"n": 0})
    assert docs.count() == 1
    assert rows(home, f"SELECT * FROM {orders}") == []


def test_nobody_sees_it_before_the_end(docs: Collection, home: VectorDB, orders: str) -> None:
    seen: list[int] = []

    def look() -> None:
        seen.append(docs.count())

    with home.transaction() as connection:
        connection.execute(sa.text(f"INSERT INTO {orders} VALUES (1)"))
        docs.upsert("Inside.")
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    look()
    assert seen == [0, 1], "another thread is not in this thread's transaction"
    assert rows(home, f"SELECT * FROM {orders}") == [(1,)]


def test_collections_are_made_and_dropped_with_the_rest(home: VectorDB, embedder: HashedEmbedder) -> None:
    names = [docs.name for docs in home.collections()]
    with pytest.raises(RuntimeError), home.transaction():  # noqa: PT012 - the block is the transaction
        docs = home.create_collection("within", embedder=embedder)
        docs.upsert("Inside.")
        docs.create_index(HNSW(m=8))
        assert len(docs.search("inside")) == 1
        assert home.collection("within").count() == 1
        raise RuntimeError
    assert [docs.name for docs in home.collections()] == names
    with pytest.raises(CollectionNotFound):
        home.collection("within")
    with home.transaction():
        home.create_collection("within", embedder=embedder).upsert("Inside.")
    assert home.collection("within").count() == 1
    with home.transaction():
        home.drop_collection("within")
    with pytest.raises(CollectionNotFound):
        home.collection("within")


def test_the_orm_joins_in(docs: Collection, home: VectorDB) -> None:
    with home.transaction() as connection, Session(bind=connection) as session:
        docs.upsert(Document("Cats purr.", "a", metadata={"n": 1}))
        stored = session.get_one(docs.Document, "a")
        assert [chunk.content for chunk in stored.chunks] == ["Cats purr."]
        stored.title = "Cats"
        session.flush()
        assert docs.get("a").title == "Cats"
    assert docs.get("a").title == "Cats"


def test_an_error_of_ours_leaves_the_transaction_usable(docs: Collection, home: VectorDB, orders: str) -> None:
    with home.transaction() as connection:
        connection.execute(sa.text(f"INSERT INTO {orders} VALUES (1)"))
        with pytest.raises(InvalidText):
            docs.upsert(["good", "bad \x00"])
        with pytest.raises(CollectionNotFound):
            home.collection("missing")
        docs.upsert("good")
    assert docs.count() == 1
    assert rows(home, f"SELECT * FROM {orders}") == [(1,)]


def test_a_failed_write_is_undone_to_its_own_beginning(
    docs: Collection, new_collection: NewCollection, home: VectorDB, orders: str
) -> None:
    dropped = new_collection(dimensions=3)
    home.drop_collection(dropped.name)
    with home.transaction() as connection:
        connection.execute(sa.text(f"INSERT INTO {orders} VALUES (1)"))
        with pytest.raises(DatabaseError), connection.begin_nested():
            dropped.upsert_vectors(["a"], [[1, 2, 3]])
        docs.upsert("good")
    assert docs.count() == 1
    assert rows(home, f"SELECT * FROM {orders}") == [(1,)]


def test_savepoints_of_the_application(docs: Collection, home: VectorDB) -> None:
    with home.transaction() as connection:
        docs.upsert("kept")
        with pytest.raises(RuntimeError), connection.begin_nested():  # noqa: PT012 - the block is the savepoint
            docs.upsert("not kept")
            assert docs.count() == 2
            raise RuntimeError
        assert docs.count() == 1
    assert [document.content for document in docs.scan()] == ["kept"]


def test_transactions_do_not_nest(docs: Collection, home: VectorDB) -> None:
    with home.transaction():
        docs.upsert("kept")
        with pytest.raises(ConfigurationError, match="a transaction is open already"), home.transaction():
            pass
        docs.upsert("kept as well")
    assert docs.count() == 2
    with home.transaction():
        docs.upsert("and this")
    assert docs.count() == 3


def test_two_databases_two_transactions(
    docs: Collection, home: VectorDB, db: VectorDB, embedder: HashedEmbedder
) -> None:
    other = db.create_collection("docs", embedder=embedder)
    with pytest.raises(RuntimeError), db.transaction():  # noqa: PT012 - the block is the transaction
        docs.upsert("in no transaction")
        other.upsert("in a transaction")
        raise RuntimeError
    assert (docs.count(), other.count()) == (1, 0)


def test_the_connection_is_handed_back(home_url: str, docs: Collection, embedder: HashedEmbedder) -> None:
    engine = sa.create_engine(sa.make_url(home_url).set(drivername="postgresql+psycopg"), pool_size=1, max_overflow=0)
    with vectordb.connect(engine) as db:
        docs = db.collection(docs.name, embedder=embedder)
        for fails in (False, True, False):
            try:
                with db.transaction():
                    docs.upsert(f"fails {fails}")
                    if fails:
                        raise RuntimeError
            except RuntimeError:
                pass
            assert engine.pool.checkedout() == 0  # type: ignore[attr-defined] # of the default pool
            assert docs.count() == 1 if fails else docs.count() >= 1
            with engine.connect() as connection:
                driver = connection.connection.driver_connection
                assert isinstance(driver, psycopg.Connection)
                assert not driver.autocommit
                assert driver.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    engine.dispose()


def test_waiting_for_a_lock_has_an_end(docs: Collection, home_url: str, home: VectorDB) -> None:
    """`lock_timeout` of the session becomes an error that says so, after a few attempts."""
    docs.upsert(Document("text", "a"))
    limited = with_setting(home_url, "lock_timeout=20ms")
    with vectordb.connect(limited) as db, home.transaction():
        other = db.collection(docs.name)
        docs.delete("a")
        with pytest.raises(TransactionConflict) as caught:
            other.delete("a")
        assert caught.value.sqlstate == "55P03"
        assert caught.value.retryable
    assert docs.count(F("n") == 1) == 0
