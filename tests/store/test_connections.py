"""Servers that are down, connections that die, engines of the application, and passwords that stay secret."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

import vectordb
from tests.store.support import rows, with_setting
from tests.support import HashedEmbedder
from vectordb import Collection, Document, VectorDB
from vectordb.errors import ConfigurationError, ConnectionFailed, QueryTimeout, SchemaError, VectorDBError

SECRET = "hunter2%zz"
QUOTED = "hunter2%25zz"


def kill_others(url: str) -> int:
    """End all other connections to a database and return how many there were."""
    with psycopg.connect(url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert ended is not None
    return int(ended[0])


def states_of_others(url: str) -> list[str]:
    """Return what all other connections to a database are doing."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    return [state for (state,) in found]


def fill_pool(db: VectorDB, count: int) -> None:
    """Open so many connections at once; the pool keeps them."""
    together = threading.Barrier(count)

    def use(_: int) -> None:
        with db.engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
            together.wait()

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(use, range(count)))


@pytest.fixture
def docs_of_own(db: VectorDB, embedder: HashedEmbedder) -> Collection:
    docs = db.create_collection("docs", embedder=embedder)
    docs.upsert([Document(f"Text number {n}.", n) for n in range(10)])
    return docs


@pytest.mark.parametrize("connections", [1, 5])
@pytest.mark.parametrize("call", ["search", "upsert", "upsert_vectors", "get", "delete", "collection", "transaction"])
def test_killed_connections_are_replaced_without_an_error(
    docs_of_own: Collection, db: VectorDB, url: str, call: str, connections: int
) -> None:
    fill_pool(db, connections)
    assert kill_others(url) >= connections
    started = time.monotonic()
    if call == "search":
        assert len(docs_of_own.search("text")) == 10
    elif call == "upsert":
        assert docs_of_own.upsert([Document("New text.", n) for n in range(10)]).updated == 10
    elif call == "upsert_vectors":
        assert docs_of_own.upsert_vectors([f"v{n}" for n in range(100)], [[1] * 16] * 100).inserted == 100
    elif call == "get":
        assert docs_of_own.get("3").content == "Text number 3."
    elif call == "delete":
        assert docs_of_own.delete("3") == 1
    elif call == "collection":
        assert db.collection("docs").count() == 10
    else:
        with db.transaction():
            docs_of_own.upsert(Document("text", "new"))
        assert docs_of_own.count() == 11
    assert time.monotonic() - started < 3


def test_connections_that_die_all_the_time(docs_of_own: Collection, url: str) -> None:
    """A nemesis ends every connection again and again; searches and upserts go on."""
    stop = threading.Event()

    def nemesis() -> None:
        while not stop.wait(0.1):
            kill_others(url)

    thread = threading.Thread(target=nemesis)
    thread.start()
    try:
        end = time.monotonic() + 2
        calls = 0
        while time.monotonic() < end:
            calls += 1
            docs_of_own.upsert([Document(f"Round {calls}.", n) for n in range(3)])
            assert len(docs_of_own.search(f"Round {calls}.")) == 10
            assert docs_of_own.get("0").content == f"Round {calls}."
    finally:
        stop.set()
        thread.join()
    assert calls > 5
    assert docs_of_own.count() == 10


def test_a_connection_that_dies_inside_a_transaction_is_an_error(
    docs_of_own: Collection, db: VectorDB, url: str
) -> None:
    """What was done before in the transaction is gone, so nothing may be repeated."""
    with pytest.raises(ConnectionFailed) as caught, db.transaction():  # noqa: PT012 - the block is the transaction
        docs_of_own.upsert(Document("Lost.", "lost"))
        kill_others(url)
        docs_of_own.upsert(Document("Never written.", "never"))
    assert caught.value.retryable
    assert docs_of_own.count() == 10


@contextlib.contextmanager
def closing_pool(engine: sa.Engine) -> Iterator[None]:
    """Close the connections of an engine at the end, however that comes."""
    try:
        yield
    finally:
        engine.dispose()


def listening_socket() -> socket.socket:
    """A port that accepts connections and never says a word."""
    server = socket.create_server(("127.0.0.1", 0))
    server.listen()
    return server


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def everything_said(error: BaseException) -> str:
    """Message, repr, facts and traceback of an error and of all that led to it."""
    said = ["".join(traceback.format_exception(error))]
    link: BaseException | None = error
    while link is not None:
        said += [str(link), repr(link), repr(link.args), repr(getattr(link, "facts", ""))]
        link = link.__cause__ or link.__context__
    return "\n".join(said)


