"""Errors of PostgreSQL and of the way to it: typed, with a way out, without secrets or the content of rows."""

from __future__ import annotations

import contextlib
import logging
import pickle
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text

import vectordb
from tests.conftest import Databases
from tests.migrations.support import as_role, execute, new_role, rows, upgrade
from vectordb import Collection, VectorDB, errors

SECRET = "correct-horse"
# Traceback texts quote the lines of the tests, so these are not written out there.
ID, CONTENT = "secret-id", "secret text"


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    """One database; every test has collections of its own."""
    url = databases.create()
    upgrade(url, dimensions="3")
    yield url
    databases.drop(url)


@pytest.fixture
def docs(db: VectorDB, request: pytest.FixtureRequest) -> Collection:
    """A collection with one document, whose content no message may repeat."""
    name = re.sub(r"\W+", "_", request.node.name.lower()).removeprefix("test_")[:30].strip("_")
    docs = db.create_collection(name, dimensions=3)
    docs.upsert_vectors([ID], np.ones((1, 3)), contents=[CONTENT])
    return docs


INSERT = "INSERT INTO vectordb.documents (id, content_hash, metadata) VALUES "
ORPHAN = (
    "INSERT INTO vectordb.chunks"
    " (document_id, ordinal, content, content_hash, span_start, span_end, metadata, embedding)"
    " VALUES ('secret-id', 0, 'secret text', '', 0, 0, '{}', '[1,2,3]')"
)


@contextlib.contextmanager
def options(url: str, name: str, **settings: str) -> Iterator[Collection]:
    """Open a collection with settings of PostgreSQL for its connections."""
    given = " ".join(f"-c {option}={value}" for option, value in settings.items())
    with vectordb.connect(
        make_url(url).update_query_dict({"options": given}).render_as_string(hide_password=False)
    ) as db:
        yield db.collection(name)


