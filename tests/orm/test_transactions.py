"""A search runs in the caller's transaction, and leaves nothing behind in it or in the pool."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, case, create_engine, exc, func, insert, make_url, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from tests.conftest import Databases
from tests.orm.conftest import plain_engine
from tests.orm.models import Base as OtherBase
from tests.orm.models import Image
from tests.support import HashedEmbedder, hashed_words
from vectordb import errors
from vectordb.orm import embedding_column, text_search_column
from vectordb.orm.repository import Repository

SETTINGS = [
    "hnsw.ef_search",
    "hnsw.iterative_scan",
    "hnsw.max_scan_tuples",
    "hnsw.scan_mem_multiplier",
    "ivfflat.probes",
    "ivfflat.iterative_scan",
]
WORDS = ["red", "blue", "green", "coat", "hat", "shoe", "boot", "wool", "rain", "snow", "light", "ice", "wind", "sun"]


class Base(DeclarativeBase):
    """Base of the model of this module."""


class Note(Base):
    """What is searched."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str] = mapped_column(unique=True)
    embedding: Mapped[Any] = embedding_column(16, source="body")
    search: Mapped[Any] = text_search_column("body")


@pytest.fixture(scope="module")
def notes_url(databases: Databases) -> Iterator[str]:
    url = databases.create()
    engine = plain_engine(url)
    Base.metadata.create_all(engine)
    rng = np.random.default_rng(0)
    bodies = [f"{' '.join(rng.choice(WORDS, 4))} {id}" for id in range(1_500)]
    with Session(engine) as session:
        vectors = hashed_words(bodies)
        rows = [{"id": id, "body": b, "embedding": v} for id, (b, v) in enumerate(zip(bodies, vectors, strict=True))]
        session.execute(insert(Note), rows)
        session.commit()
        session.execute(text("ANALYZE"))
        session.commit()
    engine.dispose()
    yield url
    databases.drop(url)


@pytest.fixture
def engine(notes_url: str) -> Iterator[Engine]:
    """An engine of one connection, so that whatever leaks is seen."""
    url = make_url(notes_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, pool_size=1, max_overflow=0)
    yield engine
    engine.dispose()


@pytest.fixture
def usual(notes_url: str) -> list[Any]:
    """What the server has for pgvector's settings."""
    engine = plain_engine(notes_url)
    with engine.connect() as connection:
        connection.execute(text("LOAD 'vector'"))
        found = settings(connection)
    engine.dispose()
    return found


@pytest.fixture
def notes() -> Repository[Note]:
    return Repository(Note, HashedEmbedder())


def parasol(id: int = 9_000) -> Note:
    return Note(id=id, body=f"parasol {id}", embedding=hashed_words([f"parasol {id}"])[0])


def settings(connection: Connection | Session) -> list[Any]:
    return [connection.execute(text(f"SELECT current_setting('{name}', true)")).scalar() for name in SETTINGS]


SEARCHES: dict[str, dict[str, Any]] = {
    "vector": {"mode": "vector"},
    "ef": {"mode": "vector", "ef_search": 333},
    "hybrid": {},
    "text": {"mode": "text"},
    "exact": {"exact": True},
    "iterative": {"where": Note.id > 700, "strategy": "iterative"},
    "planned": {"where": Note.id > 30, "mode": "vector", "limit": 5},
    "later page": {"limit": 5, "offset": 20},
    "many": {"mode": "vector", "limit": 900},
}


@pytest.mark.parametrize("mode", ["vector", "text", None])
def test_what_is_not_committed_is_found(engine: Engine, notes: Repository[Note], mode: str | None) -> None:
    with Session(engine) as session:
        session.add(parasol())  # pending: flushed by the search
        assert notes.search(session, "parasol 9000", mode=mode, limit=1)[0].entity.id == 9_000
        with session.begin_nested() as savepoint:
            session.add(parasol(9_001))
            found = notes.search(session, "parasol", mode=mode, limit=2, where=Note.id > 8_000)
            assert {hit.entity.id for hit in found} == {9_000, 9_001}
            savepoint.rollback()
        assert [e.id for e in notes.search(session, "parasol", mode=mode, limit=2, where=Note.id > 8_000).entities] == [
            9_000
        ]
        session.rollback()
        assert not notes.search(session, "parasol", mode=mode, where=Note.id > 8_000)
        with session.no_autoflush:
            session.add(parasol())
            assert not notes.search(session, "parasol", mode=mode, where=Note.id > 8_000)