@pytest.fixture(params=["collection", "migrate", "collections", "transaction"])
def first_call(request: pytest.FixtureRequest) -> Any:
    """Something that needs the server."""

    def transaction(db: VectorDB) -> None:
        with db.transaction():
            pass

    return {
        "collection": lambda db: db.collection("docs"),
        "migrate": lambda db: db.migrate(),
        "collections": lambda db: db.collections(),
        "transaction": transaction,
    }[request.param]


def test_a_server_that_is_down(first_call: Any) -> None:
    port = free_port()
    db = vectordb.connect(f"postgresql://user:{QUOTED}@127.0.0.1:{port}/nowhere")
    started = time.monotonic()
    with pytest.raises(ConnectionFailed, match=f"127.0.0.1:{port}/nowhere") as caught:
        first_call(db)
    assert time.monotonic() - started < 2
    assert caught.value.retryable
    assert SECRET not in everything_said(caught.value)
    assert QUOTED not in everything_said(caught.value)


def test_a_server_that_goes_away_between_calls(docs_of_own: Collection, db: VectorDB) -> None:
    """Every connection is closed and the address leads nowhere: one error, soon, and no endless retries."""
    db.close()
    port = free_port()

    def elsewhere(dialect: Any, record: Any, arguments: Any, options: dict[str, Any]) -> None:
        options.update(host="127.0.0.1", port=port)

    sa.event.listen(db.engine, "do_connect", elsewhere)
    started = time.monotonic()
    for call in (lambda: docs_of_own.search("text"), lambda: docs_of_own.upsert("text"), docs_of_own.count):
        with pytest.raises(ConnectionFailed):
            call()
    assert time.monotonic() - started < 3
    sa.event.remove(db.engine, "do_connect", elsewhere)
    assert docs_of_own.count() == 10


def test_a_server_that_never_answers() -> None:
    with listening_socket() as server:
        port = server.getsockname()[1]
        db = vectordb.connect(f"postgresql://user:{QUOTED}@127.0.0.1:{port}/silent?connect_timeout=2")
        started = time.monotonic()
        with pytest.raises(ConnectionFailed) as caught:
            db.collection("docs")
        assert time.monotonic() - started < 6
        assert SECRET not in everything_said(caught.value)


def test_an_unknown_user(url: str) -> None:
    wrong = sa.make_url(url).set(username="nobody_at_all", password=SECRET)
    with vectordb.connect(wrong.render_as_string(hide_password=False)) as db:
        with pytest.raises(ConnectionFailed) as caught:
            db.collection("docs")
        assert SECRET not in everything_said(caught.value)


def test_an_unknown_database(url: str) -> None:
    wrong = sa.make_url(url).set(database="no_such_database")
    if not wrong.password:
        wrong = wrong.set(password=SECRET)
    with vectordb.connect(wrong.render_as_string(hide_password=False)) as db:
        with pytest.raises(ConnectionFailed, match="no_such_database") as caught:
            db.collection("docs")
        assert str(wrong.password) not in everything_said(caught.value)


def test_a_wrong_password(url: str) -> None:
    right = sa.make_url(url)
    if not right.password:
        pytest.skip("the server of VECTORDB_TEST_URL asks for no password")
    with vectordb.connect(right.set(password=SECRET).render_as_string(hide_password=False)) as db:
        with pytest.raises(ConnectionFailed) as caught:
            db.collection("docs")
        assert SECRET not in everything_said(caught.value)


def test_a_database_that_was_not_migrated(database_url: str) -> None:
    with vectordb.connect(database_url) as db:
        for call in (lambda: db.collection("docs"), db.collections, lambda: db.create_collection("docs", dimensions=3)):
            with pytest.raises(SchemaError, match="run `vectordb migrate`"):
                call()
        db.migrate()
        assert db.create_collection("docs", dimensions=3).count() == 0


@pytest.mark.parametrize(
    "given",
    [
        f"postgresql://user:{QUOTED}@host.example:5432/db",
        f"postgresql://user:{QUOTED}@/db?host=/tmp",
        f"postgresql://host.example/db?user=u&password={QUOTED}",
        f"postgresql://host.example/db?sslpassword={QUOTED}",
        f"postgres://user:{QUOTED}@host.example/db",
    ],
)
def test_the_password_is_not_shown(given: str) -> None:
    db = vectordb.connect(given)
    for shown in (repr(db), str(db), repr(db.engine), str(db.engine.url)):
        assert "hunter2" not in shown


