"""The application's sessions: one code for `Session` and `AsyncSession`.

SQLAlchemy runs synchronous code over an asynchronous driver in a greenlet; `await_only` waits in there
without blocking the event loop. Whatever is not SQLAlchemy's own, the driver and the model, comes through here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.orm import Mapper, Session, scoped_session
from sqlalchemy.util import await_only

from vectordb.database import PsycopgConnection
from vectordb.embedders import Embedder
from vectordb.embedders.base import InputType
from vectordb.errors import ConfigurationError, DatabaseError, InvalidInput, SchemaError
from vectordb.translation import display_url, raise_translated, sqlstate

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session

_MISSING = ("42P01", "42703")

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


class _BoundMethod(Generic[P, R]):
    """A method of which the first argument is a session of either kind."""

    def __init__(self, function: Callable[Concatenate[Session, P], R]) -> None:
        self._function = function
        update_wrapper(self, function)

    @overload
    def __call__(self, session: Session | scoped_session[Any], /, *args: P.args, **options: P.kwargs) -> R: ...
    @overload
    def __call__(
        self, session: AsyncSession | async_scoped_session[Any], /, *args: P.args, **options: P.kwargs
    ) -> Awaitable[R]: ...
    def __call__(self, session: Any, /, *args: P.args, **options: P.kwargs) -> R | Awaitable[R]:
        if hasattr(session, "registry"):
            session = session()  # scoped
        if isinstance(session, Session):
            return self._function(session, *args, **options)
        if hasattr(session, "run_sync"):
            return cast("Awaitable[R]", session.run_sync(self._function, *args, **options))
        raise InvalidInput(f"pass a Session or an AsyncSession of SQLAlchemy first, not {type(session).__name__}")


class either_session(Generic[S, P, R]):  # noqa: N801 - a decorator
    """Let a method that takes a `Session` take an `AsyncSession` as well, and return an awaitable then."""

    def __init__(self, method: Callable[Concatenate[S, Session, P], R]) -> None:
        self._method = method
        update_wrapper(self, method)  # type: ignore[arg-type] # as functools has it for classes

    @overload
    def __get__(self, instance: None, owner: type[S]) -> either_session[S, P, R]: ...
    @overload
    def __get__(self, instance: S, owner: type[S] | None = None) -> _BoundMethod[P, R]: ...
    def __get__(self, instance: S | None, owner: type[S] | None = None) -> Any:
        if instance is None:
            return self
        return _BoundMethod(self._method.__get__(instance))


class _AwaitedCursor:
    """What an asynchronous statement returned, read synchronously."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def fetchone(self) -> Any:
        return await_only(self._cursor.fetchone())

    def fetchall(self) -> Any:
        return await_only(self._cursor.fetchall())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())


class _AwaitedConnection:
    """As much of psycopg's `Connection` as our statements need, over an `AsyncConnection`."""

    autocommit = False

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, *args: Any, **options: Any) -> _AwaitedCursor:
        return _AwaitedCursor(await_only(self._connection.execute(*args, **options)))


def connected(session: Session, mapper: Mapper[Any], *, flush: bool = False) -> Connection:
    """Return the connection of a session's transaction.

    Args:
        session: Of the application.
        mapper: Of the model, by which a session of several databases chooses one.
        flush: Whether all that is pending is written first, unless the session is without autoflush. What the
            application's own rows violate comes as SQLAlchemy raises it.

    Raises:
        DatabaseError: The transaction has failed and was not rolled back, or there is no connection.
    """
    try:
        if flush and session.autoflush:
            session.flush()
        return session.connection(bind_arguments={"mapper": mapper})
    except PendingRollbackError:
        raise DatabaseError(
            "the session's transaction has failed; call session.rollback() first, then try again", sqlstate="25P02"
        ) from None


def driver(connection: Connection) -> PsycopgConnection:
    """Return what runs statements of ours in the transaction of a session's connection.

    Raises:
        ConfigurationError: The session uses another driver.
    """
    dialect = connection.dialect
    if dialect.driver not in ("psycopg", "psycopg_async"):
        raise ConfigurationError(
            f"vectordb needs a session over postgresql+psycopg://, not over {dialect.name}+{dialect.driver}://"
        )
    beneath: Any = connection.connection.driver_connection
    if dialect.is_async:
        return cast("PsycopgConnection", _AwaitedConnection(beneath))
    return cast("PsycopgConnection", beneath)


@contextmanager
def unprepared(connection: Connection) -> Iterator[None]:
    """Keep the driver from preparing statements meanwhile, so that PostgreSQL plans each for its values."""
    beneath: Any = connection.connection.driver_connection
    before = beneath.prepare_threshold
    beneath.prepare_threshold = None
    try:
        yield
    finally:
        beneath.prepare_threshold = before


@contextmanager
def translated(connection: Connection) -> Iterator[None]:
    """Raise the errors of PostgreSQL as ours."""
    try:
        yield
    except (psycopg.Error, DBAPIError) as error:
        if (state := sqlstate(error)) in _MISSING:
            raise SchemaError(
                f"a table or column of your application is missing ({display_url(connection.engine.url)}, SQLSTATE "
                f"{state}); run its migrations",
                sqlstate=state,
            ) from None
        raise_translated(error, connection.engine.url)


def embed(embedder: Embedder, texts: Sequence[str], input_type: InputType) -> NDArray[np.float32]:
    """Return the vectors of texts; under an `AsyncSession` in a thread, so that the event loop goes on.

    Returns:
        Shape (len(texts), dimensions), float32.
    """
    return aside(lambda: embedder.embed(texts, input_type=input_type))


def aside(work: Callable[[], R]) -> R:
    """Do what takes its time; under an `AsyncSession` in a thread, so that the event loop goes on."""
    greenlet: Any = sys.modules.get("greenlet")
    if greenlet is not None and hasattr(greenlet.getcurrent(), "__sqlalchemy_greenlet_provider__"):
        return await_only(asyncio.to_thread(work))
    return work()
