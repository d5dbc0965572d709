"""Nobody else can connect, and the password is nowhere but in its file and in the URL that is asked for."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import tempfile
import threading
from pathlib import Path

import psycopg
import pytest

from tests.server.support import (
    account,
    connect,
    eventually,
    look_at_all,
    needs_root,
    psutil,
    python,
    run_until_cut_off,
    start_python,
    value,
)
from vectordb.errors import ServerError
from vectordb.server import EmbeddedServer
from vectordb.server.account import Account
from vectordb.server.directory import Layout, make_private, make_socket_folder
from vectordb.server.postmaster import ready_endpoint

OURSELVES = Account("ourselves", os.geteuid(), os.getegid())


def password(server: EmbeddedServer) -> str:
    return (server.path / "password").read_text().strip()


def test_another_user_cannot_even_open_the_socket(running: EmbeddedServer, stranger: pwd.struct_passwd) -> None:
    status = running.status()
    knock = f"""
import socket
for action in (
    lambda: socket.socket(socket.AF_UNIX).connect({f"{status.socket_folder}/.s.PGSQL.{status.port}"!r}),
    lambda: open({str(running.path / "password")!r}),
    lambda: os.listdir({str(running.path)!r}),
):
    try:
        action()
    except PermissionError as error:
        print(error.strerror)
"""
    assert python(knock, user=stranger) == "\n".join(["Permission denied"] * 3)


def test_another_user_s_library_says_whose_server_it_is(running: EmbeddedServer, stranger: pwd.struct_passwd) -> None:
    program = f"""
from vectordb.server import EmbeddedServer
from vectordb.errors import ServerError
server = EmbeddedServer({str(running.path)!r})
for action in (server.start, server.stop, server.status, lambda: server.url):
    try:
        action()
    except ServerError as error:
        print("Permission denied" in str(error))