def test_upsert_is_undone_with_the_rest(engine: Engine, notes: Repository[Note]) -> None:
    with Session(engine) as session:
        notes.upsert(session, [{"id": 9_000, "body": "parasol"}])
        assert notes.search(session, "parasol", mode="vector", limit=1)[0].score > 0.9
        assert session.execute(notes.nearest("parasol").limit(1)).one()[0].id == 9_000
        assert session.execute(notes.ranked("parasol").limit(1)).one()[0].id == 9_000
        session.rollback()
        assert session.get(Note, 9_000) is None


@pytest.mark.parametrize("name", SEARCHES)
def test_settings_of_the_application_hold_and_stay(
    engine: Engine, notes: Repository[Note], usual: list[Any], name: str
) -> None:
    query = "red coat" if name != "exact" else "red hat"
    with Session(engine) as session:
        before = None
        for local in ("", "SET LOCAL hnsw.ef_search = 200", "SET LOCAL hnsw.iterative_scan = 'strict_order'"):
            session.execute(text(local)) if local else session.execute(text("LOAD 'vector'"))
            before = settings(session)
            found = notes.search(session, query, **SEARCHES[name])
            assert found
            assert settings(session) == before
        if name in ("vector", "hybrid"):
            assert found.plan.strategy == "plain"
        session.commit()
        assert settings(session) == usual


def test_the_setting_of_the_application_is_obeyed(engine: Engine, notes: Repository[Note]) -> None:
    """What the index scan of a search sees, told by a function in its condition."""
    with Session(engine) as session:
        seen = case((Note.id >= 0, func.current_setting("hnsw.ef_search"))) == "200"
        session.execute(text("SET LOCAL hnsw.ef_search = 200"))
        options: dict[str, Any] = {"mode": "vector", "strategy": "iterative", "where": seen}
        assert len(notes.search(session, "red", **options)) == 10
        assert not notes.search(session, "red", ef_search=100, **options)
        assert len(session.execute(notes.nearest("red").where(seen).limit(3)).all()) == 3


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
def test_nothing_leaks_to_the_next_user_of_the_connection(
    engine: Engine, notes: Repository[Note], usual: list[Any], end: str
) -> None:
    calls: list[Callable[[Session], Any]] = [
        lambda session: session.execute(notes.nearest("red", ef_search=77).limit(3)).all(),
        lambda session: session.execute(notes.ranked("red", ef_search=77).limit(3)).all(),
        *(lambda session, o=options: notes.search(session, "red", **o) for options in SEARCHES.values()),
    ]
    for call in calls:
        with Session(engine) as session:
            assert call(session)
            getattr(session, end)()
        with engine.connect() as connection:
            connection.execute(text("LOAD 'vector'"))
            assert settings(connection) == usual
            driver: Any = connection.connection.driver_connection
            assert driver.prepare_threshold == 5


def test_a_transaction_that_only_reads(engine: Engine, notes: Repository[Note]) -> None:
    with Session(engine) as session:
        session.execute(text("SET TRANSACTION READ ONLY"))
        for options in SEARCHES.values():
            assert notes.search(session, "red", **options)
        assert session.execute(notes.nearest("red").limit(3)).all()
        assert session.execute(notes.ranked("red").limit(3)).all()


def test_isolation_levels(engine: Engine, notes: Repository[Note]) -> None:
    for level in ("AUTOCOMMIT", "SERIALIZABLE", "REPEATABLE READ"):
        with Session(engine.execution_options(isolation_level=level)) as session:
            for options in SEARCHES.values():
                assert notes.search(session, "red", **options)
            assert len(session.execute(notes.nearest("red").where(Note.id > 5).limit(3)).all()) == 3
            assert len(session.execute(notes.ranked("red").limit(3)).all()) == 3


def test_an_aborted_transaction(engine: Engine, notes: Repository[Note]) -> None:
    with Session(engine) as session:
        with pytest.raises(exc.DBAPIError):
            session.execute(text("SELECT 1 / 0"))
        with pytest.raises(errors.DatabaseError, match="roll it back") as caught:
            notes.search(session, "red")
        assert caught.value.sqlstate == "25P02"
        session.rollback()
        assert notes.search(session, "red")


