"""The running server: its processes, its state, its start."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vectordb.errors import ServerError
from vectordb.server.account import Account
from vectordb.server.binaries import Binaries
from vectordb.server.configuration import PORT
from vectordb.server.directory import Layout, read_password
from vectordb.server.endpoint import Endpoint
from vectordb.server.extras import require

_KEPT_LOGS = 10
_LINES_OF_LOG = 20
_TIME_TO_QUIT = 10  # seconds
_STARTING = "starting"
_READY = "ready"


@dataclass(frozen=True)
class Postmaster:
    """What PostgreSQL's main process says of itself in the file postmaster.pid.

    Attributes:
        pid: Its number.
        started_at: When it was started.
        port: The number in the name of the socket.
        socket_folder: Where the socket is.
        state: One of "starting", "ready", "stopping".
    """

    pid: int
    started_at: datetime
    port: int
    socket_folder: Path
    state: str

    @classmethod
    def read(cls, data: Path) -> Postmaster | None:
        """Read the file; None if it is absent or being written. A file may outlive its process."""
        try:
            text = os.fsdecode((data / "postmaster.pid").read_bytes())
            pid, _, started_at, port, socket_folder, _, _, state, _ = text.split("\n")
            start = datetime.fromtimestamp(int(started_at), UTC)
            return cls(int(pid), start, int(port), Path(socket_folder), state.strip())
        except (FileNotFoundError, ValueError):
            return None


def ready_endpoint(layout: Layout) -> Endpoint | None:
    """Return how to connect if the server accepts connections now."""
    postmaster = Postmaster.read(layout.data)
    if postmaster is None or postmaster.state != _READY:
        return None
    endpoint = _endpoint(postmaster, layout)
    return endpoint if endpoint.answers() else None


def is_starting(layout: Layout) -> bool:
    """Tell whether the server lives and says that it is starting up, or recovering from a crash."""
    from psycopg.pq import Ping

    postmaster = Postmaster.read(layout.data)
    if postmaster is None or find_process(postmaster, layout) is None:
        return False
    if postmaster.state == _READY:  # which it stays when only a backend has crashed
        return _endpoint(postmaster, layout).ping() == Ping.REJECT
    return postmaster.state == _STARTING


def find_process(postmaster: Postmaster, layout: Layout) -> Any | None:
    """Return the `psutil.Process` of a postmaster; None if its number is free, or another program's by now."""
    psutil = require("psutil")
    try:
        process = psutil.Process(postmaster.pid)
        return process if _works_in(layout.data, process.cwd()) else None
    except psutil.Error:
        return None


def send_signal(process: Any, number: signal.Signals) -> None:
    """Send a signal to a `psutil.Process`, which may have ended by now."""
    with suppress(require("psutil").NoSuchProcess):
        process.send_signal(number)


def find_processes(layout: Layout) -> list[Any]:
    """Return the `psutil.Process` of everything that PostgreSQL runs in this data directory, zombies apart."""
    return [
        process
        for process in require("psutil").process_iter(["name", "cwd"])
        if process.info["name"] == "postgres" and _works_in(layout.data, process.info["cwd"])
    ]


def end_servers_of_removed_data(layout: Layout) -> None:
    """End what still runs in a data directory that was deleted under it; it would be in the way of a new one."""
    for process in find_processes(layout):
        send_signal(process, signal.SIGQUIT)
    deadline = time.monotonic() + _TIME_TO_QUIT
    while processes := find_processes(layout):
        if time.monotonic() > deadline:
            numbers = ", ".join(str(process.pid) for process in processes)
            raise ServerError(f"{layout.data} was removed, and its server does not end: kill the processes {numbers}.")
        time.sleep(0.02)


def clear_remains(layout: Layout, socket_folder: Path, account: Account) -> None:
    """Remove what a server that is gone has left, and old logs; the caller holds `alive`.

    PostgreSQL would believe a process number in its old files if by now any other program has it.

    Raises:
        ServerError: The data directory is in use by a server that was not started here.
    """
    postmaster = Postmaster.read(layout.data)
    if postmaster is not None and find_process(postmaster, layout) is not None:
        raise ServerError(
            f"A PostgreSQL that vectordb did not start uses {layout.data} (process {postmaster.pid}): stop it first."
        )
    socket = f".s.PGSQL.{PORT}"
    remains = [layout.data / "postmaster.pid", socket_folder / socket, socket_folder / f"{socket}.lock"]
    account.run("rm", "-f", "--", *remains, *layout.logs()[:-_KEPT_LOGS])


def launch(binaries: Binaries, layout: Layout, account: Account, *, guard: int) -> None:
    """Start PostgreSQL; returns before it is ready.

    Args:
        binaries: What to run.
        layout: Where.
        account: Who it will be.
        guard: The open, locked `alive` file, which PostgreSQL and all of its processes inherit.
    """
    layout.start_log.unlink(missing_ok=True)
    output = os.open(layout.start_log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    try:
        postgres = binaries.program("postgres")
        configuration = f"config_file={layout.configuration}"
        account.detach(postgres, "-D", layout.data, "-c", configuration, cwd=layout.home, output=output, keep=[guard])
    finally:
        os.close(output)


def log_tail(layout: Layout) -> str:
    """Return the last lines that PostgreSQL has logged since its latest start."""
    since = layout.start_log.stat().st_mtime
    files = [layout.start_log, *(file for file in layout.logs()[-1:] if file.stat().st_mtime >= since)]
    lines = [line for file in files for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    return "\n".join(lines[-_LINES_OF_LOG:])


def _endpoint(postmaster: Postmaster, layout: Layout) -> Endpoint:
    return Endpoint(postmaster.socket_folder, postmaster.port, read_password(layout))


def _works_in(data: Path, folder: str | None) -> bool:
    # By name, not by identity: psutil gives the old name of a folder that was removed.
    return folder == os.path.realpath(data)
