"""The command line, run in this process against the test's own database."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import make_url

import vectordb
from tests.conftest import Databases
from vectordb import Document, VectorDB
from vectordb.cli.running import run


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What was printed, which is one line of JSON and nothing else."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line on stderr of a command that printed nothing else."""
        assert self.out == ""
        assert self.err.count("\n") == 1
        return self.err.removesuffix("\n")


class CommandLine:
    """Runs commands off a terminal and sees to it that no password is printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, password: str) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self._password = password

    def __call__(self, *arguments: str, stdin: str | bytes = b"") -> Done:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        code = run(list(arguments))
        out, err = self._capsys.readouterr()
        assert self._password not in out + err
        return Done(code, out, err)


@pytest.fixture
def cli(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line, with the migrated database of this test as its default."""
    return _command_line(url, capsys, monkeypatch)


@pytest.fixture
def points(cli: CommandLine, db: VectorDB) -> CommandLine:
    """The same, with three documents in the collection `points` of two dimensions, which has no embedder."""
    fill(db)
    return cli


@pytest.fixture(scope="package")
def read_only_url(databases: Databases, template: str) -> Iterator[str]:
    """URL of a database with the collection `points`, for tests that write nothing: making one takes a second."""
    url = databases.create(template)
    with vectordb.connect(url) as db:
        fill(db)
    yield url
    databases.drop(url)


@pytest.fixture
def reader(read_only_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line over the database that tests share."""
    return _command_line(read_only_url, capsys, monkeypatch)


def fill(db: VectorDB) -> None:
    """Make the collection `points`."""
    documents = [
        Document("to the east", "east", title="East", embedding=[1, 0], metadata={"n": 1}),
        Document("to the north", "north", uri="file:///north", embedding=[0, 1], metadata={"n": 2}),
        Document("half\tway\n\x1b[31min between é", "north-east", embedding=[1, 1], metadata={"n": 3}),
    ]
    db.create_collection("points", dimensions=2).upsert(documents)


def _command_line(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("VECTORDB_URL", url)
    return CommandLine(capsys, monkeypatch, make_url(url).password or "no password")
