"""The address of a server, and whether it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from vectordb.errors import ServerError

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.pq import Ping

# Both the role, which is a superuser, and the database.
NAME = "vectordb"


@dataclass(frozen=True)
class Endpoint:
    """How to connect to a server."""

    socket_folder: Path
    port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        """For SQLAlchemy; holds the password."""
        return self._url("postgresql+psycopg", quote(self.password, safe=""))

    @property
    def libpq_url(self) -> str:
        """For psycopg and psql; holds the password."""
        return self._url("postgresql", quote(self.password, safe=""))

    @property
    def public_url(self) -> str:
        """The URL for SQLAlchemy with the password masked."""
        return self._url("postgresql+psycopg", "***")

    def answers(self) -> bool:
        """Tell whether the server accepts our connections; by knowing the password too, it proves that it is ours.

        Raises:
            ServerError: It accepts connections, but not ours.
        """
        import psycopg
        from psycopg.pq import Ping

        if self.ping() != Ping.OK:
            return False
        try:
            self.connect().close()
        except psycopg.OperationalError as error:
            if self.ping() != Ping.OK:  # it went down between the two
                return False
            raise ServerError(f"The embedded server refuses us: {error}") from None
        return True

    def ping(self) -> Ping:
        """Ask whether the server accepts connections (OK), is starting or stopping (REJECT), or is silent."""
        from psycopg.conninfo import make_conninfo
        from psycopg.pq import PGconn, Ping

        return Ping(PGconn.ping(make_conninfo(**self._parameters()).encode()))

    def connect(self) -> Connection[tuple[Any, ...]]:
        """Open a connection."""
        import psycopg

        return psycopg.connect(**self._parameters(), password=self.password, autocommit=True)

    def server_version(self) -> str | None:
        """Ask the server for its version, such as "18.6"; None if it does not answer."""
        import psycopg

        try:
            with self.connect() as connection:
                return connection.info.parameter_status("server_version")
        except psycopg.OperationalError:
            return None

    def _parameters(self) -> dict[str, Any]:
        return {
            "host": str(self.socket_folder),
            "port": self.port,
            "user": NAME,
            "dbname": NAME,
            "connect_timeout": 5,
            # Whatever PGSSLMODE and PGCHANNELBINDING may ask of other servers; a socket has neither.
            "sslmode": "disable",
            "channel_binding": "disable",
            "gssencmode": "disable",
        }

    def _url(self, scheme: str, password: str) -> str:
        return f"{scheme}://{NAME}:{password}@/{NAME}?host={quote(str(self.socket_folder))}&port={self.port}"