@pytest.mark.parametrize(
    "given",
    [
        "",
        "host",
        "mysql://user:hunter2@host/db",
        "postgresql+asyncpg://user:hunter2@host/db",
        "postgre://user:hunter2@host/db",
        "postgresql://user:hun@ter2@host/db",
        "postgresql://user:p@ss/hunter2@host/db",
        "postgresql://host:hunter2/db",
        "postgresql://user:hunter2@[::1/db",
        5,
        b"postgresql://host/db",
    ],
    ids=repr,
)
def test_urls_that_cannot_be_read(given: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        vectordb.connect(given)
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)


def test_both_a_url_and_a_path() -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        vectordb.connect("postgresql://host/db", path="somewhere")


def test_the_url_of_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORDB_URL", url)
    with vectordb.connect() as db:
        assert db.create_collection("docs", dimensions=3).count() == 0


def test_an_engine_of_the_application(url: str, embedder: HashedEmbedder) -> None:
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), pool_size=2)
    with closing_pool(engine):
        pool = engine.pool
        with vectordb.connect(engine) as db:
            assert db.engine is engine
            docs = db.create_collection("docs", embedder=embedder)
            docs.upsert("Cats purr.")
            pid = rows(db, "SELECT pg_backend_pid()")
        assert rows(db, "SELECT pg_backend_pid()") == pid, "closing leaves the engine's connections open"
        assert engine.pool is pool
        assert docs.search("cats")[0].content == "Cats purr."


def test_an_engine_in_autocommit_mode(url: str) -> None:
    """It stays so, and our transactions are transactions all the same."""
    engine = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=0
    )
    with closing_pool(engine), vectordb.connect(engine) as db:
        docs = db.create_collection("docs", dimensions=3)
        docs.upsert_vectors(["a"], [[1, 2, 3]])
        with pytest.raises(RuntimeError), db.transaction() as connection:  # noqa: PT012 - the block is the transaction
            connection.exec_driver_sql("CREATE TABLE rolled_back ()")
            docs.upsert_vectors(["b"], [[1, 2, 3]])
            raise RuntimeError
        assert docs.count() == 1
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE TABLE committed_at_once ()")
        found = rows(db, "SELECT to_regclass('committed_at_once')::text, to_regclass('rolled_back')::text")
        assert found == [("committed_at_once", None)]


@pytest.mark.parametrize("given", ["sqlite://", "postgresql+psycopg_async://host/db"])
def test_an_engine_of_another_driver(given: str) -> None:
    engine = sa.create_engine(given)
    with pytest.raises(ConfigurationError, match=r"vectordb needs an engine of postgresql\+psycopg://"):
        vectordb.connect(engine)


def test_a_statement_that_takes_too_long(docs_of_own: Collection, url: str) -> None:
    limited = with_setting(url, "statement_timeout=50ms")
    with vectordb.connect(limited) as db:
        slow = db.collection("docs")
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE vectordb.docs_chunks")
            with pytest.raises(QueryTimeout) as caught:
                slow.search([1] * 16)
        assert caught.value.sqlstate == "57014"
        assert not caught.value.retryable
        assert len(slow.search([1] * 16)) == 10


def test_a_server_without_rights_to_write(docs_of_own: Collection, url: str) -> None:
    read_only = with_setting(url, "default_transaction_read_only=on")
    with vectordb.connect(read_only) as db:
        docs = db.collection("docs")
        assert len(docs.search([1] * 16)) == 10
        for call in (lambda: docs.upsert_vectors(["a"], [[1] * 16]), lambda: docs.delete("1")):
            with pytest.raises(VectorDBError, match="read-only"):
                call()
        assert docs.count() == 10


def test_no_connection_waits_in_a_transaction_and_none_outlives_the_database(
    docs_of_own: Collection, db: VectorDB, url: str
) -> None:
    docs_of_own.search("text")
    with contextlib.suppress(RuntimeError), db.transaction():
        docs_of_own.upsert("never written")
        raise RuntimeError
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: docs_of_own.count(), range(20))) == {10}
    assert set(states_of_others(url)) == {"idle"}
    db.close()
    patience = time.monotonic() + 5  # a process of the server ends a moment after its connection
    while states_of_others(url) and time.monotonic() < patience:
        time.sleep(0.02)
    assert states_of_others(url) == []


def test_a_closed_database_opens_again_when_used(docs_of_own: Collection, db: VectorDB) -> None:
    db.close()
    db.close()
    assert docs_of_own.count() == 10


def test_errors_hold_no_content(docs_of_own: Collection, db: VectorDB) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE vectordb.docs_chunks ADD CHECK (starts_with(content, 'secret') = false)"
        )
    with pytest.raises(VectorDBError) as caught:
        docs_of_own.upsert(Document("secret plans of the company", "a"))
    assert caught.value.facts["sqlstate"] == "23514"
    assert "secret plans" not in str(caught.value)
    assert docs_of_own.count() == 10
