"""What the tests of the embedded server share."""

from __future__ import annotations

import importlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest

from vectordb.server import EmbeddedServer
from vectordb.server.account import Account, server_account

Seen = TypeVar("Seen")
psutil: Any = importlib.import_module("psutil")  # which has no types of its own
ROOT = Path(__file__).resolve().parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

# The interpreter may lie where another user cannot start it, so it starts as root and changes sides when it is loaded.
_BECOME = """
import os, sys
import filelock, psutil, psycopg, sqlalchemy.dialects.postgresql.psycopg, vectordb.server.embedded
os.setgroups([]); os.setgid({gid}); os.setuid({uid}); os.environ.update(HOME="/")
sys.path[:0] = {paths}
"""


def python(program: str, *, user: pwd.struct_passwd | None = None, paths: list[str] | None = None) -> str:
    """Run a program in a new interpreter, as another user if one is given, and return what it printed."""
    with start_python(program, user=user, paths=paths) as process:
        out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out.strip()


def start_python(
    program: str, *, user: pwd.struct_passwd | None = None, paths: list[str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    """Start a program in a new interpreter."""
    if user is not None:
        program = _BECOME.format(uid=user.pw_uid, gid=user.pw_gid, paths=paths or []) + program
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def connect(server: EmbeddedServer) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(server.libpq_url, autocommit=True)


def value(server: EmbeddedServer, query: str) -> Any:
    """Return the first column of the first row."""
    with connect(server) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def postmaster(server: EmbeddedServer) -> Any:
    """Return the `psutil.Process` of the server."""
    pid = server.status().pid
    assert pid is not None
    return psutil.Process(pid)


def look_at_all(server: EmbeddedServer, look: Callable[[Any], Seen]) -> list[Seen]:
    """Apply `look` to every process of the server; some come and go."""
    main = postmaster(server)
    seen = []
    for process in (main, *main.children()):
        with suppress(psutil.NoSuchProcess):
            seen.append(look(process))
    return seen


def run_until_cut_off(connection: psycopg.Connection[Any], query: str) -> None:
    """Run a statement that the end of the server will interrupt."""
    with suppress(psycopg.OperationalError):
        connection.execute(query.encode())


def kill_all(server: EmbeddedServer) -> None:
    """SIGKILL every process of the server at once, as a power cut would."""
    look_at_all(server, lambda process: process.kill())


def copy(source: Path, target: Path) -> Path:
    """Copy a folder with its owners and modes."""
    subprocess.run(["cp", "-a", source, target], check=True)
    return target


def end_processes_below(folder: Path) -> None:
    """End whatever still works in a folder of a test."""

    def below() -> list[Any]:
        processes = psutil.process_iter(["cwd"])
        return [process for process in processes if (process.info["cwd"] or "").startswith(f"{folder}/")]

    # Gently first: a server that is killed leaves its shared memory behind for the next, and there will be none.
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for process in below():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        with suppress(AssertionError):
            eventually(lambda: not below(), seconds=5)


def is_alive(process: Any) -> bool:
    """Tell whether a process runs; one that has ended may still be listed until init has noticed."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def eventually(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def account() -> Account:
    return server_account()
