"""A database with the tables of all models, made by `create_all`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.orm import Session

from tests.conftest import Databases
from tests.orm.models import BASES

Statements = Callable[[], contextlib.AbstractContextManager[list[str]]]


@pytest.fixture(scope="session")
def orm_url(databases: Databases) -> Iterator[str]:
    """URL of a database that the library never migrated, with the tables of all models."""
    url = databases.create()
    engine = plain_engine(url)
    with engine.begin() as connection:
        connection.execute(text('CREATE SCHEMA "Shop"'))
        for base in BASES:
            base.metadata.create_all(connection)
    engine.dispose()
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def engine(orm_url: str) -> Iterator[Engine]:
    """The application's own engine."""
    engine = plain_engine(orm_url)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session of which nothing stays."""
    with engine.connect() as connection:
        transaction = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


@pytest.fixture
def statements(engine: Engine) -> Statements:
    """What collects the SQL that is sent."""

    @contextlib.contextmanager
    def collect() -> Iterator[list[str]]:
        sent: list[str] = []

        def note(*arguments: object) -> None:
            sent.append(str(arguments[2]))

        event.listen(engine, "before_cursor_execute", note)
        yield sent
        event.remove(engine, "before_cursor_execute", note)

    return collect


def plain_engine(url: str) -> Engine:
    """Open an engine as an application does."""
    return create_engine(make_url(url).set(drivername="postgresql+psycopg"))