@contextlib.contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Hold a lock that stops every reader and writer of a table."""
    with psycopg.connect(url) as connection:
        connection.execute(f"LOCK TABLE vectordb.{table} IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


def fails(work: Callable[[], object], kind: type[errors.DatabaseError], state: str | None) -> errors.DatabaseError:
    """Return the error of a call, which must be of exactly this kind and show nothing that is in a row."""
    with pytest.raises(errors.DatabaseError) as caught:
        work()
    error = caught.value
    assert (type(error), error.sqlstate) == (kind, state)
    shown = "".join(traceback.format_exception(error))
    assert ID not in shown
    assert CONTENT not in shown
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.facts, copy.sqlstate) == (kind, str(error), error.facts, state)
    return error


def both_ways(db: VectorDB, statement: str) -> list[Callable[[], object]]:
    """Return two calls that send a statement: over psycopg, as the store does, and over SQLAlchemy, as the registry."""

    def over_sqlalchemy() -> None:
        with db.transaction() as connection:
            connection.execute(text(statement.replace(":", r"\:")))

    database = db._database
    return [lambda: database.run(lambda connection: connection.execute(statement)), over_sqlalchemy]


@pytest.mark.parametrize(
    ("statement", "kind", "state"),
    [
        (INSERT + "('secret-id', '', '{}'), ('secret-id', '', '{}')", errors.DatabaseError, "23505"),
        (INSERT + "('secret-id', NULL, '{}')", errors.DatabaseError, "23502"),
        (ORPHAN, errors.DatabaseError, "23503"),
        ("SELECT 'secret text'::jsonb", errors.DatabaseError, "22P02"),
        ("SELECT 'secret text'::int", errors.DatabaseError, "22P02"),
        ("SELECT '[1,2]'::vector <=> '[1,2,3]'::vector", errors.DatabaseError, "22000"),
        ("SELECT 1 / 0", errors.DatabaseError, "22012"),
        ("SELECT * FROM vectordb.absent", errors.SchemaError, "42P01"),
        ("SELECT absent FROM vectordb.documents", errors.SchemaError, "42703"),
        ("CREATE TABLE absent.t (id int)", errors.SchemaError, "3F000"),
        ("SELECT NULL::absent_type", errors.ExtensionError, "42704"),
        ("SELEC 1", errors.DatabaseError, "42601"),
        ("CREATE TABLE vectordb.documents (id int)", errors.DatabaseError, "42P07"),
        ("DO $$ BEGIN RAISE 'x' USING ERRCODE = '40001'; END $$", errors.TransactionConflict, "40001"),
        ("DO $$ BEGIN RAISE 'x' USING ERRCODE = '40P01'; END $$", errors.TransactionConflict, "40P01"),
        ("DO $$ BEGIN RAISE 'x' USING ERRCODE = '55P03'; END $$", errors.TransactionConflict, "55P03"),
        ("DO $$ BEGIN RAISE 'x' USING ERRCODE = '57014'; END $$", errors.QueryTimeout, "57014"),
        ("DO $$ BEGIN RAISE 'x' USING ERRCODE = '53100'; END $$", errors.StorageFull, "53100"),
        ("DO $$ BEGIN RAISE 'x' USING ERRCODE = '53300'; END $$", errors.ConnectionFailed, "53300"),
        ("DO $$ BEGIN RAISE 'x' USING ERRCODE = '57P03'; END $$", errors.ConnectionFailed, "57P03"),
        ("DO $$ BEGIN RAISE 'x' USING ERRCODE = '08006'; END $$", errors.ConnectionFailed, "08006"),
        ("DO $$ BEGIN RAISE 'x' USING ERRCODE = '53200'; END $$", errors.DatabaseError, "53200"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) == 5 else "",
)  # fmt: skip
def test_a_code_of_postgresql_becomes_an_error(
    db: VectorDB, statement: str, kind: type[errors.DatabaseError], state: str
) -> None:
    for work in both_ways(db, statement):
        error = fails(work, kind, state)
        assert state in str(error)
        assert error.retryable == (kind in (errors.ConnectionFailed, errors.TransactionConflict))
    assert db.collection().count() == 0


def test_a_statement_that_takes_too_long(url: str, docs: Collection) -> None:
    with locked(url, f"{docs.name}_documents"), options(url, docs.name, statement_timeout="100") as slow:
        fails(slow.count, errors.QueryTimeout, "57014")
    assert docs.count() == 1


def test_a_lock_that_is_not_free_in_time(url: str, docs: Collection) -> None:
    with locked(url, f"{docs.name}_chunks"), options(url, docs.name, lock_timeout="20") as waiting:
        error = fails(lambda: waiting.search([1, 1, 1]), errors.TransactionConflict, "55P03")
    assert error.retryable
    assert len(docs.search([1, 1, 1])) == 1


def test_a_lock_that_is_free_at_the_second_attempt(url: str, docs: Collection) -> None:
    with options(url, docs.name, lock_timeout="20") as waiting, psycopg.connect(url) as holder:
        holder.execute(f"LOCK TABLE vectordb.{docs.name}_documents IN ACCESS EXCLUSIVE MODE")
        release = threading.Timer(0.05, holder.rollback)
        release.start()
        assert waiting.count() == 1
        release.join()


def test_a_deadlock_is_resolved_by_trying_again(url: str, db: VectorDB, docs: Collection) -> None:
    """The store waits for row b while it holds a; the application the other way round."""
    docs.upsert_vectors(["a", "b"], np.ones((2, 3)))
    update = f"UPDATE vectordb.{docs.name}_documents SET title = %s WHERE id = %s"
    attempts = []

    def work(connection: psycopg.Connection[Any]) -> None:
        attempts.append(connection.info.backend_pid)
        with connection.transaction():
            connection.execute("SET LOCAL deadlock_timeout = '500ms'")
            for id in ("a", "b"):
                connection.execute(update, ["store", id])

    with psycopg.connect(url) as other:
        other.execute("SET deadlock_timeout = '60s'")
        other.execute(update, ["application", "b"])
        thread = threading.Thread(target=db._database.run, args=(work,))
        thread.start()
        waiting = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s"
        while not attempts or rows(url, waiting, attempts[0]) != [("Lock",)]:
            pass
        other.execute(update, ["application", "a"])
        other.commit()
        thread.join(30)
    # Of two that wait for a row, either may get it, and then there is a second deadlock.
    assert len(attempts) >= 2
    assert [docs.get(id).title for id in ("a", "b")] == ["store", "store"]


def test_a_read_only_database(url: str, docs: Collection) -> None:
    with options(url, docs.name, default_transaction_read_only="on") as reading:
        assert len(reading.search([1, 1, 1])) == 1
        for work in (
            lambda: reading.upsert_vectors(["b"], np.ones((1, 3))),
            lambda: reading.delete(ID),
            reading.drop_index,
        ):
            error = fails(work, errors.DatabaseError, "25006")
            assert "read-only" in str(error)


def test_a_table_that_is_gone(url: str, docs: Collection) -> None:
    execute(url, f"DROP TABLE vectordb.{docs.name}_chunks")
    error = fails(lambda: docs.search([1, 1, 1]), errors.SchemaError, "42P01")
    assert "vectordb migrate" in str(error)


def test_a_role_without_rights(databases: Databases, url: str, docs: Collection) -> None:
    with new_role(databases.url.render_as_string(hide_password=False)) as role:
        with vectordb.connect(as_role(url, role)) as db:
            fails(lambda: db.collection(docs.name), errors.DatabaseError, "42501")
            execute(url, f"GRANT USAGE ON SCHEMA vectordb TO {role}")
            execute(url, f"GRANT SELECT ON vectordb.collections, vectordb.alembic_version TO {role}")
            mine = db.collection(docs.name)
            error = fails(mine.count, errors.DatabaseError, "42501")
            assert f"permission denied for table {docs.name}_documents" in str(error)
            fails(lambda: db.create_collection("mine", dimensions=3), errors.DatabaseError, "42501")
            execute(url, f"GRANT SELECT ON ALL TABLES IN SCHEMA vectordb TO {role}")
            assert len(mine.search([1, 1, 1])) == 1
            fails(lambda: mine.upsert_vectors(["b"], np.ones((1, 3))), errors.DatabaseError, "42501")
        execute(url, f"DROP OWNED BY {role}")


def test_two_transactions_that_exclude_each_other(url: str, docs: Collection) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="SERIALIZABLE")
    with vectordb.connect(engine) as db:
        mine = db.collection(docs.name)

        def late() -> None:
            with db.transaction():
                assert mine.count() == 1
                docs.upsert_vectors([ID], np.full((1, 3), 2.0))
                mine.delete(ID)

        fails(late, errors.TransactionConflict, "40001")
    engine.dispose()
    assert docs.count() == 1


def terminate_others(url: str) -> None:
    rows(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def test_idle_connections_that_were_cut_are_not_noticed(url: str, docs: Collection) -> None:
    for _ in range(3):
        terminate_others(url)
        assert docs.count() == 1


def test_a_transaction_that_was_cut_is_lost(url: str, db: VectorDB, docs: Collection) -> None:
    def cut() -> None:
        with db.transaction():
            docs.delete(ID)
            terminate_others(url)
            docs.count()

    with pytest.raises(errors.ConnectionFailed) as caught:
        cut()
    assert caught.value.retryable
    assert docs.count() == 1


def test_the_registry_does_not_notice_them_either(url: str, db: VectorDB, docs: Collection) -> None:
    with db.engine.connect(), db.engine.connect(), db.engine.connect():
        pass
    for use in (db.collections, db.migrate, lambda: db.collection(docs.name)):
        terminate_others(url)
        use()


def test_more_connections_than_a_role_may_have(databases: Databases, url: str) -> None:
    with new_role(databases.url.render_as_string(hide_password=False)) as role:
        execute(url, f"ALTER ROLE {role} CONNECTION LIMIT 1")
        with psycopg.connect(as_role(url, role)), vectordb.connect(as_role(url, role)) as db:
            error = fails(db.collections, errors.ConnectionFailed, None)
        assert "too many connections" in str(error)


def test_a_database_that_does_not_exist(url: str) -> None:
    absent = make_url(url).set(database="absent").render_as_string(hide_password=False)
    with vectordb.connect(absent) as db:
        for work in (db.collections, db.migrate):
            error = fails(work, errors.ConnectionFailed, None)
            assert 'database "absent" does not exist' in str(error)


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
)
def test_every_error_survives_pickle(kind: type[errors.VectorDBError]) -> None:
    facts: dict[str, Any] = {"name": "docs", "position": 3}
    if issubclass(kind, errors.DatabaseError):
        facts["sqlstate"] = "40001"
    error = kind("what to do", **facts)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.facts) == (kind, "what to do", error.facts)
    assert (copy.name, copy.position, copy.retryable) == ("docs", 3, kind.retryable)


REFUSED = "127.0.0.1:1"
FORMS = [
    "postgresql://u:{secret}@{host}/d",
    "postgres://u:{secret}@{host}/d",
    "postgresql+psycopg://u:{secret}@{host}/d",
    "postgresql://:{secret}@{host}/d",
    "postgresql://u:x@{secret}@{host}/d",
    "postgresql://u:x@{secret}/y@{host}/d",
    "postgresql://u:x@{secret}?y@{host}/d",
    "postgresql://u:%zz{secret}@{host}/d",
    "postgresql://u:{secret}%@{host}/d",
    "postgresql://u:x/{secret}@{host}/d",
    "postgresql://u:x?{secret}@{host}/d",
    "postgresql://u:x#{secret}@{host}/d",
    "postgresql://u:x:{secret}@{host}/d",
    "postgresql://u:x[{secret}@{host}/d",
    "postgresql://u:x {secret}@{host}/d",
    "postgresql://u:{secret}\n@{host}/d",
    "postgresql://u:{secret}@/d?host={name}&port={port}",
    "postgresql://{host}/d?user=u&password={secret}",
    "postgresql://u@{host}/d?password={secret}",
    "postgresql://u:other@{host}/d?password={secret}",
    "postgresql://u@{host}/d?sslpassword={secret}",
    "postgresql://u:{secret}@{host}/d?sslmode=bogus",
    "postgresql://u:{secret}@{host}/d?connect_timeout=soon",
    "postgresql://u:{secret}@{host}/d?no_such_option=1",
    "postgresql://u:{secret}@{host}:bogus/d",
    "postgresql://u:{secret}@{name}:99999/d",
    "postgresql://u:{secret}@no such host/d",
    "postgresql://u:{secret}@[::1/d",
    "postgresql://u:{secret}/d",
    "postgresql:///u:{secret}@{host}/d",
    "postgresql:/u:{secret}@{host}/d",
    "postgresql//u:{secret}@{host}/d",
    "postgre://u:{secret}@{host}/d",
    "mysql://u:{secret}@{host}/d",
    "jdbc:postgresql://{host}/d?user=u&password={secret}",
    "host={name} port={port} user=u password={secret} dbname=d",
    "host={name} port={port} user=u password='x {secret}' dbname=d",
    "u:{secret}@{host}/d",
    "{secret}",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reachable", [False, True])
def test_a_password_is_never_shown(
    form: str, reachable: bool, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither where nobody listens nor where a server refuses the user, whatever is wrong with the URL."""
    caplog.set_level(logging.DEBUG)
    parsed = make_url(url)
    name = (parsed.host or parsed.query["host"]) if reachable else "127.0.0.1"
    port = (parsed.port or parsed.query.get("port", 5432)) if reachable else 1
    given = form.format(secret=SECRET, host=f"{name}:{port}", name=name, port=port)
    monkeypatch.setenv("VECTORDB_DIMENSIONS", "3")
    shown: list[str] = []

    def attempt(use: Callable[[VectorDB], object]) -> None:
        with vectordb.connect(given) as db:
            shown.extend([repr(db), repr(db.engine), str(db.engine.url)])
            use(db)

    for use in (VectorDB.collections, VectorDB.migrate, lambda db: db.create_collection("docs", dimensions=3)):
        with pytest.raises(errors.VectorDBError) as caught:
            attempt(use)
        error = caught.value
        assert isinstance(error, errors.ConfigurationError | errors.ConnectionFailed)
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
        shown += [repr(error), repr(error.args), repr(error.facts), repr(pickle.dumps(error))]
        shown.append("".join(traceback.format_exception(error)))
    for sink in [*shown, caplog.text]:
        assert SECRET not in sink
        assert SECRET.partition("-")[2] not in sink


def test_an_engine_with_an_unescaped_password_shows_nothing_of_it() -> None:
    """It was made by the application, so its URL could not be refused."""
    engine = create_engine(f"postgresql+psycopg://u:x@{SECRET}@127.0.0.1:1/d")
    with vectordb.connect(engine) as db, pytest.raises(errors.ConnectionFailed) as caught:
        db.collections()
    assert SECRET not in repr(db) + "".join(traceback.format_exception(caught.value))


def test_several_hosts_are_shown_as_they_are_written() -> None:
    with vectordb.connect("postgresql://u@/d?host=a:1&host=b:2") as db:
        assert repr(db) == "VectorDB('a:1,b:2/d')"
