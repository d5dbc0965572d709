"""`embed_on_flush`: instances get their vectors when the session writes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import Engine, create_engine, make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from tests.conftest import Databases
from tests.support import HashedEmbedder, hashed_words
from vectordb import errors
from vectordb.orm import embedding_column
from vectordb.orm.events import embed_on_flush
from vectordb.orm.repository import Repository


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str | None]
    stars: Mapped[int] = mapped_column(default=0)
    embedding = embedding_column(16, source="body", index=None)
    other = embedding_column(16, source=lambda note: f"stars {note.stars}", index=None)


def _hash(note: Note) -> bytes | None:
    hash: bytes | None = getattr(note, "embedding_hash")  # noqa: B009 - mapped when the class is
    return hash


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    url = databases.create()
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    Base.metadata.create_all(engine)
    engine.dispose()
    yield url
    databases.drop(url)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    yield engine
    engine.dispose()


@pytest.fixture
def repository(embedder: HashedEmbedder) -> Repository[Note]:
    return Repository(Note, embedder, column="embedding")


def test_new_and_changed_instances_are_embedded_in_one_batch(
    engine: Engine, embedder: HashedEmbedder, repository: Repository[Note]
) -> None:
    with Session(engine) as session:
        embed_on_flush(session, repository)
        notes = [Note(body=body) for body in ("a", "b", "a", " ", None)]
        session.add_all(notes)
        session.flush()
        assert embedder.seen == ["a", "b"]
        stored = session.scalars(select(Note.embedding).order_by(Note.id)).all()
        np.testing.assert_array_equal(np.stack(stored[:3]), hashed_words(["a", "b", "a"]))
        assert stored[3:] == [None, None]
        embedder.seen.clear()
        notes[0].stars = 5
        session.flush()
        assert not embedder.seen
        notes[1].body, notes[2].body = "c", ""
        session.flush()
        assert (embedder.seen, notes[2].embedding, _hash(notes[2])) == (["c"], None, None)
        # The hash is upsert's own, so that neither embeds what the other has embedded.
        assert repository.upsert(session, notes).unchanged == 5
        assert embedder.seen == ["c"]


def test_a_vector_that_is_set_stays(engine: Engine, embedder: HashedEmbedder, repository: Repository[Note]) -> None:
    vector = np.ones(16, dtype=np.float32)
    with Session(engine) as session:
        embed_on_flush(session, repository)
        note = Note(body="a", embedding=vector)
        session.add(note)
        session.flush()
        assert (embedder.seen, _hash(note)) == ([], None)
        note.stars = 1
        session.flush()
        np.testing.assert_array_equal(session.scalars(select(Note.embedding)).one(), vector)
        note.body = "b"
        session.flush()
        assert embedder.seen == ["b"]
        session.expire(note)
        np.testing.assert_array_equal(note.embedding, hashed_words(["b"])[0])


def test_of_a_sessionmaker_until_it_is_removed(engine: Engine, embedder: HashedEmbedder) -> None:
    make = sessionmaker(engine)
    handle = embed_on_flush(
        make, Repository(Note, embedder, column="embedding"), Repository(Note, embedder, column="other")
    )
    with make() as session:
        note = Note(body="a")
        session.add(note)
        session.flush()
        assert embedder.seen == ["a", "stars None"]
        note.stars = 3
        session.flush()
        assert embedder.seen[2:] == ["stars 3"]
    handle.remove()
    handle.remove()
    with make() as session:
        session.add(Note(body="z"))
        session.flush()
    with Session(engine) as session:
        session.add(Note(body="z"))
        session.flush()
    assert "z" not in embedder.seen


def test_of_async_sessions(url: str, embedder: HashedEmbedder, repository: Repository[Note]) -> None:
    async def run() -> None:
        engine = create_async_engine(make_url(url).set(drivername="postgresql+psycopg"))
        async with AsyncSession(engine) as session:
            handle = embed_on_flush(session, repository)
            note = Note(body="async")
            session.add(note)
            await session.flush()
            assert _hash(note) is not None
            handle.remove()
            result = await repository.upsert(session, [{"body": "by upsert"}, {"id": note.id, "stars": 2}])
            assert (result.inserted, result.updated) == (1, 1)
            many = await repository.upsert(session, [{"id": 1000 + i, "body": f"b{i}"} for i in range(100)])
            assert many.inserted == 100
            assert (await repository.upsert(session, [{"id": 1000 + i, "body": f"b{i}"} for i in range(100)])).unchanged
        await engine.dispose()

    asyncio.run(run())
    assert embedder.seen[:2] == ["async", "by upsert"]


def test_another_embedder_is_refused(engine: Engine, repository: Repository[Note]) -> None:
    with Session(engine) as session:
        repository.upsert(session, {"body": "a"})
        other = HashedEmbedder()
        other._name = "other words"
        embed_on_flush(session, Repository(Note, other, column="embedding"))
        session.add(Note(body="b"))
        with pytest.raises(errors.EmbedderMismatch, match="second embedding column"):
            session.flush()
        assert not other.seen


def test_what_cannot_be_heard_is_refused(repository: Repository[Note]) -> None:
    with pytest.raises(errors.ConfigurationError, match="sessionmaker"):
        embed_on_flush(object(), repository)
    with pytest.raises(errors.ConfigurationError, match="sync_session_class"):
        embed_on_flush(async_sessionmaker(), repository)
    own = sessionmaker().class_
    assert embed_on_flush(async_sessionmaker(sync_session_class=own), repository).target is own
    with pytest.raises(errors.InvalidInput, match="Repository"):
        embed_on_flush(Session)
