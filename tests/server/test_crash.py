"""What a crash leaves behind is waited for, cleared away and recovered from."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.server.support import (
    account,
    connect,
    copy,
    eventually,
    is_alive,
    kill_all,
    postmaster,
    psutil,
    run_until_cut_off,
    start_python,
    value,
)
from vectordb.errors import ServerError
from vectordb.server import EmbeddedServer
from vectordb.server.binaries import find_binaries


def write_until_cut_off(server: EmbeddedServer, writer: int, acknowledged: set[tuple[int, int]]) -> None:
    with connect(server) as connection:
        for number in range(1_000_000):
            try:
                connection.execute("INSERT INTO rows VALUES (%s, %s)", [writer, number])
            except psycopg.OperationalError:
                return
            acknowledged.add((writer, number))


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(server: EmbeddedServer) -> None:
    acknowledged: list[set[tuple[int, int]]] = [set() for _ in range(9)]
    server.start()
    with connect(server) as connection:
        connection.execute("CREATE TABLE rows (writer int, number int, PRIMARY KEY (writer, number))")
    for crash in range(3):
        mine = acknowledged[3 * crash : 3 * crash + 3]
        writers = [
            threading.Thread(target=write_until_cut_off, args=(server, 3 * crash + i, rows))
            for i, rows in enumerate(mine)
        ]
        for writer in writers:
            writer.start()
        eventually(lambda: all(len(rows) > 20 for rows in mine))  # noqa: B023 - awaited within the round
        kill_all(server)
        for writer in writers:
            writer.join()
        server.start()
    with connect(server) as connection:
        stored = set(connection.execute("SELECT writer, number FROM rows").fetchall())
    assert set().union(*acknowledged) <= stored


def test_a_start_waits_for_the_orphans_of_a_killed_server(server: EmbeddedServer) -> None:
    server.start()
    with connect(server) as connection:
        orphan = psutil.Process(connection.info.backend_pid)
        # A backend that calculates does not notice at once that its postmaster is gone.
        count = "SELECT count(*) FROM generate_series(1, 15000000)"
        busy = threading.Thread(target=run_until_cut_off, args=(connection, count))
        busy.start()
        eventually(lambda: orphan.cpu_times().user > 0.1)
        postmaster(server).kill()
        assert is_alive(orphan)
        assert not server.status().running
        server.start()
        assert not is_alive(orphan)
        busy.join()
    assert value(server, "SELECT 1") == 1


def test_an_orphan_that_does_not_end_is_named(server: EmbeddedServer) -> None:
    server.start()
    with connect(server) as connection:
        orphan = psutil.Process(connection.info.backend_pid)
        orphan.suspend()
        postmaster(server).kill()
        with pytest.raises(ServerError, match=rf"processes are .*\b{orphan.pid}\b"):
            server.start(timeout=0.5)
        orphan.kill()
    server.start()
    assert value(server, "SELECT 1") == 1


def test_a_killed_backend_is_recovered_from_without_a_new_server(server: EmbeddedServer) -> None:
    server.start()
    main = postmaster(server)
    with connect(server) as connection:
        psutil.Process(connection.info.backend_pid).kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    server.start()
    assert postmaster(server) == main


def test_a_shutdown_that_waits_for_clients_is_not_waited_for(server: EmbeddedServer) -> None:
    """SIGTERM, as a service manager sends it, lets the clients finish first."""
    server.start()
    with connect(server):
        postmaster(server).terminate()
        eventually(lambda: server.status().state == "stopping")
        with pytest.raises(ServerError, match="neither answers nor ends"):
            server.start(timeout=0.3)
        assert server.stop()
    server.start()
    assert value(server, "SELECT 1") == 1


def test_files_that_name_another_living_process_are_not_believed(server: EmbeddedServer) -> None:
    """After a reboot, or in a container, the number in the old file soon belongs to somebody else."""
    server.start()
    remains = {
        path: path.read_text()
        for path in (server.path / "data" / "postmaster.pid", server.path / "socket" / ".s.PGSQL.5432.lock")
    }
    pid = postmaster(server).pid
    server.stop()
    owner = account()
    identity = {"user": owner.uid, "group": owner.gid} if owner.is_other else {}
    with subprocess.Popen(["sleep", "60"], **identity) as other:  # type: ignore[call-overload]  # mypy: ** of a dict
        for path, text in remains.items():
            path.write_text(text.replace(str(pid), str(other.pid), 1))
            shutil.chown(path, owner.uid, owner.gid)
        (server.path / "socket" / ".s.PGSQL.5432").touch()
        assert not server.status().running
        assert not server.stop()
        server.start()
        assert postmaster(server).pid not in {pid, other.pid}
        assert other.poll() is None
        other.kill()
    assert value(server, "SELECT 1") == 1


def test_an_interrupted_initialisation_is_done_again(new_server: EmbeddedServer) -> None:
    program = f"from vectordb.server import EmbeddedServer; EmbeddedServer({str(new_server.path)!r}).start()"
    for name in ("PG_VERSION", "global/pg_control", "postgresql.conf"):  # ever later in the life of initdb
        with start_python(program) as starter:
            eventually(lambda: (new_server.path / "data.new" / name).exists())  # noqa: B023 - awaited within the round
            starter.kill()
        assert not (new_server.path / "data").exists()
    new_server.start()
    assert not (new_server.path / "data.new").exists()
    assert value(new_server, "SELECT current_database()") == "vectordb"


def test_an_initialisation_that_lost_its_starter_is_waited_for(new_server: EmbeddedServer) -> None:
    program = f"from vectordb.server import EmbeddedServer; EmbeddedServer({str(new_server.path)!r}).start()"
    with start_python(program) as starter:
        eventually(lambda: (new_server.path / "data.new" / "PG_VERSION").exists())
        initdb = next(child for child in psutil.Process(starter.pid).children() if child.name() == "initdb")
        initdb.suspend()
        starter.kill()
    with pytest.raises(ServerError, match="neither answers nor ends"):
        new_server.start(timeout=0.5)
    initdb.kill()
    new_server.start()
    assert value(new_server, "SELECT 1") == 1


def test_a_folder_removed_under_its_server_starts_anew(server: EmbeddedServer) -> None:
    server.start()
    with connect(server) as connection:
        connection.execute("CREATE TABLE gone (id int)")
    old = postmaster(server)
    shutil.rmtree(server.path)
    assert not server.status().running
    server.start()
    assert value(server, "SELECT to_regclass('gone')") is None
    assert not is_alive(old)


def test_a_copy_of_the_folder_is_another_server(server: EmbeddedServer, place: Path) -> None:
    """Even of a running one, whose files say that it runs."""
    server.start()
    twin = EmbeddedServer(copy(server.path, place / "copy"))
    assert not twin.status().running
    twin.start()
    assert twin.status().pid != server.status().pid
    with connect(twin) as connection:
        connection.execute("CREATE TABLE only_in_the_copy (id int)")
    assert value(server, "SELECT to_regclass('only_in_the_copy')") is None


def test_a_moved_folder_keeps_its_data(server: EmbeddedServer, place: Path) -> None:
    server.start()
    with connect(server) as connection:
        connection.execute("CREATE TABLE moved AS SELECT 7 AS id")
    server.stop()
    moved = EmbeddedServer(server.path.rename(place / "elsewhere"))
    moved.start()
    assert value(moved, "SELECT id FROM moved") == 7


def test_a_server_that_we_did_not_start_is_left_alone(server: EmbeddedServer) -> None:
    server.start()
    server.stop()
    owner, data = account(), server.path / "data"
    postgres = find_binaries(owner).program("postgres")
    log = os.open(server.path / "log" / "by-hand", os.O_WRONLY | os.O_CREAT)
    settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={server.path / 'socket'}"]
    owner.detach(postgres, "-D", data, *settings, cwd=server.path, output=log, keep=[])
    os.close(log)
    pid_file = data / "postmaster.pid"
    eventually(lambda: pid_file.exists() and "ready" in pid_file.read_text())
    by_hand = psutil.Process(int(pid_file.read_text().split()[0]))
    with pytest.raises(ServerError, match=f"did not start .*{by_hand.pid}"):
        server.start()
    assert is_alive(by_hand)
    by_hand.send_signal(signal.SIGINT)
    eventually(lambda: not pid_file.exists())
    server.start()
    assert value(server, "SELECT 1") == 1


def hold_up_recovery(server: EmbeddedServer, seconds: float) -> None:
    """Suspend the process that recovers, as soon as there is one."""
    pid_file = server.path / "data" / "postmaster.pid"
    recovering: list[Any] = []

    def look() -> bool:
        with suppress(psutil.Error, OSError, ValueError, IndexError):
            children = psutil.Process(int(pid_file.read_text().split()[0])).children()
            recovering.extend(child for child in children if "startup" in child.cmdline()[0])
        return bool(recovering)

    eventually(look)
    recovering[0].suspend()
    time.sleep(seconds)
    recovering[0].resume()


def test_recovery_may_take_longer_than_the_timeout(server: EmbeddedServer) -> None:
    server.start()
    with connect(server) as connection:
        connection.execute("CREATE TABLE many AS SELECT i FROM generate_series(1, 200000) i")
    kill_all(server)
    held_up = threading.Thread(target=hold_up_recovery, args=(server, 2.5))
    held_up.start()
    begun = time.monotonic()
    server.start(timeout=1)
    assert time.monotonic() - begun > 2.5
    held_up.join()
    assert value(server, "SELECT count(*) FROM many") == 200_000
