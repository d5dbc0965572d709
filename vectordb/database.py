"""The way to PostgreSQL: one engine, one pool, one way to retry.

SQLAlchemy's engine owns the only pool. The ORM and the registry use it as usual; the
store's own statements borrow a psycopg connection from the same pool, because a
statement that goes through SQLAlchemy costs half a millisecond more than it need.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import psycopg
import tenacity
from sqlalchemy import URL, Connection, Engine, PoolProxiedConnection, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from vectordb.errors import ConfigurationError, ConnectionFailed, TransactionConflict
from vectordb.server import EmbeddedServer
from vectordb.settings import Settings
from vectordb.translation import display_url, is_misread, raise_translated

T = TypeVar("T")
PsycopgConnection = psycopg.Connection[tuple[Any, ...]]

SCHEMA = "vectordb"

_CONNECT_TIMEOUT = 10
_ATTEMPTS = 5
_SECRET_OPTIONS = frozenset({"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"})


def open_engine(url: str | URL) -> Engine:
    """Return an engine for a PostgreSQL URL, without connecting.

    Args:
        url: `postgresql://user:password@host:port/database`; `postgres://` and
            `postgresql+psycopg://` are the same.

    Raises:
        ConfigurationError: Not such a URL. The message does not repeat it.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "the database URL cannot be read; it looks like postgresql://user:password@host:5432/database"
        ) from None
    if is_misread(parsed) or (isinstance(url, str) and url.count("@") > 1):
        raise ConfigurationError("the database URL has an @ too many; write one inside a password or an option as %40")
    if parsed.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ConfigurationError(f"vectordb works with postgresql:// URLs, not with {parsed.drivername}://")
    arguments: dict[str, Any] = {
        "connect_timeout": _CONNECT_TIMEOUT,
        "application_name": "vectordb",
        "keepalives_idle": 30,
    }
    # The repr of an engine shows its URL, and hides only the password in front of the @.
    secrets = _SECRET_OPTIONS & parsed.query.keys()
    arguments = {name: value for name, value in arguments.items() if name not in parsed.query}
    return create_engine(
        parsed.set(drivername="postgresql+psycopg").difference_update_query(secrets),
        connect_args=arguments | {name: parsed.query[name] for name in secrets},
        hide_parameters=True,
    )


def open_configured(
    settings: Settings, url: str | URL | None = None, *, path: str | Path | None = None
) -> tuple[Engine, bool]:
    """Return an engine for the database that is meant, and whether that is the embedded server.

    Args:
        settings: Asked where neither of the others is given.
        url: Of a database.
        path: Directory of the embedded server, which is started.

    Raises:
        ConfigurationError: The URL cannot be read, or both are given.
        MissingDependency: The extra `embedded` is needed and not installed.
        ServerError: The embedded server cannot be started.
    """
    if url is not None and path is not None:
        raise ConfigurationError("pass a url, or a path for the embedded server, not both")
    if url is None and path is None and settings.url is not None:
        url = settings.url.get_secret_value()
    if url is not None:
        return open_engine(url), False
    return open_engine(EmbeddedServer(path if path is not None else settings.path).start()), True


@contextmanager
def begin(engine: Engine) -> Iterator[Connection]:
    """Open a transaction on a connection that is alive; the end commits, an exception rolls back.

    Raises:
        ConnectionFailed: There is none, or the server refused.
    """
    with _connect(engine) as connection:
        yield connection
        connection.commit()


def _connect(engine: Engine) -> Connection:
    """Take a connection that is alive from the pool, with its transaction begun.

    Raises:
        ConnectionFailed: There is none, or the server refused.
    """
    try:
        try:
            return _begun(engine.connect())
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        # It was lost while nobody used it, and SQLAlchemy has dropped all others that are as old.
        return _begun(engine.connect())
    except (psycopg.Error, SQLAlchemyError) as error:
        raise_translated(error, engine.url, connecting=True)


def _begun(connection: Connection) -> Connection:
    try:
        if driver_connection(connection).autocommit:
            # The application's engine has no transactions, and nothing here is right without.
            connection.execution_options(isolation_level="READ COMMITTED")
        # psycopg takes a transaction that has sent nothing for none, and would commit its first savepoint.
        connection.exec_driver_sql("SELECT 1")
    except BaseException:
        connection.close()
        raise
    return connection


