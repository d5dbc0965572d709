"""One server for many processes, which belongs to none of them."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.server.support import connect, eventually, is_alive, postmaster, psutil, start_python, value
from vectordb.errors import ServerError
from vectordb.server import EmbeddedServer

START = """
import psycopg
from vectordb.server import EmbeddedServer
server = EmbeddedServer({path!r})
server.start()
with psycopg.connect(server.libpq_url) as connection:
    print(server.status().pid, connection.execute("SELECT 1").fetchone(), flush=True)
"""


def test_eight_processes_that_start_at_once_share_one_server(new_server: EmbeddedServer) -> None:
    processes = [start_python(START.format(path=str(new_server.path))) for _ in range(8)]
    answers = []
    for process in processes:
        with process:
            out, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
        answers.append(out)
    assert answers == [f"{new_server.status().pid} (1,)\n"] * 8


def test_threads_that_start_at_once_share_one_server(server: EmbeddedServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        urls = set(pool.map(lambda _: EmbeddedServer(server.path).start(), range(8)))
    assert urls == {server.url}


def test_ctrl_c_and_death_of_the_starter_leave_it_running(server: EmbeddedServer) -> None:
    program = START.format(path=str(server.path)) + "import time; time.sleep(60)"
    with start_python(program, start_new_session=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline().endswith("(1,)\n")
        process = postmaster(server)
        assert os.getsid(process.pid) != starter.pid
        os.killpg(starter.pid, signal.SIGINT)
        starter.wait(10)
    assert postmaster(server) == process
    assert process.ppid() != os.getpid()
    assert value(server, "SELECT 1") == 1


def test_a_killed_client_loses_only_its_transaction(running: EmbeddedServer) -> None:
    program = f"""
import psycopg, time
from vectordb.server import EmbeddedServer
server = EmbeddedServer({str(running.path)!r})
server.start()
connection = psycopg.connect(server.libpq_url)
connection.execute("CREATE TABLE never_committed (id int)")
print(connection.info.backend_pid, flush=True)
time.sleep(60)
"""
    pid = running.status().pid
    with start_python(program) as client:
        assert client.stdout is not None
        backend = psutil.Process(int(client.stdout.readline()))
        client.kill()
    eventually(lambda: not is_alive(backend))
    assert running.status().pid == pid
    assert value(running, "SELECT to_regclass('never_committed')") is None


def test_a_starter_that_hangs_is_not_waited_for_without_end(new_server: EmbeddedServer) -> None:
    program = f"""
import filelock, pathlib, time
pathlib.Path({str(new_server.path)!r}).mkdir()
with filelock.FileLock({str(new_server.path / "lock")!r}):
    print("locked", flush=True)
    time.sleep(60)
"""
    with start_python(program) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(ServerError, match="Another process is starting or stopping"):
            new_server.start(timeout=0.1)
        other.kill()
    new_server.start()  # the lock of a process that was killed is free
    assert new_server.status().running


def test_clients_of_two_folders_do_not_meet(running: EmbeddedServer, server: EmbeddedServer) -> None:
    server.start()
    with connect(server) as connection:
        connection.execute("CREATE TABLE only_here (id int)")
    assert value(running, "SELECT to_regclass('only_here')") is None
    assert server.url != running.url
