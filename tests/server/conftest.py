"""Folders for servers, and one server for the tests that only look."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server.support import copy, end_processes_below
from vectordb.server import EmbeddedServer
from vectordb.server import account as accounts

MEMORY = Path("/dev/shm")


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that every user can enter, unlike pytest's; end and remove all that is in it afterwards.

    It is in memory where there is plenty: what is killed here are processes, not disks.
    """
    plenty = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 * 1024**3
    folder = Path(tempfile.mkdtemp(prefix="vectordb-test-", dir=MEMORY if plenty else None)).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        end_processes_below(folder)
        shutil.rmtree(folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder that every user can enter."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def state(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where root keeps what its server could not reach elsewhere, and others their sockets; not the machine's own."""
    monkeypatch.setattr(accounts, "STATE", place / "state")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(place))
    return place / "state"


@pytest.fixture
def new_server(place: Path) -> EmbeddedServer:
    """A server whose folder does not exist yet."""
    return EmbeddedServer(place / "new")


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """The folder of a server that was started and stopped."""
    with open_folder() as folder:
        server = EmbeddedServer(folder / "template")
        server.start()
        server.stop()
        yield server.path


@pytest.fixture
def server(template: Path, place: Path) -> EmbeddedServer:
    """A stopped server; initialising one takes longer than all the rest."""
    return EmbeddedServer(copy(template, place / "db"))


@pytest.fixture(scope="session")
def running(template: Path) -> Iterator[EmbeddedServer]:
    """One running server for all tests that change nothing in it."""
    with open_folder() as folder:
        server = EmbeddedServer(copy(template, folder / "running"))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def stranger() -> pwd.struct_passwd:
    """A user of this machine who is neither root nor the server's account."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    return pwd.getpwnam("nobody")
