"""Starting, joining and stopping the embedded server."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vectordb.errors import ServerError
from vectordb.server import configuration, tuning
from vectordb.server.account import Account, server_account
from vectordb.server.binaries import find_binaries
from vectordb.server.cluster import check_cluster, create_cluster, major_version
from vectordb.server.directory import (
    Layout,
    claim_layout,
    find_layout,
    lock_file,
    make_folder,
    make_socket_folder,
    write_file,
)
from vectordb.server.endpoint import Endpoint
from vectordb.server.extras import require
from vectordb.server.liveness import is_held, try_hold
from vectordb.server.postmaster import (
    Postmaster,
    clear_remains,
    end_servers_of_removed_data,
    find_process,
    find_processes,
    is_starting,
    launch,
    log_tail,
    ready_endpoint,
    send_signal,
)

_POLL = 0.02  # seconds
_NO_LOCKS = "its file system has no file locks: choose a path on a local disk"
_FULL = "the disk is full: make room"
_DENIED = "make it writable for this user, or choose another path"
_WAYS_OUT = {
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: _DENIED,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.ENOLCK: _NO_LOCKS,
    errno.ENOSYS: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
}


@dataclass(frozen=True)
class ServerStatus:
    """What is known of an embedded server.

    Attributes:
        path: The folder that was asked for.
        running: Whether PostgreSQL's main process is alive.
        data_directory: PostgreSQL's own folder; it need not exist yet.
        state: "stopped", "starting", "ready" or "stopping".
        pid: Number of the main process.
        version: Of the server that runs, such as "18.6"; else of the data directory, such as "18".
        url: For SQLAlchemy, with the password masked.
        socket_folder: Where the socket is.
        port: The number in the socket's name; nothing listens on TCP.
        log: The newest log file.
        started_at: When the main process was started, in UTC.
    """

    path: Path
    running: bool
    data_directory: Path
    state: str = "stopped"
    pid: int | None = None
    version: str | None = None
    url: str | None = None
    socket_folder: Path | None = None
    port: int | None = None
    log: Path | None = None
    started_at: datetime | None = None


class EmbeddedServer:
    """A PostgreSQL of our own, with its data in one folder; constructing it does nothing.

    Any number of objects, in any number of processes and threads, may stand for the same server.

    Args:
        path: The folder; created by the first `start`. A relative path means the current directory of now.
    """

    def __init__(self, path: str | Path = ".vectordb") -> None:
        self.path = Path(path).expanduser().absolute()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def start(self, *, timeout: float = 60) -> str:
        """Make sure that the server runs and accepts connections, and return its URL.

        Initialises the folder if it is new, starts the server if it does not run, and recovers it if it crashed.

        Args:
            timeout: Seconds to wait; recovery from a crash may take longer, and is waited for.

        Returns:
            A URL for SQLAlchemy, with the password.

        Raises:
            MissingDependency: The extra `embedded` is not installed.
            ServerError: The server cannot run here; the message says why, and what to do.
        """
        with self._explaining_errors():
            endpoint = self._join() or self._start(timeout)
            return endpoint.url

    def stop(self, *, timeout: float = 60) -> bool:
        """Stop the server: roll back what is not committed, disconnect every client, write everything to disk.

        Args:
            timeout: Seconds to wait for all of its processes to end.

        Returns:
            False if it was not running.

        Raises:
            ServerError: It does not stop, or it is another user's.
        """
        with self._explaining_errors():
            layout = find_layout(self.path)
            if layout is None or not is_held(layout.alive):
                return False
            with self._locked(timeout):
                return _stop(layout, timeout)

    def status(self) -> ServerStatus:
        """Look at the server without changing anything."""
        with self._explaining_errors():
            layout = find_layout(self.path)
            if layout is None:
                return ServerStatus(self.path, running=False, data_directory=self.path / "data")
            return _status(self.path, layout)

    @property
    def url(self) -> str:
        """The URL of the running server for SQLAlchemy, with the password.

        Raises:
            ServerError: The server does not run.
        """
        return self._running().url

    @property
    def libpq_url(self) -> str:
        """The same for psql, psycopg and other clients of libpq."""
        return self._running().libpq_url

    def _running(self) -> Endpoint:
        with self._explaining_errors():
            if (endpoint := self._join()) is None:
                raise ServerError(
                    f"No server runs for {self.path}: call start(), or run `vectordb server start --path {self.path}`."
                )
            return endpoint

    def _join(self) -> Endpoint | None:
        """Find a server that is ready; this is on the way of every connection, so it takes no lock."""
        layout = find_layout(self.path)
        if layout is None or not is_held(layout.alive):
            return None
        return ready_endpoint(layout)

    def _start(self, timeout: float) -> Endpoint:
        account = server_account()
        make_folder(self.path, account)
        with self._locked(timeout):
            layout = claim_layout(self.path, account)
            patience = _Patience(timeout)
            while (guard := try_hold(layout.alive)) is None:
                # Another process was faster, or a server that crashed has left something behind.
                if (endpoint := ready_endpoint(layout)) is not None:
                    return endpoint
                if not patience.lasts(progress=is_starting(layout)):
                    raise ServerError(_unreachable(layout))
            try:
                _launch(layout, account, guard)
            finally:
                os.close(guard)
            return _wait_until_ready(layout, timeout)

    @contextmanager
    def _locked(self, timeout: float) -> Iterator[None]:
        filelock = require("filelock")
        lock = filelock.FileLock(lock_file(self.path), mode=0o600)
        patience = _Patience(timeout)
        while True:
            try:
                lock.acquire(timeout=1)
                break
            except filelock.Timeout:
                layout = find_layout(self.path)
                if not patience.lasts(progress=layout is not None and is_starting(layout)):
                    message = f"Another process is starting or stopping the server of {self.path} and does not finish."
                    raise ServerError(message) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _explaining_errors(self) -> Iterator[None]:
        if sys.platform == "win32":
            raise ServerError("The embedded server does not run on Windows: use WSL, or set VECTORDB_URL to a server.")
        try:
            yield
        except OSError as error:
            way_out = _WAYS_OUT.get(error.errno or 0, "choose another path")
            what = error.strerror or str(error)
            where = f" ({error.filename})" if error.filename else ""
            raise ServerError(f"The embedded server cannot use {self.path}: {what}{where}; {way_out}.") from error


class _Patience:
    """A deadline that starts anew at every sign of progress."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def lasts(self, *, progress: bool = False) -> bool:
        """Sleep for a moment; False when time is up."""
        if progress:
            self._deadline = time.monotonic() + self._seconds
        time.sleep(_POLL)
        return time.monotonic() < self._deadline


