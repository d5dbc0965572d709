"""The example application: its history on a table that is written to all the time, its backfill, its searches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from numpy.typing import NDArray
from sqlalchemy import Engine, create_engine, func, insert, inspect, make_url, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, sessionmaker, undefer

from examples.catalogue.__main__ import fill, migrations, prepare, search
from examples.catalogue.app import Catalogue
from examples.catalogue.backfill import backfill
from examples.catalogue.models import Base, Product
from tests.conftest import Databases
from tests.support import HashedEmbedder, hashed_words
from vectordb import FunctionEmbedder, SentenceTransformerEmbedder

PRODUCTS = Base.metadata.tables["products"]
# What a writer waits for at most; it fails then.
PATIENCE = "3s"


def open_engine(url: str, **options: Any) -> Engine:
    return create_engine(make_url(url).set(drivername="postgresql+psycopg"), **options)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, connect_args={"options": f"-c lock_timeout={PATIENCE}"})
    yield engine
    engine.dispose()


@pytest.fixture
def config(engine: Engine) -> Config:
    return migrations(engine)


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(HashedEmbedder(384))


def row(number: int) -> dict[str, Any]:
    body = f"made while others migrate, {number % 7} of {number}"
    return {"title": f"Thing {number}", "body": body, "price": 1, "in_stock": True, "category_id": 1, "supplier_id": 1}


def fill_more(engine: Engine, count: int) -> None:
    with engine.begin() as connection:
        fill(connection)
        connection.execute(insert(PRODUCTS), [row(number) for number in range(count)])


class Writer(threading.Thread):
    """Writes until it is told to stop."""

    def __init__(self, engine: Engine, write: Callable[[int], None]) -> None:
        super().__init__()
        self.engine, self.write = engine, write
        self.stopped = threading.Event()
        self.written = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.stopped.wait(0.002):
                self.write(self.written)
                self.written += 1
        except Exception as error:
            self.error = error


@contextmanager
def writing(engine: Engine, write: Callable[[int], None]) -> Iterator[Writer]:
    """Have others write meanwhile, some rows before and some after too, and fail if one of them did."""
    writer = Writer(engine, write)
    writer.start()
    _wait_for_more(writer)
    try:
        yield writer
        _wait_for_more(writer)
    finally:
        writer.stopped.set()
        writer.join()
    if writer.error is not None:
        raise writer.error


def _wait_for_more(writer: Writer) -> None:
    enough = writer.written + 3
    while writer.written < enough and writer.is_alive():
        writer.join(0.005)


def old_application(engine: Engine) -> Callable[[int], None]:
    """Return what writes without knowing of embeddings."""

    def write(number: int) -> None:
        with engine.begin() as connection:
            connection.execute(insert(PRODUCTS), [row(10_000 + number)])
            changed = update(PRODUCTS).where(PRODUCTS.c.id == 1 + number % 300)
            connection.execute(changed.values(body=f"changed by the old application {number}"))

    return write


def new_application(sessions: sessionmaker[Session]) -> Callable[[int], None]:
    """Return what writes through sessions that embed."""

    def write(number: int) -> None:
        with sessions.begin() as session:
            session.add(Product(**row(20_000 + number)))
            product = session.get_one(Product, 1 + number % 300)
            product.body = f"changed by the new application {number}"

    return write


def expected(product: Product) -> NDArray[np.float32]:
    vector: NDArray[np.float32] = hashed_words([f"{product.title}\n\n{product.body}"], 384)[0]
    return vector


def wrong_vectors(engine: Engine) -> list[str]:
    with Session(engine) as session:
        products = session.scalars(select(Product).options(undefer(Product.embedding))).all()
        return [
            product.title
            for product in products
            if product.embedding is None or not np.allclose(product.embedding, expected(product), atol=1e-6)
        ]


def test_the_table_stays_writable_while_it_becomes_searchable(
    engine: Engine, config: Config, catalogue: Catalogue
) -> None:
    command.upgrade(config, "0001")
    fill_more(engine, 300)
    sessions = catalogue.sessions(engine)
    with writing(engine, old_application(engine)):
        command.upgrade(config, "0002")
    with writing(engine, new_application(sessions)):
        while backfill(sessions, catalogue.products, batch_size=32):
            pass
        command.upgrade(config, "0003")
    while backfill(sessions, catalogue.products):  # rows that were locked just then
        pass
    assert wrong_vectors(engine) == []
    command.check(config)  # autogenerate has nothing to do


def test_the_index_is_built_concurrently(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    command.upgrade(config, "0002:0003", sql=True)
    assert 'CREATE INDEX CONCURRENTLY "products_embedding_idx"' in capsys.readouterr().out


class _Interrupted(BaseException):
    """As a signal raises it."""


def test_the_backfill_goes_on_where_it_was_interrupted(engine: Engine, config: Config) -> None:
    command.upgrade(config, "0001")
    fill_more(engine, 60)
    command.upgrade(config, "0002")
    calls = 0

    def embed(texts: list[str]) -> NDArray[np.float32]:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise _Interrupted
        return hashed_words(texts, 384)

    catalogue = Catalogue(FunctionEmbedder(embed, dimensions=384, name="hashed words"))
    sessions = sessionmaker(engine)
    with pytest.raises(_Interrupted):
        backfill(sessions, catalogue.products, batch_size=20)
    with Session(engine) as session:
        assert session.scalar(select(func.count(Product.embedding))) == 60
    assert backfill(sessions, catalogue.products, batch_size=20) == 40
    assert backfill(sessions, catalogue.products) == 0
    assert wrong_vectors(engine) == []


def test_the_backfill_finds_texts_that_were_changed_past_the_application(
    engine: Engine, config: Config, catalogue: Catalogue
) -> None:
    command.upgrade(config, "head")
    fill_more(engine, 10)
    sessions = sessionmaker(engine)
    assert backfill(sessions, catalogue.products) == 50
    with engine.begin() as connection:
        connection.execute(update(PRODUCTS).where(PRODUCTS.c.id <= 3).values(body="changed by hand"))
    assert backfill(sessions, catalogue.products) == 0
    assert len(wrong_vectors(engine)) == 3
    assert backfill(sessions, catalogue.products, everything=True) == 3
    assert wrong_vectors(engine) == []


def test_several_backfills_share_the_work(engine: Engine, config: Config, catalogue: Catalogue) -> None:
    command.upgrade(config, "head")
    fill_more(engine, 200)
    sessions = sessionmaker(engine)
    done: list[int] = []
    threads = [
        threading.Thread(target=lambda: done.append(backfill(sessions, catalogue.products, batch_size=8)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == 240
    assert wrong_vectors(engine) == []


def test_down_and_up_again(engine: Engine, config: Config, catalogue: Catalogue) -> None:
    prepare(engine, catalogue)
    command.downgrade(config, "0001")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM products")) == 40
        assert connection.scalar(text("SELECT count(*) FROM pg_extension WHERE extname = 'vector'")) == 0
    prepare(engine, catalogue)
    assert wrong_vectors(engine) == []
    command.check(config)
    command.downgrade(config, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    command.upgrade(config, "head")
    command.check(config)


@pytest.fixture(scope="module")
def filled(databases: Databases, model: SentenceTransformerEmbedder) -> Iterator[Engine]:
    """A catalogue with the embeddings of the real model."""
    url = databases.create()
    engine = open_engine(url)
    prepare(engine, Catalogue(model))
    yield engine
    engine.dispose()
    databases.drop(url)


@pytest.fixture
def real(model: SentenceTransformerEmbedder) -> Catalogue:
    return Catalogue(model)


@pytest.fixture
def session(filled: Engine, real: Catalogue) -> Iterator[Session]:
    """A session of which nothing stays."""
    with filled.connect() as connection:
        transaction = connection.begin()
        with real.sessions(filled)(bind=connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


def test_the_questions_of_the_program_have_answers(
    filled: Engine, real: Catalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    search(filled, real)
    printed = capsys.readouterr().out
    assert "Espresso maker for camping, Outdoors, 29.00" in printed
    assert "Battery 36 V, 4 Ah: by meaning no. 1, by words no. 1" in printed
    assert "Like the Santoku knife HK-180:\n  Whetstone 1000/6000\n" in printed
    assert "Kitchen: 3, from 42.50" in printed


def test_conditions_hold(session: Session, real: Catalogue) -> None:
    found = real.find(session, "warm clothes for winter", country="SE", below=300, limit=40)
    assert found[0].entity.title in ("Down jacket", "Merino base layer")
    for hit in found:
        assert hit.entity.supplier.country == "SE"
        assert hit.entity.price < 300
        assert hit.entity.in_stock
    assert len(found) == 5
    kitchen = real.find(session, "a tool to cut wood", category="Kitchen", limit=40)
    assert {hit.entity.category.name for hit in kitchen} == {"Kitchen"}
    assert len(kitchen) == 7  # of eight, one is sold out


def test_pages_follow_each_other(session: Session, real: Catalogue) -> None:
    whole = real.find(session, "something for the garden", limit=12).entities
    pages = [real.find(session, "something for the garden", limit=4, page=page).entities for page in (1, 2, 3)]
    assert [product for page in pages for product in page] == whole


def test_what_is_added_and_edited_is_found(session: Session, real: Catalogue) -> None:
    lamp = {**row(1), "id": 1_000, "title": "Head torch", "body": "A light for the forehead, 400 lumens."}
    assert real.add(session, [lamp]).inserted == 1
    assert real.add(session, [lamp]).unchanged == 1
    (hit,) = real.find(session, "light to wear on the head", limit=1)
    assert hit.entity.title == "Head torch"
    hit.entity.title, hit.entity.body = "Kite", "Flies on a line of 30 metres when there is wind."
    (hit,) = real.find(session, "something that flies, held by a string", limit=1)
    assert hit.entity.id == 1_000


def test_an_async_session_finds_the_same(filled: Engine, real: Catalogue) -> None:
    question: dict[str, Any] = {"category": "Outdoors", "country": "SE", "below": 400, "limit": 4}

    async def find() -> list[str]:
        engine = create_async_engine(filled.url)
        async with AsyncSession(engine) as session:
            found = await real.find_async(session, "shelter from a storm", **question)
            titles = [hit.entity.title for hit in found]
        await engine.dispose()
        return titles

    with Session(filled) as session:
        same = real.find(session, "shelter from a storm", **question)
        assert asyncio.run(find()) == [hit.entity.title for hit in same]
        assert same[0].entity.title in ("Rain shell", "Tent for two")