def test_a_flush_that_failed(engine: Engine, notes: Repository[Note]) -> None:
    with Session(engine) as session:
        session.add_all([Note(id=9_000, body="same"), Note(id=9_001, body="same")])
        with pytest.raises(exc.IntegrityError):  # of the application's own rows
            notes.search(session, "red")
        session.rollback()
        session.add_all([Note(id=9_000, body="same"), Note(id=9_001, body="same")])
        with pytest.raises(exc.IntegrityError):
            session.flush()
        with pytest.raises(errors.DatabaseError, match=r"session.rollback\(\)"):
            notes.search(session, "red")
        session.rollback()
        with contextlib.suppress(exc.IntegrityError), session.begin_nested():
            session.add_all([Note(id=9_000, body="same"), Note(id=9_001, body="same")])
            session.flush()
        assert notes.search(session, "red")


def test_a_search_that_failed_leaves_a_session_that_can_be_rolled_back(engine: Engine, notes: Repository[Note]) -> None:
    with Session(engine) as session:
        with pytest.raises(errors.DatabaseError):
            notes.search(session, "red", where=text("1 / 0 = 1"), exact=True)
        session.rollback()
        assert notes.search(session, "red")
        with session.begin_nested() as savepoint:
            with pytest.raises(errors.DatabaseError):
                notes.search(session, "red", where=text("1 / 0 = 1"), exact=True)
            savepoint.rollback()
        assert notes.search(session, "red")
        session.execute(text("SET LOCAL statement_timeout = '30ms'"))
        with pytest.raises(errors.QueryTimeout):
            notes.search(session, "red", where=text("pg_sleep(1) IS NOT NULL"), exact=True)


def test_sessions_of_every_kind(engine: Engine, databases: Databases, notes: Repository[Note]) -> None:
    with engine.connect() as connection, Session(connection) as session:
        assert notes.search(session, "red")
    with sessionmaker(engine).begin() as session:
        assert notes.search(session, "red")
    scoped = scoped_session(sessionmaker(engine))
    assert notes.search(scoped, "red")
    assert notes.upsert(scoped, [{"id": 0, "body": "parasol"}]).updated == 1
    scoped.remove()
    url = databases.create()
    other = plain_engine(url)
    OtherBase.metadata.create_all(other, tables=[Image.__table__])  # type: ignore[list-item]
    images = Repository(Image, HashedEmbedder(), column="caption_embedding")
    with Session(binds={Note: engine, OtherBase: other}) as session:
        images.upsert(session, [Image(caption="red hat", pixels=None)])
        assert len(images.search(session, "red hat")) == 1
        assert len(notes.search(session, "red hat")) == 10
        assert len(session.execute(images.nearest("red hat")).all()) == 1
    other.dispose()
    databases.drop(url)


def test_two_databases_with_one_repository(databases: Databases, engine: Engine, notes: Repository[Note]) -> None:
    url = databases.create()
    other = plain_engine(url)
    Base.metadata.create_all(other)
    with Session(other) as session:
        session.execute(text("DROP INDEX ix_notes_embedding"))
        session.commit()
    for _ in range(2):
        with Session(engine) as first, Session(other) as second:
            assert notes.search(first, "red", mode="vector").plan.strategy == "plain"
            assert notes.search(second, "red", mode="vector").plan.strategy == "exact"
    other.dispose()
    databases.drop(url)


def test_another_driver(notes: Repository[Note]) -> None:
    class Driver:
        """As much of psycopg2 as SQLAlchemy asks of it before a statement is sent."""

        paramstyle, __version__, apilevel = "pyformat", "2.9.9 (dt)", "2.0"
        Error = ProgrammingError = OperationalError = InterfaceError = Exception

        def connect(self, *_: Any, **__: Any) -> Any:
            return Connected()

    class Connected:
        autocommit = False

        def __getattr__(self, name: str) -> Any:
            return lambda *_, **__: None

    engine = create_engine("postgresql+psycopg2://x@localhost/x", module=Driver(), _initialize=False)
    with Session(engine) as session, pytest.raises(errors.ConfigurationError, match="psycopg2"):
        notes.search(session, "red")
    with Session(create_engine("sqlite://")) as session, pytest.raises(errors.ConfigurationError, match="sqlite"):
        notes.search(session, "red")


def test_no_session_at_all(notes: Repository[Note], engine: Engine) -> None:
    for wrong in (engine, None, "red", Session):
        with pytest.raises(errors.InvalidInput, match="Session or an AsyncSession"):
            notes.search(wrong, "red")  # type: ignore[call-overload]


def test_methods_are_seen_on_the_class() -> None:
    assert Repository.search.__doc__ is not None
    assert "Find the entities" in Repository.search.__doc__