def _launch(layout: Layout, account: Account, guard: int) -> None:
    binaries = find_binaries(account)
    if layout.data.exists():
        check_cluster(binaries, layout)
    else:
        end_servers_of_removed_data(layout)
        create_cluster(binaries, layout, account, guard=guard)
    socket_folder = make_socket_folder(layout, account)
    machine = tuning.measure()
    tuned = tuning.settings(machine.memory, machine.cores, machine.shared_memory)
    settings = configuration.settings(socket_folder) | tuned
    write_file(layout.configuration, configuration.render(settings), account)
    clear_remains(layout, socket_folder, account)
    launch(binaries, layout, account, guard=guard)


def _wait_until_ready(layout: Layout, timeout: float) -> Endpoint:
    patience = _Patience(timeout)
    while (endpoint := ready_endpoint(layout)) is None:
        if not is_held(layout.alive):
            raise ServerError(f"PostgreSQL stopped while it was starting:\n{log_tail(layout)}")
        if not patience.lasts(progress=is_starting(layout)):
            raise ServerError(f"{_unreachable(layout)}\n{log_tail(layout)}")
    return endpoint


def _stop(layout: Layout, timeout: float) -> bool:
    postmaster = Postmaster.read(layout.data)
    process = find_process(postmaster, layout) if postmaster else None
    if process is not None:
        send_signal(process, signal.SIGINT)  # a fast shutdown
    patience = _Patience(timeout)
    while is_held(layout.alive):
        if not patience.lasts():
            raise ServerError(f"The server did not stop within {timeout} seconds. {_unreachable(layout)}")
    return process is not None


def _status(path: Path, layout: Layout) -> ServerStatus:
    log = next(reversed(layout.logs()), None)
    postmaster = Postmaster.read(layout.data) if is_held(layout.alive) else None
    endpoint = ready_endpoint(layout) if postmaster else None
    if postmaster is None or (endpoint is None and find_process(postmaster, layout) is None):
        return ServerStatus(path, running=False, data_directory=layout.data, version=major_version(layout), log=log)
    return ServerStatus(
        path,
        running=True,
        data_directory=layout.data,
        state=postmaster.state,
        pid=postmaster.pid,
        version=(endpoint and endpoint.server_version()) or major_version(layout),
        url=endpoint.public_url if endpoint else None,
        socket_folder=postmaster.socket_folder,
        port=postmaster.port,
        log=log,
        started_at=postmaster.started_at,
    )


def _unreachable(layout: Layout) -> str:
    numbers = [str(process.pid) for process in find_processes(layout)]
    processes = f"its processes are {', '.join(numbers)}" if numbers else "perhaps it runs in another container"
    return f"A server of {layout.data} is alive, but neither answers nor ends: {processes}."