class Database:
    """Connections to one database, with typed errors and retries.

    Args:
        engine: Of the psycopg dialect; its pool is used, and left open by `close` if it is not `owned`.
        schema: Where the tables of vectordb are.
        owned: Whether `close` disposes of the engine.

    Raises:
        ConfigurationError: The engine uses another driver.
    """

    def __init__(self, engine: Engine, *, schema: str = SCHEMA, owned: bool = True) -> None:
        if engine.dialect.driver != "psycopg" or engine.dialect.is_async:
            raise ConfigurationError(
                "vectordb needs an engine of postgresql+psycopg://,"
                f" not of {engine.dialect.name}+{engine.dialect.driver}://"
            )
        # The models name the usual schema; the engine puts the actual one in its place.
        self.engine = engine if schema == SCHEMA else engine.execution_options(schema_translate_map={SCHEMA: schema})
        self.schema = schema
        self._owned = owned
        self._resting: deque[_Borrowed] = deque()
        self._transaction: ContextVar[Connection | None] = ContextVar("vectordb_transaction", default=None)

    @property
    def target(self) -> str:
        """Where this leads, without user and password."""
        return display_url(self.engine.url)

    def close(self) -> None:
        """Close the pool, if it is ours."""
        while self._resting:
            borrowed = self._resting.pop()
            borrowed.connection.close()
            borrowed.give_back()
        if self._owned:
            self.engine.dispose()

    def run(self, work: Callable[[PsycopgConnection], T]) -> T:
        """Call `work` with a connection in autocommit mode, or with that of the open transaction.

        `work` must be safe to repeat: after a deadlock or a lost connection it runs again,
        at most 5 times, with growing pauses. Inside a transaction nothing is repeated.

        Raises:
            DatabaseError: Or the subclass that fits.
        """
        current = self._transaction.get()
        if current is not None:
            try:
                return work(driver_connection(current))
            except psycopg.Error as error:
                raise_translated(error, self.engine.url)
        try:
            return self._attempt(work)
        except (ConnectionFailed, TransactionConflict) as error:
            if error.facts.get("connecting"):
                raise
        retry = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS - 1),
            wait=tenacity.wait_random_exponential(multiplier=0.05, max=1),
            retry=tenacity.retry_if_exception_type((ConnectionFailed, TransactionConflict)),
            reraise=True,
        )
        result: T = retry(self._attempt, work, check=True)
        return result

    def _attempt(self, work: Callable[[PsycopgConnection], T], *, check: bool = False) -> T:
        """Call `work` once; `check` first rids the pool of connections that were lost together with one."""
        if check:
            _connect(self.engine).close()
        borrowed = self._borrow()
        try:
            result = work(borrowed.connection)
        except BaseException as error:
            borrowed.give_back()
            if isinstance(error, psycopg.Error):
                raise_translated(error, self.engine.url, lost=borrowed.connection.closed)
            raise
        # The connection used last stays at hand: a way through the pool and back takes as long as a tenth of a search.
        # An engine of the application's own gets it back at once, as its pool may have no other.
        if self._owned and not self._resting:
            self._resting.append(borrowed)
        else:
            borrowed.give_back()
        return result

    def _borrow(self) -> _Borrowed:
        """Return a connection in autocommit mode."""
        try:
            return self._resting.pop()
        except IndexError:
            pass
        try:
            pooled = self.engine.raw_connection()
        except (psycopg.Error, SQLAlchemyError) as error:
            raise_translated(error, self.engine.url, connecting=True)
        connection: PsycopgConnection = pooled.driver_connection  # type: ignore[assignment] # psycopg dialect, see __init__
        borrowed = _Borrowed(pooled, connection, connection.autocommit)
        connection.autocommit = True
        return borrowed

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a transaction, or join the one that `transaction` opened.

        Yields:
            A SQLAlchemy connection; the block's end commits, an exception rolls back.

        Raises:
            DatabaseError: Or the subclass that fits.
        """
        current = self._transaction.get()
        try:
            if current is not None:
                with current.begin_nested():
                    yield current
            else:
                with begin(self.engine) as connection:
                    yield connection
        except (psycopg.Error, DBAPIError) as error:
            raise_translated(error, self.engine.url)

    @contextmanager
    def reading(self) -> Iterator[PsycopgConnection]:
        """Open a transaction for something that is read bit by bit, or use the one that `transaction` opened.

        Raises:
            DatabaseError: Or the subclass that fits.
        """
        current = self._transaction.get()
        try:
            if current is not None:
                yield driver_connection(current)
            else:
                with begin(self.engine) as connection:
                    yield driver_connection(connection)
        except (psycopg.Error, DBAPIError) as error:
            raise_translated(error, self.engine.url)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction that every call of `run` and `begin` in this context joins."""
        if self._transaction.get() is not None:
            raise ConfigurationError("a transaction is open already; use that one, or connection.begin_nested()")
        with self.begin() as connection:
            token = self._transaction.set(connection)
            try:
                yield connection
            finally:
                self._transaction.reset(token)


class _Borrowed(NamedTuple):
    """A connection from the pool, and the mode in which the pool expects it back."""

    pooled: PoolProxiedConnection
    connection: PsycopgConnection
    autocommit: bool

    def give_back(self) -> None:
        """Leave the connection as the pool expects it; a broken one is closed for good."""
        if self.connection.broken:
            self.connection.close()
        if not self.connection.closed:
            try:
                self.connection.rollback()
                self.connection.autocommit = self.autocommit
            except psycopg.Error:
                self.connection.close()
        if self.connection.closed:
            self.pooled.invalidate()
        self.pooled.close()


def driver_connection(connection: Connection) -> PsycopgConnection:
    """Return the psycopg connection beneath SQLAlchemy's."""
    return connection.connection.driver_connection  # type: ignore[return-value] # psycopg dialect, see Database