"""
    assert python(program, user=stranger) == "\n".join(["True"] * 4)


@pytest.mark.parametrize("given", ["wrong", "", None])
def test_the_socket_alone_is_not_enough(running: EmbeddedServer, given: str | None) -> None:
    status = running.status()
    assert status.log is not None
    before = status.log.read_text().count(" 28P01 FATAL: ")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(
            host=str(status.socket_folder), port=status.port, user="vectordb", dbname="vectordb", password=given
        )
    log = status.log
    if given:
        eventually(lambda: log.read_text().count(" 28P01 FATAL: ") == before + 1)


def test_every_way_in_asks_for_a_password(running: EmbeddedServer) -> None:
    with connect(running) as connection:
        methods = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
    stored = value(running, "SELECT rolpassword FROM pg_authid WHERE rolname = 'vectordb'")
    assert methods == [("scram-sha-256",)]
    assert stored.startswith("SCRAM-SHA-256$")
    assert len(password(running)) >= 40


def test_nothing_listens_on_the_network(running: EmbeddedServer) -> None:
    connections = look_at_all(running, lambda process: process.net_connections("inet"))
    assert connections == [[]] * len(connections)


def test_the_password_is_on_no_command_line_and_in_no_environment(new_server: EmbeddedServer) -> None:
    """Looks at every process of the machine, from before initdb until the server runs."""
    program = f"from vectordb.server import EmbeddedServer; EmbeddedServer({str(new_server.path)!r}).start()"
    seen: list[str] = []
    with start_python(program) as starter:
        while starter.poll() is None:
            for process in psutil.process_iter():
                try:
                    seen.append(repr(process.cmdline()))
                    seen.append(repr(process.environ()))
                except psutil.Error:
                    continue
    seen += look_at_all(new_server, lambda process: repr((process.cmdline(), process.environ())))
    secret = password(new_server)
    assert any("initdb" in text for text in seen)
    assert [text for text in seen if secret in text] == []


def test_the_password_is_in_no_log_and_no_repr(running: EmbeddedServer) -> None:
    secret = password(running)
    texts = [repr(running), str(running), repr(running.status()), str(running.status())]
    texts += [repr(ready_endpoint(Layout(running.path, running.path)))]
    texts += [path.read_text() for path in (running.path / "log").iterdir()]
    texts += [(running.path / name).read_text() for name in ("start.log", "server.conf", "vectordb.json")]
    assert secret in running.url
    assert [text for text in texts if secret in text] == []


def test_the_environment_of_the_starter_does_not_live_on(server: EmbeddedServer) -> None:
    program = f"from vectordb.server import EmbeddedServer; EmbeddedServer({str(server.path)!r}).start()"
    environment = os.environ | {"API_KEY": "its-secret", "PGDATA": "/nonexistent", "PGPORT": "1"}
    with start_python(program, env=environment) as starter:
        assert starter.wait(60) == 0
    by_itself = {"PGLOCALEDIR", "PGSYSCONFDIR", "PWD"}
    for names in look_at_all(server, lambda process: set(process.environ())):
        assert names - by_itself <= {"LC_ALL", "LD_LIBRARY_PATH", "PATH", "TZ"}


def test_the_log_has_no_content_of_rows(server: EmbeddedServer) -> None:
    secret = "the-content-of-a-row"
    server.start()
    with connect(server) as connection:
        connection.execute("CREATE TEMPORARY TABLE once (name text PRIMARY KEY)")
        connection.execute("INSERT INTO once VALUES (%s)", [secret])
        for query in ("INSERT INTO once VALUES (%s)", "SELECT %s::int", "SELECT cast(%s::text AS int)"):
            with pytest.raises(psycopg.Error):
                connection.execute(query.encode(), [secret])
            with pytest.raises(psycopg.Error):
                connection.execute(query.replace("%s", f"'{secret}'").encode())
        sleep = f"DO $$ BEGIN PERFORM pg_sleep(60), '{secret}'; END $$"
        sleeper = threading.Thread(target=run_until_cut_off, args=(connection, sleep))
        sleeper.start()
        eventually(lambda: value(server, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == 1)
        server.stop()
        sleeper.join()
    log = (server.status().log or server.path).read_text()
    assert "terminating connection due to administrator command" in log
    assert secret not in log


def layout_with_a_long_path(place: Path) -> Layout:
    return Layout(place / ("long" * 30), place / ("long" * 30))


def test_a_long_path_gets_a_short_socket(template: Path, place: Path, state: Path) -> None:
    long = place / ("long" * 30)
    subprocess.run(["cp", "-a", template, long], check=True)
    server = EmbeddedServer(long)
    server.start()
    folder = server.status().socket_folder
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_uid == account().uid
    assert not folder.is_relative_to(long)
    assert server.start() == server.url
    with connect(server) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_short_folder_is_kept_private(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = layout_with_a_long_path(place)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(place))
    folder = make_socket_folder(layout, OURSELVES)
    assert folder.parent == place
    folder.chmod(0o777)
    assert make_socket_folder(layout, OURSELVES) == folder
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_socket_folder_that_cannot_be_short_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(place / ("deep" * 30)))
    with pytest.raises(ServerError, match="set TMPDIR to a short path"):
        make_socket_folder(layout_with_a_long_path(place), OURSELVES)


@pytest.mark.parametrize("trap", ["folder of a stranger", "symbolic link", "file"])
def test_a_socket_folder_that_was_there_before_us_is_refused(
    trap: str, place: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(place))
    layout = layout_with_a_long_path(place)
    folder = make_socket_folder(layout, OURSELVES)
    folder.rmdir()
    if trap == "symbolic link":
        (place / "target").mkdir(mode=0o700)
        folder.symlink_to(place / "target")
    elif trap == "file":
        folder.touch()
    else:
        folder.mkdir()
        os.chown(folder, request.getfixturevalue("stranger").pw_uid, -1)
    with pytest.raises(ServerError, match="remove it"):
        make_socket_folder(layout, OURSELVES)


@needs_root
@pytest.mark.parametrize("name", ["server.conf", "server.conf.new", "start.log"])
@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_root_writes_through_no_link_of_the_account(server: EmbeddedServer, place: Path, name: str, kind: str) -> None:
    victim = place / "victim"
    victim.write_text("untouched")
    (server.path / name).unlink(missing_ok=True)
    (server.path / name).symlink_to(victim) if kind == "symbolic" else (server.path / name).hardlink_to(victim)
    server.start()
    assert (victim.read_text(), victim.stat().st_uid, victim.stat().st_mode & 0o777) == ("untouched", 0, 0o644)


@needs_root
@pytest.mark.parametrize("name", ["alive", "lock", "password"])
def test_root_opens_no_link_of_the_account(server: EmbeddedServer, place: Path, name: str) -> None:
    (place / "victim").write_text("untouched")
    (server.path / name).unlink()
    (server.path / name).symlink_to(place / "victim")
    with pytest.raises(ServerError, match="symbolic links"):
        server.start()
    assert (place / "victim").read_text() == "untouched"


@needs_root
@pytest.mark.parametrize("home", ["{place}/victim", "{state}/..", "{state}/18.6", "victim"])
def test_root_gives_away_no_folder_that_a_marker_names(
    server: EmbeddedServer, place: Path, state: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    (place / "victim").mkdir()
    monkeypatch.chdir(place)
    marker = {"layout": 1, "home": home.format(place=place, state=state)}
    (server.path / "vectordb.json").write_text(json.dumps(marker))
    with pytest.raises(ServerError, match="did not make"):
        server.start()
    assert not state.exists()
    assert list((place / "victim").iterdir()) == []


@needs_root
def test_root_gives_away_no_folder_with_files_in_it(place: Path) -> None:
    (place / "victim").mkdir()
    (place / "victim" / "file").touch()
    with pytest.raises(ServerError, match="is not empty"):
        make_private(place / "victim", account())
    assert (place / "victim").stat().st_uid == 0


def test_the_interpreter_of_these_tests_can_be_another_user(stranger: pwd.struct_passwd) -> None:
    """Or the tests above would prove nothing."""
    assert python("print(os.getuid(), os.getgroups())", user=stranger) == f"{stranger.pw_uid} []"
